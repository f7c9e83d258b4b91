//! Limits hold in every stretch of time, are taken everywhere or nowhere, are all given back, and are waited for in turn.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::{
    runtime::Builder,
    task::JoinHandle,
    time::{Duration, advance, timeout},
};

use super::{bucket::Bucket, *};

fn paused(future: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future);
}

fn caps(requests: Option<u64>, tokens: Option<u64>, max_in_flight: Option<u32>) -> Caps {
    Caps { requests_per_minute: requests, tokens_per_minute: tokens, max_in_flight }
}

/// Limits of a key of its own, with a user's and a group's meter.
fn limits(meters: &mut Meters, key: i64, of: [Caps; 3]) -> Arc<Limits> {
    Arc::new(Limits::new(
        meters.set(Whose::Key, key, of[0]),
        meters.set(Whose::User, 1, of[1]),
        meters.set(Whose::Group, 1, of[2]),
    ))
}

proptest! {
    /// What is taken, less what is given back unused, is never more than a minute's worth and what came back meanwhile; and
    /// a bucket that says when there will be room is right to the millisecond.
    #[test]
    fn no_stretch_of_time_lets_through_more(
        rate in 1u64..2_000,
        steps in prop::collection::vec((0u64..9_000, 0u64..3_000, 0u64..3_000), 1..60),
    ) {
        let mut bucket = Bucket::new(rate, 0);
        let mut now_ms = 0;
        // When, and how many more were out after it than before.
        let mut changes: Vec<(u64, i128)> = Vec::new();
        for (pause_ms, count, used) in steps {
            now_ms += pause_ms;
            let missing_ms = bucket.missing_ms(count, now_ms);
            if missing_ms > 0 {
                prop_assert!(bucket.clone().missing_ms(count, now_ms + missing_ms - 1) > 0);
                prop_assert_eq!(bucket.clone().missing_ms(count, now_ms + missing_ms), 0);
                continue;
            }
            let taken = bucket.take(count);
            prop_assert_eq!(taken, count.min(rate));
            changes.push((now_ms, taken.into()));
            // Half of them end at once.
            if used % 2 == 0 {
                bucket.correct(taken, used.min(taken), now_ms);
                changes.push((now_ms, i128::from(used.min(taken)) - i128::from(taken)));
            }
        }
        for (at, (from_ms, _)) in changes.iter().enumerate() {
            let mut out = 0;
            for (to_ms, change) in &changes[at..] {
                out += change;
                let passed = i128::from(rate) * i128::from(to_ms - from_ms);
                prop_assert!(out * 60_000 <= i128::from(rate) * 60_000 + passed, "{out} from {from_ms} to {to_ms}");
            }
        }
    }

    /// Whatever providers count, the level stays within its bounds, and a debt ends.
    #[test]
    fn nonsense_does_not_lock_for_good(
        rate in prop_oneof![1u64..100, Just(u64::MAX), Just(bucket::HIGHEST_RATE)],
        steps in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>()), 0..40),
    ) {
        let mut bucket = Bucket::new(rate, 0);
        let mut now_ms = 0;
        for (count, used, pause_ms, other) in steps {
            let reserved = bucket.take(count);
            bucket.correct(reserved, used, now_ms);
            if used % 3 == 0 {
                bucket.set(other, now_ms);
            }
            let Level { limit, remaining, reset_ms } = bucket.level(now_ms);
            prop_assert!(remaining <= limit && reset_ms <= 61 * 60_000, "{remaining} of {limit}, {reset_ms}");
            now_ms += u64::from(pause_ms);
        }
        prop_assert_eq!(bucket.missing_ms(u64::MAX, now_ms + 61 * 60_000), 0);
    }

    /// Two keys of a user of a group, against a model that counts by hand.
    #[test]
    fn taken_everywhere_or_nowhere(
        of in prop::array::uniform4((prop::option::of(1u64..6), prop::option::of(1u64..40), prop::option::of(1u32..4))),
        steps in prop::collection::vec((0usize..2, 0u64..30, 0u64..60, 0u64..20_000), 1..60),
    ) {
        paused(async {
            let clock = Clock::start();
            let mut meters = Meters::new(clock);
            let of = of.map(|(requests, tokens, in_flight)| caps(requests, tokens, in_flight));
            let keys = [0, 1].map(|key| limits(&mut meters, key, [of[key as usize], of[2], of[3]]));
            let mut open: Vec<(usize, Taken)> = Vec::new();
            let look = |keys: &[Arc<Limits>; 2]| {
                let meter = |limits: &Limits, rank: usize| {
                    let mut state = limits.0[rank].limited();
                    let levels = state.as_mut().map(|state| state.levels(clock.now_ms()));
                    let reserved = state.map_or(0, |state| state.reserved());
                    (limits.0[rank].inside(), levels, reserved)
                };
                [meter(&keys[0], 0), meter(&keys[1], 0), meter(&keys[0], 1), meter(&keys[0], 2)]
            };
            for (key, tokens, used, pause_ms) in steps {
                let before = look(&keys);
                // The meters of this key, by their place in `of`.
                let mine = [key, 2, 3];
                let room = |meter: usize| {
                    let (inside, levels, _) = before[meter];
                    let Some(levels) = levels else { return true };
                    let enough = |level: Option<Level>, count: u64| {
                        level.is_none_or(|level| level.remaining >= count.min(level.limit))
                    };
                    of[meter].max_in_flight.is_none_or(|most| inside < most)
                        && enough(levels.requests, 1)
                        && enough(levels.tokens, tokens)
                };
                match keys[key].take(tokens, clock) {
                    Ok(taken) => {
                        assert!(mine.iter().all(|meter| room(*meter)), "{before:?}");
                        open.push((key, taken));
                    }
                    Err(short) => {
                        assert!(!room(mine[short.whose as usize]), "{short:?} {before:?}");
                        assert_eq!(before, look(&keys), "nothing was taken");
                    }
                }
                for meter in 0..4 {
                    let inside = open.iter().filter(|(key, _)| meter >= 2 || *key == meter).count();
                    assert_eq!(look(&keys)[meter].0 as usize, inside);
                }
                if used % 3 == 0 && !open.is_empty() {
                    let (_, taken) = open.swap_remove(used as usize % open.len());
                    match used % 4 {
                        0 => drop(taken),
                        1 => drop(taken.settle(None)),
                        _ => drop(taken.settle(Some(used))),
                    }
                }
                advance(Duration::from_millis(pause_ms)).await;
            }
            drop(open);
            advance(Duration::from_secs(62 * 60)).await;
            for (inside, levels, reserved) in look(&keys) {
                assert_eq!((inside, reserved), (0, 0));
                let full = |level: Option<Level>| level.is_none_or(|level| level.remaining == level.limit);
                assert!(levels.is_none_or(|levels| full(levels.requests) && full(levels.tokens)));
            }
        });
    }
}

#[test]
fn many_threads_at_once_take_no_more_than_there_is() {
    let clock = Clock::start();
    let mut meters = Meters::new(clock);
    let of = [caps(Some(900_000), None, None), caps(None, Some(1_000_000), None), caps(None, None, Some(10))];
    let (one, two) = (limits(&mut meters, 1, of), limits(&mut meters, 2, of));
    let most = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for at in 0..8 {
            let (limits, most) = (if at % 2 == 0 { &one } else { &two }, &most);
            scope.spawn(move || {
                for round in 0..2_000 {
                    let Ok(taken) = limits.take(round % 7, clock) else { continue };
                    most.fetch_max(limits.of(Whose::Group).inside(), std::sync::atomic::Ordering::Relaxed);
                    if round % 2 == 0 { drop(taken.settle(Some(3))) } else { drop(taken) }
                }
            });
        }
    });
    assert!((1..=10).contains(&most.into_inner()));
    for whose in Whose::ALL {
        assert_eq!((one.of(whose).inside(), one.of(whose).reserved()), (0, 0));
    }
}

#[test]
fn tokens_are_corrected_by_what_was_used() {
    paused(async {
        let clock = Clock::start();
        let mut meters = Meters::new(clock);
        let limits =
            limits(&mut meters, 1, [caps(None, Some(1_000), None), Caps::default(), Caps::default()]);
        let left = || {
            let taken = limits.take(0, clock).unwrap();
            taken.levels().tokens.unwrap().remaining
        };
        // More than there can ever be takes all there is.
        let taken = limits.take(5_000, clock).unwrap();
        assert_eq!((left(), limits.of(Whose::Key).reserved()), (0, 1_000));
        assert_eq!(limits.take(1, clock).unwrap_err().what, What::Tokens);
        taken.settle(Some(400));
        assert_eq!((left(), limits.of(Whose::Key).reserved()), (600, 0));
        limits.take(100, clock).unwrap().settle(Some(0));
        limits.take(100, clock).unwrap().settle(None);
        assert_eq!(left(), 500);
        // What an estimate says later gives back the rest, or takes more.
        let counted = limits.take(100, clock).unwrap().settle(None);
        assert_eq!((left(), limits.of(Whose::Key).inside()), (400, 0));
        counted.correct(30);
        assert_eq!(left(), 470);
        limits.take(10, clock).unwrap().settle(Some(20)).correct(0);
        limits.take(0, clock).unwrap().settle(Some(0)).correct(70);
        limits.take(100, clock).unwrap().settle(Some(0)).correct(0);
        assert_eq!(left(), 400);
        limits.take(100, clock).unwrap().settle(Some(0));
        // What goes beyond is owed: 1,000 more than there is takes a minute to come back.
        limits.take(100, clock).unwrap().settle(Some(1_400));
        let short = limits.take(1, clock).unwrap_err();
        assert_eq!((short.what, short.retry_after_ms), (What::Tokens, 60_060));
        advance(Duration::from_secs(60)).await;
        assert_eq!(limits.take(1, clock).unwrap_err().retry_after_ms, 60);
        assert_eq!(left(), 0);
    });
}

#[test]
fn another_limit_holds_at_once_and_what_runs_is_counted() {
    paused(async {
        let clock = Clock::start();
        let mut meters = Meters::new(clock);
        let free = [Caps::default(); 3];
        let all = limits(&mut meters, 1, free);
        let open: Vec<Taken> = (0..3).map(|_| all.take(10, clock).unwrap()).collect();
        let narrow = [caps(None, None, Some(2)), free[1], free[2]];
        let all = limits(&mut meters, 1, narrow);
        assert_eq!(all.take(10, clock).unwrap_err().what, What::InFlight);
        drop(open);
        assert!(all.take(10, clock).is_ok());
        limits(&mut meters, 1, free);
        let open: Vec<Taken> = (0..9).map(|_| all.take(10, clock).unwrap()).collect();
        assert_eq!(all.of(Whose::Key).inside(), 9);
        drop(open);
        assert_eq!(all.of(Whose::Key).inside(), 0);
    });
}

type Waiting = JoinHandle<Result<Taken, Short>>;

/// Begins to wait, and is in the queue when it returns.
async fn waiting(limits: &Arc<Limits>, clock: Clock, tokens: u64, wait_ms: u64) -> Waiting {
    let patience = Patience { wait: Duration::from_millis(wait_ms), queue: 3 };
    let limits = limits.clone();
    let waiting = tokio::spawn(async move { limits.wait(tokens, clock, patience).await });
    settle_down().await;
    waiting
}

/// Lets every task run until it waits.
async fn settle_down() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn whoever_came_first_goes_first_and_who_leaves_is_passed_over() {
    paused(async {
        let clock = Clock::start();
        let mut meters = Meters::new(clock);
        let all = limits(&mut meters, 1, [Caps::default(), caps(None, None, Some(1)), Caps::default()]);
        let other = limits(&mut meters, 2, [Caps::default(), caps(None, None, Some(1)), Caps::default()]);
        let inside = all.take(0, clock).unwrap();
        let first = waiting(&all, clock, 0, 60_000).await;
        let second = waiting(&other, clock, 0, 60_000).await;
        let third = waiting(&all, clock, 0, 60_000).await;
        assert_eq!(all.of(Whose::User).waiting(), 3);
        assert!(waiting(&all, clock, 0, 60_000).await.await.unwrap().is_err(), "the queue has three places");
        first.abort();
        settle_down().await;
        drop(inside);
        // It is free, but not for those who come now.
        assert_eq!(all.take(0, clock).unwrap_err().what, What::InFlight);
        settle_down().await;
        assert!(second.is_finished() && !third.is_finished());
        let inside = second.await.unwrap().unwrap();
        assert_eq!(all.of(Whose::User).waiting(), 1);
        inside.settle(Some(0));
        drop(third.await.unwrap().unwrap());
        assert_eq!((all.of(Whose::User).waiting(), all.of(Whose::User).inside()), (0, 0));
    });
}

#[test]
fn time_lets_the_first_in_and_then_the_next() {
    paused(async {
        let clock = Clock::start();
        let mut meters = Meters::new(clock);
        // One every second.
        let all = limits(&mut meters, 1, [caps(Some(60), None, None), Caps::default(), Caps::default()]);
        for _ in 0..60 {
            all.take(0, clock).unwrap().settle(None);
        }
        let began = tokio::time::Instant::now();
        let mut running: Vec<Waiting> = Vec::new();
        for _ in 0..3 {
            running.push(waiting(&all, clock, 0, 10_000).await);
        }
        for (at, waiting) in running.into_iter().enumerate() {
            waiting.await.unwrap().unwrap().settle(None);
            assert_eq!(began.elapsed(), Duration::from_secs(at as u64 + 1));
        }
        // Who cannot come in within his time is told so at once, and when to come back.
        let short = waiting(&all, clock, 0, 500).await.await.unwrap().unwrap_err();
        assert_eq!((short.what, short.retry_after_ms, began.elapsed().as_secs()), (What::Requests, 1_000, 3));
    });
}

#[test]
fn who_waits_in_vain_is_let_go_in_time() {
    paused(async {
        let clock = Clock::start();
        let mut meters = Meters::new(clock);
        let all =
            limits(&mut meters, 1, [caps(None, Some(600), None), Caps::default(), caps(None, None, Some(1))]);
        let inside = all.take(600, clock).unwrap();
        let large = waiting(&all, clock, 600, 5_000).await;
        let small = waiting(&all, clock, 1, 7_000).await;
        let began = tokio::time::Instant::now();
        assert_eq!(large.await.unwrap().unwrap_err().what, What::Tokens);
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        // It has its tokens by now; what it lacks is the group's place, for which it waits on.
        settle_down().await;
        assert_eq!((all.of(Whose::Key).waiting(), all.of(Whose::Group).waiting()), (0, 1));
        drop(inside);
        let taken = timeout(Duration::from_millis(1), small).await.unwrap().unwrap().unwrap();
        drop(taken);
        for whose in Whose::ALL {
            assert_eq!(
                (all.of(whose).waiting(), all.of(whose).inside(), all.of(whose).reserved()),
                (0, 0, 0)
            );
        }
    });
}

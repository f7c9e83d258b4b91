//! Limits hold in every stretch of time, nobody is turned away without one, and who waits goes before who comes.

use dialect::{Door, Operation, peek};
use gateway::{ending::Ending, settlement::Settlement};

use crate::{
    ask::{Ask, KeyUse},
    model::Story,
    setup::Caps,
    world::World,
};

/// What is foreseen of an answer that names no bound, or a higher one; and bytes of a prompt for each of its tokens.
const ASSUMED_OUTPUT: u64 = 4_096;
const BYTES_PER_TOKEN: u64 = 3;

/// Whether there is a limit such as a rejection names: `RateLimited { Key, Tokens, limit: 9000 }`.
pub(crate) fn has(story: &Story<'_>, cause: &str) -> bool {
    let KeyUse::Known(key) = story.ask.key else { return false };
    let limit_of = |caps: Caps| {
        let named = [("InFlight", caps.max_in_flight), ("Requests", caps.requests), ("Tokens", caps.tokens)];
        named.into_iter().find(|(what, _)| cause.contains(what)).and_then(|(_, limit)| limit)
    };
    let whose = if cause.contains("{ Key,") { story.setup.keys[key].caps } else { story.setup.caps };
    limit_of(whose).is_some_and(|limit| cause.ends_with(&format!("limit: {limit} }}")))
}

/// A request of a known key, and what is known of its limits.
struct Known<'a> {
    ask: &'a Ask,
    key: usize,
    body_in_at: u64,
    /// When its first call began: by then it had been let in.
    called_at: Option<u64>,
    ended_at: u64,
    settlement: &'a Settlement,
}

pub(crate) fn of_all(world: &World, ends: &[u64], broken: &mut Vec<String>) {
    let mut known: Vec<Known<'_>> = Vec::new();
    for (number, (ask, visit)) in world.asks.iter().zip(&world.visits).enumerate() {
        let (KeyUse::Known(key), Some(body_in_at)) = (ask.key, visit.body_in_at) else { continue };
        let settled = world.settlements.iter().find(|(_, one)| Some(one.request_id) == visit.request_id);
        let Some((_, settlement)) = settled else { continue };
        let called_at = world.calls.iter().find(|call| call.ask == number).map(|call| call.at);
        known.push(Known { ask, key, body_in_at, called_at, ended_at: ends[number], settlement });
    }
    let setup = &world.setup;
    let mut meters = vec![("user".to_owned(), setup.caps, None)];
    meters.extend(setup.keys.iter().enumerate().map(|(n, key)| (format!("key {n}"), key.caps, Some(n))));
    for (who, caps, key) in meters {
        let mine: Vec<&Known<'_>> =
            known.iter().filter(|known| key.is_none_or(|key| known.key == key)).collect();
        if setup.patience.is_none() {
            needless(&who, caps, &mine, broken);
        }
        // Where requests wait for a place among all too, their first call says little of when their limits let them in.
        if setup.in_flight < 1_000 {
            continue;
        }
        if let Some(limit) = caps.requests {
            let let_in = mine.iter().filter_map(|known| Some((known.called_at?, 1)));
            rate(&format!("{who}: requests"), limit, let_in.collect(), broken);
        }
        if let Some(limit) = caps.tokens {
            let taken = mine.iter().flat_map(|known| tokens(known, limit)).flatten();
            rate(&format!("{who}: tokens"), limit, taken.collect(), broken);
        }
        if key.is_some() && !setup.caps.any() {
            in_turn(&who, &mine, broken);
        }
    }
}

/// What a request took of the tokens when it was let in, and what it gave back at its end.
fn tokens(known: &Known<'_>, limit: u64) -> [Option<(u64, i128)>; 2] {
    let Some(called_at) = known.called_at else { return [None, None] };
    let reserved = i128::from(foreseen(known.ask).min(limit));
    let settlement = known.settlement;
    let used = match settlement.usage {
        _ if matches!(settlement.ending, Ending::Refused | Ending::Rejected | Ending::Failed) => 0,
        Some(usage) => i128::from(usage.total()),
        None if settlement.first_byte_ms.is_none() => 0,
        None => reserved,
    };
    // What was used beyond is owed: that only slows down.
    let back = (used - reserved).min(0);
    if called_at == known.ended_at {
        return [Some((called_at, reserved + back)), None];
    }
    [Some((called_at, reserved)), Some((known.ended_at, back))]
}

fn foreseen(ask: &Ask) -> u64 {
    let envelope = peek(Door::new(ask.dialect, Operation::Chat), &ask.body).expect("it was let in");
    let each = envelope.max_output.map_or(ASSUMED_OUTPUT, |named| named.min(ASSUMED_OUTPUT));
    (ask.body.len() as u64).div_ceil(BYTES_PER_TOKEN) + each * envelope.choices
}

/// In no stretch of time more than a minute's worth and what came back meanwhile.
fn rate(what: &str, limit: u64, mut changes: Vec<(u64, i128)>, broken: &mut Vec<String>) {
    // Of one millisecond, what is given back first: so it may have been.
    changes.sort_unstable();
    let limit = i128::from(limit);
    for (at, (from, _)) in changes.iter().enumerate() {
        let mut sum = 0;
        for (to, change) in &changes[at..] {
            sum += change;
            // Clocks are cut to milliseconds on both sides.
            if *change > 0 && sum * 60_000 > limit * 60_000 + limit * i128::from(to - from + 1) {
                broken.push(format!("{what}: {sum} from {from} to {to}, {limit} a minute are allowed"));
                return;
            }
        }
    }
}

/// Whoever is told that all places are taken is told the truth.
fn needless(who: &str, caps: Caps, mine: &[&Known<'_>], broken: &mut Vec<String>) {
    let Some(limit) = caps.max_in_flight else { return };
    let whose = if who == "user" { "{ User, InFlight" } else { "{ Key, InFlight" };
    for known in mine {
        if !known.settlement.cause.as_deref().is_some_and(|cause| cause.contains(whose)) {
            continue;
        }
        let at = known.ended_at;
        let inside =
            mine.iter().filter(|other| other.body_in_at <= at && at <= other.ended_at).count() as u64;
        // It is among them itself.
        if inside <= limit {
            broken.push(format!("{who}: refused at {at}, with {} of {limit} inside", inside - 1));
        }
    }
}

/// Who waits goes before who came later.
fn in_turn(who: &str, mine: &[&Known<'_>], broken: &mut Vec<String>) {
    for first in mine.iter().filter(|known| known.settlement.queued_ms > 0) {
        let Some(called_at) = first.called_at else { continue };
        for second in mine {
            let passed = second.called_at.is_some_and(|other| other < called_at);
            // The first was in the queue already, and so the second came later.
            let later = second.body_in_at > first.body_in_at;
            if passed && later {
                broken.push(format!(
                    "{who}: request {} came after {}, and was let in before it",
                    second.ask.number, first.ask.number
                ));
            }
        }
    }
}

//! One key's, user's or group's count of what is in flight and of what was taken this minute, and who waits for it.
//!
//! In: what a request needs. Out: what is missing, or its share. It must never be locked while another meter of a later rank is.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};

use tokio::sync::Notify;

use super::{Level, Levels, Short, What, Whose, bucket::Bucket};
use crate::clock::Clock;

/// When to come back for a place in flight: nobody knows when one comes free.
const PLACE_RETRY_MS: u64 = 1_000;

/// What one of them may do; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    pub requests_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub max_in_flight: Option<u32>,
}

#[derive(Debug, Default)]
pub struct Meter {
    /// Requests in flight. Counted without limits too, for one may be set while they run.
    inside: AtomicU32,
    /// Whether there is any limit. Set before the count is read, read after the count is changed: of a request that leaves
    /// and a limit that is set at once, one sees the other.
    is_limited: AtomicBool,
    state: Mutex<State>,
}

/// The limits and what they count.
#[derive(Debug, Default)]
pub(super) struct State {
    max_in_flight: Option<u32>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Tokens reserved by requests in flight.
    reserved: u64,
    /// Who waits here, by when he came.
    pub(super) waiting: BTreeMap<u64, Arc<Notify>>,
}

/// What one request has of one meter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    requests: u64,
    tokens: u64,
}

impl Share {
    /// The tokens that stay taken of a request that used so many; `None`: nobody knows.
    pub(super) fn counted(&self, used: Option<u64>) -> u64 {
        used.unwrap_or(self.tokens)
    }
}

/// What of its shares a request gives back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Back {
    /// It was never admitted.
    All,
    /// All but the request itself and the tokens that it used; `None`: all that were reserved.
    But { used: Option<u64> },
}

/// What a meter lacks for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    what: What,
    limit: u64,
    /// Until time has made room; 0: time alone does not.
    missing_ms: u64,
    /// Others came earlier.
    others_first: bool,
}

impl Meter {
    pub fn inside(&self) -> u32 {
        self.inside.load(SeqCst)
    }

    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Tokens reserved by requests in flight.
    pub fn reserved(&self) -> u64 {
        self.lock().reserved
    }

    /// Other limits from now on; what was taken stays taken.
    pub(super) fn set(&self, caps: Caps, now_ms: u64) {
        let mut state = self.lock();
        let rate = |bucket: &mut Option<Bucket>, cap: Option<u64>| match (bucket.as_mut(), cap) {
            (Some(bucket), Some(cap)) => bucket.set(cap, now_ms),
            (None, Some(cap)) => *bucket = Some(Bucket::new(cap, now_ms)),
            (_, None) => *bucket = None,
        };
        rate(&mut state.requests, caps.requests_per_minute);
        rate(&mut state.tokens, caps.tokens_per_minute);
        state.max_in_flight = caps.max_in_flight;
        self.is_limited.store(caps != Caps::default(), SeqCst);
        state.wake_next();
    }

    /// The state, where there is a limit.
    pub(super) fn limited(&self) -> Option<MutexGuard<'_, State>> {
        self.is_limited.load(SeqCst).then(|| self.lock())
    }

    /// A request comes in. There is room: [`State::shortage`] was asked under the same lock.
    pub(super) fn enter(&self, state: Option<&mut State>, tokens: u64) -> Share {
        self.inside.fetch_add(1, SeqCst);
        state.map_or(Share::default(), |state| state.take(tokens))
    }

    /// A request that came in goes.
    pub(super) fn leave(&self, share: &Share, back: Back, clock: Clock) {
        self.inside.fetch_sub(1, SeqCst);
        // With a share it must be booked out, even if the limit is gone meanwhile.
        if share.tokens > 0 || self.is_limited.load(SeqCst) {
            self.lock().give_back(share, back, clock.now_ms());
        }
    }

    /// A request that is gone was counted with so many tokens, and used so many.
    pub(super) fn correct(&self, counted: u64, used: u64, clock: Clock) {
        if let Some(mut state) = self.limited() {
            if let Some(tokens) = &mut state.tokens {
                tokens.correct(counted, used, clock.now_ms());
            }
            state.wake_next();
        }
    }

    /// Somebody does not wait here any longer.
    pub(super) fn forget(&self, ticket: u64) {
        let mut state = self.lock();
        state.waiting.remove(&ticket);
        state.wake_next();
    }

    /// Nothing in here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn counts_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// What stands in the way of a request; who waits goes before who comes.
    pub(super) fn shortage(
        &mut self,
        tokens: u64,
        inside: u32,
        now_ms: u64,
        ticket: Option<u64>,
    ) -> Option<Shortage> {
        let first = self.waiting.first_key_value().map(|(first, _)| *first);
        let others_first = first.is_some_and(|first| ticket.is_none_or(|ticket| first < ticket));
        let missing = |bucket: &mut Option<Bucket>, what, count| {
            let bucket = bucket.as_mut()?;
            let (missing_ms, limit) = (bucket.missing_ms(count, now_ms), bucket.level(now_ms).limit);
            Some(Shortage { what, limit, missing_ms, others_first })
        };
        let requests = missing(&mut self.requests, What::Requests, 1);
        let tokens = missing(&mut self.tokens, What::Tokens, tokens);
        let place = self.max_in_flight.map(|limit| Shortage {
            what: What::InFlight,
            limit: limit.into(),
            missing_ms: 0,
            others_first,
        });
        let longest = requests.into_iter().chain(tokens).max_by_key(|shortage| shortage.missing_ms);
        if longest.is_some_and(|shortage| shortage.missing_ms > 0) {
            return longest;
        }
        let full = self.max_in_flight.is_some_and(|limit| inside >= limit);
        if full || others_first { place.or(longest) } else { None }
    }

    fn take(&mut self, tokens: u64) -> Share {
        let take =
            |bucket: &mut Option<Bucket>, count| bucket.as_mut().map_or(0, |bucket| bucket.take(count));
        let share = Share { requests: take(&mut self.requests, 1), tokens: take(&mut self.tokens, tokens) };
        self.reserved += share.tokens;
        share
    }

    fn give_back(&mut self, share: &Share, back: Back, now_ms: u64) {
        self.reserved -= share.tokens;
        let (requests_used, tokens_used) = match back {
            Back::All => (0, 0),
            Back::But { used } => (share.requests, share.counted(used)),
        };
        if let Some(requests) = &mut self.requests {
            requests.correct(share.requests, requests_used, now_ms);
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.correct(share.tokens, tokens_used, now_ms);
        }
        self.wake_next();
    }

    pub(super) fn levels(&mut self, now_ms: u64) -> Levels {
        let level = |bucket: &mut Option<Bucket>| -> Option<Level> { Some(bucket.as_mut()?.level(now_ms)) };
        Levels { requests: level(&mut self.requests), tokens: level(&mut self.tokens) }
    }

    #[cfg(test)]
    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    /// The first in the queue may look again; when he is in, he wakes the next.
    fn wake_next(&self) {
        if let Some((_, first)) = self.waiting.first_key_value() {
            first.notify_one();
        }
    }
}

impl Shortage {
    /// When time alone has made room; 0: it does not, or for others first.
    pub(super) fn ripe_ms(&self, now_ms: u64) -> u64 {
        if self.missing_ms == 0 || self.others_first { 0 } else { now_ms.saturating_add(self.missing_ms) }
    }

    pub(super) fn told(&self, whose: Whose) -> Short {
        let retry_after_ms = if self.missing_ms == 0 { PLACE_RETRY_MS } else { self.missing_ms };
        Short { whose, what: self.what, limit: self.limit, retry_after_ms, levels: Levels::default() }
    }
}

//! Waiting for room, in order of arrival.
//!
//! In: a request that could not come in. Out: what it has taken, or why it could not within its time. A request waits in the
//! queue of the first meter that has no room for it. Its number is its place in every queue that it comes to: whoever came
//! earlier goes first. Only the first of a queue looks at the time; the others are woken when those before them have gone.
//! Dropping the future leaves the queue.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

use super::{Limits, Short, Taken, What, meter::State};
use crate::clock::Clock;

/// How long and in what company a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    pub wait: Duration,
    /// Requests that may wait at one meter.
    pub queue: usize,
}

/// A request in a queue.
pub(super) struct Waiter {
    limits: Arc<Limits>,
    pub(super) ticket: u64,
    queue: usize,
    /// The meter at which it waits.
    at: Option<usize>,
    /// Where it waited before, to be left as soon as no lock is held.
    left: Option<usize>,
    woken: Arc<Notify>,
}

impl Waiter {
    fn new(limits: &Arc<Limits>, queue: usize) -> Waiter {
        static TICKETS: AtomicU64 = AtomicU64::new(0);
        let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
        Waiter { limits: limits.clone(), ticket, queue, at: None, left: None, woken: Arc::default() }
    }

    /// Takes its place in a queue, unless that is full; who comes from another queue has a place already.
    pub(super) fn line_up(&mut self, rank: usize, state: &mut State) {
        if self.at == Some(rank) || self.at.is_none() && state.waiting.len() >= self.queue {
            return;
        }
        state.waiting.insert(self.ticket, self.woken.clone());
        self.left = self.at.replace(rank);
    }

    fn leave(&mut self) {
        if let Some(rank) = self.left.take() {
            self.limits.0[rank].forget(self.ticket);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
        self.left = self.at;
        self.leave();
    }
}

impl Limits {
    /// As [`Limits::take`], but waits its turn.
    pub async fn wait(
        self: &Arc<Limits>,
        tokens: u64,
        clock: Clock,
        patience: Patience,
    ) -> Result<Taken, Short> {
        let until = Instant::now() + patience.wait;
        let mut waiter = Waiter::new(self, patience.queue);
        loop {
            let blocked = match self.attempt(tokens, clock, Some(&mut waiter)) {
                Ok(taken) => return Ok(taken),
                Err(blocked) => blocked,
            };
            waiter.leave();
            let ripe = (blocked.ripe_ms != 0).then(|| clock.instant(blocked.ripe_ms));
            // Nobody gives requests back: who will not come in need not be kept waiting.
            let (now, back) = (Instant::now(), Duration::from_millis(blocked.short.retry_after_ms));
            let in_vain = blocked.short.what == What::Requests && now + back > until;
            if waiter.at.is_none() || in_vain || now >= until {
                return Err(blocked.short);
            }
            let look_again = ripe.map_or(until, |ripe| ripe.min(until));
            tokio::select! {
                () = waiter.woken.notified() => {}
                () = sleep_until(look_again) => {}
            }
        }
    }
}

//! Step 4: may I come in now?
//!
//! In: a caller with a plan. Out: places in the lease: those of the caller's limits and one of `bounds.in_flight`. Waiting is
//! bounded in number and in time. It must not know what the request is for.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, timeout},
};

use crate::{
    charge::Terms,
    config::{Bounds, Config},
    fault::{Fault, Rejection},
    flow::Phase,
    limits::{Short, Taken},
    pipeline::{caller::Caller, lease::Lease},
};

/// How long a request waits for a place at most.
const QUEUE_WAIT: Duration = Duration::from_secs(30);

/// The places of the whole process.
#[derive(Debug)]
pub struct Admission {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Admission {
    pub fn new(bounds: &Bounds) -> Admission {
        Admission { slots: Arc::new(Semaphore::new(bounds.in_flight)), waiting: AtomicUsize::new(0) }
    }

    /// `tokens`: what the request may need, of those that its limits count. The waits are boxed: they are rare, and every
    /// request would carry the room for them.
    pub async fn admit(
        &self,
        caller: &Caller,
        config: &Config,
        tokens: u64,
        terms: Terms,
        lease: &mut Lease,
    ) -> Result<(), Fault> {
        let taken = match caller.key.limits.take(tokens, lease.clock()) {
            Ok(taken) => taken,
            Err(short) => Box::pin(self.wait_for_limits(caller, config, tokens, short, lease)).await?,
        };
        let slot = match self.slots.clone().try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => Box::pin(self.wait(config.bounds.queue, lease)).await?,
        };
        lease.admit(slot, taken, caller.key.payer(), terms);
        Ok(())
    }

    /// Waits where the operator allows it, for as long as he says.
    async fn wait_for_limits(
        &self,
        caller: &Caller,
        config: &Config,
        tokens: u64,
        short: Short,
        lease: &mut Lease,
    ) -> Result<Taken, Fault> {
        let refused = |short| Fault::Rejection(Rejection::RateLimited(short));
        let Some(patience) = config.limits.patience else { return Err(refused(short)) };
        let Some(_queued) = self.line_up(config.bounds.queue) else { return Err(refused(short)) };
        let waiting = caller.key.limits.wait(tokens, lease.clock(), patience);
        queued(lease, patience.wait, waiting).await.map_err(refused)
    }

    async fn wait(&self, queue: usize, lease: &mut Lease) -> Result<OwnedSemaphorePermit, Fault> {
        let Some(_queued) = self.line_up(queue) else { return Err(Fault::Rejection(Rejection::QueueFull)) };
        match queued(lease, QUEUE_WAIT, timeout(QUEUE_WAIT, self.slots.clone().acquire_owned())).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(Fault::Rejection(Rejection::QueueTimedOut)),
        }
    }

    /// A place among those who wait, if there is one.
    fn line_up(&self, queue: usize) -> Option<Waiting<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(&self.waiting);
        (before < queue).then_some(waiting)
    }

    /// Places free now.
    pub fn free(&self) -> usize {
        self.slots.available_permits()
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Waits, and writes down how long.
async fn queued<T>(lease: &mut Lease, longest: Duration, waiting: impl Future<Output = T>) -> T {
    lease.enter(Phase::Queued, longest);
    let began_ms = lease.mark().now_ms();
    let result = waiting.await;
    lease.record().queued_ms += lease.mark().now_ms().saturating_sub(began_ms);
    result
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

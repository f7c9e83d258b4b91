//! Step 4: may I come in now?
//!
//! In: a caller with a plan. Out: places in the lease: the key's own and one of `bounds.in_flight`. Waiting is bounded in
//! number and in time. It must not know what the request is for.

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
    config::Bounds,
    fault::{Fault, Rejection},
    flow::Phase,
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

    pub async fn admit(
        &self,
        caller: &Caller,
        queue: usize,
        terms: Terms,
        lease: &mut Lease,
    ) -> Result<(), Fault> {
        let limit = caller.key.max_in_flight;
        let Some(key_place) = caller.key.occupancy.enter(limit) else {
            return Err(Fault::Rejection(Rejection::KeyBusy { limit: limit.unwrap_or(0) }));
        };
        let slot = match self.slots.clone().try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => self.wait(queue, lease).await?,
        };
        lease.admit(slot, key_place, caller.key.payer(), terms);
        Ok(())
    }

    async fn wait(&self, queue: usize, lease: &mut Lease) -> Result<OwnedSemaphorePermit, Fault> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.waiting);
        if before >= queue {
            return Err(Fault::Rejection(Rejection::QueueFull));
        }
        lease.enter(Phase::Queued, QUEUE_WAIT);
        let began_ms = lease.mark().now_ms();
        let slot = timeout(QUEUE_WAIT, self.slots.clone().acquire_owned()).await;
        lease.record().queued_ms = lease.mark().now_ms().saturating_sub(began_ms);
        match slot {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(Fault::Rejection(Rejection::QueueTimedOut)),
        }
    }

    /// Places free now.
    pub fn free(&self) -> usize {
        self.slots.available_permits()
    }

    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

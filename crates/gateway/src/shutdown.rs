//! The order of stopping: readiness first, then new work, then the rest.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::atomic::{AtomicU8, Ordering},
    task::Poll,
};

use tokio::sync::watch;

/// How far the stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    Running,
    /// Readiness fails, new requests get 503, running ones go on.
    Draining,
    /// The drain limit passed: bodies end with an in-band error.
    Ending,
    /// What is left is dropped.
    Over,
}

/// Where the stop stands, for everyone who must know.
#[derive(Debug)]
pub struct Shutdown {
    stage: AtomicU8,
    changes: watch::Sender<Stage>,
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown { stage: AtomicU8::new(Stage::Running as u8), changes: watch::Sender::new(Stage::Running) }
    }
}

impl Shutdown {
    /// Moves on to `stage`; never back.
    pub fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.changes.send_if_modified(|current| {
            let later = stage > *current;
            *current = stage.max(*current);
            later
        });
    }

    pub fn draining(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= Stage::Draining as u8
    }

    /// Running requests must end now.
    pub fn ending(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= Stage::Ending as u8
    }

    pub fn over(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= Stage::Over as u8
    }

    /// Runs a request's future until the stop will wait no longer (`None`). At that moment every connection's task is
    /// polled again, so no timer or subscription is needed per request. The future is lent: taken by value it would
    /// stand twice in every caller's.
    pub async fn until_ending<T>(&self, mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        poll_fn(
            |context| if self.ending() { Poll::Ready(None) } else { future.as_mut().poll(context).map(Some) },
        )
        .await
    }

    /// Resolves when `stage` is reached.
    pub async fn reached(&self, stage: Stage) {
        let mut changes = self.changes.subscribe();
        // The sender lives as long as `self`, so this ends only by reaching the stage.
        let _ = changes.wait_for(|current| *current >= stage).await;
    }

    /// When the listening socket is closed: not before the requests are over, so that late comers get a 503 in words.
    pub async fn listener_closed(&self) {
        self.reached(Stage::Over).await;
    }
}

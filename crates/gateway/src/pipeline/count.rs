//! Step 5, where no channel says it: how many tokens is that?
//!
//! In: a request's body. Out: an estimate. One at a time, on a thread that may block: many of them must not take the machine from
//! those who are served. Nothing is charged for it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dialect::Prompt;
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant, timeout},
};

use crate::{
    estimate::{Tokenizer, Unmeasured},
    fault::{Rejection, UpstreamFault},
    flow::Phase,
    pipeline::lease::Lease,
};

/// How long a request waits for its turn: each takes some milliseconds, the first a third of a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A provider has this long for a count, the connection included: whoever asks decides by it what to ask next, and an estimate
/// now is worth more to him.
const ASKED: Duration = Duration::from_secs(10);

/// Until when a provider that is asked now is waited for.
pub fn asked_until(now: Instant, total_at: Option<Instant>) -> Instant {
    let asked = now + ASKED;
    total_at.map_or(asked, |total_at| total_at.min(asked))
}

/// What was asked for a count has answered, and does not say it.
pub fn without() -> UpstreamFault {
    UpstreamFault::Unreadable { detail: "the answer has no count".to_owned() }
}

/// Counts for those who ask.
#[derive(Debug)]
pub struct Counter {
    turn: Arc<Semaphore>,
    tokenizer: Arc<Mutex<Tokenizer>>,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter { turn: Arc::new(Semaphore::new(1)), tokenizer: Arc::default() }
    }
}

impl Counter {
    pub async fn count(&self, body: Bytes, lease: &Lease) -> Result<u64, Rejection> {
        lease.enter(Phase::Queued, PATIENCE);
        let waiting = timeout(PATIENCE, self.turn.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = waiting else { return Err(Rejection::QueueTimedOut) };
        lease.enter(Phase::Waiting, PATIENCE);
        let tokenizer = self.tokenizer.clone();
        let counting = tokio::task::spawn_blocking(move || {
            let mut tokenizer = tokenizer.lock().unwrap_or_else(PoisonError::into_inner);
            tokenizer.begin();
            let tokens =
                tokenizer.estimate(&Unmeasured { prompt: Prompt::of(&body), ..Unmeasured::default() }).input;
            // However the caller fares: the next one's turn comes when this work is done.
            drop(turn);
            tokens
        });
        match counting.await {
            Ok(tokens) => Ok(tokens),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Rejection::Stopping),
        }
    }

    /// The tokenizer, if nobody needed it for a while: whoever gets it lets it go, on a thread that may block.
    pub fn idle(&self) -> Option<Tokenizer> {
        let mut tokenizer = self.tokenizer.try_lock().ok()?;
        tokenizer.is_idle().then(|| std::mem::take(&mut *tokenizer))
    }
}

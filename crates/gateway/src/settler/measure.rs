//! Settlements whose usage nobody told, on their way through the tokenizer.
//!
//! In: settlements that owe a charge. Out: the same with their charges, some later: one batch at a time, on a thread that may
//! block. The others must not wait for them.

use tokio::task::JoinHandle;

use super::done;
use crate::{charge, estimate::Tokenizer, settlement::Settled};

/// Settlements that wait for the tokenizer before others are left in their queue.
const MOST_WAITING: usize = 4096;

#[derive(Default)]
pub(super) struct Measuring {
    /// Here while nothing is under way.
    tokenizer: Option<Tokenizer>,
    waiting: Vec<Settled>,
    under_way: Option<JoinHandle<(Tokenizer, Vec<Settled>)>>,
}

impl Measuring {
    pub(super) fn put(&mut self, settlement: Settled) {
        self.waiting.push(settlement);
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none()
    }

    /// Begins to measure what waits, unless a batch is under way; lets go of a vocabulary that nobody needs.
    pub(super) fn begin(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        let idle = self.waiting.is_empty() && self.tokenizer.as_ref().is_some_and(Tokenizer::is_idle);
        if self.waiting.is_empty() && !idle {
            return;
        }
        let mut tokenizer = self.tokenizer.take().unwrap_or_default();
        let mut settlements = std::mem::take(&mut self.waiting);
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            if idle {
                // Hundreds of thousands of small pieces: not on a thread that serves.
                return (Tokenizer::default(), settlements);
            }
            tokenizer.begin();
            settlements.iter_mut().for_each(|settlement| charge::measure(settlement, &tokenizer));
            (tokenizer, settlements)
        }));
    }

    /// Resolves with what was measured; never, when nothing is under way.
    pub(super) async fn measured(&mut self) -> Vec<Settled> {
        let Some(measuring) = &mut self.under_way else { return std::future::pending().await };
        let measured = done(measuring).await;
        self.under_way = None;
        let (tokenizer, settlements) = measured.unwrap_or_default();
        self.tokenizer = Some(tokenizer);
        settlements
    }
}

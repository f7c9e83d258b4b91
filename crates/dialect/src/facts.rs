//! What is known of a streamed reply so far.
//!
//! In: what the readers of the four dialects find in each frame. Out: the answers of [`Tap`](crate::Tap). A claim that
//! was made to the caller (`meaningful`, `closed`) must never be taken back.

use crate::{ParsedError, Usage, text::Delivered};

#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) meaningful: bool,
    pub(crate) ended: bool,
    pub(crate) closed: bool,
    /// The last event came after the end, or told it, and told the usage, where a dialect has no other close.
    pub(crate) summed_up: bool,
    pub(crate) usage: Option<Usage>,
    /// The usage is of the beginning: the output will be more.
    pub(crate) provisional: bool,
    pub(crate) delivered: Delivered,
    pub(crate) stored_id: Option<String>,
    pub(crate) next_sequence: u64,
}

impl Facts {
    /// Sets whether the dialect's end was seen; the end means something even if no content came.
    pub(crate) fn judge_end(&mut self, ended: bool) {
        self.ended = ended;
        self.meaningful |= ended;
    }

    pub(crate) fn close(&mut self) {
        self.judge_end(true);
        self.closed = true;
    }

    /// The latest usage counts: all dialects state it cumulatively (`usage-on-every-chunk`).
    pub(crate) fn learn_usage(&mut self, usage: Option<Usage>) {
        self.usage = usage.or(self.usage);
    }
}

/// What a frame with data is, apart from what it says about the whole.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A ping: forwarded, and no sign of progress.
    Ping,
    Event,
    /// Usage and nothing else.
    UsageOnly,
    Error(Box<ParsedError>),
}

/// Which of the choices (candidates) have begun and which are finished; what is finished stays so (`finish-twice`,
/// `usage-after-finish`). Indexes beyond the set's size share its last
/// place: no provider offers that many.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    begun: u128,
    finished: u128,
}

impl Choices {
    pub(crate) fn note(&mut self, index: u64, finished: bool) {
        let place = 1 << index.min(127);
        self.begun |= place;
        if finished {
            self.finished |= place;
        }
    }

    pub(crate) fn all_finished(&self) -> bool {
        self.begun != 0 && self.begun & !self.finished == 0
    }

    /// Only the first choice was seen so far.
    pub(crate) fn only_first(&self) -> bool {
        self.begun == 1
    }
}

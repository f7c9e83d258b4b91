//! What was used, in disjoint buckets.
//!
//! In: a dialect's usage object, as JSON text (the modules below). Out: a [`Usage`]. Arithmetic saturates and every part
//! is clamped to the whole it belongs to: a provider that says nonsense must never cause a negative or doubled charge.

pub(crate) mod anthropic;
mod count;
pub(crate) mod gemini;
pub(crate) mod openai;
pub(crate) mod unread;

/// Token counts in disjoint buckets: their sum is the total, whatever the provider counts into what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Text input that was neither read from nor written to a cache.
    pub input: u64,
    pub cache_read: u64,
    /// Cache writes kept for five minutes (also those of providers that do not say how long).
    pub cache_write: u64,
    /// Cache writes kept for one hour.
    pub cache_write_1h: u64,
    /// Audio within the input.
    pub audio_input: u64,
    /// Images within the input, where the provider counts them apart.
    pub image_input: u64,
    /// Visible text output.
    pub output: u64,
    /// Reasoning, counted apart from the visible output.
    pub reasoning: u64,
    pub audio_output: u64,
    pub image_output: u64,
}

impl Usage {
    pub const BUCKETS: usize = 10;

    /// Every bucket with its name.
    pub fn buckets(&self) -> [(&'static str, u64); Usage::BUCKETS] {
        [
            ("input", self.input),
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
            ("audio_input", self.audio_input),
            ("image_input", self.image_input),
            ("output", self.output),
            ("reasoning", self.reasoning),
            ("audio_output", self.audio_output),
            ("image_output", self.image_output),
        ]
    }

    pub fn total(&self) -> u64 {
        self.buckets().into_iter().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    pub(crate) fn totals(&self) -> Totals {
        let sum = |counts: &[u64]| counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        let written = sum(&[self.cache_write, self.cache_write_1h]);
        Totals {
            input: sum(&[self.input, self.cache_read, written, self.audio_input, self.image_input]),
            written,
            output: sum(&[self.output, self.reasoning, self.audio_output, self.image_output]),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Usage::default()
    }
}

/// The sums of the buckets that other accountings state.
pub(crate) struct Totals {
    pub(crate) input: u64,
    pub(crate) written: u64,
    pub(crate) output: u64,
}

/// How a provider counts, where it departs from the dialect's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    #[default]
    Standard,
    /// `completion_tokens` leaves reasoning out, `total_tokens` has it: xAI's chat (`reasoning-apart`), and Gemini's
    /// OpenAI door, which does not even name it (`reasoning-unnamed`).
    ReasoningApart,
}

/// Takes `part` out of `rest`, as far as there is that much (`cached-beyond-prompt`, `reasoning-beyond-completion`).
fn take(part: Option<u64>, rest: &mut u64) -> u64 {
    let taken = part.unwrap_or(0).min(*rest);
    *rest -= taken;
    taken
}

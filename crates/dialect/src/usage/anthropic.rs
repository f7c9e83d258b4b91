//! Anthropic's usage: the input leaves the cache out, the output includes the thinking, no total is stated.
//!
//! In a stream it is said twice, and cumulatively: what `message_delta` names replaces what `message_start` said.

use super::{Usage, take};
use crate::json::{count, members};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    five_minutes: Option<u64>,
    one_hour: Option<u64>,
    thinking: Option<u64>,
}

impl Counts {
    /// Takes over the fields that `usage` has; never adds.
    pub(crate) fn overwrite(&mut self, usage: &str) {
        let names = [
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "cache_creation",
            "output_tokens_details",
        ];
        let Some([input, output, read, creation, split, details]) = members(usage, names) else { return };
        let split = split
            .and_then(|split| members(split, ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]));
        let [five_minutes, one_hour] = split.unwrap_or_default();
        let [thinking] =
            details.and_then(|details| members(details, ["thinking_tokens"])).unwrap_or_default();
        for (field, value) in [
            (&mut self.input, input),
            (&mut self.output, output),
            (&mut self.cache_read, read),
            (&mut self.cache_creation, creation),
            (&mut self.five_minutes, five_minutes),
            (&mut self.one_hour, one_hour),
            (&mut self.thinking, thinking),
        ] {
            *field = count(value).or(*field);
        }
    }

    pub(crate) fn sum_up(&self) -> Option<Usage> {
        self.input.or(self.output)?;
        let split = self.five_minutes.unwrap_or(0).saturating_add(self.one_hour.unwrap_or(0));
        let mut written = self.cache_creation.unwrap_or(split);
        let mut output = self.output.unwrap_or(0);
        Some(Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write_1h: take(self.one_hour, &mut written),
            cache_write: written,
            reasoning: take(self.thinking, &mut output),
            output,
            ..Usage::default()
        })
    }
}

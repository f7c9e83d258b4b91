//! A price by the names that people give its parts.
//!
//! In: a look-up of rates by name, whatever they are written in. Out: a price. The names stand here and nowhere else.

use super::{Long, Price, Rate, Rates};

impl Price {
    /// Every rate for a million tokens, beside `input` and `output`.
    pub const PARTS: [&str; 8] = [
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "reasoning",
        "audio_input",
        "audio_output",
        "image_input",
        "image_output",
    ];

    /// Every rate that can be another for long prompts.
    pub const LONG_PARTS: [&str; 5] =
        ["long_input", "long_output", "long_cache_read", "long_cache_write", "long_cache_write_1h"];

    /// The rates for tokens, and whether they hold together: rates for long prompts and no `above` do not. A long prompt costs
    /// what is not said otherwise.
    pub fn named(above: Option<u64>, mut rate: impl FnMut(&'static str) -> Option<Rate>) -> (Price, bool) {
        let (input, output) = (rate("input").unwrap_or_default(), rate("output").unwrap_or_default());
        let [
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_input,
            audio_output,
            image_input,
            image_output,
        ] = Price::PARTS.map(&mut rate);
        let base = Rates {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            reasoning,
            audio_input,
            audio_output,
            image_input,
            image_output,
        };
        let said = Price::LONG_PARTS.map(&mut rate);
        let [input, output, cache_read, cache_write, cache_write_1h] = said;
        let rates = Rates {
            input: input.unwrap_or(base.input),
            output: output.unwrap_or(base.output),
            cache_read: cache_read.or(base.cache_read),
            cache_write: cache_write.or(base.cache_write),
            cache_write_1h: cache_write_1h.or(base.cache_write_1h),
            ..base
        };
        let long = above.map(|above| Long { above, rates });
        let together = above.is_some() || said.iter().all(Option::is_none);
        (Price { base, long, ..Price::default() }, together)
    }
}

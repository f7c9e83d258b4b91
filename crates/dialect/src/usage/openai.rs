//! OpenAI's usage, in the names of Chat (`prompt_tokens`) and of Responses (`input_tokens`), with its variants.
//!
//! The whole includes its parts: cached input is in the input, reasoning is in the output.

use serde::Deserialize;

use super::{Accounting, Usage, count::Count, count::lenient, take};

/// What is read of it, in one pass: this runs for every answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: Details,
    #[serde(deserialize_with = "lenient")]
    input_tokens_details: Details,
    #[serde(deserialize_with = "lenient")]
    completion_tokens_details: Details,
    #[serde(deserialize_with = "lenient")]
    output_tokens_details: Details,
    /// DeepSeek's (`cache-hit-and-miss`).
    prompt_cache_hit_tokens: Count,
    /// Moonshot's (`cached-tokens-on-top`).
    cached_tokens: Count,
    /// Mistral's, in place of any details (`num-cached-tokens`).
    num_cached_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
    reasoning_tokens: Count,
}

impl Details {
    /// The first that says anything.
    fn or(self, other: Details) -> Details {
        Details {
            cached_tokens: self.cached_tokens.or(other.cached_tokens),
            cache_write_tokens: self.cache_write_tokens.or(other.cache_write_tokens),
            audio_tokens: self.audio_tokens.or(other.audio_tokens),
            image_tokens: self.image_tokens.or(other.image_tokens),
            reasoning_tokens: self.reasoning_tokens.or(other.reasoning_tokens),
        }
    }
}

pub(crate) fn read(usage: &str, accounting: Accounting) -> Option<Usage> {
    let tokens: Tokens = serde_json::from_str(usage).ok()?;
    let total = tokens.total_tokens.0;
    let (prompt, completion) =
        (tokens.prompt_tokens.or(tokens.input_tokens).0, tokens.completion_tokens.or(tokens.output_tokens).0);
    let input = tokens.prompt_tokens_details.or(tokens.input_tokens_details);
    let output = tokens.completion_tokens_details.or(tokens.output_tokens_details);
    let (prompt, completion) = match (prompt, completion, total) {
        (None, None, None) => return None,
        // Embeddings of some providers state the total alone.
        (prompt, None, total) => {
            let prompt = prompt.or(total).unwrap_or(0);
            (prompt, total.unwrap_or(0).saturating_sub(prompt))
        }
        (None, Some(completion), total) => (total.unwrap_or(0).saturating_sub(completion), completion),
        (Some(prompt), Some(completion), _) => (prompt, completion),
    };

    let mut usage = Usage { input: prompt, output: completion, ..Usage::default() };
    // Where a provider says it in two places, one of them is often left at nought.
    let cached =
        [input.cached_tokens, tokens.prompt_cache_hit_tokens, tokens.cached_tokens, tokens.num_cached_tokens];
    let cached = cached.into_iter().filter_map(|count| count.0).max();
    usage.cache_read = take(cached, &mut usage.input);
    usage.cache_write = take(input.cache_write_tokens.0, &mut usage.input);
    usage.audio_input = take(input.audio_tokens.0, &mut usage.input);
    usage.image_input = take(input.image_tokens.0, &mut usage.input);

    let beyond = total.map(|total| total.saturating_sub(prompt + completion));
    usage.reasoning = match (accounting, beyond) {
        // What the total has beyond its two parts is the reasoning, said or unsaid; if it has no room, it is inside.
        (Accounting::ReasoningApart, Some(beyond)) if beyond > 0 => beyond,
        (Accounting::ReasoningApart, None) => output.reasoning_tokens.0.unwrap_or(0),
        // `reasoning-apart` by its own sum: xAI's models at another provider's.
        (Accounting::Standard, Some(beyond)) if beyond > 0 && output.reasoning_tokens.0 == Some(beyond) => {
            beyond
        }
        _ => take(output.reasoning_tokens.0, &mut usage.output),
    };
    usage.audio_output = take(output.audio_tokens.0, &mut usage.output);
    usage.image_output = take(output.image_tokens.0, &mut usage.output);
    Some(usage)
}

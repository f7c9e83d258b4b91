//! OpenAI's usage, in the names of Chat (`prompt_tokens`) and of Responses (`input_tokens`), with its variants.
//!
//! The whole includes its parts: cached input is in the input, reasoning is in the output.

use super::{Accounting, Usage, take};
use crate::json::{count, members};

pub(crate) fn read(usage: &str, accounting: Accounting) -> Option<Usage> {
    let [
        prompt,
        input,
        completion,
        output,
        total,
        prompt_details,
        input_details,
        output_details,
        details,
        hit,
        cached,
    ] = members(
        usage,
        [
            "prompt_tokens",
            "input_tokens",
            "completion_tokens",
            "output_tokens",
            "total_tokens",
            "prompt_tokens_details",
            "input_tokens_details",
            "output_tokens_details",
            "completion_tokens_details",
            "prompt_cache_hit_tokens", // DeepSeek
            "cached_tokens",           // Moonshot
        ],
    )?;
    let total = count(total);
    let (prompt, completion) =
        match (count(prompt).or(count(input)), count(completion).or(count(output)), total) {
            (None, None, None) => return None,
            // Embeddings of some providers state the total alone.
            (prompt, None, total) => {
                let prompt = prompt.or(total).unwrap_or(0);
                (prompt, total.unwrap_or(0).saturating_sub(prompt))
            }
            (None, Some(completion), total) => (total.unwrap_or(0).saturating_sub(completion), completion),
            (Some(prompt), Some(completion), _) => (prompt, completion),
        };
    let input = Details::read(prompt_details.or(input_details));
    let output = Details::read(details.or(output_details));

    let mut usage = Usage { input: prompt, output: completion, ..Usage::default() };
    // Where a provider says it in two places, one of them is often left at nought.
    let cached = [input.cached, count(hit), count(cached)].into_iter().flatten().max();
    usage.cache_read = take(cached, &mut usage.input);
    usage.cache_write = take(input.cache_write, &mut usage.input);
    usage.audio_input = take(input.audio, &mut usage.input);
    usage.image_input = take(input.image, &mut usage.input);

    usage.reasoning = match accounting {
        Accounting::Standard => take(output.reasoning, &mut usage.output),
        // What the total has beyond its two parts is the reasoning, said or unsaid; if it has no room, it is inside.
        Accounting::ReasoningApart => match total.map(|total| total.saturating_sub(prompt + completion)) {
            Some(0) => take(output.reasoning, &mut usage.output),
            Some(rest) => rest,
            None => output.reasoning.unwrap_or(0),
        },
    };
    usage.audio_output = take(output.audio, &mut usage.output);
    usage.image_output = take(output.image, &mut usage.output);
    Some(usage)
}

#[derive(Default)]
struct Details {
    cached: Option<u64>,
    cache_write: Option<u64>,
    audio: Option<u64>,
    image: Option<u64>,
    reasoning: Option<u64>,
}

impl Details {
    fn read(details: Option<&str>) -> Details {
        let names =
            ["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens"];
        let Some([cached, cache_write, audio, image, reasoning]) =
            details.and_then(|details| members(details, names))
        else {
            return Details::default();
        };
        Details {
            cached: count(cached),
            cache_write: count(cache_write),
            audio: count(audio),
            image: count(image),
            reasoning: count(reasoning),
        }
    }
}

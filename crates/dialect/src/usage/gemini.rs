//! Gemini's `usageMetadata`: the prompt includes what was cached, the candidates leave the thoughts out, and what
//! tools put into the prompt is counted apart.

use super::{Usage, take};
use crate::json::{count, each_element, is_string, members};

/// What is read of it.
pub(super) const NAMES: [&str; 9] = [
    "promptTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
    "promptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
];

pub(crate) fn read(metadata: &str) -> Option<Usage> {
    let [prompt, cached, tools, candidates, thoughts, total, prompt_parts, cached_parts, candidate_parts] =
        members(metadata, NAMES)?;
    let (prompt, candidates, total) = (count(prompt), count(candidates), count(total));
    prompt.or(candidates).or(total)?;
    let (tools, thoughts) = (count(tools).unwrap_or(0), count(thoughts).unwrap_or(0));
    // A part that is left out is nought, as long as the total does not say otherwise.
    let rest = |known: u64| total.unwrap_or(0).saturating_sub(known);
    let prompt = prompt.unwrap_or_else(|| rest(tools + thoughts + candidates.unwrap_or(0)));
    let candidates = candidates.unwrap_or_else(|| rest(tools + thoughts + prompt));

    let (prompt_parts, cached_parts, candidate_parts) =
        (Parts::read(prompt_parts), Parts::read(cached_parts), Parts::read(candidate_parts));
    let mut usage = Usage { input: prompt, output: candidates, reasoning: thoughts, ..Usage::default() };
    usage.cache_read = take(count(cached), &mut usage.input);
    usage.audio_input = take(Some(prompt_parts.audio.saturating_sub(cached_parts.audio)), &mut usage.input);
    usage.image_input = take(Some(prompt_parts.image.saturating_sub(cached_parts.image)), &mut usage.input);
    usage.input += tools;
    usage.audio_output = take(Some(candidate_parts.audio), &mut usage.output);
    usage.image_output = take(Some(candidate_parts.image), &mut usage.output);
    Some(usage)
}

/// `[{"modality":"AUDIO","tokenCount":12}]`
#[derive(Default)]
struct Parts {
    audio: u64,
    image: u64,
}

impl Parts {
    fn read(details: Option<&str>) -> Parts {
        let mut parts = Parts::default();
        each_element(details.unwrap_or("[]"), |part| {
            let Some([modality, tokens]) = members(part, ["modality", "tokenCount"]) else { return };
            let tokens = count(tokens).unwrap_or(0);
            if is_string(modality, "AUDIO") {
                parts.audio = parts.audio.saturating_add(tokens);
            } else if is_string(modality, "IMAGE") {
                parts.image = parts.image.saturating_add(tokens);
            }
        });
        parts
    }
}

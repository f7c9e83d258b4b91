//! What a usage says beside the counts that are read of it: costs, searches, guesses that came true.
//!
//! In: a usage object, as JSON text. Out: extras for the list of losses. It must not know what anything costs.

use crate::{
    Dialect,
    chat::Extras,
    json::{any_member, is_blank},
    tree::{Json, Object},
    usage::gemini,
};

/// Members that are counted, or sums and divisions of such; those of the objects among them by the object's own name.
const CHAT: &[&str] = &[
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_cache_hit_tokens",
    "prompt_cache_miss_tokens",
    "cached_tokens",
    "num_cached_tokens",
];
const ANTHROPIC: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "service_tier",
    "inference_geo",
];
/// A division of a count of Gemini's, beside what [`gemini`] reads.
const TOOL_DETAILS: &str = "toolUsePromptTokensDetails";
const DETAILS: &[&str] = &[
    "cached_tokens",
    "cache_write_tokens",
    "audio_tokens",
    "image_tokens",
    "reasoning_tokens",
    "text_tokens",
    "thinking_tokens",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
];
const INNER: [&str; 6] = [
    "usage.prompt_tokens_details",
    "usage.completion_tokens_details",
    "usage.input_tokens_details",
    "usage.output_tokens_details",
    "usage.cache_creation",
    "usage.cached_tokens_details",
];

pub(crate) fn read(dialect: Dialect, usage: &str, extras: &mut Extras) {
    let (known, at): (&[&str], _) = match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => (CHAT, "usage"),
        Dialect::AnthropicMessages => (ANTHROPIC, "usage"),
        Dialect::GeminiGenerate => (&gemini::NAMES, "usageMetadata"),
    };
    any_member(usage, |name, value| {
        match INNER.into_iter().find(|at| at.strip_prefix("usage.") == Some(name)) {
            _ if dialect == Dialect::GeminiGenerate && name == TOOL_DETAILS => {}
            Some(at) if dialect != Dialect::GeminiGenerate => {
                any_member(value, |name, value| {
                    add(dialect, at, DETAILS, (name, value), extras);
                    false
                });
            }
            _ => add(dialect, at, known, (name, value), extras),
        }
        false
    });
}

fn add(dialect: Dialect, at: &'static str, known: &[&str], (name, value): (&str, &str), extras: &mut Extras) {
    // Nought of something is no news.
    let says = !is_blank(Some(value)) && value.parse::<f64>().ok() != Some(0.0);
    if says
        && !known.contains(&name)
        && let Ok(value) = Json::parse(value.as_bytes())
    {
        extras.add(dialect, at, name, value);
    }
}

/// Puts what `dialect` itself said back into its usage.
pub(crate) fn put_back(extras: &Extras, dialect: Dialect, usage: &mut Object) {
    for extra in extras.0.iter().filter(|extra| extra.dialect == dialect) {
        match extra.at.strip_prefix("usage.") {
            Some(inner) => {
                let found = usage.0.iter_mut().find(|(name, _)| name == inner);
                if let Some((_, Json::Object(inner))) = found {
                    inner.put(extra.key.clone(), &extra.value);
                }
            }
            None if matches!(extra.at, "usage" | "usageMetadata") => {
                usage.put(extra.key.clone(), &extra.value);
            }
            None => {}
        }
    }
}

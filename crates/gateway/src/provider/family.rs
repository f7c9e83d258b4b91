//! What is known of models by their names: how they are told to think, and how much they write.
//!
//! In: a provider, a dialect and the provider's name of a model. Out: a [`Target`] for the codecs. Only what a translated
//! request needs stands here: a call in the caller's own dialect is never looked at. A model that no row knows gets what
//! is safe for most.

use dialect::{
    Dialect,
    translate::{Replay, Target, ThinkingForm},
};

use super::{Provider, Quirk};

struct Family {
    /// How the names begin; the longest that fits counts.
    prefix: &'static str,
    thinking: ThinkingForm,
    /// The most that its models write: sent to Anthropic where the caller names no limit.
    max_output: u64,
    /// Instructions may stand in mid-conversation.
    mid_system: bool,
}

const fn family(prefix: &'static str, thinking: ThinkingForm, max_output: u64) -> Family {
    Family { prefix, thinking, max_output, mid_system: false }
}

/// A Claude that takes instructions anywhere.
const fn newest(prefix: &'static str) -> Family {
    Family { prefix, thinking: ThinkingForm::Effort, max_output: 128_000, mid_system: true }
}

use ThinkingForm::{Budget, Effort, Never};

/// Anthropic, "Models overview", "Extended thinking", "Adaptive thinking"; Google, "Gemini thinking"; OpenAI, "Models". From
/// Opus 4.7 on an Anthropic model refuses a budget, up to 4.5 it knows nothing else; Gemini 3 takes levels, 2.5 budgets.
/// Versions are written with dots by some providers: dots are dashes here.
static FAMILIES: &[Family] = &[
    newest("claude-"),
    family("claude-opus-4-6", Effort, 128_000),
    family("claude-sonnet-4-6", Effort, 64_000),
    family("claude-opus-4-5", Budget, 64_000),
    family("claude-sonnet-4-5", Budget, 64_000),
    family("claude-haiku-4-5", Budget, 64_000),
    family("claude-opus-4-1", Budget, 32_000),
    family("claude-opus-4-0", Budget, 32_000),
    // Snapshots are named by their day: `claude-opus-4-20250514`.
    family("claude-opus-4-2", Budget, 32_000),
    family("claude-sonnet-4-0", Budget, 64_000),
    family("claude-sonnet-4-2", Budget, 64_000),
    family("claude-3-7", Budget, 64_000),
    family("claude-3-5", Never, 8_192),
    family("claude-3", Never, 4_096),
    family("claude-2", Never, 4_096),
    family("gemini-", Effort, 65_536),
    family("gemini-2-5", Budget, 65_536),
    family("gemini-2-0", Never, 8_192),
    family("gemini-1", Never, 8_192),
    family("gemma", Never, 8_192),
    family("gpt-4", Never, 16_384),
    family("gpt-3", Never, 4_096),
    family("chatgpt-4", Never, 16_384),
];

/// What the codecs must know of this model at this provider.
pub fn target<'a>(provider: &Provider, dialect: Dialect, model: &'a str) -> Target<'a> {
    let usual = Target::default();
    // Routers name the maker before it, `anthropic/claude-…`; clouds do so with a dot.
    let bare = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase().replace('.', "-");
    let fitting = FAMILIES.iter().filter(|family| bare.starts_with(family.prefix));
    let known = fitting.max_by_key(|family| family.prefix.len());
    let replay = match provider {
        _ if dialect != Dialect::OpenaiChat => Replay::Nothing,
        provider if provider.has(Quirk::WantsThinking) => Replay::Text,
        provider if provider.has(Quirk::WantsDetails) => Replay::Details,
        _ => Replay::Nothing,
    };
    Target {
        model,
        max_output: known.map_or(usual.max_output, |family| family.max_output),
        thinking: known.map_or(usual.thinking, |family| family.thinking),
        replay,
        // Whoever knows the limit by its new name knows the rest of what OpenAI added, too.
        plain_chat: !provider.has(Quirk::NewLimitName),
        asks_usage: !provider.has(Quirk::UsageUnasked),
        drops_server_tools: false,
        mid_system: known.is_some_and(|family| family.mid_system),
    }
}

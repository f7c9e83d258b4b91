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
    /// It thinks much or not at all.
    high_or_none: bool,
}

const fn family(prefix: &'static str, thinking: ThinkingForm, max_output: u64) -> Family {
    Family { prefix, thinking, max_output, mid_system: false, high_or_none: false }
}

/// A Mistral that is told to think, and not how much.
const fn two_efforts(prefix: &'static str) -> Family {
    Family { high_or_none: true, ..family(prefix, ThinkingForm::Effort, 8_192) }
}

/// A Claude that takes instructions anywhere.
const fn newest(prefix: &'static str) -> Family {
    Family { mid_system: true, ..family(prefix, ThinkingForm::Effort, 128_000) }
}

use ThinkingForm::{Budget, Effort, Never};

/// Anthropic, "Models overview", "Extended thinking", "Adaptive thinking"; Google, "Gemini thinking"; OpenAI, "Models"; Mistral, "Adjustable reasoning" (recordings). From
/// Opus 4.7 on an Anthropic model refuses a budget, up to 4.5 it knows nothing else; Gemini 3 takes levels, 2.5 budgets.
/// Versions are written with dots by some providers: dots are dashes here.
static FAMILIES: &[Family] = &[
    newest("claude-"),
    family("claude-opus-4-6", Effort, 128_000),
    family("claude-sonnet-4-6", Effort, 64_000),
    family("claude-opus-4-5", Budget, 64_000),
    family("claude-sonnet-4-5", Budget, 64_000),
    family("claude-haiku-4-5", Budget, 64_000),
    // Of May to August 2025; as they are named by version, by day, and by some routers by neither.
    family("claude-opus-4", Budget, 32_000),
    family("claude-sonnet-4", Budget, 64_000),
    newest("claude-opus-4-7"),
    newest("claude-opus-4-8"),
    newest("claude-sonnet-4-7"),
    newest("claude-sonnet-4-8"),
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
    two_efforts("mistral-small"),
    two_efforts("mistral-medium"),
    two_efforts("magistral"),
];

/// What the codecs must know of this model at this provider.
pub fn target<'a>(provider: &Provider, dialect: Dialect, model: &'a str) -> Target<'a> {
    let usual = Target::default();
    let bare = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase().replace('.', "-");
    // Routers name the maker before it, `anthropic/claude-…`; clouds do so with a dot, and their region.
    let bare = bare.find("claude-").map_or(&*bare, |at| &bare[at..]);
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
        high_or_none: known.is_some_and(|family| family.high_or_none),
        replay,
        // Whoever knows the limit by its new name knows the rest of what OpenAI added, too.
        plain_chat: !provider.has(Quirk::NewLimitName),
        asks_usage: !provider.has(Quirk::UsageUnasked),
        refuses: provider.refuses(),
        random_seed: provider.has(Quirk::RandomSeed),
        nine_letter_ids: provider.has(Quirk::NineLetterIds),
        drops_server_tools: false,
        mid_system: known.is_some_and(|family| family.mid_system),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_their_names_however_they_are_written() {
        let anthropic = Provider::named("anthropic").unwrap();
        for (model, thinking, max_output, mid_system) in [
            ("claude-opus-4-7", Effort, 128_000, true),
            ("claude-sonnet-5", Effort, 128_000, true),
            ("claude-opus-4-6", Effort, 128_000, false),
            ("claude-sonnet-4-5-20250929", Budget, 64_000, false),
            ("anthropic/claude-sonnet-4.5", Budget, 64_000, false),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Budget, 64_000, false),
            ("claude-opus-4-1-20250805", Budget, 32_000, false),
            ("claude-opus-4-20250514", Budget, 32_000, false),
            ("anthropic/claude-sonnet-4", Budget, 64_000, false),
            ("claude-3-7-sonnet-latest", Budget, 64_000, false),
            ("claude-3-5-haiku-20241022", Never, 8_192, false),
            ("claude-3-opus-20240229", Never, 4_096, false),
            ("gemini-3-pro-preview", Effort, 65_536, false),
            ("models/gemini-2.5-flash", Budget, 65_536, false),
            ("gemini-2.0-flash", Never, 8_192, false),
            ("gpt-4o-mini", Never, 16_384, false),
            // Nobody here knows it.
            ("kimi-k2-thinking", Budget, 8_192, false),
        ] {
            let target = target(anthropic, Dialect::AnthropicMessages, model);
            let known = (target.thinking, target.max_output, target.mid_system);
            assert_eq!(known, (thinking, max_output, mid_system), "{model}");
            assert_eq!(target.model, model);
        }
    }

    #[test]
    fn providers_want_what_their_rows_say() {
        for (provider, dialect, replay, plain, asks) in [
            ("openai", Dialect::OpenaiChat, Replay::Nothing, false, true),
            ("azure", Dialect::OpenaiChat, Replay::Nothing, false, true),
            ("deepseek", Dialect::OpenaiChat, Replay::Text, true, true),
            ("deepseek", Dialect::AnthropicMessages, Replay::Nothing, true, true),
            ("openrouter", Dialect::OpenaiChat, Replay::Details, true, true),
            ("mistral", Dialect::OpenaiChat, Replay::Nothing, true, false),
            ("custom", Dialect::OpenaiChat, Replay::Nothing, true, true),
        ] {
            let target = target(Provider::named(provider).unwrap(), dialect, "m");
            let wanted = (target.replay, target.plain_chat, target.asks_usage);
            assert_eq!(wanted, (replay, plain, asks), "{provider}");
        }
    }
}

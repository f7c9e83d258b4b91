//! What is known of models by their names: what they take of a request, and how much they write.
//!
//! In: a provider, a dialect and the provider's name of a model. Out: a [`Target`] for the codecs. Only what a translated
//! request needs stands here: a call in the caller's own dialect is never looked at. A model that no row knows gets what
//! is safe for most.

use dialect::{
    Dialect,
    chat::Effort::{self, High, Low, Max, Medium, Minimal, Xhigh},
    translate::{
        Replay, Sampling, Target,
        ThinkingForm::{self, Budget, Never},
    },
};

use super::{Provider, Quirk};

struct Family {
    /// How the names begin; the longest that fits counts.
    prefix: &'static str,
    known: Target<'static>,
}

const fn family(prefix: &'static str, thinking: ThinkingForm, max_output: u64) -> Family {
    // Who is told by a budget, or never, thinks when it is told to.
    let thinks_unasked = matches!(thinking, ThinkingForm::Effort);
    let known = Target { thinking, max_output: Some(max_output), thinks_unasked, ..Target::UNKNOWN };
    Family { prefix, known }
}

/// A Claude that takes instructions anywhere, and no sampling options.
const fn newest(prefix: &'static str) -> Family {
    let known = family(prefix, ThinkingForm::Effort, 128_000).knows(&[Low, Medium, High, Xhigh, Max]).known;
    Family { prefix, known: Target { mid_system: true, sampling: Sampling::Nothing, ..known } }
}

/// A model of OpenAI that reasons: it takes no sampling options then.
const fn reasoner(prefix: &'static str, efforts: &'static [Effort], max_output: u64) -> Family {
    let known = family(prefix, ThinkingForm::Effort, max_output).knows(efforts).known;
    Family { prefix, known: Target { sampling: Sampling::Nothing, ..known } }
}

/// A model with a limit of which nothing is known.
const fn unlimited(prefix: &'static str, efforts: &'static [Effort]) -> Family {
    let known = Target { thinking: ThinkingForm::Effort, ..Target::UNKNOWN };
    Family { prefix, known }.knows(efforts)
}

/// The same that does not think.
const fn unthinking(prefix: &'static str) -> Family {
    Family { prefix, known: Target { thinking: ThinkingForm::Never, ..Target::UNKNOWN } }
}

impl Family {
    const fn knows(mut self, efforts: &'static [Effort]) -> Family {
        self.known.efforts = efforts;
        self
    }

    const fn within(mut self, least: u64, most: u64) -> Family {
        self.known.budgets = (least, most);
        self
    }

    /// It cannot be told not to think.
    const fn always(mut self) -> Family {
        self.known.always_thinks = true;
        self
    }

    /// A Claude that takes a temperature or `top_p`.
    const fn one_of_two(mut self) -> Family {
        self.known.sampling = Sampling::OneOfTwo;
        self
    }

    /// A Claude from before structured outputs.
    const fn schemaless(mut self) -> Family {
        self.known.schemas = false;
        self
    }
}

/// Versions are written with dots by some providers: dots are dashes here.
static FAMILIES: &[Family] = &[
    // Anthropic, "Models overview", "Extended thinking", "Adaptive thinking", "Effort", "Structured outputs"; recordings for
    // xhigh on 4.7, 4.8 and 5, and for schemas on Sonnet 4.5 and 4.6. From Opus 4.7 on a model refuses a budget and sampling
    // options, up to 4.5 it knows nothing but a budget. From Opus 4.1 to 4.6 the API answers 400 to a temperature beside `top_p`.
    newest("claude-"),
    family("claude-opus-4-6", ThinkingForm::Effort, 128_000).knows(&[Low, Medium, High, Max]).one_of_two(),
    family("claude-sonnet-4-6", ThinkingForm::Effort, 64_000).knows(&[Low, Medium, High]).one_of_two(),
    family("claude-opus-4-5", Budget, 64_000).one_of_two(),
    family("claude-sonnet-4-5", Budget, 64_000).one_of_two(),
    family("claude-haiku-4-5", Budget, 64_000).one_of_two(),
    family("claude-opus-4-1", Budget, 32_000).one_of_two(),
    // Of May 2025; as they are named by version, by day, and by some routers by neither.
    family("claude-opus-4", Budget, 32_000).schemaless(),
    family("claude-sonnet-4", Budget, 64_000).schemaless(),
    newest("claude-opus-4-7"),
    newest("claude-opus-4-8"),
    newest("claude-sonnet-4-7"),
    newest("claude-sonnet-4-8"),
    family("claude-3-7", Budget, 64_000).schemaless(),
    family("claude-3-5", Never, 8_192).schemaless(),
    family("claude-3", Never, 4_096).schemaless(),
    family("claude-2", Never, 4_096).schemaless(),
    // Google, "Gemini thinking": levels from 3 on, budgets for 2.5; its Pro models think whatever they are told.
    family("gemini-", ThinkingForm::Effort, 65_536).knows(&[Minimal, Low, Medium, High]).always(),
    family("gemini-3-pro", ThinkingForm::Effort, 65_536).knows(&[Low, High]).always(),
    family("gemini-3-1-pro", ThinkingForm::Effort, 65_536).knows(&[Low, Medium, High]).always(),
    family("gemini-2-5-pro", Budget, 65_536).within(128, 32_768).always(),
    family("gemini-2-5-flash", Budget, 65_536).within(1, 24_576),
    family("gemini-2-5-flash-lite", Budget, 65_536).within(512, 24_576),
    family("gemini-2-5", Budget, 65_536),
    family("gemini-2-0", Never, 8_192),
    family("gemini-1", Never, 8_192),
    family("gemma", Never, 8_192),
    // OpenAI, "Models", "Reasoning models"; recordings: o4-mini refuses `minimal`, gpt-5-chat any effort. What 5.1 and later
    // know stands in the API's own 400.
    family("gpt-3", Never, 4_096),
    family("gpt-4", Never, 8_192),
    family("gpt-4-turbo", Never, 4_096),
    family("gpt-4-1", Never, 32_768),
    family("gpt-4-5", Never, 16_384),
    family("gpt-4o", Never, 16_384),
    family("gpt-4o-2024-05", Never, 4_096),
    family("chatgpt-4", Never, 16_384),
    reasoner("gpt-5", &[Minimal, Low, Medium, High], 128_000).always(),
    // A day, no version.
    reasoner("gpt-5-2025", &[Minimal, Low, Medium, High], 128_000).always(),
    reasoner("gpt-5-codex", &[Low, Medium, High], 128_000).always(),
    reasoner("gpt-5-pro", &[High], 272_000).always(),
    family("gpt-5-chat", Never, 16_384),
    reasoner("gpt-5-1", &[Low, Medium, High], 128_000),
    reasoner("gpt-5-1-chat", &[Medium], 16_384).always(),
    reasoner("gpt-5-1-codex", &[Low, Medium, High], 128_000).always(),
    reasoner("gpt-5-1-codex-max", &[Low, Medium, High, Xhigh], 128_000).always(),
    reasoner("gpt-5-2", &[Low, Medium, High, Xhigh], 128_000),
    reasoner("gpt-5-2-chat", &[Medium], 16_384).always(),
    reasoner("gpt-5-2-codex", &[Low, Medium, High, Xhigh], 128_000).always(),
    reasoner("gpt-5-2-pro", &[Medium, High, Xhigh], 128_000).always(),
    reasoner("gpt-5-3", &[Low, Medium, High, Xhigh], 128_000),
    reasoner("gpt-5-3-codex", &[Low, Medium, High, Xhigh], 128_000).always(),
    reasoner("gpt-5-4", &[Low, Medium, High, Xhigh], 128_000),
    reasoner("gpt-5-5", &[Low, Medium, High, Xhigh], 128_000),
    reasoner("gpt-5-6", &[Low, Medium, High, Xhigh, Max], 128_000),
    reasoner("o1", &[Low, Medium, High], 100_000).always(),
    reasoner("o1-mini", &[], 65_536).always(),
    reasoner("o1-preview", &[], 32_768).always(),
    reasoner("o3", &[Low, Medium, High], 100_000).always(),
    reasoner("o4-mini", &[Low, Medium, High], 100_000).always(),
    unlimited("gpt-oss", &[Low, Medium, High]).always(),
    // xAI, "Reasoning": before 4.3 only Grok 3 Mini is told how much to think; recordings for 4.3. Whatever else has the name is
    // told nothing.
    unlimited("grok-", &[]).always(),
    unthinking("grok-2"),
    unthinking("grok-3"),
    unlimited("grok-3-mini", &[Low, High]).always(),
    unlimited("grok-4", &[]).always(),
    unthinking("grok-4-fast-non-reasoning"),
    unthinking("grok-4-1-fast-non-reasoning"),
    unlimited("grok-4-3", &[Low, Medium, High]),
    // Mistral, "Adjustable reasoning"; recordings: `high` and `none`, and no other.
    unlimited("mistral-small", &[High]),
    unlimited("mistral-medium", &[High]),
    unlimited("magistral", &[High]),
];

/// What the codecs must know of this model at this provider.
pub fn target<'a>(provider: &Provider, dialect: Dialect, model: &'a str) -> Target<'a> {
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
        replay,
        // Whoever knows the limit by its new name knows the rest of what OpenAI added, too.
        plain_chat: !provider.has(Quirk::NewLimitName),
        asks_usage: !provider.has(Quirk::UsageUnasked),
        refuses: provider.refuses(),
        random_seed: provider.has(Quirk::RandomSeed),
        nine_letter_ids: provider.has(Quirk::NineLetterIds),
        ..known.map_or(Target::UNKNOWN, |family| family.known)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn known(model: &str) -> Target<'_> {
        target(Provider::named("anthropic").unwrap(), Dialect::AnthropicMessages, model)
    }

    #[test]
    fn models_are_known_by_their_names_however_they_are_written() {
        use ThinkingForm::Effort;
        for (model, thinking, max_output, mid_system) in [
            ("claude-opus-4-7", Effort, Some(128_000), true),
            ("claude-sonnet-5", Effort, Some(128_000), true),
            ("claude-opus-4-6", Effort, Some(128_000), false),
            ("claude-sonnet-4-5-20250929", Budget, Some(64_000), false),
            ("anthropic/claude-sonnet-4.5", Budget, Some(64_000), false),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Budget, Some(64_000), false),
            ("claude-opus-4-1-20250805", Budget, Some(32_000), false),
            ("claude-opus-4-20250514", Budget, Some(32_000), false),
            ("anthropic/claude-sonnet-4", Budget, Some(64_000), false),
            ("claude-3-7-sonnet-latest", Budget, Some(64_000), false),
            ("claude-3-5-haiku-20241022", Never, Some(8_192), false),
            ("claude-3-opus-20240229", Never, Some(4_096), false),
            ("gemini-3-pro-preview", Effort, Some(65_536), false),
            ("models/gemini-2.5-flash", Budget, Some(65_536), false),
            ("gemini-2.0-flash", Never, Some(8_192), false),
            ("gpt-4o-mini", Never, Some(16_384), false),
            ("gpt-4.1-nano", Never, Some(32_768), false),
            ("gpt-4-turbo", Never, Some(4_096), false),
            ("openai/gpt-oss-120b", Effort, None, false),
            ("grok-3", Never, None, false),
            ("grok-3-fast", Never, None, false),
            ("grok-2-1212", Never, None, false),
            ("grok-4-fast-non-reasoning", Never, None, false),
            ("x-ai/grok-4.1-fast-non-reasoning", Never, None, false),
            ("grok-3-mini", Effort, None, false),
            // Nobody here knows it.
            ("kimi-k2-thinking", Budget, None, false),
        ] {
            let target = known(model);
            let known = (target.thinking, target.max_output, target.mid_system);
            assert_eq!(known, (thinking, max_output, mid_system), "{model}");
            assert_eq!(target.model, model);
        }
    }

    #[test]
    fn what_models_are_told_of_thinking_is_what_they_know() {
        for (model, efforts, always_thinks) in [
            ("gpt-5", &[Minimal, Low, Medium, High][..], true),
            ("gpt-5-2025-08-07", &[Minimal, Low, Medium, High], true),
            ("gpt-5-mini", &[Minimal, Low, Medium, High], true),
            ("gpt-5-codex", &[Low, Medium, High], true),
            ("gpt-5.1", &[Low, Medium, High], false),
            ("gpt-5.4-mini", &[Low, Medium, High, Xhigh], false),
            ("gpt-5.6-luna", &[Low, Medium, High, Xhigh, Max], false),
            ("o4-mini", &[Low, Medium, High], true),
            ("grok-4-fast-reasoning", &[], true),
            ("grok-code-fast-1", &[], true),
            ("grok-3-mini-fast", &[Low, High], true),
            ("grok-4.3", &[Low, Medium, High], false),
            ("gemini-3-pro-preview", &[Low, High], true),
            ("gemini-3-flash-preview", &[Minimal, Low, Medium, High], true),
            ("claude-opus-5", &[Low, Medium, High, Xhigh, Max], false),
            // Nobody here knows it: what most take.
            ("qwen3-max", &[Low, Medium, High], false),
        ] {
            let target = known(model);
            assert_eq!((target.efforts, target.always_thinks), (efforts, always_thinks), "{model}");
        }
        for (model, budgets, always_thinks) in [
            ("gemini-2.5-pro", (128, 32_768), true),
            ("gemini-2.5-flash-preview-09-2025", (1, 24_576), false),
            ("google/gemini-2.5-flash-lite", (512, 24_576), false),
        ] {
            let target = known(model);
            assert_eq!((target.budgets, target.always_thinks), (budgets, always_thinks), "{model}");
        }
    }

    #[test]
    fn what_models_refuse_is_known() {
        for (model, sampling, schemas) in [
            ("gpt-5-mini", Sampling::Nothing, true),
            ("o3", Sampling::Nothing, true),
            ("gpt-5-chat-latest", Sampling::Free, true),
            ("gpt-4o", Sampling::Free, true),
            ("claude-opus-4-8", Sampling::Nothing, true),
            ("claude-sonnet-4-6", Sampling::OneOfTwo, true),
            ("claude-opus-4-1-20250805", Sampling::OneOfTwo, true),
            ("claude-sonnet-4-20250514", Sampling::Free, false),
            ("claude-3-5-haiku-20241022", Sampling::Free, false),
            ("deepseek-chat", Sampling::Free, true),
        ] {
            let target = known(model);
            assert_eq!((target.sampling, target.schemas), (sampling, schemas), "{model}");
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

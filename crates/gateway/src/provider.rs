//! Providers: rows of a table, not code.
//!
//! In: a provider's name. Out: which dialects and operations it speaks, under which paths, how it is signed in to,
//! and its named quirks. Nothing here must know a channel, a key or a request.

mod family;
mod table;
#[cfg(test)]
mod tests;
mod url;

use dialect::{Accounting, Dialect, Door, Operation};

pub use family::target;
pub use url::join;

/// A provider as the table knows it.
#[derive(Debug)]
pub struct Provider {
    /// As the operator writes it in `provider = "…"`.
    pub name: &'static str,
    /// As its documentation gives it; `None`: the operator must give one.
    pub base_url: Option<&'static str>,
    /// At most one row per dialect and operation. The first for chats is the one in which callers of other dialects are served.
    pub speaks: &'static [Speaks],
    /// False where a server can run without a key.
    pub needs_secret: bool,
    pub quirks: &'static [Quirk],
}

/// One thing a provider understands.
#[derive(Debug)]
pub struct Speaks {
    pub dialect: Dialect,
    pub operation: Operation,
    /// What [`join`] puts after the base URL; `{model}` stands for the model, `{method}` for Gemini's method, `{rest}` for
    /// a stored response's id and what follows it. A path that starts with `//` lies beside the usual base, not below.
    pub path: &'static str,
    pub auth: Auth,
}

/// How a channel's secret is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer SECRET`
    Bearer,
    /// `x-api-key: SECRET` and an `anthropic-version` where the client sent none.
    AnthropicKey,
    /// `x-goog-api-key: SECRET`
    GoogleKey,
    /// `api-key: SECRET`
    AzureKey,
}

/// Where a provider departs from its dialect's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quirk {
    /// Chat usage leaves reasoning out of `completion_tokens`: the total is prompt + completion + reasoning. Seen in all
    /// 54 xAI chat recordings that reason (xAI's responses count as OpenAI's do), and at Gemini's OpenAI-compatible door,
    /// which does not even name the reasoning.
    ReasoningApart,
    /// Streams carry usage unasked, on a chunk that has a choice, and `stream_options` may be refused: never add it.
    /// Seen at Mistral, whose request schema has no such field, and at Perplexity, where every chunk has the usage so
    /// far. DeepSeek, Zhipu, Cerebras, Moonshot and MiniMax place usage alike but accept the option.
    UsageUnasked,
    /// Chat knows the limit of the output as `max_completion_tokens`: models that reason refuse the old `max_tokens`. OpenAI's
    /// own API reference, and Azure's of the same models. Most others know only the old name.
    NewLimitName,
    /// Chat refuses these fields of the dialect, as it does all that its schema does not name. Mistral's OpenAPI document
    /// (`additionalProperties: false`); Groq, "API Reference", and Cerebras, "Chat Completions": "property … is unsupported".
    FieldsRefused(&'static [&'static str]),
    /// Chat's `seed` is called `random_seed`: Mistral's OpenAPI document.
    RandomSeed,
    /// Ids of calls must be nine letters and digits: all of Mistral's are, and it refuses others (`invalid_function_call`).
    NineLetterIds,
    /// Chat wants earlier thinking back as `reasoning_content`, at least while tools are called. DeepSeek, "Thinking mode";
    /// Moonshot, "Kimi K2 thinking"; Zhipu, "Thinking mode" (interleaved).
    WantsThinking,
    /// Chat wants earlier thinking back as `reasoning_details`, with the tokens of the languages behind it. OpenRouter,
    /// "Reasoning tokens".
    WantsDetails,
}

impl Quirk {
    /// As docs/QUIRKS.md calls it.
    pub fn name(self) -> &'static str {
        match self {
            Quirk::ReasoningApart => "reasoning-apart",
            Quirk::UsageUnasked => "usage-unasked",
            Quirk::NewLimitName => "new-limit-name",
            Quirk::FieldsRefused(_) => "fields-refused",
            Quirk::RandomSeed => "random-seed",
            Quirk::NineLetterIds => "nine-letter-ids",
            Quirk::WantsThinking => "wants-thinking",
            Quirk::WantsDetails => "wants-details",
        }
    }
}

impl Provider {
    /// The row called `name`.
    pub fn named(name: &str) -> Option<&'static Provider> {
        table::PROVIDERS.iter().find(|provider| provider.name == name)
    }

    pub fn all() -> &'static [Provider] {
        table::PROVIDERS
    }

    pub fn speaks(&self, door: Door) -> Option<&'static Speaks> {
        self.speaks.iter().find(|row| row.dialect == door.dialect && row.operation == door.operation)
    }

    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// How it counts in this dialect.
    pub fn accounting(&self, dialect: Dialect) -> Accounting {
        if dialect == Dialect::OpenaiChat && self.has(Quirk::ReasoningApart) {
            Accounting::ReasoningApart
        } else {
            Accounting::Standard
        }
    }

    /// The fields of [`Quirk::FieldsRefused`].
    pub fn refuses(&self) -> &'static [&'static str] {
        let fields = self.quirks.iter().find_map(|quirk| match quirk {
            Quirk::FieldsRefused(fields) => Some(*fields),
            _ => None,
        });
        fields.unwrap_or_default()
    }
}

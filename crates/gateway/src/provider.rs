//! Providers: rows of a table, not code.
//!
//! In: a provider's name. Out: which dialects and operations it speaks, under which paths, how it is signed in to,
//! and its named quirks. Nothing here must know a channel, a key or a request.

mod table;

use dialect::{Dialect, Door, Operation};

/// A provider as the table knows it.
#[derive(Debug)]
pub struct Provider {
    pub name: &'static str,
    /// `None`: the operator must give one.
    pub base_url: Option<&'static str>,
    pub speaks: &'static [Speaks],
    pub needs_secret: bool,
    pub quirks: &'static [Quirk],
}

/// One thing a provider understands.
#[derive(Debug)]
pub struct Speaks {
    pub dialect: Dialect,
    pub operation: Operation,
    /// Appended to the base URL; `{model}` stands for the model, `{method}` for Gemini's method, `{rest}` for what follows a stored id.
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
    /// Chat usage leaves reasoning out of `completion_tokens`.
    ReasoningApart,
    /// Streams carry usage unasked, and `stream_options` may be refused: never add it.
    UsageUnasked,
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
}

//! The wire languages ("dialects") of LLM APIs: bytes in, bytes out.
//!
//! In: request bodies as clients send them, reply bytes as providers send them. Out: what the gateway must know
//! about them ([`Envelope`], [`Tap`], [`Usage`]), the same bytes with a few named edits ([`splice`]), and errors in
//! the words of a dialect ([`encode_error`]). This crate must never do I/O, read a clock, or name tokio, http or sql.

mod anthropic_messages;
pub mod chat;
mod envelope;
mod error;
pub mod event;
mod facts;
mod fields;
mod fit;
mod foreign;
mod frame;
mod gemini_generate;
mod indispensable;
mod json;
mod limit;
pub mod loss;
mod mark;
pub mod meaningless;
mod openai_chat;
mod openai_responses;
mod plain;
mod shortfall;
mod sieve;
mod tap;
mod text;
mod thinking;
pub mod translate;
pub mod tree;
mod usage;

pub use envelope::{Edits, Envelope, OwnThinking, PeekError, Spliced, peek, splice};
pub use error::{ErrorKind, ErrorView, ParsedError, Stage, encode_error, is_error_of, parse_error};
pub use frame::{Framing, sniff};
pub use limit::OutputLimit;
pub use plain::{PlainTap, read_delivered};
pub use tap::{Flow, Tap, TapOptions};
pub use text::{Delivered, Prompt};
pub use thinking::ThinkingEdit;
pub use usage::{Accounting, Usage};

/// A wire language. Closed on purpose: adding one makes the compiler list the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    GeminiGenerate,
}

impl Dialect {
    pub const ALL: [Dialect; 4] =
        [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::AnthropicMessages, Dialect::GeminiGenerate];

    /// The name used in config, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::OpenaiChat => "openai_chat",
            Dialect::OpenaiResponses => "openai_responses",
            Dialect::AnthropicMessages => "anthropic_messages",
            Dialect::GeminiGenerate => "gemini_generate",
        }
    }

    pub fn from_name(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// What a request asks for, whatever the language it asks in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// The dialect's own main call: chat completions, responses, messages, generateContent.
    Chat,
    /// OpenAI's legacy text completions.
    Completions,
    Embeddings,
    /// Gemini's `batchEmbedContents`.
    BatchEmbeddings,
    Moderations,
    /// `/v1/responses/compact`.
    Compact,
    /// `/v1/messages/count_tokens`, `:countTokens`, `/v1/responses/input_tokens`.
    CountTokens,
    /// Reading, cancelling or deleting a stored response: no body, no model.
    Stored,
}

impl Operation {
    pub const ALL: [Operation; 8] = [
        Operation::Chat,
        Operation::Completions,
        Operation::Embeddings,
        Operation::BatchEmbeddings,
        Operation::Moderations,
        Operation::Compact,
        Operation::CountTokens,
        Operation::Stored,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::Completions => "completions",
            Operation::Embeddings => "embeddings",
            Operation::BatchEmbeddings => "batch_embeddings",
            Operation::Moderations => "moderations",
            Operation::Compact => "compact",
            Operation::CountTokens => "count_tokens",
            Operation::Stored => "stored",
        }
    }
}

/// Where a request came in: a dialect and an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Door {
    pub dialect: Dialect,
    pub operation: Operation,
}

impl Door {
    pub const fn new(dialect: Dialect, operation: Operation) -> Door {
        Door { dialect, operation }
    }
}

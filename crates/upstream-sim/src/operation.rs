//! Which operation of which dialect a path names.
//!
//! In: method, path and query; out: a `Target`. Any prefix before the known ending is allowed, because
//! providers put their APIs under different roots. It must never fail: what it does not know is `Unknown`.

use crate::percent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    GeminiGenerate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A conversation, in the target's dialect.
    Chat,
    /// The older `/completions`.
    Completion,
    Embeddings,
    Moderations,
    ListModels,
    GetModel,
    CompactResponse,
    CountInputTokens,
    GetResponse,
    DeleteResponse,
    CancelResponse,
    ListInputItems,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
    Unknown,
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Also decides how an error is worded.
    pub(crate) dialect: Dialect,
    pub(crate) operation: Operation,
    /// The model, deployment or object id that the path names.
    pub(crate) named: Option<String>,
    /// `Some` when the path and not the body says whether to stream.
    pub(crate) streams: Option<bool>,
    /// A stream that is one JSON array instead of events.
    pub(crate) array: bool,
}

impl Target {
    pub(crate) fn of(method: &str, path: &str, query: &str, speaks_anthropic: bool) -> Target {
        let target =
            |dialect, operation| Target { dialect, operation, named: None, streams: None, array: false };
        let openai = |operation| target(Dialect::OpenaiChat, operation);
        if path.ends_with("/chat/completions") {
            return Target { named: deployment(path), ..openai(Operation::Chat) };
        }
        let mut parts = path.trim_end_matches('/').rsplit('/');
        let last = parts.next().unwrap_or("");
        let before = parts.next().unwrap_or("");
        let earlier = parts.next().unwrap_or("");
        match (before, last) {
            (_, "completions") => Target { named: deployment(path), ..openai(Operation::Completion) },
            (_, "embeddings") => Target { named: deployment(path), ..openai(Operation::Embeddings) },
            (_, "moderations") => openai(Operation::Moderations),
            (_, "messages") => target(Dialect::AnthropicMessages, Operation::Chat),
            ("messages", "count_tokens") => target(Dialect::AnthropicMessages, Operation::CountTokens),
            (_, "models") => target(lister(path, speaks_anthropic), Operation::ListModels),
            (_, verb) if verb.contains(':') => verb_of_model(verb, query),
            ("models", name) => Target {
                named: percent::decode(name),
                ..target(lister(path, speaks_anthropic), Operation::GetModel)
            },
            _ => stored_response(method, earlier, before, last),
        }
    }
}

/// The paths below `/responses`.
fn stored_response(method: &str, earlier: &str, before: &str, last: &str) -> Target {
    let (operation, id) = match (earlier, before, last) {
        (_, _, "responses") => (Operation::Chat, None),
        (_, "responses", "compact") => (Operation::CompactResponse, None),
        (_, "responses", "input_tokens") => (Operation::CountInputTokens, None),
        (_, "responses", id) if method == "DELETE" => (Operation::DeleteResponse, Some(id)),
        (_, "responses", id) => (Operation::GetResponse, Some(id)),
        ("responses", id, "cancel") => (Operation::CancelResponse, Some(id)),
        ("responses", id, "input_items") => (Operation::ListInputItems, Some(id)),
        _ => {
            return Target {
                dialect: Dialect::OpenaiChat,
                operation: Operation::Unknown,
                named: None,
                streams: None,
                array: false,
            };
        }
    };
    Target {
        dialect: Dialect::OpenaiResponses,
        operation,
        named: id.and_then(percent::decode),
        streams: None,
        array: false,
    }
}

/// `MODEL:verb`, of Gemini and of Anthropic on Vertex.
fn verb_of_model(last: &str, query: &str) -> Target {
    let (model, verb) = last.rsplit_once(':').unwrap_or((last, ""));
    let (dialect, operation, streams) = match verb {
        "generateContent" => (Dialect::GeminiGenerate, Operation::Chat, Some(false)),
        "streamGenerateContent" => (Dialect::GeminiGenerate, Operation::Chat, Some(true)),
        "countTokens" => (Dialect::GeminiGenerate, Operation::CountTokens, None),
        "embedContent" => (Dialect::GeminiGenerate, Operation::EmbedContent, None),
        "batchEmbedContents" => (Dialect::GeminiGenerate, Operation::BatchEmbedContents, None),
        "rawPredict" => (Dialect::AnthropicMessages, Operation::Chat, Some(false)),
        "streamRawPredict" => (Dialect::AnthropicMessages, Operation::Chat, Some(true)),
        _ => (Dialect::GeminiGenerate, Operation::Unknown, None),
    };
    let events = query.split('&').any(|pair| pair == "alt=sse");
    let array = dialect == Dialect::GeminiGenerate && streams == Some(true) && !events;
    Target { dialect, operation, named: percent::decode(model), streams, array }
}

/// Azure names the deployment in the path.
fn deployment(path: &str) -> Option<String> {
    let (_, rest) = path.split_once("/deployments/")?;
    percent::decode(rest.split('/').next()?)
}

/// Three dialects list their models under the same name.
fn lister(path: &str, speaks_anthropic: bool) -> Dialect {
    if path.contains("/v1beta/") {
        Dialect::GeminiGenerate
    } else if speaks_anthropic {
        Dialect::AnthropicMessages
    } else {
        Dialect::OpenaiChat
    }
}

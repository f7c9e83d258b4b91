//! Lowering the limit of the output that a request asks for, or setting one.
//!
//! In: a body and a limit. Out: what to write where. It must only ever lower: who asks for less gets less.

use std::ops::Range;

use bytes::Bytes;

use crate::{Dialect, Operation, envelope::locate, json};

/// A limit for the output of each answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    pub dialect: Dialect,
    pub operation: Operation,
    pub tokens: u64,
    /// OpenAI's chat: the provider knows the limit by its new name.
    pub new_name: bool,
}

/// Where the body's limits are, and what takes their place; nothing, where all of them are as low.
pub(crate) fn changes(body: &[u8], limit: &OutputLimit) -> Vec<(Range<usize>, Bytes)> {
    let (names, added): ([&str; 2], _) = match (limit.dialect, limit.operation) {
        (Dialect::OpenaiChat, Operation::Chat) => {
            let added = if limit.new_name { "max_completion_tokens" } else { "max_tokens" };
            (["max_tokens", "max_completion_tokens"], added)
        }
        (Dialect::OpenaiChat | Dialect::AnthropicMessages, _) => (["max_tokens"; 2], "max_tokens"),
        (Dialect::OpenaiResponses, _) => (["max_output_tokens"; 2], "max_output_tokens"),
        (Dialect::GeminiGenerate, _) => return of_gemini(body, limit.tokens),
    };
    let Some(found) = json::read_object(body, names) else { return Vec::new() };
    let close = body.trim_ascii_end().len().saturating_sub(1);
    of_object(body, &found.values, added, close, limit.tokens)
}

fn of_gemini(body: &[u8], tokens: u64) -> Vec<(Range<usize>, Bytes)> {
    let close = body.trim_ascii_end().len().saturating_sub(1);
    let Some(found) = json::read_object(body, ["generationConfig"]) else { return Vec::new() };
    let whole = format!("{{\"maxOutputTokens\":{tokens}}}");
    match found.values {
        [None] => vec![(close..close, insertion(body, close, "generationConfig", &whole))],
        [Some(config)] if config.starts_with('{') => {
            let at = locate(body, config);
            let Some(found) = json::members(config, ["maxOutputTokens"]) else { return Vec::new() };
            of_object(body, &found, "maxOutputTokens", at.end - 1, tokens)
        }
        // Not an object: the provider is to say so, or `null`.
        [Some(config)] => vec![(locate(body, config), Bytes::from(whole))],
    }
}

/// The changes in an object that closes at `close`.
fn of_object(
    body: &[u8],
    found: &[Option<&str>],
    added: &str,
    close: usize,
    tokens: u64,
) -> Vec<(Range<usize>, Bytes)> {
    let said: Vec<&str> = found.iter().flatten().copied().filter(|said| *said != "null").collect();
    if said.is_empty() {
        let null = found.iter().flatten().next();
        return match null {
            Some(null) => vec![(locate(body, null), Bytes::from(tokens.to_string()))],
            None => vec![(close..close, insertion(body, close, added, &tokens.to_string()))],
        };
    }
    let mut changes: Vec<(Range<usize>, Bytes)> = said
        .into_iter()
        .filter(|said| json::count(Some(said)).is_none_or(|said| said == 0 || said > tokens))
        .map(|said| (locate(body, said), Bytes::from(tokens.to_string())))
        .collect();
    changes.dedup_by(|a, b| a.0 == b.0);
    changes
}

pub(crate) fn insertion(body: &[u8], close: usize, name: &str, value: &str) -> Bytes {
    let empty = body[..close].trim_ascii_end().ends_with(b"{");
    let comma = if empty { "" } else { "," };
    Bytes::from(format!("{comma}\"{name}\":{value}"))
}

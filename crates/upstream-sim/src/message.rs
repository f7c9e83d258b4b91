//! Answers that are one body: plain answers, errors, redirects, and streams that a body fault needs whole.
//!
//! In: an `Exchange`; out: a `Message`, not yet sent. It must never write to the socket.

use crate::dialect::{self, StoredResponse, Telling};
use crate::exchange::{Exchange, reported_usage};
use crate::fill::{Slot::*, fill};
use crate::operation::{Dialect, Operation};
use crate::prose::{self, Prose};
use crate::reply::Reply;
use crate::script::{Ending, Script};
use crate::served::Usage;
use std::borrow::Cow;

/// The models that the lists name.
const MODELS: [&str; 3] = ["sim-large", "sim-small", "sim-embedding"];
/// Length of the vectors of `:embedContent`.
const GEMINI_DIMENSIONS: usize = 16;

pub(crate) const JSON: &str = "application/json";
const GEMINI_JSON: &str = "application/json; charset=UTF-8";
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

pub(crate) struct Message {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// What the body repeats when it does not end: white space, or more events.
    pub(crate) filler: Vec<u8>,
    pub(crate) is_stream: bool,
    pub(crate) is_error: bool,
    pub(crate) usage: Option<Usage>,
}

impl Message {
    fn of(status: u16, content_type: &'static str, body: Vec<u8>) -> Message {
        Message {
            status,
            content_type,
            body,
            filler: b" ".to_vec(),
            is_stream: false,
            is_error: false,
            usage: None,
        }
    }

    /// What is to be sent, unless it is streamed event by event.
    pub(crate) fn compose(exchange: &Exchange<'_>) -> Message {
        if exchange.script.redirect.is_some() {
            let status = exchange.script.status.unwrap_or(302);
            return Message::of(status, "text/plain", Vec::new());
        }
        if let Some(failure) = exchange.failure() {
            let (status, body) = failure.body();
            let is_gemini_stream = exchange.target.dialect == Dialect::GeminiGenerate && exchange.streams();
            let content_type = match exchange.target.dialect {
                // The API labels an error as the stream that was asked for.
                Dialect::GeminiGenerate if is_gemini_stream && !exchange.target.array => EVENT_STREAM,
                Dialect::GeminiGenerate => GEMINI_JSON,
                _ => JSON,
            };
            return Message { is_error: true, ..Message::of(status, content_type, body) };
        }
        if exchange.streams() { whole_stream(exchange) } else { plain(exchange) }
    }
}

/// The text of an answer; `large-reply` counts only for plain ones.
pub(crate) fn given_text<'a>(exchange: &Exchange<'a>, reply: &Reply<'a>) -> Option<Cow<'a, str>> {
    if let Some(call) = reply.tool {
        Some(Cow::Borrowed(call.arguments))
    } else if let Some(quoted) = &reply.quoted {
        Some(Cow::Owned(format!("The tool said: {quoted}")))
    } else if exchange.script.echo {
        Some(String::from_utf8_lossy(exchange.body))
    } else {
        None
    }
}

fn plain(exchange: &Exchange<'_>) -> Message {
    let mut reply = exchange.reply();
    let given = given_text(exchange, &reply);
    let opening = prose::opening(exchange.model);
    let large;
    let script = match exchange.script.large_reply {
        Some(size) => {
            large = Script { size: Some(size.max(1)), events: Some(1), ..exchange.script.clone() };
            &large
        }
        None => exchange.script,
    };
    let text = Prose::new(script, &opening, given.as_deref()).whole();
    reply.counted.output = reply.tokens_of(text.len());
    let mut out = Vec::with_capacity(text.len() + 1024);
    let usage = body(exchange, &reply, &text, &mut out);
    let content_type = if exchange.target.dialect == Dialect::GeminiGenerate { GEMINI_JSON } else { JSON };
    Message { usage, ..Message::of(exchange.script.status.unwrap_or(200), content_type, out) }
}

/// Writes the body and tells what it reports as used.
fn body(exchange: &Exchange<'_>, reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) -> Option<Usage> {
    let (target, usual) = (exchange.target, crate::ask::Ask::default());
    let ask = exchange.ask.unwrap_or(&usual);
    let mut stored = |what| {
        dialect::stored_answer(what, target.named.as_deref().unwrap_or(""), reply, text, out);
    };
    match target.operation {
        Operation::Chat => dialect::plain(target.dialect, reply, text, out),
        Operation::Completion => dialect::completion(reply, text, out),
        Operation::Embeddings => {
            dialect::embeddings(reply, ask, out);
            return reported_usage(reply, 0).map(|usage| Usage { output: 0, ..usage });
        }
        Operation::GetResponse => stored(StoredResponse::Get),
        Operation::CompactResponse => stored(StoredResponse::Compact),
        _ => {
            match target.operation {
                Operation::Moderations => dialect::moderations(reply, ask, out),
                Operation::CountInputTokens => stored(StoredResponse::CountInput),
                Operation::DeleteResponse => stored(StoredResponse::Delete),
                Operation::CancelResponse => stored(StoredResponse::Cancel),
                Operation::ListInputItems => stored(StoredResponse::InputItems),
                Operation::CountTokens => count_tokens(target.dialect, reply.counted.input, out),
                Operation::EmbedContent => fill(out, r#"{"embedding":@}"#, &[Raw(&gemini_vector(0))]),
                Operation::BatchEmbedContents => {
                    let vectors: Vec<_> = (0..ask.inputs).map(gemini_vector).collect();
                    fill(out, r#"{"embeddings":[@]}"#, &[Raw(&vectors.join(","))]);
                }
                Operation::ListModels => list_models(target.dialect, reply.created, out),
                _ => {
                    let name = target.named.as_deref().unwrap_or("");
                    out.extend_from_slice(model(target.dialect, name, reply.created).as_bytes());
                }
            }
            return None;
        }
    }
    reported_usage(reply, reply.counted.output)
}

fn count_tokens(dialect: Dialect, input: u64, out: &mut Vec<u8>) {
    let template = match dialect {
        Dialect::GeminiGenerate => r#"{"totalTokens":@}"#,
        _ => r#"{"input_tokens":@}"#,
    };
    fill(out, template, &[Num(input)]);
}

fn gemini_vector(index: usize) -> String {
    let numbers: Vec<String> =
        (0..GEMINI_DIMENSIONS).map(|n| (((index + n) % 16) as f32 / 16.0 - 0.5).to_string()).collect();
    format!(r#"{{"values":[{}]}}"#, numbers.join(","))
}

fn list_models(dialect: Dialect, created: u64, out: &mut Vec<u8>) {
    let models = MODELS.map(|name| model(dialect, name, created)).join(",");
    let template = match dialect {
        Dialect::GeminiGenerate => r#"{"models":[@]}"#,
        Dialect::AnthropicMessages => {
            r#"{"data":[@],"has_more":false,"first_id":"sim-large","last_id":"sim-embedding"}"#
        }
        _ => r#"{"object":"list","data":[@]}"#,
    };
    fill(out, template, &[Raw(&models)]);
}

fn model(dialect: Dialect, name: &str, created: u64) -> String {
    let mut out = Vec::new();
    match dialect {
        Dialect::GeminiGenerate => fill(
            &mut out,
            concat!(
                r#"{"name":@,"displayName":@,"version":"1","inputTokenLimit":1048576,"#,
                r#""outputTokenLimit":8192,"#,
                r#""supportedGenerationMethods":["generateContent","countTokens","embedContent"]}"#
            ),
            &[Text(&format!("models/{name}")), Text(name)],
        ),
        Dialect::AnthropicMessages => {
            let template = r#"{"type":"model","id":@,"display_name":@,"created_at":"2026-01-01T00:00:00Z"}"#;
            fill(&mut out, template, &[Text(name), Text(name)]);
        }
        _ => {
            let template = r#"{"id":@,"object":"model","created":@,"owned_by":"sluice-sim"}"#;
            fill(&mut out, template, &[Text(name), Num(created)]);
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// A whole stream as one body.
fn whole_stream(exchange: &Exchange<'_>) -> Message {
    let reply = exchange.reply();
    let given = given_text(exchange, &reply);
    let opening = prose::opening(exchange.model);
    let mut prose = Prose::new(exchange.script, &opening, given.as_deref());
    let mut telling = Telling::of(exchange, &reply);
    telling.open();
    let (mut piece, mut filler) = (String::new(), Vec::new());
    while prose.next(&mut piece) {
        let before = telling.frames.all().len();
        telling.content(&piece);
        filler = telling.frames.all()[before..].to_vec();
    }
    telling.close(exchange.script.ending != Ending::NoDone);
    if filler.is_empty() {
        filler.extend_from_slice(b"\n");
    }
    let usage = telling.reported_usage();
    let body = telling.frames.all().to_vec();
    let status = exchange.script.status.unwrap_or(200);
    let content_type = stream_type(exchange);
    Message { filler, is_stream: true, usage, ..Message::of(status, content_type, body) }
}

pub(crate) fn stream_type(exchange: &Exchange<'_>) -> &'static str {
    if exchange.target.array { GEMINI_JSON } else { EVENT_STREAM }
}

//! What a provider writes: whole streams and documents of the four dialects, made up piece by piece.
//!
//! In: a dialect and the dice. Out: bytes of which it is known, piece by piece, what they mean. Nothing here may use the
//! gateway's own reading of the dialects.

use dialect::{Dialect, Usage};
use serde_json::{Value, json};

use crate::{dice::Dice, said::Said};

/// What a piece of a stream means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No sign of progress.
    Ping,
    /// Announces an answer, and has nothing of it.
    Prelude,
    Content,
    /// The answer is whole; something may follow.
    End,
    /// Usage, and nothing else.
    Usage,
    /// Nothing may follow.
    Close,
    /// An error, and what it comes to if it is the first thing that is said.
    Error(Said),
}

/// One event (or array element) with its separators.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: Kind,
    /// What was used, as known when this piece is in.
    pub(crate) usage: Option<Usage>,
}

/// Who asked, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) dialect: Dialect,
    /// Gemini without `alt=sse`.
    pub(crate) array: bool,
    /// `stream_options.include_usage` was in the request as the upstream got it.
    pub(crate) usage: bool,
    pub(crate) usage_unasked: bool,
    pub(crate) reasons_apart: bool,
    /// Of the stored object that this call makes.
    pub(crate) id: u64,
}

impl Asked {
    fn stored_id(self) -> String {
        stored_id(self.id)
    }
}

/// What a provider calls its answer to a call.
pub(crate) fn stored_id(id: u64) -> String {
    format!("resp_{id:016x}")
}

/// How events are written down.
struct Pen {
    crlf: bool,
    spaced: bool,
    array: bool,
    elements: usize,
}

impl Pen {
    fn event(&mut self, name: Option<&str>, data: &str) -> Vec<u8> {
        if self.array {
            self.elements += 1;
            let before = if self.elements == 1 { "[" } else { ",\r\n" };
            return format!("{before}{data}").into_bytes();
        }
        let (end, space) = (if self.crlf { "\r\n" } else { "\n" }, if self.spaced { " " } else { "" });
        let name = name.map_or(String::new(), |name| format!("event:{space}{name}{end}"));
        format!("{name}data:{space}{data}{end}{end}").into_bytes()
    }
}

/// Some words; now and then with what needs care in JSON, and now and then very many of them.
pub(crate) fn words(dice: &mut Dice) -> String {
    const SOME: [&str; 8] =
        ["the ", "answer ", "is ", "\"quoted\"\n", "é… 漢字 ", "data: x\n\n", "{[ ", "😀 "];
    let mut text: String = (0..dice.between(1, 6)).map(|_| dice.pick(&SOME)).collect();
    if dice.chance(2) {
        text.push_str(&"long words ".repeat(dice.between(1_000, 20_000) as usize));
    }
    text
}

pub(crate) fn usage(dice: &mut Dice, dialect: Dialect) -> Usage {
    let reasons = dialect != Dialect::AnthropicMessages && dice.chance(50);
    Usage {
        input: dice.between(1, 5_000),
        cache_read: if dice.chance(50) { dice.between(1, 900) } else { 0 },
        output: dice.between(1, 2_000),
        reasoning: if reasons { dice.between(1, 700) } else { 0 },
        ..Usage::default()
    }
}

/// The usage as the dialect's own object.
fn told(asked: Asked, usage: &Usage) -> Value {
    let (prompt, output) = (usage.input + usage.cache_read, usage.output + usage.reasoning);
    match asked.dialect {
        Dialect::OpenaiChat => json!({
            "prompt_tokens": prompt,
            "completion_tokens": if asked.reasons_apart { usage.output } else { output },
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        }),
        Dialect::OpenaiResponses => json!({
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": usage.cache_read},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": prompt + output,
        }),
        Dialect::AnthropicMessages => json!({
            "input_tokens": usage.input,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": usage.output,
        }),
        Dialect::GeminiGenerate => json!({
            "promptTokenCount": prompt,
            "cachedContentTokenCount": usage.cache_read,
            "candidatesTokenCount": usage.output,
            "thoughtsTokenCount": usage.reasoning,
            "totalTokenCount": prompt + output,
        }),
    }
}

/// A whole stream, from its first event to its last.
pub(crate) fn stream(dice: &mut Dice, asked: Asked) -> Vec<Piece> {
    let mut pen = Pen { crlf: dice.chance(25), spaced: dice.chance(85), array: asked.array, elements: 0 };
    let count = if dice.chance(10) { dice.between(20, 80) } else { dice.between(1, 8) };
    let mut pieces = match asked.dialect {
        Dialect::OpenaiChat => chat(dice, &mut pen, asked, count),
        Dialect::OpenaiResponses => responses(dice, &mut pen, asked, count),
        Dialect::AnthropicMessages => messages(dice, &mut pen, asked, count),
        Dialect::GeminiGenerate => gemini(dice, &mut pen, asked, count),
    };
    if !asked.array {
        for _ in 0..dice.weigh(&[(6, 0), (2, 1), (1, 4)]) {
            let at = dice.below(pieces.len());
            let ping = match asked.dialect {
                Dialect::AnthropicMessages => pen.event(Some("ping"), r#"{"type":"ping"}"#),
                _ => format!(": keep-alive{0}{0}", if pen.crlf { "\r\n" } else { "\n" }).into_bytes(),
            };
            let usage = at.checked_sub(1).and_then(|before| pieces[before].usage);
            pieces.insert(at, Piece { bytes: ping, kind: Kind::Ping, usage });
        }
    }
    pieces
}

fn piece(pen: &mut Pen, name: Option<&str>, value: &Value, kind: Kind, usage: Option<Usage>) -> Piece {
    Piece { bytes: pen.event(name, &value.to_string()), kind, usage }
}

fn chat(dice: &mut Dice, pen: &mut Pen, asked: Asked, count: u64) -> Vec<Piece> {
    let used = usage(dice, asked.dialect);
    let choices = if dice.chance(15) { 2 } else { 1 };
    let chunk = |index: u64, delta: Value, finish: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})
    };
    let mut pieces = Vec::new();
    for index in 0..choices {
        let value = chunk(index, json!({"role": "assistant", "content": ""}), Value::Null);
        pieces.push(piece(pen, None, &value, Kind::Prelude, None));
    }
    for _ in 0..count {
        let field = dice.weigh(&[(5, "content"), (1, "reasoning_content")]);
        let value = chunk(dice.next() % choices, json!({field: words(dice)}), Value::Null);
        pieces.push(piece(pen, None, &value, Kind::Content, None));
    }
    for index in 0..choices {
        let mut value = chunk(index, json!({}), json!("stop"));
        let last = index + 1 == choices;
        if last && asked.usage_unasked {
            value["usage"] = told(asked, &used);
        }
        let known = (last && asked.usage_unasked).then_some(used);
        pieces.push(piece(pen, None, &value, if last { Kind::End } else { Kind::Content }, known));
    }
    if asked.usage && !asked.usage_unasked {
        let value = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [], "usage": told(asked, &used)});
        pieces.push(piece(pen, None, &value, Kind::Usage, Some(used)));
    }
    let known = pieces.last().and_then(|piece| piece.usage);
    pieces.push(Piece { bytes: pen.event(None, "[DONE]"), kind: Kind::Close, usage: known });
    pieces
}

fn responses(dice: &mut Dice, pen: &mut Pen, asked: Asked, count: u64) -> Vec<Piece> {
    let used = usage(dice, asked.dialect);
    let id = asked.stored_id();
    let mut number = 0;
    let mut event = |pen: &mut Pen, name: &str, mut value: Value, kind, usage| {
        value["type"] = json!(name);
        value["sequence_number"] = json!(number);
        number += 1;
        piece(pen, Some(name), &value, kind, usage)
    };
    let response = |status: &str, usage: Value| json!({"response": {"id": id, "object": "response", "status": status, "output": [], "usage": usage}});
    let mut pieces = vec![
        event(pen, "response.created", response("in_progress", Value::Null), Kind::Prelude, None),
        event(pen, "response.in_progress", response("in_progress", Value::Null), Kind::Prelude, None),
        event(
            pen,
            "response.output_item.added",
            json!({"output_index": 0, "item": {"type": "message", "id": "msg_1", "content": []}}),
            Kind::Prelude,
            None,
        ),
    ];
    for _ in 0..count {
        let value = json!({"output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": words(dice)});
        pieces.push(event(pen, "response.output_text.delta", value, Kind::Content, None));
    }
    let name = dice.weigh(&[(5, "response.completed"), (1, "response.incomplete")]);
    pieces.push(event(pen, name, response("completed", told(asked, &used)), Kind::Close, Some(used)));
    pieces
}

fn messages(dice: &mut Dice, pen: &mut Pen, asked: Asked, count: u64) -> Vec<Piece> {
    let used = usage(dice, asked.dialect);
    let first = Usage { output: 1, ..used };
    let mut event = |name: &str, mut value: Value, kind, usage| {
        value["type"] = json!(name);
        piece(pen, Some(name), &value, kind, Some(usage))
    };
    let mut pieces = vec![
        event(
            "message_start",
            json!({"message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": told(asked, &first)}}),
            Kind::Prelude,
            first,
        ),
        event(
            "content_block_start",
            json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
            Kind::Prelude,
            first,
        ),
    ];
    for _ in 0..count {
        let value = json!({"index": 0, "delta": {"type": "text_delta", "text": words(dice)}});
        pieces.push(event("content_block_delta", value, Kind::Content, first));
    }
    pieces.push(event("content_block_stop", json!({"index": 0}), Kind::Content, first));
    let value = json!({"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": used.output}});
    pieces.push(event("message_delta", value, Kind::Content, used));
    pieces.push(event("message_stop", json!({}), Kind::Close, used));
    pieces
}

fn gemini(dice: &mut Dice, pen: &mut Pen, asked: Asked, count: u64) -> Vec<Piece> {
    let used = usage(dice, asked.dialect);
    let mut pieces = Vec::new();
    for nth in 1..=count {
        let so_far = Usage { output: (used.output * nth).div_ceil(count), ..used };
        let mut candidate =
            json!({"content": {"role": "model", "parts": [{"text": words(dice)}]}, "index": 0});
        if nth == count {
            candidate["finishReason"] = json!("STOP");
        }
        let value =
            json!({"candidates": [candidate], "usageMetadata": told(asked, &so_far), "modelVersion": "m"});
        let kind = if nth == count { Kind::End } else { Kind::Content };
        pieces.push(piece(pen, None, &value, kind, Some(so_far)));
    }
    if asked.array {
        pieces.push(Piece { bytes: b"]".to_vec(), kind: Kind::Close, usage: Some(used) });
    }
    pieces
}

/// A whole plain answer.
pub(crate) fn document(dice: &mut Dice, asked: Asked) -> (Vec<u8>, Usage) {
    let used = usage(dice, asked.dialect);
    let mut text = words(dice);
    if dice.chance(20) {
        text.push_str(&"a long document ".repeat(dice.between(3_000, 20_000) as usize));
    }
    let usage = told(asked, &used);
    let value = match asked.dialect {
        Dialect::OpenaiChat => json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": usage}),
        Dialect::OpenaiResponses => {
            json!({"id": asked.stored_id(), "object": "response", "status": "completed",
            "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}], "usage": usage})
        }
        Dialect::AnthropicMessages => json!({"id": "msg_1", "type": "message", "role": "assistant",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "usage": usage}),
        Dialect::GeminiGenerate => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}],
            "usageMetadata": usage})
        }
    };
    (value.to_string().into_bytes(), used)
}

/// An error in the dialect's words, as a provider writes it.
pub(crate) fn error(dialect: Dialect, status: u16, kind: &str, code: &str, message: &str) -> Value {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        Dialect::AnthropicMessages => json!({"type": "error", "error": {"type": kind, "message": message}}),
        Dialect::GeminiGenerate => {
            json!({"error": {"code": status, "message": message, "status": kind.to_ascii_uppercase()}})
        }
    }
}

/// The same as an event of a stream whose `before` pieces were written.
pub(crate) fn error_event(asked: Asked, before: &[Piece], error: &Value) -> Vec<u8> {
    let first = !before.iter().any(|piece| piece.kind != Kind::Ping);
    let mut pen = Pen { crlf: false, spaced: true, array: asked.array, elements: usize::from(!first) };
    match asked.dialect {
        Dialect::OpenaiResponses => {
            let number = before.iter().filter(|piece| piece.kind != Kind::Ping).count();
            let mut value = json!({"type": "error", "sequence_number": number, "param": null});
            value["code"] = error["error"]["code"].clone();
            value["message"] = error["error"]["message"].clone();
            pen.event(Some("error"), &value.to_string())
        }
        Dialect::AnthropicMessages => pen.event(Some("error"), &error.to_string()),
        _ => pen.event(None, &error.to_string()),
    }
}

//! No field of an answer disappears unlisted: every field of the published response schemas, and what providers add to
//! them, one at a time, whole, streamed, and whole for a client that reads a stream, into every dialect.
//!
//! `fixtures/answer_fields/<dialect>.tsv` has a row per field, and `told_otherwise.txt` what is told in other words, as for
//! [`every_field`](crate::every_field). What is streamed must change what the client reads, or the losses. And the
//! recordings: what an answer loses whole, it loses in a stream.
#![allow(clippy::print_stdout)] // How many there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use dialect::{
    Accounting, Dialect, Framing, Operation,
    chat::{Candidate, ChatReply, Content, Opaque, OpaqueKind, Part, Source, Stop, StopReason},
    loss::Losses,
    meaningless,
    translate::{StreamDecoder, StreamEncoder, Telling, decode_reply, encode_reply, encode_reply_as_stream},
    tree::Json,
};
use serde_json::{Value, json};

use crate::{
    corpus::read_recordings,
    fate::{Fate, compare, fate},
    play::play,
    streamed::streamed,
};

const CHAT: Dialect = Dialect::OpenaiChat;
const RESPONSES: Dialect = Dialect::OpenaiResponses;
const ANTHROPIC: Dialect = Dialect::AnthropicMessages;
const GEMINI: Dialect = Dialect::GeminiGenerate;

/// An object of an answer: a body that has it, where it stands there, and its path as losses tell it.
fn place(dialect: Dialect, name: &str) -> (Value, &'static str, &'static str) {
    match dialect {
        CHAT => {
            let call = json!({"id": "c", "type": "function", "function": {"name": "n", "arguments": "{}"}});
            let message = match name {
                "call" | "function" => json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                _ => json!({"role": "assistant", "content": "hi"}),
            };
            let details = json!({"cached_tokens": 0});
            let usage = json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12,
                "prompt_tokens_details": details, "completion_tokens_details": {"reasoning_tokens": 0}});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            let body = json!({"id": "a", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [choice], "usage": usage});
            let (pointer, path) = match name {
                "top" => ("", ""),
                "choice" => ("/choices/0", "choices"),
                "message" => ("/choices/0/message", "messages"),
                "call" => ("/choices/0/message/tool_calls/0", "messages.tool_calls"),
                "function" => ("/choices/0/message/tool_calls/0/function", "messages.tool_calls.function"),
                "usage" => ("/usage", "usage"),
                "usage_input" => ("/usage/prompt_tokens_details", "usage.prompt_tokens_details"),
                "usage_output" => ("/usage/completion_tokens_details", "usage.completion_tokens_details"),
                other => panic!("no such place: {other}"),
            };
            (body, pointer, path)
        }
        RESPONSES => {
            let message = |part: Value| json!({"type": "message", "id": "i", "status": "completed", "role": "assistant", "content": [part]});
            let text = json!({"type": "output_text", "text": "hi", "annotations": []});
            let (item, pointer, path) = match name {
                "top" => (message(text), "", "response"),
                "message" => (message(text), "/output/0", "input"),
                "text" => (message(text), "/output/0/content/0", "input.content"),
                "refusal" => (
                    message(json!({"type": "refusal", "refusal": "no"})),
                    "/output/0/content/0",
                    "input.content",
                ),
                "call" => {
                    let call = json!({"type": "function_call", "id": "i", "call_id": "c", "name": "n", "arguments": "{}"});
                    (call, "/output/0", "input")
                }
                "custom_call" => {
                    let call = json!({"type": "custom_tool_call", "id": "i", "call_id": "c", "name": "n", "input": "y"});
                    (call, "/output/0", "input")
                }
                "reasoning_item" => {
                    (json!({"type": "reasoning", "id": "i", "summary": []}), "/output/0", "input.reasoning")
                }
                "drawing" => {
                    let drawing = json!({"type": "image_generation_call", "id": "i", "status": "completed", "result": "aGk="});
                    (drawing, "/output/0", "input")
                }
                "search" => (
                    json!({"type": "web_search_call", "id": "i", "status": "completed"}),
                    "/output/0",
                    "input",
                ),
                "usage" => (message(text), "/usage", "usage"),
                "usage_input" => (message(text), "/usage/input_tokens_details", "usage.input_tokens_details"),
                "usage_output" => {
                    (message(text), "/usage/output_tokens_details", "usage.output_tokens_details")
                }
                other => panic!("no such place: {other}"),
            };
            let usage = json!({"input_tokens": 7, "output_tokens": 5, "total_tokens": 12,
                "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}});
            let body = json!({"id": "a", "object": "response", "created_at": 1, "status": "completed", "model": "m",
                "output": [item], "usage": usage});
            (body, pointer, path)
        }
        ANTHROPIC => {
            let (block, pointer, path) = match name {
                "thinking" => {
                    (json!({"type": "thinking", "thinking": "hm"}), "/content/0", "messages.content")
                }
                "redacted" => {
                    (json!({"type": "redacted_thinking", "data": "a"}), "/content/0", "messages.content")
                }
                "call" => (
                    json!({"type": "tool_use", "id": "c", "name": "n", "input": {}}),
                    "/content/0",
                    "messages.content",
                ),
                "server_call" => (
                    json!({"type": "server_tool_use", "id": "c", "name": "n", "input": {}}),
                    "/content/0",
                    "messages.content",
                ),
                "top" => (json!({"type": "text", "text": "hi"}), "", ""),
                "usage" => (json!({"type": "text", "text": "hi"}), "/usage", "usage"),
                "text" => (json!({"type": "text", "text": "hi"}), "/content/0", "messages.content"),
                other => panic!("no such place: {other}"),
            };
            let usage = json!({"input_tokens": 7, "output_tokens": 5});
            let body = json!({"id": "a", "type": "message", "role": "assistant", "model": "m", "content": [block],
                "stop_reason": "end_turn", "stop_sequence": null, "usage": usage});
            (body, pointer, path)
        }
        GEMINI => {
            let (part, pointer, path) = match name {
                "top" => (json!({"text": "hi"}), "", ""),
                "candidate" => (json!({"text": "hi"}), "/candidates/0", "candidates"),
                "content" => (json!({"text": "hi"}), "/candidates/0/content", "candidates.content"),
                "text" => (json!({"text": "hi"}), "/candidates/0/content/parts/0", "contents.parts"),
                "part" => (json!({}), "/candidates/0/content/parts/0", "contents.parts"),
                "call" => (
                    json!({"functionCall": {"name": "n", "args": {}}}),
                    "/candidates/0/content/parts/0/functionCall",
                    "contents.parts.functionCall",
                ),
                "usage" => (json!({"text": "hi"}), "/usageMetadata", "usageMetadata"),
                other => panic!("no such place: {other}"),
            };
            let candidate =
                json!({"index": 0, "content": {"parts": [part], "role": "model"}, "finishReason": "STOP"});
            let usage = json!({"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12});
            let body = json!({"responseId": "a", "modelVersion": "m", "candidates": [candidate], "usageMetadata": usage});
            (body, pointer, path)
        }
    }
}

fn telling() -> Telling {
    Telling { id: "given".into(), now_s: 1_800_000_000, wants_usage: true, ..Telling::default() }
}

/// What a client reads of a whole answer, and what it lost.
fn whole(from: Dialect, body: &Value, to: Dialect) -> (String, Losses) {
    let reply = decode_reply(from, body.to_string().as_bytes(), Accounting::Standard)
        .unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let encoded = encode_reply(to, &reply, &telling());
    (String::from_utf8(encoded.body).unwrap(), encoded.losses)
}

/// The same, told to a client that asked for a stream.
fn whole_as_stream(from: Dialect, body: &Value, to: Dialect) -> (String, Losses) {
    let reply = decode_reply(from, body.to_string().as_bytes(), Accounting::Standard)
        .unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let encoded = encode_reply_as_stream(to, reply, telling(), drop);
    (String::from_utf8(encoded.body).unwrap(), encoded.losses)
}

/// The same as a stream tells it.
fn in_stream(from: Dialect, stream: &[u8], to: Dialect) -> (String, Losses) {
    let mut decoder = StreamDecoder::new(from, Framing::Sse, Accounting::Standard);
    let mut events = Vec::new();
    decoder.feed(stream, &mut events);
    decoder.finish(&mut events);
    let mut encoder = StreamEncoder::new(to, telling());
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.write(event, &mut out));
    let mut losses = decoder.losses().clone();
    losses.append(encoder.losses().clone());
    (String::from_utf8(out).unwrap(), losses)
}

#[test]
fn every_field_of_an_answer_arrives_or_is_listed() {
    let (mut fields, mut wrong, mut told_otherwise) = (0, Vec::new(), String::new());
    for from in Dialect::ALL {
        let file = format!("{}/fixtures/answer_fields/{}.tsv", env!("CARGO_MANIFEST_DIR"), from.name());
        for row in std::fs::read_to_string(file).unwrap().lines() {
            let [name, field, value] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let (without, pointer, path) = place(from, name);
            fields += 1;
            let mut with = without.clone();
            let value = serde_json::from_str::<Value>(value).unwrap();
            with.pointer_mut(pointer).unwrap()[field] = value.clone();
            let path = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
            if meaningless::reason(from, &path).is_some() {
                continue;
            }
            for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
                let [read, read_without] = [&with, &without].map(|body| {
                    let (body, losses) = whole(from, body, to);
                    (serde_json::from_str(&body).unwrap(), losses.rows().to_vec())
                });
                match fate(&value, &path, read, read_without) {
                    Fate::Vanished => {
                        wrong.push(format!("{} {name}.{field} {value} to {}", from.name(), to.name()));
                    }
                    Fate::ToldOtherwise(how) => {
                        let what = format!("{} {name}.{field} {value}", from.name());
                        writeln!(told_otherwise, "{what} to {}:{how}", to.name()).unwrap();
                    }
                    Fate::Arrived | Fate::Listed => {}
                }
                if whole_as_stream(from, &with, to) == whole_as_stream(from, &without, to) {
                    wrong.push(format!(
                        "{} {name}.{field} {value} as a stream to {}",
                        from.name(),
                        to.name()
                    ));
                }
                let [with, without] = [&with, &without].map(|body| streamed(from, body));
                if in_stream(from, &with, to) == in_stream(from, &without, to) {
                    wrong.push(format!("{} {name}.{field} {value} streamed to {}", from.name(), to.name()));
                }
            }
        }
    }
    println!("{fields} fields of answers; {} told in other words", told_otherwise.lines().count());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    compare("answer_fields", &told_otherwise);
}

/// Losses of whole answers that a stream does not have: pieces of input pass as they come, whatever they make together;
/// and Perplexity's whole answers repeat the message as a `delta`, which is what a stream has in its place.
const NOT_STREAMED: [&str; 2] = ["arguments", "delta"];

/// The last names of the fields: a stream tells some of them in other objects.
fn names(losses: &Losses) -> BTreeSet<String> {
    losses.rows().iter().map(|loss| loss.field.rsplit('.').next().unwrap().to_owned()).collect()
}

#[test]
fn what_recorded_answers_lose_whole_they_lose_streamed() {
    let Some(recordings) = read_recordings() else { return };
    let (mut answers, mut wrong) = (0, BTreeMap::<String, Vec<&str>>::new());
    for recording in recordings.iter().filter(|recording| recording.door.operation == Operation::Chat) {
        let from = recording.door.dialect;
        let Some(body) = recording.body().filter(|_| recording.status == 200) else { continue };
        let Ok(body) = serde_json::from_str::<Value>(&body) else { continue };
        if !body.is_object() || body["error"].is_object() || body["status"] == "failed" {
            continue;
        }
        answers += 1;
        let stream = streamed(from, &body);
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            let (whole, stream) = (whole(from, &body, to).1, in_stream(from, &stream, to).1);
            let stream = names(&stream);
            let whole = names(&whole);
            let missed = whole.difference(&stream).filter(|name| !NOT_STREAMED.contains(&name.as_str()));
            for missed in missed {
                let row = format!("{missed} of {} to {}", from.name(), to.name());
                wrong.entry(row).or_default().push(&recording.id);
            }
        }
    }
    println!("{answers} answers");
    assert!(wrong.is_empty(), "{} fields: {wrong:#?}", wrong.len());
}

/// A reply with one part more than some words, whole and streamed into a dialect.
fn tell(part: Option<Part>, to: Dialect) -> [(String, Losses); 2] {
    let parts = [Some(Part::text("hi")), part].into_iter().flatten().collect();
    let stop = Some(Stop::new(StopReason::EndTurn));
    let candidates = vec![Candidate { parts, stop, ..Candidate::default() }];
    let reply = ChatReply { id: "a".into(), model: "m".into(), candidates, ..ChatReply::default() };
    let encoded = encode_reply(to, &reply, &telling());
    let mut encoder = StreamEncoder::new(to, telling());
    let mut out = Vec::new();
    play(&reply).iter().for_each(|event| encoder.write(event, &mut out));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    [(text(encoded.body), encoded.losses), (text(out), encoder.losses().clone())]
}

#[test]
fn every_kind_of_part_of_an_answer_arrives_or_is_listed() {
    let sources = |mime: &str| {
        let (mime, url) = (mime.to_owned(), "https://e.com/a".to_owned());
        [
            Source::Inline { mime: mime.clone(), data: "aGk=".into() },
            Source::Url { url: url.clone(), mime: None },
            Source::Text { text: "words".into() },
            Source::Stored { dialect: Dialect::AnthropicMessages, id: "f".into(), mime: None },
            Source::Stored { dialect: Dialect::GeminiGenerate, id: url, mime: Some(mime) },
        ]
    };
    let mut contents = Vec::new();
    for source in sources("image/png") {
        contents.push(Content::Image { source, detail: None });
    }
    contents.extend(sources("audio/wav").map(|source| Content::Audio { source }));
    contents.extend(sources("application/pdf").map(|source| Content::File { source, name: None }));
    for (dialect, at) in [
        (CHAT, "messages.content"),
        (CHAT, "messages.audio"),
        (RESPONSES, "input"),
        (RESPONSES, "input.content"),
        (ANTHROPIC, "messages.content"),
        (GEMINI, "contents.parts"),
    ] {
        let value = Json::parse(br#"{"type":"sample"}"#).unwrap();
        contents.push(Content::Foreign { dialect, at, value });
    }
    contents.push(Content::ToolResult {
        call_id: "c".into(),
        name: None,
        parts: vec![Part::text("found")],
        is_error: false,
        custom: false,
    });
    let mut parts: Vec<Part> = contents.into_iter().map(Part::new).collect();
    for dialect in Dialect::ALL {
        for kind in [OpaqueKind::Signature, OpaqueKind::Encrypted] {
            let opaque = vec![Opaque { dialect, kind, value: "token".into(), maker: None }];
            let call =
                Content::ToolCall { id: "c".into(), name: "n".into(), input: "{}".into(), custom: false };
            let call = Part::new(call);
            for part in
                [call, Part::text("x"), Part::reasoning("x", Vec::new()), Part::reasoning("", Vec::new())]
            {
                parts.push(Part { opaque: opaque.clone(), ..part });
            }
        }
    }
    let mut wrong = Vec::new();
    for to in Dialect::ALL {
        // Its own tokens stand where its own decoder finds them.
        let own = |part: &&Part| part.opaque.iter().any(|token| token.dialect == to);
        for part in parts.iter().filter(|part| !own(part)) {
            let bare = Some(Part { opaque: Vec::new(), ..part.clone() }).filter(|_| !part.opaque.is_empty());
            for (with, without) in tell(Some(part.clone()), to).into_iter().zip(tell(bare, to)) {
                if with == without {
                    wrong.push(format!("to {}: {part:?}", to.name()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The item's last event brings the token after its words are done.
#[test]
fn a_token_finds_its_thinking_that_is_done() {
    let thinking = json!({"type": "reasoning", "id": "i", "summary": [], "encrypted_content": "c2ln",
        "content": [{"type": "reasoning_text", "text": "hm"}]});
    let body = json!({"id": "a", "status": "completed", "model": "m", "output": [thinking]});
    let (told, _) = in_stream(RESPONSES, &streamed(RESPONSES, &body), ANTHROPIC);
    assert!(told.contains("hm") && told.contains("sluice:openai_responses:encrypted::c2ln"), "{told}");
}

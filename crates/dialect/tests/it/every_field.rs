//! No field disappears unlisted: every field of the published request schemas, one at a time, into every dialect.
//!
//! `fixtures/request_fields/<dialect>.tsv` has a row per field: the object it stands in, its name, a value that says
//! something. Its words and numbers must stand in what is sent, or a loss must name it, or it is refused, or it is on the
//! list of fields without meaning. What is told in other words (`"none"` as `"NONE"`, a budget as an effort) stands row by
//! row in `told_otherwise.txt`, where a person can judge it; `UPDATE_GOLDENS=1` writes it anew.
#![allow(clippy::print_stdout)] // How long the list of exceptions is.

use std::fmt::Write;

use dialect::{
    Dialect, meaningless,
    translate::{FromPath, Target, ThinkingForm, Untranslatable, decode_request, encode_request},
};
use serde_json::{Value, json};

use crate::fate::{Fate, Outcome, compare, fate};

const CHAT: Dialect = Dialect::OpenaiChat;
const RESPONSES: Dialect = Dialect::OpenaiResponses;
const ANTHROPIC: Dialect = Dialect::AnthropicMessages;
const GEMINI: Dialect = Dialect::GeminiGenerate;

/// An object of a dialect: a body that has it, where it stands there, and its path as losses tell it.
fn place(dialect: Dialect, name: &str) -> (Value, &'static str, &'static str) {
    let chat =
        |message: Value| json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, message]});
    let chat_part = |part: Value| json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
    let responses = |item: Value| {
        let call = json!({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"});
        json!({"model": "m", "input": [{"role": "user", "content": "hi"}, call, item]})
    };
    let responses_part = |part: Value| json!({"model": "m", "input": [{"role": "user", "content": [part]}]});
    let anthropic = |block: Value, role: &str| {
        let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "n", "input": {}}]});
        let asked = json!({"role": "user", "content": "hi"});
        json!({"model": "m", "max_tokens": 5000, "messages": [asked, call, {"role": role, "content": [block]}]})
    };
    let gemini = |part: Value, role: &str| {
        let call = json!({"role": "model", "parts": [{"functionCall": {"name": "n", "args": {}}}]});
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, call, {"role": role, "parts": [part]}]})
    };
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    match (dialect, name) {
        (CHAT, "top") => {
            (json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}), "", "")
        }
        (CHAT, "stream_options") => (
            json!({"model": "m", "stream": true, "stream_options": {}, "messages": [{"role": "user", "content": "hi"}]}),
            "/stream_options",
            "stream_options",
        ),
        (CHAT, "user" | "system" | "developer") => {
            (chat(json!({"role": name, "content": "hi"})), "/messages/1", "messages")
        }
        (CHAT, "assistant") => {
            (chat(json!({"role": "assistant", "content": "hi"})), "/messages/1", "messages")
        }
        (CHAT, "result") => {
            (chat(json!({"role": "tool", "tool_call_id": "c", "content": "hi"})), "/messages/1", "messages")
        }
        (CHAT, "call") => {
            let call = json!({"id": "c", "type": "function", "function": {"name": "n", "arguments": "{}"}});
            (
                chat(json!({"role": "assistant", "tool_calls": [call]})),
                "/messages/1/tool_calls/0",
                "messages.tool_calls",
            )
        }
        (CHAT, "text") => {
            (chat_part(json!({"type": "text", "text": "hi"})), "/messages/0/content/0", "messages.content")
        }
        (CHAT, "image") => {
            let image = json!({"type": "image_url", "image_url": {"url": "https://e.com/a.png"}});
            (chat_part(image), "/messages/0/content/0", "messages.content")
        }
        (CHAT, "audio") => {
            let audio = json!({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}});
            (chat_part(audio), "/messages/0/content/0", "messages.content")
        }
        (CHAT, "file") => {
            let file = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}});
            (chat_part(file), "/messages/0/content/0", "messages.content")
        }
        (CHAT, "function") => (
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]}),
            "/tools/0/function",
            "tools.function",
        ),

        (RESPONSES, "top" | "reasoning" | "text_option" | "stream_options" | "function") => {
            let tool =
                json!({"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": false});
            let body = json!({"model": "m", "input": "hi", "tools": [tool], "reasoning": {}, "text": {}, "stream_options": {}});
            match name {
                "reasoning" => (body, "/reasoning", "reasoning"),
                "text_option" => (body, "/text", "text"),
                "stream_options" => (body, "/stream_options", "stream_options"),
                "function" => (body, "/tools/0", "tools"),
                _ => (body, "", ""),
            }
        }
        (RESPONSES, "user") => (responses(json!({"role": "user", "content": "hi"})), "/input/2", "input"),
        (RESPONSES, "assistant") => {
            let part = json!({"type": "output_text", "text": "hi"});
            (
                responses(json!({"type": "message", "role": "assistant", "content": [part]})),
                "/input/2",
                "input",
            )
        }
        (RESPONSES, "call") => {
            let call = json!({"type": "function_call", "call_id": "d", "name": "n", "arguments": "{}"});
            (responses(call), "/input/2", "input")
        }
        (RESPONSES, "custom_call") => {
            let call = json!({"type": "custom_tool_call", "call_id": "d", "name": "n", "input": "x"});
            (responses(call), "/input/2", "input")
        }
        (RESPONSES, "result") => (
            responses(json!({"type": "function_call_output", "call_id": "c", "output": "hi"})),
            "/input/2",
            "input",
        ),
        (RESPONSES, "reasoning_item") => {
            (responses(json!({"type": "reasoning", "id": "r", "summary": []})), "/input/2", "input.reasoning")
        }
        (RESPONSES, "text") => (
            responses_part(json!({"type": "input_text", "text": "hi"})),
            "/input/0/content/0",
            "input.content",
        ),
        (RESPONSES, "image") => {
            let image = json!({"type": "input_image", "image_url": "https://e.com/a.png"});
            (responses_part(image), "/input/0/content/0", "input.content")
        }
        (RESPONSES, "file") => {
            let file = json!({"type": "input_file", "file_data": "data:application/pdf;base64,aGk="});
            (responses_part(file), "/input/0/content/0", "input.content")
        }

        (ANTHROPIC, "top" | "function" | "choice" | "thinking" | "config") => {
            let tool = json!({"name": "f", "input_schema": {"type": "object"}});
            let thinking = json!({"type": "enabled", "budget_tokens": 1500});
            let mut body = json!({"model": "m", "max_tokens": 9000, "tools": [tool], "output_config": {},
                "tool_choice": {"type": "auto"}, "messages": [{"role": "user", "content": "hi"}]});
            if name == "thinking" {
                body["thinking"] = thinking;
            }
            match name {
                "function" => (body, "/tools/0", "tools"),
                "choice" => (body, "/tool_choice", "tool_choice"),
                "thinking" => (body, "/thinking", "thinking"),
                "config" => (body, "/output_config", "output_config"),
                _ => (body, "", ""),
            }
        }
        (ANTHROPIC, "user") => {
            (anthropic(json!({"type": "text", "text": "hi"}), "user"), "/messages/2", "messages")
        }
        (ANTHROPIC, "text") => (
            anthropic(json!({"type": "text", "text": "hi"}), "user"),
            "/messages/2/content/0",
            "messages.content",
        ),
        (ANTHROPIC, "image") => {
            let source = json!({"type": "base64", "media_type": "image/png", "data": "aGk="});
            let image = json!({"type": "image", "source": source});
            (anthropic(image, "user"), "/messages/2/content/0", "messages.content")
        }
        (ANTHROPIC, "document") => {
            let source = json!({"type": "base64", "media_type": "application/pdf", "data": "aGk="});
            let document = json!({"type": "document", "source": source});
            (anthropic(document, "user"), "/messages/2/content/0", "messages.content")
        }
        (ANTHROPIC, "call") => {
            let call = json!({"type": "tool_use", "id": "d", "name": "n", "input": {}});
            (anthropic(call, "assistant"), "/messages/2/content/0", "messages.content")
        }
        (ANTHROPIC, "result") => {
            let result = json!({"type": "tool_result", "tool_use_id": "c"});
            (anthropic(result, "user"), "/messages/2/content/0", "messages.content")
        }

        (GEMINI, "top" | "config" | "function" | "tool" | "tool_config" | "calling" | "thinking") => {
            let function = json!({"name": "f", "parametersJsonSchema": {"type": "object"}});
            let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
                "generationConfig": {"thinkingConfig": {}}, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
                "tools": [{"functionDeclarations": [function]}]});
            match name {
                "config" => (body, "/generationConfig", "generationConfig"),
                "thinking" => (body, "/generationConfig/thinkingConfig", "generationConfig.thinkingConfig"),
                "function" => (body, "/tools/0/functionDeclarations/0", "tools.functionDeclarations"),
                "tool" => (body, "/tools/0", "tools"),
                "tool_config" => (body, "/toolConfig", "toolConfig"),
                "calling" => (body, "/toolConfig/functionCallingConfig", "toolConfig.functionCallingConfig"),
                _ => (body, "", ""),
            }
        }
        (GEMINI, "words") => {
            (gemini(json!({"text": "hi"}), "model"), "/contents/2/parts/0", "contents.parts")
        }
        (GEMINI, "content") => (gemini(json!({"text": "hi"}), "user"), "/contents/2", "contents"),
        (GEMINI, "part") => (gemini(json!({}), "model"), "/contents/2/parts/0", "contents.parts"),
        (GEMINI, "blob") => {
            let blob = json!({"inlineData": {"mimeType": "image/png", "data": "aGk="}});
            (gemini(blob, "user"), "/contents/2/parts/0/inlineData", "contents.parts.inlineData")
        }
        (GEMINI, "file") => {
            let file = json!({"fileData": {"mimeType": "image/png", "fileUri": "https://e.com/a.png"}});
            (gemini(file, "user"), "/contents/2/parts/0/fileData", "contents.parts.fileData")
        }
        (GEMINI, "call") => {
            let call = json!({"functionCall": {"name": "n", "args": {}}});
            (gemini(call, "model"), "/contents/2/parts/0/functionCall", "contents.parts.functionCall")
        }
        (GEMINI, "result") => {
            let result = json!({"functionResponse": {"name": "n", "response": {}}});
            (
                gemini(result, "user"),
                "/contents/2/parts/0/functionResponse",
                "contents.parts.functionResponse",
            )
        }
        other => panic!("no such place: {other:?}"),
    }
}

/// What becomes of a body in a dialect.
fn outcome(from: Dialect, body: &Value, to: Dialect) -> Result<Outcome, Untranslatable> {
    let path = FromPath { model: "m", stream: false };
    let request = decode_request(from, body.to_string().as_bytes(), path)?;
    let target =
        Target { model: "m", max_output: Some(20_000), thinking: ThinkingForm::Effort, ..Target::default() };
    let encoded = encode_request(to, &request, &target)?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.losses.rows().to_vec()))
}

#[test]
fn every_field_arrives_or_is_listed() {
    let fixtures = format!("{}/fixtures/request_fields", env!("CARGO_MANIFEST_DIR"));
    let (mut fields, mut wrong, mut told_otherwise) = (0, Vec::new(), String::new());
    for from in Dialect::ALL {
        let file = format!("{fixtures}/{}.tsv", from.name());
        for row in std::fs::read_to_string(file).unwrap().lines() {
            let [name, field, value] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
            let value = serde_json::from_str::<Value>(value).unwrap();
            let (mut with, pointer, path) = place(from, name);
            fields += 1;
            let mut without = with.clone();
            without.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field);
            with.pointer_mut(pointer).unwrap()[field] = value.clone();
            if field == "top_logprobs" {
                with["logprobs"] = true.into();
            }
            let path = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
            if meaningless::reason(from, &path).is_some() {
                continue;
            }
            for to in Dialect::ALL {
                let with = match outcome(from, &with, to) {
                    Ok(with) => with,
                    Err(Untranslatable::Malformed { field, expected }) => {
                        wrong.push(format!("{} {name}: {field} is no {expected}", from.name()));
                        continue;
                    }
                    Err(_) => continue, // Refused.
                };
                // Where the field must be there, nothing is.
                let without = outcome(from, &without, to).unwrap_or_default();
                match fate(&value, &path, with, without) {
                    Fate::Vanished => wrong.push(format!("{} {name}.{field} to {}", from.name(), to.name())),
                    Fate::ToldOtherwise(told) => {
                        let what = format!("{} {name}.{field} {value}", from.name());
                        writeln!(told_otherwise, "{what} to {}:{told}", to.name()).unwrap();
                    }
                    Fate::Arrived | Fate::Listed => {}
                }
            }
        }
    }
    println!(
        "{fields} fields; {} without meaning elsewhere; {} told in other words",
        meaningless::MEANINGLESS.len(),
        told_otherwise.lines().count()
    );
    assert!(wrong.is_empty(), "{} vanished or malformed:\n{}", wrong.len(), wrong.join("\n"));
    compare("request_fields", &told_otherwise);
}

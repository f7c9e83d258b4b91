//! A whole answer's body as the stream its provider would have told it in: what is told once there stands once here, and
//! what only the last event of an item or an answer repeats is told by that one alone.

use dialect::Dialect;
use serde_json::{Map, Value, json};

pub(crate) fn streamed(dialect: Dialect, body: &Value) -> Vec<u8> {
    let events = match dialect {
        Dialect::OpenaiChat => chat(body),
        Dialect::OpenaiResponses => responses(body),
        Dialect::AnthropicMessages => anthropic(body),
        Dialect::GeminiGenerate => gemini(body),
    };
    let mut out: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    if dialect == Dialect::OpenaiChat {
        out.push_str("data: [DONE]\n\n");
    }
    out.into_bytes()
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The members of `value` without some of them.
fn without(value: &Value, names: &[&str]) -> Value {
    members(value)
        .into_iter()
        .filter(|(name, _)| !names.contains(&name.as_str()))
        .collect::<Map<_, _>>()
        .into()
}

fn chat(body: &Value) -> Vec<Value> {
    let chunk = |choices: Value| {
        let mut chunk = without(body, &["usage", "choices"]);
        chunk["object"] = "chat.completion.chunk".into();
        chunk["choices"] = choices;
        chunk
    };
    let mut events = Vec::new();
    for choice in list(&body["choices"]) {
        let mut first = without(&choice, &["message", "finish_reason"]);
        let mut delta = choice["message"].clone();
        for (at, call) in delta["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
            call["index"] = at.into();
        }
        first["delta"] = delta;
        events.push(chunk(json!([first])));
        let last = json!({"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]});
        events.push(chunk(json!([last])));
    }
    let mut counted = chunk(json!([]));
    counted["usage"] = body["usage"].clone();
    events.push(counted);
    events
}

fn responses(body: &Value) -> Vec<Value> {
    let mut begun = body.clone();
    begun["output"] = json!([]);
    begun["status"] = "in_progress".into();
    let mut events = vec![json!({"type": "response.created", "response": begun})];
    for (at, item) in list(&body["output"]).into_iter().enumerate() {
        let mut added = without(&item, &["encrypted_content", "result"]);
        for (name, empty) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
        {
            if !item[name].is_null() {
                added[name] = empty;
            }
        }
        let event = |kind: &str, more: Value| {
            let mut event = json!({"type": kind, "output_index": at, "item_id": item["id"]});
            members(&more).into_iter().for_each(|(name, value)| event[name] = value);
            event
        };
        events.push(event("response.output_item.added", json!({"item": added})));
        for (place, part) in list(&item["content"]).into_iter().enumerate() {
            let text = part["text"].as_str().or(part["refusal"].as_str()).unwrap_or_default();
            let kind = match part["type"].as_str() {
                Some("refusal") => "response.refusal.delta",
                Some("reasoning_text") => "response.reasoning_text.delta",
                _ => "response.output_text.delta",
            };
            let mut empty = json!({"type": part["type"], "annotations": []});
            empty[if kind.contains("refusal") { "refusal" } else { "text" }] = "".into();
            let index = json!(place);
            events.push(event("response.content_part.added", json!({"content_index": index, "part": empty})));
            events.push(event(kind, json!({"content_index": index, "delta": text})));
            events.push(event("response.content_part.done", json!({"content_index": index, "part": part})));
        }
        events.push(event("response.output_item.done", json!({"item": item})));
    }
    let kind = if body["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
    events.push(json!({"type": kind, "response": body}));
    events
}

fn anthropic(body: &Value) -> Vec<Value> {
    const LAST: [&str; 4] = ["stop_reason", "stop_sequence", "stop_details", "container"];
    let mut message = without(body, &LAST);
    message.as_object_mut().unwrap().remove("context_management");
    message["content"] = json!([]);
    let mut events = vec![json!({"type": "message_start", "message": message})];
    for (at, block) in list(&body["content"]).into_iter().enumerate() {
        let mut begun = without(&block, &["citations"]);
        let mut deltas = Vec::new();
        let whole = !matches!(
            block["type"].as_str(),
            Some("text" | "thinking" | "tool_use" | "server_tool_use" | "mcp_tool_use")
        );
        for citation in list(&block["citations"]) {
            deltas.push(json!({"type": "citations_delta", "citation": citation}));
        }
        for (name, kind) in
            [("text", "text_delta"), ("thinking", "thinking_delta"), ("signature", "signature_delta")]
        {
            if block[name].is_string() && !whole {
                begun[name] = "".into();
                deltas.push(json!({"type": kind, name: block[name]}));
            }
        }
        if block["input"].is_object() && !whole {
            begun["input"] = json!({});
            deltas.push(json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}));
        }
        events.push(json!({"type": "content_block_start", "index": at, "content_block": begun}));
        let delta = |delta| json!({"type": "content_block_delta", "index": at, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": at}));
    }
    let delta: Map<String, Value> =
        members(body).into_iter().filter(|(name, _)| LAST.contains(&name.as_str())).collect();
    let mut last = json!({"type": "message_delta", "delta": delta, "usage": body["usage"]});
    if let Some(management) = body.get("context_management") {
        last["context_management"] = management.clone();
    }
    events.push(last);
    events.push(json!({"type": "message_stop"}));
    events
}

fn gemini(body: &Value) -> Vec<Value> {
    let slice = |of: fn(&Value) -> Value| list(&body["candidates"]).iter().map(of).collect::<Vec<_>>();
    let said = slice(|candidate| json!({"index": candidate["index"], "content": candidate["content"]}));
    let last = slice(|candidate| without(candidate, &["content"]));
    let mut first = json!({"responseId": body["responseId"], "modelVersion": body["modelVersion"]});
    first["candidates"] = said.into();
    let mut end = body.clone();
    end["candidates"] = last.into();
    vec![first, end]
}

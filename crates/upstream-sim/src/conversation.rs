//! What a conversation says of tools: which are offered, and what the last one that was called said.
//!
//! In: a request body of any of the four dialects; out: names and texts. It reads the whole body, so it must only be
//! asked where a script wants to know.

use serde_json::Value;

/// Whether the caller offers a tool of that name.
pub(crate) fn offers(body: &[u8], name: &str) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let tools = body.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    tools.iter().flat_map(declared).any(|tool| tool.get("name").and_then(Value::as_str) == Some(name))
}

/// The tools that one entry of `tools` declares: Gemini's holds several, chat wraps each.
fn declared(tool: &Value) -> Vec<&Value> {
    let several = ["functionDeclarations", "function_declarations"].iter().find_map(|key| tool.get(key));
    match several.and_then(Value::as_array) {
        Some(several) => several.iter().collect(),
        None => vec![tool.get("function").unwrap_or(tool)],
    }
}

/// The words of the last tool's result, if there is one.
pub(crate) fn find_result(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let turns = ["messages", "input", "contents"].iter().find_map(|key| body.get(key)?.as_array())?;
    let result = turns.iter().rev().find_map(|turn| {
        // Chat: a message; Responses: an item; the others: a part of a turn.
        let kind = turn.get("type").and_then(Value::as_str).unwrap_or("");
        if turn.get("role").and_then(Value::as_str) == Some("tool") {
            return turn.get("content");
        }
        if kind.ends_with("_call_output") {
            return turn.get("output");
        }
        let parts = turn.get("content").or_else(|| turn.get("parts"))?.as_array()?;
        parts.iter().rev().find_map(|part| match part.get("functionResponse") {
            Some(response) => response.get("response"),
            None if part.get("type")? == "tool_result" => part.get("content"),
            None => None,
        })
    })?;
    let mut words = String::new();
    gather(result, &mut words);
    Some(words)
}

/// Whether a Responses body that wants nothing stored holds thinking that has an id and no more.
pub(crate) fn names_unkept_thinking(body: &[u8]) -> bool {
    if memchr::memmem::find(body, b"\"reasoning\"").is_none() {
        return false;
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let items = body.get("input").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    body.get("store") == Some(&Value::Bool(false))
        && items.iter().any(|item| {
            item.get("type").and_then(Value::as_str) == Some("reasoning")
                && item.get("encrypted_content").is_none_or(Value::is_null)
        })
}

/// All texts in a value, one after the other.
fn gather(value: &Value, words: &mut String) {
    match value {
        Value::String(text) => {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, words)),
        Value::Object(members) => {
            // The name of a part's kind is not what the tool said.
            let said = members.iter().filter(|(key, _)| *key != "type");
            said.for_each(|(_, item)| gather(item, words));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

//! Ids of calls: those that a provider left out are told apart, those that another would refuse are fitted.

use std::collections::HashSet;

use dialect::{
    Accounting, Dialect, Framing,
    chat::{ChatReply, Content},
    translate::{FromPath, Target, Telling, decode_reply, decode_request, encode_reply, encode_request},
};
use serde_json::{Value, json};

use crate::{
    gather::{decode, encode, gather},
    streamed::streamed,
};

fn ids(reply: &ChatReply) -> Vec<String> {
    let parts = reply.candidates.iter().flat_map(|candidate| &candidate.parts);
    let id = |content: &Content| match content {
        Content::ToolCall { id, .. } => Some(id.clone()),
        _ => None,
    };
    parts.filter_map(|part| id(&part.content)).collect()
}

/// Two calls of one tool, without ids, in an answer without one or with one.
fn answers(from: Dialect, words: &str) -> Value {
    match from {
        Dialect::OpenaiChat => {
            let call = json!({"type": "function", "function": {"name": "f", "arguments": "{}"}});
            let message = json!({"role": "assistant", "content": words, "tool_calls": [call, call]});
            json!({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
        }
        _ => {
            let call = json!({"functionCall": {"name": "f", "args": {}}});
            let parts = json!([{"text": words}, call, call]);
            json!({"candidates": [{"index": 0, "content": {"parts": parts}, "finishReason": "STOP"}]})
        }
    }
}

#[test]
fn calls_without_ids_are_told_apart_within_an_answer_and_between_answers() {
    for from in [Dialect::OpenaiChat, Dialect::GeminiGenerate] {
        let (mut told, mut unlike) = (0, HashSet::new());
        for words in ["one", "two"] {
            let body = answers(from, words);
            let whole = decode_reply(from, body.to_string().as_bytes(), Accounting::Standard).unwrap();
            let stream = streamed(from, &body);
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            let events = decode(from, Framing::Sse, Accounting::Standard, &[&stream]);
            assert_eq!(events, decode(from, Framing::Sse, Accounting::Standard, &bytes), "{from:?}");
            for ids in [ids(&whole), ids(&gather(&events))] {
                assert_eq!(ids.len(), 2, "{from:?}");
                told += ids.len();
                unlike.extend(ids);
            }
        }
        assert_eq!(unlike.len(), told, "{from:?}: {unlike:?}");
    }
}

/// The first functions of OpenAI's had no ids: each result belongs to the call before it.
#[test]
fn functions_called_twice_have_two_ids() {
    let call =
        json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}});
    let result = |text: &str| json!({"role": "function", "name": "f", "content": text});
    let messages = json!([{"role": "user", "content": "hi"}, call, result("a"), call, result("b")]);
    let body = json!({"model": "m", "messages": messages}).to_string();
    let request = decode_request(Dialect::OpenaiChat, body.as_bytes(), FromPath::default()).unwrap();
    let sent = encode_request(Dialect::AnthropicMessages, &request, &Target::default()).unwrap().body;
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    let id = |at: usize, key: &str| sent["messages"][at]["content"][0][key].as_str().unwrap().to_owned();
    assert_eq!(id(1, "id"), id(2, "tool_use_id"), "{sent}");
    assert_eq!(id(3, "id"), id(4, "tool_use_id"), "{sent}");
    assert_ne!(id(1, "id"), id(3, "id"), "{sent}");
}

/// Kimi's ids have letters that Anthropic refuses, and other gateways' are longer than OpenAI takes.
#[test]
fn ids_are_fitted_to_whom_they_go() {
    let long = "x".repeat(70);
    let messages = |id: &str| {
        let call = json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let result = json!({"role": "tool", "tool_call_id": id, "content": "a"});
        json!([{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [call]}, result])
    };
    for (id, to, kept) in [
        ("functions.f:0", Dialect::AnthropicMessages, false),
        ("functions.f:0", Dialect::OpenaiResponses, true),
        ("functions.f:0", Dialect::GeminiGenerate, true),
        ("toolu_01-a", Dialect::AnthropicMessages, true),
        (&long, Dialect::OpenaiResponses, false),
        (&long, Dialect::OpenaiChat, false),
        (&long, Dialect::AnthropicMessages, true),
    ] {
        let body = json!({"model": "m", "messages": messages(id)}).to_string();
        let request = decode_request(Dialect::OpenaiChat, body.as_bytes(), FromPath::default()).unwrap();
        let encoded = encode_request(to, &request, &Target::default()).unwrap();
        assert!(encoded.losses.is_empty(), "{:?}", encoded.losses);
        let sent = String::from_utf8(encoded.body).unwrap();
        assert_eq!(sent.contains(id), kept, "{id} to {}: {sent}", to.name());
        let again = decode_request(to, sent.as_bytes(), FromPath::default()).unwrap();
        let parts = again.turns.iter().flat_map(|turn| &turn.parts);
        let told: HashSet<&str> = parts
            .filter_map(|part| match &part.content {
                Content::ToolCall { id, .. } | Content::ToolResult { call_id: id, .. } => Some(id.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(told.len(), 1, "a call and its result: {sent}");
    }
}

/// Clients that offer `functions` read one `function_call`, and its reason to stop.
#[test]
fn old_functions_are_called_as_they_were_offered() {
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "functions": [{"name": "f"}]});
    let request =
        decode_request(Dialect::OpenaiChat, body.to_string().as_bytes(), FromPath::default()).unwrap();
    assert!(request.old_functions);
    let telling = Telling { old_functions: request.old_functions, ..Telling::default() };
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {"a": id}});
    let answer = json!({"id": "a", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
        "content": [call("one"), call("two")], "usage": {"input_tokens": 1, "output_tokens": 1}});
    let from = Dialect::AnthropicMessages;
    let reply = decode_reply(from, answer.to_string().as_bytes(), Accounting::Standard).unwrap();
    let whole = encode_reply(Dialect::OpenaiChat, &reply, &telling);
    assert_eq!(whole.losses.rows().len(), 1, "the second call: {:?}", whole.losses);
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    let choice = &whole["choices"][0];
    let called = json!({"name": "f", "arguments": "{\"a\":\"one\"}"});
    assert_eq!(choice["message"]["function_call"], called, "{choice}");
    assert_eq!(
        (choice["message"].get("tool_calls"), &choice["finish_reason"]),
        (None, &json!("function_call"))
    );

    let events = decode(from, Framing::Sse, Accounting::Standard, &[&streamed(from, &answer)]);
    let stream = encode(Dialect::OpenaiChat, &events, &telling);
    let text = String::from_utf8(stream.clone()).unwrap();
    assert!(!text.contains("tool_calls") && text.contains("\"finish_reason\":\"function_call\""), "{text}");
    let again = gather(&decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[&stream]));
    let told: Vec<_> = again.candidates[0].parts.iter().map(|part| &part.content).collect();
    assert!(
        matches!(told[..], [Content::ToolCall { name, input, .. }] if name == "f" && input == "{\"a\":\"one\"}"),
        "{told:?}"
    );
}

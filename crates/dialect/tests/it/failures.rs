//! A provider that breaks down and says so where a reason to stop would stand: that is no end of an answer.

use dialect::{
    Accounting, Dialect, Framing,
    chat::ChatReply,
    event::ChatEvent,
    translate::{Telling, decode_reply, encode_reply},
};
use serde_json::{Value, json};

use crate::{
    gather::{decode, encode},
    play::play,
};

fn stream(dialect: Dialect, events: &[Value]) -> Vec<ChatEvent> {
    let mut text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    if dialect == Dialect::OpenaiChat {
        text.push_str("data: [DONE]\n\n");
    }
    decode(dialect, Framing::Sse, Accounting::Standard, &[text.as_bytes()])
}

fn whole(dialect: Dialect, body: &Value) -> Option<ChatReply> {
    decode_reply(dialect, body.to_string().as_bytes(), Accounting::Standard).ok()
}

#[test]
fn a_word_for_failure_is_no_reason_to_stop() {
    for word in ["error", "network_error"] {
        let chunk = |delta: Value, reason: Value| json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
        let half = chunk(json!({"content": "half"}), Value::Null);
        let events = stream(Dialect::OpenaiChat, &[half.clone(), chunk(json!({}), word.into())]);
        assert!(matches!(events.last(), Some(ChatEvent::Failed(_))), "{word}: {events:?}");
        let mut told = chunk(json!({}), word.into());
        told["choices"][0]["error"] = json!({"code": 502, "message": "upstream is down"});
        let events = stream(Dialect::OpenaiChat, &[half, told]);
        let Some(ChatEvent::Failed(error)) = events.last() else { panic!("{word}: {events:?}") };
        assert_eq!(error.message, "upstream is down");
        let message = json!({"role": "assistant", "content": "half"});
        let reply = json!({"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": word}]});
        assert_eq!(whole(Dialect::OpenaiChat, &reply), None, "{word}");
    }
}

#[test]
fn a_response_that_failed_is_no_answer() {
    for status in ["failed", "cancelled"] {
        let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "half"}]});
        let error = json!({"code": "server_error", "message": "it broke"});
        let response =
            json!({"id": "r", "model": "m", "status": status, "error": error, "output": [message]});
        assert_eq!(whole(Dialect::OpenaiResponses, &response), None, "{status}");
        let events =
            stream(Dialect::OpenaiResponses, &[json!({"type": "response.completed", "response": response})]);
        let Some(ChatEvent::Failed(error)) = events.last() else { panic!("{status}: {events:?}") };
        assert_eq!(error.message, "it broke");
    }
}

/// A long search stops half-way: there is more to come, if anybody asks.
#[test]
fn a_turn_that_is_only_paused_is_not_completed() {
    let body = json!({"id": "m", "model": "m", "content": [{"type": "text", "text": "Searching."}], "stop_reason": "pause_turn"});
    let reply = whole(Dialect::AnthropicMessages, &body).unwrap();
    let told = encode_reply(Dialect::OpenaiResponses, &reply, &Telling::default());
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(body["status"], "incomplete");
    assert_eq!(told.losses.rows()[0].field, "stop_reason");
    let told = encode(Dialect::OpenaiResponses, &play(&reply), &Telling::default());
    assert!(String::from_utf8(told).unwrap().contains("event: response.incomplete\n"));
}

/// The model's own mistake is told in the one dialect that has a word for it.
#[test]
fn a_call_that_the_provider_could_not_read_is_a_failed_response() {
    let body = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}], "usageMetadata": {"promptTokenCount": 3}});
    let reply = whole(Dialect::GeminiGenerate, &body).unwrap();
    let told = encode_reply(Dialect::OpenaiResponses, &reply, &Telling::default()).body;
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&told["status"], &told["error"]["code"]), (&json!("failed"), &json!("server_error")));
    let told = encode(Dialect::OpenaiResponses, &play(&reply), &Telling::default());
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("event: response.failed\n") && !told.contains("response.completed"), "{told}");
}

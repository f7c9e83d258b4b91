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

/// Nothing was said, and it is not done: who refuses without words is not told as an answer that is complete.
#[test]
fn a_refusal_without_words_is_not_completed() {
    for (content, status) in
        [(json!([]), "incomplete"), (json!([{"type": "text", "text": "Half of"}]), "incomplete")]
    {
        let body = json!({"id": "m", "model": "m", "content": content, "stop_reason": "refusal"});
        let reply = whole(Dialect::AnthropicMessages, &body).unwrap();
        let told: Value =
            serde_json::from_slice(&encode_reply(Dialect::OpenaiResponses, &reply, &Telling::default()).body)
                .unwrap();
        assert_eq!(
            (&told["status"], &told["incomplete_details"]["reason"]),
            (&json!(status), &json!("content_filter"))
        );
        let told = encode(Dialect::OpenaiResponses, &play(&reply), &Telling::default());
        let told = String::from_utf8(told).unwrap();
        assert!(
            told.contains("event: response.incomplete\n") && !told.contains("response.completed"),
            "{told}"
        );
    }
    let said = json!({"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": null, "refusal": "I will not."}}]});
    let reply = whole(Dialect::OpenaiChat, &said).unwrap();
    let told = encode_reply(Dialect::OpenaiResponses, &reply, &Telling::default()).body;
    assert_eq!(serde_json::from_slice::<Value>(&told).unwrap()["status"], "completed");
}

/// Drafts of a picture are thoughts: no other client could tell them from the answer.
#[test]
fn a_draft_of_a_picture_is_not_the_answer() {
    let picture = |data: &str| json!({"mimeType": "image/png", "data": data});
    let parts =
        json!([{"inlineData": picture("ZHJhZnQ="), "thought": true}, {"inlineData": picture("aGk=")}]);
    let body =
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]});
    let reply = whole(Dialect::GeminiGenerate, &body).unwrap();
    for client in [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::AnthropicMessages] {
        let told = encode_reply(client, &reply, &Telling::default());
        let body = String::from_utf8(told.body).unwrap();
        assert!(body.contains("aGk=") && !body.contains("ZHJhZnQ="), "{body}");
        assert!(!told.losses.is_empty());
    }
    let own = encode_reply(Dialect::GeminiGenerate, &reply, &Telling::default()).body;
    let own: Value = serde_json::from_slice(&own).unwrap();
    assert_eq!(own["candidates"][0]["content"]["parts"], parts);
}

/// A stream that broke off while no reason had been told has not ended.
#[test]
fn a_reason_that_is_none_yet_is_no_end() {
    for reason in [json!("FINISH_REASON_UNSPECIFIED"), json!(0)] {
        let content = json!({"role": "model", "parts": [{"text": "Half"}]});
        let chunk = json!({"candidates": [{"content": content, "finishReason": reason}]});
        let events = crate::gather::decode(
            Dialect::GeminiGenerate,
            dialect::Framing::Sse,
            Accounting::Standard,
            &[format!("data: {chunk}\n\n").as_bytes()],
        );
        assert!(
            !events.iter().any(|event| matches!(event, ChatEvent::Stopped { .. } | ChatEvent::Ended)),
            "{events:?}"
        );
    }
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

//! What a reply has written, for when its usage is not told; and the limit that a request is given.

use bytes::Bytes;
use dialect::{
    Dialect, Door, Edits, Framing, Operation, OutputLimit, PlainTap, peek, read_delivered, splice,
};
use serde_json::{Value, json};

use crate::watch::{options, watch};

const DOORS: [Door; 4] = [
    Door::new(Dialect::OpenaiChat, Operation::Chat),
    Door::new(Dialect::OpenaiResponses, Operation::Chat),
    Door::new(Dialect::AnthropicMessages, Operation::Chat),
    Door::new(Dialect::GeminiGenerate, Operation::Chat),
];

/// Bytes of output and of reasoning in a stream of these events.
fn written(door: Door, events: &[Value]) -> (u64, u64) {
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let watched = watch(options(door), Framing::Sse, &[stream.as_bytes()]);
    (watched.tap.delivered().output(), watched.tap.delivered().reasoning())
}

fn chat(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

#[test]
fn text_tool_calls_and_reasoning_are_counted_and_nothing_else() {
    let [openai, responses, anthropic, gemini] = DOORS;
    let call = json!({"index": 0, "id": "call", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let events = [
        chat(json!({"role": "assistant", "content": ""})),
        chat(json!({"content": "12345"})),
        chat(json!({"content": "12345"})),
        chat(json!({"content": null, "reasoning_content": "1234567"})),
        chat(json!({"reasoning": "123", "reasoning_details": [{"type": "reasoning.text", "text": "123"}]})),
        chat(json!({"tool_calls": [call]})),
        json!({"error": {"message": "an error is no answer", "content": "nor is this"}}),
    ];
    // `{\"a\":1}` as it stands in JSON.
    assert_eq!(written(openai, &events), (19, 10));
    let events = [
        json!({"type": "response.output_text.delta", "delta": "12345"}),
        json!({"type": "response.reasoning_summary_text.delta", "delta": "123"}),
        json!({"type": "response.function_call_arguments.delta", "delta": "{}"}),
        json!({"type": "response.audio.delta", "delta": "AAAA"}),
        json!({"type": "response.output_text.done", "text": "12345"}),
    ];
    assert_eq!(written(responses, &events), (7, 3));
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let events = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}),
        delta(json!({"type": "thinking_delta", "thinking": "123"})),
        delta(json!({"type": "signature_delta", "signature": "AAAA"})),
        delta(json!({"type": "text_delta", "text": "12345"})),
        delta(json!({"type": "input_json_delta", "partial_json": "{}"})),
    ];
    assert_eq!(written(anthropic, &events), (7, 3));
    let parts = |parts: Value| json!({"candidates": [{"content": {"parts": parts}}]});
    let events = [
        parts(json!([{"text": "123", "thought": true}, {"text": "12345"}])),
        parts(json!([{"functionCall": {"a": 1}}, {"inlineData": {"data": "AAAA"}}])),
    ];
    assert_eq!(written(gemini, &events), (12, 3));
}

#[test]
fn a_frame_too_long_to_be_held_is_counted_too() {
    let text = "x".repeat(200_000);
    assert_eq!(written(DOORS[0], &[chat(json!({"content": text}))]), (200_000, 0));
    let event = json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}});
    assert_eq!(written(DOORS[2], &[event]), (200_000, 0));
}

#[test]
fn usage_from_the_beginning_of_a_message_is_not_final() {
    let start =
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}});
    let end =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}});
    let stream = |events: &[Value]| {
        let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        watch(options(DOORS[2]), Framing::Sse, &[text.as_bytes()]).tap.usage_is_final()
    };
    assert!(!stream(std::slice::from_ref(&start)));
    assert!(stream(&[start, end]));
}

#[test]
fn a_document_says_what_its_stream_would() {
    for (door, document) in [
        (DOORS[0], json!({"choices": [{"message": {"role": "assistant", "content": "12345\n"}}]})),
        (
            DOORS[1],
            json!({"output": [{"type": "message", "content": [{"type": "output_text", "text": "12345\n"}]}]}),
        ),
        (DOORS[2], json!({"type": "message", "content": [{"type": "text", "text": "12345\n"}]})),
        (DOORS[3], json!({"candidates": [{"content": {"parts": [{"text": "12345\n"}]}}]})),
    ] {
        let document = document.to_string();
        let whole = read_delivered(door, document.as_bytes());
        assert_eq!(
            (whole.output(), whole.reasoning(), whole.sample().0),
            (7, 0, "12345\n".to_owned()),
            "{door:?}"
        );
        let mut tap = PlainTap::new(options(door));
        document.as_bytes().chunks(1).for_each(|byte| tap.feed(byte));
        assert_eq!(*tap.delivered(), whole, "{door:?}");
        tap.finish();
        assert_eq!(*tap.delivered(), whole, "{door:?}");
    }
}

/// The body with its output limited to ten tokens.
fn limited(door: Door, body: &str) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let envelope = peek(door, &bytes).unwrap();
    let limit = OutputLimit { dialect: door.dialect, operation: door.operation, tokens: 10, new_name: true };
    let edits = Edits { output_limit: Some(limit), ..Edits::default() };
    let edited = String::from_utf8(splice(&bytes, &envelope, &edits).parts.concat()).unwrap();
    let read: Value = serde_json::from_str(&edited).unwrap_or_else(|error| panic!("{edited}: {error}"));
    assert!(read.is_object());
    edited
}

#[test]
fn a_limit_is_lowered_or_set_and_never_raised() {
    let [openai, responses, anthropic, gemini] = DOORS;
    for (door, body, expected) in [
        (openai, r#"{"model":"a"}"#, r#"{"model":"a","max_completion_tokens":10}"#),
        (openai, r#"{"model":"a","max_tokens":11 } "#, r#"{"model":"a","max_tokens":10 } "#),
        (openai, r#"{"model":"a","max_tokens":9}"#, r#"{"model":"a","max_tokens":9}"#),
        (openai, r#"{"model":"a","max_tokens":null}"#, r#"{"model":"a","max_tokens":10}"#),
        (
            openai,
            r#"{"max_tokens":99,"model":"a","max_completion_tokens":12}"#,
            r#"{"max_tokens":10,"model":"a","max_completion_tokens":10}"#,
        ),
        (openai, r#"{"model":"a","max_tokens":"x"}"#, r#"{"model":"a","max_tokens":10}"#),
        (responses, r#"{"model":"a","max_output_tokens":1e3}"#, r#"{"model":"a","max_output_tokens":10}"#),
        (
            responses,
            r#"{"model":"a","max_tokens":3}"#,
            r#"{"model":"a","max_tokens":3,"max_output_tokens":10}"#,
        ),
        (anthropic, r#"{"model":"a","max_tokens":0}"#, r#"{"model":"a","max_tokens":10}"#),
        (gemini, "{}", r#"{"generationConfig":{"maxOutputTokens":10}}"#),
        (
            gemini,
            r#"{"generationConfig":{"temperature":0},"contents":[]}"#,
            r#"{"generationConfig":{"temperature":0,"maxOutputTokens":10},"contents":[]}"#,
        ),
        (gemini, r#"{"generationConfig":{ }}"#, r#"{"generationConfig":{ "maxOutputTokens":10}}"#),
        (
            gemini,
            r#"{"generationConfig":{"maxOutputTokens":99}}"#,
            r#"{"generationConfig":{"maxOutputTokens":10}}"#,
        ),
        (gemini, r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":10}}"#),
    ] {
        assert_eq!(limited(door, body), expected, "{body}");
        assert_eq!(limited(door, expected), expected, "once is enough");
    }
}

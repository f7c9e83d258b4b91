//! What fuzzing found, one test each.

use dialect::{
    Accounting, Dialect, Framing,
    event::ChatEvent,
    translate::{Telling, decode_reply, encode_reply},
};

use crate::{gather::decode, grammar::check};

/// The events of an SSE stream with these data.
fn events(dialect: Dialect, data: &[&str]) -> Vec<ChatEvent> {
    let stream: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
    decode(dialect, Framing::Sse, Accounting::Standard, &[stream.as_bytes()])
}

/// Text inside of a tool's call was told as the call's text, which no encoder can write.
#[test]
fn a_delta_of_another_kind_than_its_part_is_the_providers_fault() {
    let start = r#"{"type":"message_start","message":{"id":"a","model":"m"}}"#;
    let block =
        |block: &str| format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#);
    let delta = |delta: &str| format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#);
    let tool = block(r#"{"type":"tool_use","id":"t","name":"n","input":{}}"#);
    let text = block(r#"{"type":"text","text":""}"#);
    let thinking = block(r#"{"type":"thinking","thinking":""}"#);
    let said = delta(r#"{"type":"text_delta","text":"Fair"}"#);
    let input = delta(r#"{"type":"input_json_delta","partial_json":"{}"}"#);
    let cited = delta(
        r#"{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.com"}}"#,
    );
    let worded = block(r#"{"type":"tool_use","id":"t","name":"n","input":"words"}"#);
    for (block, delta) in
        [(&tool, &said), (&text, &input), (&thinking, &input), (&thinking, &cited), (&worded, &said)]
    {
        let events = events(Dialect::AnthropicMessages, &[start, block, delta]);
        assert_eq!(check(&events, true), Ok(()), "{block} {delta}");
        assert!(matches!(events.last(), Some(ChatEvent::Failed(_))), "{events:?}");
    }
}

/// A reply without an answer and without usage became one that Gemini's own decoder refuses.
#[test]
fn a_reply_that_says_nothing_at_all_is_no_reply() {
    assert!(decode_reply(Dialect::OpenaiChat, br#"{"choices":[]}"#, Accounting::Standard).is_err());
    // A provider that counted was at work.
    let counted = br#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0,"total_tokens":3}}"#;
    let reply = decode_reply(Dialect::OpenaiChat, counted, Accounting::Standard).unwrap();
    for to in Dialect::ALL {
        let told = encode_reply(to, &reply, &Telling::default()).body;
        assert!(decode_reply(to, &told, Accounting::Standard).is_ok(), "{}", String::from_utf8_lossy(&told));
    }
}

/// A part that Gemini may not send ended the stream, and the usage of the same chunk came after it.
#[test]
fn nothing_follows_a_failure_in_its_own_frame() {
    let chunk = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{}}},{"text":"a"}]},"finishReason":"STOP"}],
        "usageMetadata":{"promptTokenCount":8,"totalTokenCount":8}}"#
        .replace('\n', "");
    let started = r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]}}]}"#;
    let events = events(Dialect::GeminiGenerate, &[started, &chunk]);
    assert_eq!(check(&events, true), Ok(()));
    assert!(matches!(events.last(), Some(ChatEvent::Failed(_))), "{events:?}");
}

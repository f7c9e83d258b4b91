//! Healthy answers have the shapes of their dialects, and streams say what plain answers say.

use crate::wire::*;
use serde_json::{Value, json};
use upstream_sim::{Outcome, Sim, Usage};

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

/// Where each dialect keeps text, input and output tokens.
const PLACES: [(&str, &str, &str); 4] = [
    ("/choices/0/message/content", "/usage/prompt_tokens", "/usage/completion_tokens"),
    ("/output/0/content/0/text", "/usage/input_tokens", "/usage/output_tokens"),
    ("/content/0/text", "/usage/input_tokens", "/usage/output_tokens"),
    (
        "/candidates/0/content/parts/0/text",
        "/usageMetadata/promptTokenCount",
        "/usageMetadata/candidatesTokenCount",
    ),
];

/// The text of a stream's content events.
fn streamed_text(path: &str, events: &[Event]) -> String {
    let pointer = match path {
        CHAT => "/choices/0/delta/content",
        RESPONSES => "/delta",
        MESSAGES => "/delta/text",
        _ => "/candidates/0/content/parts/0/text",
    };
    let text = |event: &Event| match event.data.as_str() {
        "[DONE]" => None,
        _ => event.json().pointer(pointer).and_then(Value::as_str).map(str::to_owned),
    };
    events.iter().filter_map(text).collect()
}

#[tokio::test]
async fn plain_answers_say_text_and_usage_where_their_dialect_puts_them() {
    for ((path, body), (text, input, output)) in PLAINS.into_iter().zip(PLACES) {
        let sim = Sim::start().await;
        let answer = ask(&sim, "", path, body).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{path}");
        let json = answer.json();
        assert!(at(&json, text).as_str().unwrap().contains("You asked for sim-large"), "{json}");
        let served = ended(&sim).await;
        let usage =
            Usage { input: at(&json, input).as_u64().unwrap(), output: at(&json, output).as_u64().unwrap() };
        assert_eq!(served.usage, Some(usage));
        assert_eq!(served.outcome, Outcome::Answered);
        assert_eq!(served.bytes_sent as usize, answer.head.len() + answer.body.len());
        assert_eq!(served.model, "sim-large");
    }
}

#[tokio::test]
async fn a_stream_says_what_the_plain_answer_says() {
    let sim = Sim::start().await;
    for (((plain_path, plain), (path, stream)), (text, ..)) in PLAINS.into_iter().zip(STREAMS).zip(PLACES) {
        for script in ["", "words", "events=9,size=33", "chop=7", "reasoning"] {
            let plain = ask(&sim, script, plain_path, plain).await.json();
            let streamed = ask(&sim, script, path, stream).await;
            assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
            let expected = match path {
                // The reasoning takes the first place.
                RESPONSES if script == "reasoning" => "/output/1/content/0/text",
                MESSAGES if script == "reasoning" => "/content/1/text",
                GEMINI_SSE if script == "reasoning" => "/candidates/0/content/parts/1/text",
                _ => text,
            };
            let said = streamed_text(path, &streamed.events());
            let expected = at(&plain, expected).as_str().unwrap();
            // Gemini's thoughts are parts like the text; the other dialects keep them apart.
            assert!(said.ends_with(expected), "{path} {script}: {said}");
        }
    }
}

#[tokio::test]
async fn a_chat_stream_has_role_content_finish_usage_and_done() {
    let sim = Sim::start().await;
    let events = ask(&sim, "", CHAT, STREAM).await.events();
    assert_eq!(events.len(), 1 + 5 + 1 + 1 + 1);
    assert_eq!(at(&events[0].json(), "/choices/0/delta/role"), "assistant");
    assert_eq!(at(&events[6].json(), "/choices/0/finish_reason"), "stop");
    assert_eq!(at(&events[7].json(), "/choices"), &json!([]));
    assert!(at(&events[7].json(), "/usage/total_tokens").as_u64() > Some(0));
    assert_eq!(events[8].data, "[DONE]");

    let unasked = r#"{"model":"sim-large","stream":true}"#;
    let events = ask(&sim, "", CHAT, unasked).await.events();
    assert_eq!(events.len(), 1 + 5 + 1 + 1);
    assert!(events.iter().all(|event| !event.data.contains("usage")));
}

#[tokio::test]
async fn a_responses_stream_is_numbered_and_in_order() {
    let sim = Sim::start().await;
    let events = ask(&sim, "", RESPONSES, STREAM).await.events();
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    let mut expected = vec![
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ];
    expected.extend(["response.output_text.delta"; 5]);
    expected.extend([
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]);
    assert_eq!(names, expected);
    for (number, event) in events.iter().enumerate() {
        let json = event.json();
        assert_eq!(json["type"], event.name);
        assert_eq!(json["sequence_number"], number);
    }
    let last = events.last().unwrap().json();
    assert_eq!(at(&last, "/response/status"), "completed");
    assert!(at(&last, "/response/usage/output_tokens").as_u64() > Some(0));
}

#[tokio::test]
async fn a_messages_stream_has_its_events_in_order() {
    let sim = Sim::start().await;
    let events = ask(&sim, "", MESSAGES, STREAM).await.events();
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    let mut expected = vec!["message_start", "content_block_start", "ping"];
    expected.extend(["content_block_delta"; 5]);
    expected.extend(["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(names, expected);
    assert!(events.iter().all(|event| event.json()["type"] == event.name));
    assert!(at(&events[0].json(), "/message/usage/input_tokens").as_u64() > Some(0));
    assert_eq!(at(&events[9].json(), "/delta/stop_reason"), "end_turn");
}

#[tokio::test]
async fn a_gemini_stream_is_crlf_events_or_one_array() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "", GEMINI_SSE, "{}").await;
    assert!(answer.text().contains("}\r\n\r\n"));
    let events: Vec<_> = answer.events().iter().map(Event::json).collect();
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event["usageMetadata"]["totalTokenCount"].is_u64()));
    let finish: Vec<_> =
        events.iter().filter(|e| e.pointer("/candidates/0/finishReason").is_some()).collect();
    assert_eq!(finish, [&events[5]]);

    let array = ask(&sim, "", GEMINI_ARRAY, "{}").await;
    assert!(array.header("content-type").unwrap().starts_with("application/json"));
    assert_eq!(array.json().as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn tool_calls_come_in_each_dialects_shape() {
    let sim = Sim::start().await;
    let body = r#"{"model":"m","tools":[{"type":"function","function":{"name":"find_ship"}}]}"#;
    let chat = ask(&sim, "tool", CHAT, body).await.json();
    assert_eq!(at(&chat, "/choices/0/message/tool_calls/0/function/name"), "find_ship");
    assert_eq!(at(&chat, "/choices/0/finish_reason"), "tool_calls");
    let responses = ask(&sim, "tool", RESPONSES, PLAIN).await.json();
    assert_eq!(at(&responses, "/output/0/type"), "function_call");
    let messages = ask(&sim, "tool", MESSAGES, PLAIN).await.json();
    assert_eq!(at(&messages, "/content/0/input/city"), "Lisbon");
    assert_eq!(at(&messages, "/stop_reason"), "tool_use");
    let gemini = ask(&sim, "tool", GEMINI, "{}").await.json();
    assert_eq!(at(&gemini, "/candidates/0/content/parts/0/functionCall/args/city"), "Lisbon");

    for (path, pointer) in [
        (CHAT, "/choices/0/delta/tool_calls/0/function/arguments"),
        (RESPONSES, "/delta"),
        (MESSAGES, "/delta/partial_json"),
    ] {
        let events = ask(&sim, "tool", path, STREAM).await.events();
        let part = |event: &Event| {
            let json: Value = serde_json::from_str(&event.data).ok()?;
            json.pointer(pointer)?.as_str().map(str::to_owned)
        };
        let arguments: String = events.iter().filter_map(part).collect();
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap()["city"], "Lisbon", "{path}");
    }
    let events = ask(&sim, "tool", GEMINI_SSE, "{}").await.events();
    assert_eq!(events.len(), 2, "a call comes whole");
}

#[tokio::test]
async fn the_operations_beside_chat_answer() {
    let sim = Sim::start().await;
    let cases = [
        ("POST", "/v1/completions", "/choices/0/text"),
        ("POST", "/v1/embeddings", "/data/1/embedding/15"),
        ("POST", "/v1/moderations", "/results/1/categories"),
        ("POST", "/openai/deployments/dep/chat/completions?api-version=1", "/choices/0/message/content"),
        ("POST", "/v1/responses/compact", "/output/0"),
        ("POST", "/v1/responses/input_tokens", "/input_tokens"),
        ("GET", "/v1/responses/resp_1", "/output/0/content/0/text"),
        ("DELETE", "/v1/responses/resp_1", "/deleted"),
        ("POST", "/v1/responses/resp_1/cancel", "/status"),
        ("GET", "/v1/responses/resp_1/input_items", "/data/0"),
        ("POST", "/v1/messages/count_tokens", "/input_tokens"),
        ("POST", "/v1beta/models/m:countTokens", "/totalTokens"),
        ("POST", "/v1beta/models/m:embedContent", "/embedding/values/0"),
        ("POST", "/v1beta/models/m:batchEmbedContents", "/embeddings/1/values/0"),
        ("POST", "/v1/projects/p/publishers/anthropic/models/m:rawPredict", "/stop_reason"),
        ("GET", "/v1/models", "/data/0/id"),
        ("GET", "/v1/models/m", "/id"),
        ("GET", "/v1beta/models", "/models/0/name"),
    ];
    for (method, path, pointer) in cases {
        let mut wire = Wire::open(&sim).await;
        wire.send(request(method, path, "", r#"{"input":["a","b"]}"#).as_bytes()).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 200, "{path}");
        at(&answer.json(), pointer);
    }
}

#[tokio::test]
async fn embeddings_come_in_base64_if_wanted() {
    let sim = Sim::start().await;
    let body = r#"{"input":"a","encoding_format":"base64","dimensions":2}"#;
    let answer = ask(&sim, "", "/v1/embeddings", body).await.json();
    // The little-endian floats -0.5 and -0.4375.
    assert_eq!(at(&answer, "/data/0/embedding"), "AAAAvwAA4L4=");
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    let chunked = "POST /v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                   e\r\n{\"model\":\"two\"\r\n1\r\n}\r\n0\r\nx: y\r\n\r\n";
    let first = request("POST", CHAT, "", r#"{"model":"one","stream":true}"#);
    wire.send(format!("{first}{chunked}{}", request("GET", "/v1/models", "", "")).as_bytes()).await;
    assert_eq!(wire.answer().await.events()[0].json()["model"], "one");
    assert_eq!(wire.answer().await.json()["model"], "two");
    assert_eq!(wire.answer().await.json()["object"], "list");
    assert_eq!(sim.connections_total(), 1);
}

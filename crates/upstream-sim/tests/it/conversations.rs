//! A tool's round trip: the call, then an answer that quotes what the tool said, in each dialect.

use crate::wire::*;
use serde_json::{Value, json};
use upstream_sim::Sim;

const SCRIPT: &str = r#"tool=look_up,arguments={"word":"a%2C b"},quote-result"#;

/// A conversation of each dialect: the tools, the turns before the call, and the turns after it with its result.
fn conversations(result: &str) -> [(&'static str, &'static str, Value, Value); 4] {
    let asked = json!({"role": "user", "content": "hi"});
    let function = json!({"name": "look_up", "parameters": {"type": "object"}});
    let other = json!({"name": "other"});
    let chat = |messages: Value| {
        json!({"model": "m", "messages": messages,
            "tools": [{"type": "function", "function": other}, {"type": "function", "function": function}]})
    };
    let responses = |input: Value| {
        json!({"model": "m", "input": input, "tools": [
            {"type": "function", "name": "other"}, {"type": "function", "name": "look_up"}]})
    };
    let anthropic = |messages: Value| json!({"model": "m", "max_tokens": 9, "messages": messages, "tools": [other, function]});
    let gemini = |contents: Value| json!({"contents": contents, "tools": [{"functionDeclarations": [other, function]}]});
    let gemini_asked = json!({"role": "user", "parts": [{"text": "hi"}]});
    [
        (
            CHAT,
            CHAT,
            chat(json!([asked])),
            chat(json!([asked, {"role": "assistant", "tool_calls": []},
                {"role": "tool", "tool_call_id": "c", "content": result}])),
        ),
        (
            RESPONSES,
            RESPONSES,
            responses(json!([asked])),
            responses(json!([asked, {"type": "function_call", "call_id": "c"},
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": result}]}])),
        ),
        (
            MESSAGES,
            MESSAGES,
            anthropic(json!([asked])),
            anthropic(json!([asked, {"role": "assistant", "content": []},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [
                    {"type": "text", "text": result}]}]}])),
        ),
        (
            GEMINI,
            GEMINI_SSE,
            gemini(json!([gemini_asked])),
            gemini(json!([gemini_asked, {"role": "model", "parts": []},
                {"role": "user", "parts": [{"functionResponse": {"name": "look_up", "response": {"output": result}}}]}])),
        ),
    ]
}

#[tokio::test]
async fn the_call_is_made_once_and_its_result_is_quoted() {
    let sim = Sim::start().await;
    for (path, stream_path, first, second) in conversations("heron-7431") {
        for path_of in [path, stream_path] {
            let streams = |body: &Value| {
                let mut body = body.clone();
                if path_of == stream_path && path != GEMINI {
                    body["stream"] = true.into();
                }
                body.to_string()
            };
            let called = ask(&sim, SCRIPT, path_of, &streams(&first)).await.text();
            assert!(called.contains("look_up") && !called.contains("said"), "{path_of}: {called}");
            let answer = ask(&sim, SCRIPT, path_of, &streams(&second)).await;
            // In a stream the text comes in pieces.
            let said = answer.text().replace("7431", "");
            assert!(!said.contains("look_up"), "{path_of}: {said}");
        }
        let answer = ask(&sim, SCRIPT, path, &second.to_string()).await.text();
        assert!(answer.contains("The tool said: heron-7431"), "{path}: {answer}");
        let arguments = ask(&sim, SCRIPT, path, &first.to_string()).await.text().replace('\\', "");
        assert!(arguments.contains(r#"{"word":"a, b"}"#), "{path}: {arguments}");
    }
}

#[tokio::test]
async fn who_does_not_offer_the_tool_gets_prose() {
    let sim = Sim::start().await;
    for (path, body) in PLAINS {
        let answer = ask(&sim, SCRIPT, path, body).await.text();
        assert!(answer.contains("You asked for sim-large"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_result_without_the_signature_of_its_thinking_is_refused() {
    let sim = Sim::start().await;
    let script = format!("{SCRIPT},reasoning,wants-signature");
    for (path, stream_path, first, second) in conversations("heron") {
        assert_eq!(ask(&sim, &script, path, &first.to_string()).await.status, 200, "{path}: no result yet");
        let bare = ask(&sim, &script, stream_path, &second.to_string()).await;
        assert_eq!(bare.status, if path == CHAT { 200 } else { 400 }, "{path}");
        // Wherever a dialect puts it: where it goes is the codecs' affair.
        let mut asking = first;
        if path == RESPONSES {
            asking["include"] = json!(["reasoning.encrypted_content"]);
        }
        let answer = ask(&sim, "tool,reasoning", path, &asking.to_string()).await.json();
        let mut signed = second;
        signed["said"] = answer;
        assert_eq!(ask(&sim, &script, path, &signed.to_string()).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn thinking_to_keep_is_given_to_those_who_ask_and_what_is_only_named_must_be_stored() {
    let sim = Sim::start().await;
    let (path, _, first, second) =
        conversations("heron").into_iter().find(|(path, ..)| *path == RESPONSES).unwrap();
    let unasked = ask(&sim, "tool,reasoning", path, &first.to_string()).await.json();
    assert_eq!(unasked["output"][0]["encrypted_content"], Value::Null, "{unasked}");
    let mut asking = first;
    asking["include"] = json!(["reasoning.encrypted_content"]);
    let asked = ask(&sim, "tool,reasoning", path, &asking.to_string()).await.json();
    assert!(asked["output"][0]["encrypted_content"].is_string(), "{asked}");

    let script = format!("{SCRIPT},reasoning,wants-signature");
    for (answer, store, status) in
        [(&unasked, Value::Null, 200), (&unasked, json!(false), 404), (&asked, json!(false), 200)]
    {
        let mut body = second.clone();
        body["input"].as_array_mut().unwrap().insert(1, answer["output"][0].clone());
        body["store"] = store;
        let said = ask(&sim, &script, path, &body.to_string()).await;
        assert_eq!(said.status, status, "{body}: {}", said.text());
    }
}

#[tokio::test]
async fn a_busy_answer_says_a_sentence_and_calls_twice() {
    let sim = Sim::start().await;
    let script = format!("{SCRIPT},busy,reasoning");
    for (path, stream_path, first, second) in conversations("heron") {
        let plain = ask(&sim, &script, path, &first.to_string()).await.text();
        let mut body = first.clone();
        if path != GEMINI {
            body["stream"] = true.into();
        }
        let events = ask(&sim, &script, stream_path, &body.to_string()).await.events();
        let streamed: String = events.iter().map(|event| format!("{}\n", event.data)).collect();
        for said in [&plain, &streamed] {
            let preface = said.find("Let me look that up.").unwrap_or_else(|| panic!("{path}: {said}"));
            assert!(preface < said.find("look_up").unwrap(), "{path}: {said}");
        }
        let marks = match path {
            CHAT => ["\"call_sim", "\"call_simb"],
            RESPONSES => ["\"fc_sim", "\"fc_simb"],
            MESSAGES => ["\"toolu_sim", "\"toolu_simb"],
            _ => ["functionCall", "functionCall"],
        };
        for said in [&plain, &streamed] {
            assert!(said.find(marks[0]) < said.rfind(marks[1]), "{path}: {said}");
        }
        let quoted = ask(&sim, &script, path, &second.to_string()).await.text();
        assert!(quoted.contains("The tool said") && !quoted.contains("Let me"), "{path}: {quoted}");
    }
}

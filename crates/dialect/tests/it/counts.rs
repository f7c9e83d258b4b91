//! Requests that are to be counted, told to the endpoints of other dialects, and their answers.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use bytes::Bytes;
use dialect::{
    Dialect, Door, Edits, Operation, peek, splice,
    translate::{FromPath, Target, Untranslatable, decode_counted, encode_counted, read_count, write_count},
};
use serde_json::{Value, json};

use crate::corpus::read_recordings;

const COUNTING: [Dialect; 3] =
    [Dialect::OpenaiResponses, Dialect::AnthropicMessages, Dialect::GeminiGenerate];
const PATH: FromPath<'_> = FromPath { model: "mine", stream: false };

/// One conversation with everything in it that is counted, and some things that are not.
fn body(dialect: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    match dialect {
        Dialect::AnthropicMessages => json!({
            "model": "mine", "max_tokens": 100, "temperature": 0.5, "stream": true, "system": "Be brief.",
            "messages": [{"role": "user", "content": "Hello"}],
            "tools": [{"name": "weather", "description": "Of a city", "input_schema": schema}],
            "tool_choice": {"type": "any"}
        }),
        Dialect::GeminiGenerate => json!({"generateContentRequest": {
            "model": "models/mine", "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 100},
            "tools": [{"functionDeclarations": [{"name": "weather", "description": "Of a city", "parameters": schema}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}
        }}),
        _ => json!({
            "model": "mine", "instructions": "Be brief.", "input": "Hello", "max_output_tokens": 100, "temperature": 0.5,
            "tools": [{"type": "function", "name": "weather", "description": "Of a city", "parameters": schema}],
            "tool_choice": "required"
        }),
    }
}

fn told(from: Dialect, to: Dialect, body: &Value) -> Value {
    let request = decode_counted(from, body.to_string().as_bytes(), PATH).unwrap();
    let target = Target { model: "theirs", ..Target::default() };
    serde_json::from_slice(&encode_counted(to, &request, &target).unwrap().body).unwrap()
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn an_endpoint_gets_what_it_counts_and_nothing_that_it_refuses() {
    for from in COUNTING {
        for to in COUNTING {
            let told = told(from, to, &body(from));
            let (request, expected) = match to {
                Dialect::AnthropicMessages => {
                    (&told, &["messages", "model", "system", "tool_choice", "tools"][..])
                }
                Dialect::GeminiGenerate => {
                    assert_eq!(keys(&told), ["generateContentRequest"]);
                    let all = &[
                        "contents",
                        "generationConfig",
                        "model",
                        "systemInstruction",
                        "toolConfig",
                        "tools",
                    ];
                    (&told["generateContentRequest"], &all[..])
                }
                _ => (&told, &["input", "instructions", "model", "tool_choice", "tools"][..]),
            };
            assert_eq!(keys(request), expected, "{from:?} to {to:?}: {told}");
            let model = if to == Dialect::GeminiGenerate { "models/theirs" } else { "theirs" };
            assert_eq!(request["model"], model);
            let text = told.to_string();
            for word in ["Be brief.", "Hello", "weather", "Of a city", "city"] {
                assert!(text.contains(word), "{from:?} to {to:?}: {word} in {text}");
            }
        }
    }
}

#[test]
fn geminis_request_is_found_in_all_its_forms() {
    let contents = json!([{"role": "user", "parts": [{"text": "Hello"}]}]);
    for body in [
        json!({"contents": contents}),
        json!({"generateContentRequest": {"contents": contents}}),
        json!({"generate_content_request": {"model": "models/other", "contents": contents}, "contents": []}),
    ] {
        let told = told(Dialect::GeminiGenerate, Dialect::AnthropicMessages, &body);
        assert_eq!(told["model"], "theirs");
        assert!(told["messages"].to_string().contains("Hello"), "{body} became {told}");
    }
    let bad = decode_counted(Dialect::GeminiGenerate, br#"{"generateContentRequest":7}"#, PATH);
    assert!(matches!(bad, Err(Untranslatable::Malformed { .. })), "{bad:?}");
}

#[test]
fn only_a_count_is_taken_for_one() {
    for dialect in COUNTING {
        assert_eq!(read_count(dialect, &write_count(dialect, 17)), Some(17));
        for nonsense in ["", "{}", "[]", "<html>", "null", r#"{"input_tokens":"7","totalTokens":-7}"#] {
            assert_eq!(read_count(dialect, nonsense.as_bytes()), None, "{nonsense}");
        }
    }
    let answer = String::from_utf8(write_count(Dialect::OpenaiResponses, 3)).unwrap();
    assert_eq!(answer, r#"{"object":"response.input_tokens","input_tokens":3}"#);
}

#[test]
fn a_renamed_model_is_renamed_where_gemini_names_it_twice() {
    let door = Door::new(Dialect::GeminiGenerate, Operation::CountTokens);
    for (body, sent) in [
        (
            r#"{"generateContentRequest": {"contents":[], "model" : "models/mine"} }"#,
            r#"{"generateContentRequest": {"contents":[], "model" : "models/theirs"} }"#,
        ),
        (r#"{"contents":[],"model":"mine"}"#, r#"{"contents":[],"model":"mine"}"#),
    ] {
        let envelope = peek(door, body.as_bytes()).unwrap();
        let edits = Edits { model: Some("models/theirs"), ..Edits::default() };
        let parts = splice(&Bytes::from_static(body.as_bytes()), &envelope, &edits).parts;
        assert_eq!(String::from_utf8(parts.concat()).unwrap(), sent);
    }
}

#[test]
fn recorded_counts_are_understood_and_translated() {
    let Some(recordings) = read_recordings() else { return };
    let (mut counted, mut told) = (0, 0);
    for recording in recordings.iter().filter(|one| one.door.operation == Operation::CountTokens) {
        let (from, sent) = (recording.door.dialect, recording.record["request"]["body"].to_string());
        if recording.status == 200 {
            let answer = recording.body().unwrap();
            assert!(read_count(from, answer.as_bytes()).is_some(), "{}: {answer}", recording.id);
            counted += 1;
        }
        let request = decode_counted(from, sent.as_bytes(), PATH)
            .unwrap_or_else(|error| panic!("{}: {error:?}", recording.id));
        for to in COUNTING {
            let target = Target { model: "theirs", ..Target::default() };
            match encode_counted(to, &request, &target) {
                Ok(encoded) => {
                    decode_counted(to, &encoded.body, PATH).unwrap();
                    told += 1;
                }
                // Tools that only Anthropic runs.
                Err(error) => println!("{} to {}: {error:?}", recording.id, to.name()),
            }
        }
    }
    println!("{counted} counts, {told} requests told");
    assert!(counted > 0 && told > 2 * counted);
}

//! What a provider would refuse is not sent to it: what it cannot check, a choice of nothing, more than it takes.

use dialect::{
    Dialect,
    translate::{FromPath, Target, Untranslatable, decode_request, encode_request},
};
use serde_json::{Value, json};

/// Sources of an earlier answer that another provider gave have no token here, and the provider checks tokens.
#[test]
fn sources_of_another_provider_are_not_sent_to_anthropic() {
    let citation = json!({"type": "url_citation", "url_citation": {"url": "https://e.com", "title": "T", "start_index": 0, "end_index": 1}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "annotations": [citation]}, {"role": "user", "content": "q"}]});
    let (body, lost) = told(Dialect::OpenaiChat, &body, Dialect::AnthropicMessages);
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "a"}));
    assert_eq!(lost, ["messages.content.citations"]);

    let own = json!({"type": "web_search_result_location", "url": "https://e.com", "title": "T", "cited_text": "t", "encrypted_index": "c2ln"});
    let said = json!([{"type": "text", "text": "a", "citations": [own]}]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": said}, {"role": "user", "content": "q"}]});
    let (body, lost) = told(Dialect::AnthropicMessages, &body, Dialect::AnthropicMessages);
    assert_eq!(body["messages"][1]["content"], said);
    assert_eq!(lost, Vec::<String>::new());
}

fn told(from: Dialect, body: &Value, to: Dialect) -> (Value, Vec<String>) {
    let path = FromPath { model: "m", stream: false };
    let request = decode_request(from, body.to_string().as_bytes(), path).unwrap();
    let encoded = encode_request(to, &request, &Target::default()).unwrap();
    let lost = encoded.losses.rows().iter().map(|loss| loss.field.to_string()).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), lost)
}

/// OpenAI refuses a choice among tools where there are none.
#[test]
fn a_choice_without_tools_is_not_sent() {
    for (mode, lost) in [("AUTO", vec![]), ("NONE", vec![]), ("ANY", vec!["tool_choice"])] {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": mode}}});
        for to in Dialect::ALL {
            let (body, fields) = told(Dialect::GeminiGenerate, &body, to);
            assert_eq!(
                (body.get("tool_choice"), fields),
                (None, lost.iter().map(|field| field.to_string()).collect()),
                "{to:?} {mode}"
            );
        }
    }
    let body = json!({"model": "m", "messages": [], "parallel_tool_calls": false});
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
        assert_eq!(told(Dialect::OpenaiChat, &body, to).0.get("parallel_tool_calls"), None);
    }
}

/// More stop sequences than a provider takes: it would refuse the request, and with fewer the answer were another one.
#[test]
fn more_stop_sequences_than_it_takes_are_refused() {
    let body = |count: usize| {
        let stop: Vec<String> = (0..count).map(|number| format!("s{number}")).collect();
        json!({"model": "m", "max_tokens": 9, "messages": [], "stop_sequences": stop}).to_string()
    };
    for (to, most) in [(Dialect::OpenaiChat, 4), (Dialect::GeminiGenerate, 5)] {
        for (count, taken) in [(most, true), (most + 1, false)] {
            let request =
                decode_request(Dialect::AnthropicMessages, body(count).as_bytes(), FromPath::default())
                    .unwrap();
            let encoded = encode_request(to, &request, &Target::default());
            assert_eq!(encoded.is_ok(), taken, "{to:?}: {encoded:?}");
        }
    }
    // Other providers of this dialect have limits of their own.
    let request =
        decode_request(Dialect::AnthropicMessages, body(9).as_bytes(), FromPath::default()).unwrap();
    let plain = Target { plain_chat: true, ..Target::default() };
    assert!(encode_request(Dialect::OpenaiChat, &request, &plain).is_ok());
}

/// An answer that the client began is another question where it is not gone on with.
#[test]
fn an_answer_begun_by_the_client_is_listed_where_it_is_not_gone_on_with() {
    let body = json!({"model": "m", "max_tokens": 90, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "{"}]});
    for to in Dialect::ALL {
        let lost = told(Dialect::AnthropicMessages, &body, to).1;
        assert_eq!(!lost.is_empty(), to != Dialect::AnthropicMessages, "{to:?}: {lost:?}");
        assert!(lost.iter().all(|field| field == "messages.prefill"), "{lost:?}");
    }
}

#[test]
fn two_limits_that_differ_are_the_callers_fault() {
    let body = |new: u64, old: u64| {
        json!({"model": "m", "messages": [], "max_completion_tokens": new, "max_tokens": old}).to_string()
    };
    let decode = |body: String| decode_request(Dialect::OpenaiChat, body.as_bytes(), FromPath::default());
    assert_eq!(decode(body(9, 9)).unwrap().max_output, Some(9));
    let refused = decode(body(9, 8));
    assert!(
        matches!(&refused, Err(Untranslatable::Malformed { field, .. }) if field == "max_tokens"),
        "{refused:?}"
    );
}

/// `nullable` allows null whatever else the schema says.
#[test]
fn a_nullable_schema_allows_null() {
    for (schema, read) in [
        (json!({"type": "STRING", "nullable": true}), json!({"type": ["string", "null"]})),
        (
            json!({"type": "STRING", "enum": ["a"], "nullable": true}),
            json!({"type": ["string", "null"], "enum": ["a", null]}),
        ),
        (
            json!({"nullable": true, "anyOf": [{"type": "STRING"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ),
        (
            json!({"nullable": true, "$ref": "#/$defs/a"}),
            json!({"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}),
        ),
        (json!({"nullable": true}), json!({})),
    ] {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": schema}}}]}]});
        let (body, _) = told(Dialect::GeminiGenerate, &body, Dialect::OpenaiChat);
        assert_eq!(body["tools"][0]["function"]["parameters"]["properties"]["a"], read);
    }
}

/// Claude's structured outputs take closed objects alone, and no bounds; OpenAI's and Gemini's clients send others.
#[test]
fn a_schema_that_claude_is_held_to_is_closed_and_has_no_bounds() {
    let to = Dialect::AnthropicMessages;
    let schema = json!({"type": "OBJECT", "properties": {
        "n": {"type": "INTEGER", "description": "how many", "minimum": 1, "maximum": 9},
        "list": {"type": "ARRAY", "minItems": "2", "items": {"type": "OBJECT", "properties": {"minimum": {"type": "STRING", "maxLength": 4}}}},
        "one": {"type": "ARRAY", "minItems": 1, "items": {"anyOf": [{"type": "STRING"}, {"type": "OBJECT", "nullable": true}]}},
    }});
    let fitted = json!({"type": "object", "properties": {
        "n": {"type": "integer", "description": "how many (maximum: 9, minimum: 1)"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"minimum": {"type": "string", "description": "(maxLength: 4)"}}, "additionalProperties": false}, "description": "(minItems: 2)"},
        "one": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, {"type": ["object", "null"], "additionalProperties": false}]}},
    }, "additionalProperties": false});
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": schema}});
    let (body, lost) = told(Dialect::GeminiGenerate, &body, to);
    assert_eq!(body["output_config"]["format"]["schema"], fitted);
    assert_eq!(lost, ["response_format.schema"]);

    // What is closed already, and what the client opened by its own word, is sent as it is.
    for additional in [json!(false), json!(true), json!({"type": "string"})] {
        let schema = json!({"type": "object", "properties": {}, "additionalProperties": additional});
        let tool =
            json!({"type": "function", "function": {"name": "f", "parameters": schema, "strict": true}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "tools": [tool], "response_format":
            {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
        let (body, lost) = told(Dialect::OpenaiChat, &body, to);
        assert_eq!(body["output_config"]["format"]["schema"], schema);
        assert_eq!(body["tools"][0]["input_schema"], schema);
        assert_eq!(lost, ["response_format.name"]);
    }
    for (strict, lost) in [(true, vec!["tools.strict"]), (false, vec![])] {
        let schema = json!({"type": "object", "properties": {}});
        let tool =
            json!({"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "tools": [tool]});
        let (body, fields) = told(Dialect::OpenaiChat, &body, to);
        assert_eq!(body["tools"][0]["input_schema"].get("additionalProperties").is_some(), strict);
        assert_eq!(fields, lost);
    }
}

/// "text content blocks must contain non-whitespace text": models say a line break beside their calls, and it would be
/// refused in every later turn.
#[test]
fn white_space_alone_is_not_sent_to_anthropic() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": " "},
        {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "\n"}]},
        {"role": "assistant", "content": "\n", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": " \t"},
        {"role": "user", "content": " "},
        {"role": "assistant", "content": [{"type": "text", "text": "a "}, {"type": "refusal", "refusal": ""}, {"type": "text", "text": "  "}]}]});
    let (body, lost) = told(Dialect::OpenaiChat, &body, Dialect::AnthropicMessages);
    assert_eq!(body.get("system"), None);
    assert_eq!(
        body["messages"],
        json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
        {"role": "assistant", "content": "a"}])
    );
    assert_eq!(lost, Vec::<String>::new());
}

/// "`tool_use` ids were found without `tool_result` blocks immediately after": what was said between a call and its result
/// stands behind it.
#[test]
fn results_follow_their_calls_whatever_was_said_in_between() {
    let said = |role: &str, words: &str| json!({"type": "message", "role": role, "content": words});
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "r"});
    let body = json!({"model": "m", "input": [said("user", "q"), call("c1"), call("c2"), said("user", "also"), result("c1"),
        said("developer", "d"), result("c2"), said("user", "and"), said("assistant", "a"), said("user", "more")]});

    let used = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let told_of = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "r"}]});
    let text = |words: &str| json!({"type": "text", "text": words});
    let (told_there, lost) = told(Dialect::OpenaiResponses, &body, Dialect::AnthropicMessages);
    assert_eq!(
        told_there["messages"],
        json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [used("c1"), used("c2")]},
        {"role": "user", "content": [told_of("c1"), told_of("c2"), text("also"), text("<system>d</system>"), text("and")]},
        {"role": "assistant", "content": "a"}, {"role": "user", "content": "more"}])
    );
    assert_eq!(lost, ["messages.role"]);

    // Where instructions have messages of their own, they wait, too.
    let request =
        decode_request(Dialect::OpenaiResponses, body.to_string().as_bytes(), FromPath::default()).unwrap();
    let target = Target { mid_system: true, ..Target::default() };
    let encoded = encode_request(Dialect::AnthropicMessages, &request, &target).unwrap();
    let told_there: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(
        told_there["messages"].as_array().unwrap()[2..5],
        [
            json!({"role": "user", "content": [told_of("c1"), told_of("c2"), text("also")]}),
            json!({"role": "system", "content": "d"}),
            json!({"role": "user", "content": "and"})
        ]
    );

    let (told_there, _) = told(Dialect::OpenaiResponses, &body, Dialect::GeminiGenerate);
    let parts = told_there["contents"][2]["parts"].as_array().unwrap();
    let kinds: Vec<&str> =
        parts.iter().flat_map(|part| part.as_object().unwrap().keys()).map(|key| &**key).collect();
    assert_eq!(kinds, ["functionResponse", "functionResponse", "text", "text", "text"]);
}

/// Only a user's message has pictures, everywhere but at Gemini; an edit of the picture needs it all the same.
#[test]
fn a_picture_of_an_earlier_answer_is_the_users() {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "a cat"}]},
        {"role": "model", "parts": [{"text": "Here."}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}, {"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "r"}}}, {"text": "now in blue"}]}]});
    for (to, turns) in [
        (Dialect::OpenaiChat, "messages"),
        (Dialect::OpenaiResponses, "input"),
        (Dialect::AnthropicMessages, "messages"),
        (Dialect::GeminiGenerate, "contents"),
    ] {
        let (body, lost) = told(Dialect::GeminiGenerate, &body, to);
        let turns: Vec<(&Value, String)> =
            body[turns].as_array().unwrap().iter().map(|turn| (&turn["role"], turn.to_string())).collect();
        let showing = turns.iter().position(|(_, turn)| turn.contains("iVBO")).unwrap();
        let (role, own) = (turns[showing].0, to == Dialect::GeminiGenerate);
        assert_eq!(role, if own { "model" } else { "user" }, "{to:?}: {turns:?}");
        assert_eq!(lost, if own { vec![] } else { vec!["messages.content.media"] });
        // Between a call and its result it would be refused.
        let shown = body.to_string().find("iVBO");
        let result = ["\"tool\"", "function_call_output", "tool_result", "functionResponse"];
        let result = result.iter().find_map(|kind| body.to_string().find(kind));
        assert_eq!(shown < result, own, "{to:?}: {body}");
    }
}

/// "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'".
#[test]
fn json_mode_is_spoken_of() {
    let asked = |system: &str, words: &str| {
        json!({"systemInstruction": {"parts": [{"text": system}]}, "contents": [{"role": "user", "parts": [{"text": words}]}],
            "generationConfig": {"responseMimeType": "application/json"}})
    };
    let words = "Answer with one JSON object and nothing else.";
    for (to, key) in [(Dialect::OpenaiChat, "messages"), (Dialect::OpenaiResponses, "input")] {
        for (system, asks, added) in [("s", "q", true), ("As Json.", "q", false), ("s", "as JSON", false)] {
            let (body, lost) = told(Dialect::GeminiGenerate, &asked(system, asks), to);
            let turns = body[key].as_array().unwrap();
            let adds = |turn: &Value| turn["role"] == "system" && turn["content"] == words;
            assert_eq!((turns.iter().any(adds), turns.len()), (added, 2 + usize::from(added)), "{body}");
            assert_eq!(lost, if added { vec!["response_format"] } else { vec![] });
            // Responses does not look for it in the instructions.
            assert_eq!(body.get("instructions"), None);
        }
    }
}

/// Chat takes sound, and is tried next where a provider speaks both.
#[test]
fn responses_does_not_listen() {
    let body = json!({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "UklG"}}]}]});
    let path = FromPath { model: "m", stream: false };
    let request = decode_request(Dialect::GeminiGenerate, body.to_string().as_bytes(), path).unwrap();
    let sent = |to| encode_request(to, &request, &Target::default());
    let refused = sent(Dialect::OpenaiResponses).unwrap_err();
    assert!(
        matches!(&refused, Untranslatable::Unsupported { field, .. } if field == "messages.content.audio"),
        "{refused:?}"
    );
    let heard = String::from_utf8(sent(Dialect::OpenaiChat).unwrap().body).unwrap();
    assert!(heard.contains(r#""input_audio":{"data":"UklG","format":"wav"}"#), "{heard}");
}

/// Gemini refuses a part without words, unless it carries a token.
#[test]
fn empty_texts_are_not_sent_to_gemini() {
    let body = json!({"model": "m", "max_tokens": 9, "system": "", "messages": [
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "q"}]},
        {"role": "assistant", "content": [{"type": "text", "text": ""}, {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}, {"type": "text", "text": ""}]}]});
    let (body, lost) = told(Dialect::AnthropicMessages, &body, Dialect::GeminiGenerate);
    assert_eq!(body.get("systemInstruction"), None);
    assert_eq!(
        body["contents"],
        json!([
        {"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c", "name": "f", "response": {"output": "r"}}}]}])
    );
    assert_eq!(lost, Vec::<String>::new());

    let signed = json!([{"role": "user", "parts": [{"text": "q"}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}]}]);
    let (body, _) = told(Dialect::GeminiGenerate, &json!({"contents": signed}), Dialect::GeminiGenerate);
    assert_eq!(body["contents"], signed);
}

#[test]
fn a_stop_sequence_of_white_space_is_refused_for_anthropic() {
    for (stop, taken) in [("\n\n", false), ("", false), ("\nend", true)] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "stop": [stop]});
        let request =
            decode_request(Dialect::OpenaiChat, body.to_string().as_bytes(), FromPath::default()).unwrap();
        let encoded = encode_request(Dialect::AnthropicMessages, &request, &Target::default());
        assert_eq!(encoded.is_ok(), taken, "{stop:?}: {encoded:?}");
    }
}

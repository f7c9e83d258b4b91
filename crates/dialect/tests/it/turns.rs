//! A second turn: a client gives back what it was told, and the provider gets its own tokens where it put them.

use std::fs;

use dialect::{
    Accounting, Dialect,
    chat::{Content, Opaque, OpaqueKind, Part},
    event::{ChatEvent, Opening},
    translate::{
        FromPath, Replay, Target, Telling, ThinkingForm, check_answer, decode_reply, decode_request,
        encode_reply, encode_request,
    },
};
use serde_json::{Value, json};

use crate::gather::encode;

/// The next request of a client that appends the answer as it got it, and the results of its calls.
pub(crate) fn next_request(client: Dialect, answer: &Value) -> Value {
    match client {
        Dialect::OpenaiChat => {
            let message = answer["choices"][0]["message"].clone();
            let calls = message["tool_calls"].as_array().unwrap().clone();
            let mut messages = vec![json!({"role": "user", "content": "q"}), message];
            messages.extend(
                calls.iter().map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "r"})),
            );
            json!({"model": "m", "messages": messages, "reasoning_effort": "low"})
        }
        Dialect::AnthropicMessages => {
            let content = answer["content"].as_array().unwrap();
            let calls = content.iter().filter(|block| block["type"] == "tool_use");
            let results: Vec<Value> = calls
                .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "r"}))
                .collect();
            let user = json!({"role": "user", "content": "q"});
            let said = json!({"role": "assistant", "content": content});
            let messages = json!([user, said, {"role": "user", "content": results}]);
            json!({"model": "m", "max_tokens": 9000, "messages": messages, "thinking": {"type": "enabled", "budget_tokens": 2000}})
        }
        Dialect::OpenaiResponses => {
            let output = answer["output"].as_array().unwrap();
            let calls = output.iter().filter(|item| item["call_id"].is_string());
            let results = calls.map(|call| {
                let kind = if call["type"] == "custom_tool_call" {
                    "custom_tool_call_output"
                } else {
                    "function_call_output"
                };
                json!({"type": kind, "call_id": call["call_id"], "output": "r"})
            });
            let mut input = vec![json!({"role": "user", "content": "q"})];
            input.extend(output.iter().cloned());
            input.extend(results);
            json!({"model": "m", "input": input, "reasoning": {"effort": "low"}})
        }
        Dialect::GeminiGenerate => {
            let content = answer["candidates"][0]["content"].clone();
            let parts = content["parts"].as_array().unwrap();
            let calls = parts.iter().filter(|part| part["functionCall"].is_object());
            let results: Vec<Value> = calls
                .map(|part| json!({"functionResponse": {"id": part["functionCall"]["id"], "name": part["functionCall"]["name"], "response": {"output": "r"}}}))
                .collect();
            json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}, content, {"role": "user", "parts": results}], "generationConfig": {"thinkingConfig": {"thinkingBudget": 2000}}})
        }
    }
}

#[test]
fn tokens_come_home_in_the_second_turn() {
    for provider in Dialect::ALL {
        let folder = format!("{}/fixtures/translate/{}", env!("CARGO_MANIFEST_DIR"), provider.name());
        let body = fs::read(format!("{folder}/thinking_and_calls.reply.json")).unwrap();
        let reply = decode_reply(provider, &body, Accounting::Standard).unwrap();
        for client in Dialect::ALL {
            let told = encode_reply(client, &reply, &Telling::default()).body;
            let request = next_request(client, &serde_json::from_slice(&told).unwrap()).to_string();
            let request =
                decode_request(client, request.as_bytes(), FromPath { model: "m", stream: false }).unwrap();
            let thinking =
                if provider == Dialect::GeminiGenerate { ThinkingForm::Effort } else { ThinkingForm::Budget };
            let target = Target { model: "m", thinking, replay: Replay::Text, ..Target::default() };
            let encoded = encode_request(provider, &request, &target).unwrap();
            let again =
                decode_request(provider, &encoded.body, FromPath { model: "m", stream: false }).unwrap();
            let said = again.turns.iter().find(|turn| turn.role == dialect::chat::Role::Assistant).unwrap();
            let context = format!("{client:?} on {provider:?}: {}", String::from_utf8_lossy(&encoded.body));

            let before = &reply.candidates[0].parts;
            let thoughts = |parts: &[Part]| -> Vec<(String, Vec<String>)> {
                let thinks = parts.iter().filter(|part| matches!(part.content, Content::Reasoning { .. }));
                thinks
                    .map(|part| {
                        let text = match &part.content {
                            Content::Reasoning { text } => text.clone(),
                            _ => String::new(),
                        };
                        (text, tokens(part, provider))
                    })
                    .collect()
            };
            // Gemini's thoughts are not sent back, its signature stands on the call.
            if provider != Dialect::GeminiGenerate {
                assert_eq!(thoughts(&said.parts), thoughts(before), "{context}");
            }
            let calls = |parts: &[Part]| -> Vec<(String, Vec<String>)> {
                let calls = parts.iter().filter_map(|part| match &part.content {
                    Content::ToolCall { name, .. } => Some((name.clone(), tokens(part, provider))),
                    _ => None,
                });
                calls.collect()
            };
            assert_eq!(calls(&said.parts), calls(before), "{context}");
            assert!(again.turns.iter().any(|turn| turn.role == dialect::chat::Role::Tool), "{context}");
        }
    }
}

fn tokens(part: &Part, dialect: Dialect) -> Vec<String> {
    let own = part
        .opaque
        .iter()
        .filter(|token| token.dialect == dialect && token.kind != dialect::chat::OpaqueKind::Id);
    own.map(|token| token.value.clone()).collect()
}

/// What Sluice needs to bring thinking home must be asked for, whatever form the model's wishes have.
#[test]
fn the_thinking_of_responses_is_asked_for() {
    let body = json!({"model": "m", "max_tokens": 2000, "messages": [{"role": "user", "content": "q"}]});
    let request =
        decode_request(Dialect::AnthropicMessages, body.to_string().as_bytes(), FromPath::default()).unwrap();
    for (thinking, asked) in [
        (ThinkingForm::Budget, json!(["reasoning.encrypted_content"])),
        (ThinkingForm::Effort, json!(["reasoning.encrypted_content"])),
        (ThinkingForm::Never, Value::Null),
    ] {
        let target = Target { thinking, ..Target::default() };
        let encoded = encode_request(Dialect::OpenaiResponses, &request, &target).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!((&body["include"], &body["store"]), (&asked, &json!(false)), "{thinking:?}");
    }
}

/// The provider keeps nothing for us: an item that it could only know by its id is one that it does not know.
#[test]
fn thinking_that_has_only_an_id_is_not_sent_back() {
    let reasoning = |token: Value| {
        let mut item = json!({"type": "reasoning", "id": "rs_abc", "summary": [{"type": "summary_text", "text": "Hm."}]});
        if !token.is_null() {
            item["encrypted_content"] = token;
        }
        item
    };
    for (token, comes_back) in [(Value::Null, false), (json!("c2ln"), true)] {
        let call =
            json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"});
        let answer =
            json!({"id": "resp_1", "model": "m", "status": "completed", "output": [reasoning(token), call]});
        let reply =
            decode_reply(Dialect::OpenaiResponses, answer.to_string().as_bytes(), Accounting::Standard)
                .unwrap();
        for client in Dialect::ALL {
            let told = encode_reply(client, &reply, &Telling::default()).body;
            let request = next_request(client, &serde_json::from_slice(&told).unwrap()).to_string();
            let request =
                decode_request(client, request.as_bytes(), FromPath { model: "m", stream: false }).unwrap();
            let encoded = encode_request(Dialect::OpenaiResponses, &request, &Target::default()).unwrap();
            let body: Value = serde_json::from_slice(&encoded.body).unwrap();
            let input = body["input"].as_array().unwrap();
            let sent: Vec<&Value> = input.iter().filter(|item| item["type"] == "reasoning").collect();
            assert_eq!(sent.len(), usize::from(comes_back), "{client:?}: {body}");
            assert!(sent.iter().all(|item| item["encrypted_content"] == "c2ln"), "{client:?}: {body}");
        }
    }
}

/// A streamed answer's words and token come in two fields; a client that keeps both gives back one thought.
#[test]
fn words_and_token_of_a_streamed_thought_are_one() {
    let body = json!({"model": "m", "reasoning_effort": "low", "messages": [{"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "reasoning_content": "Hm.",
        "reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "c2ln", "format": "anthropic-claude-v1"}]}]});
    let request =
        decode_request(Dialect::OpenaiChat, body.to_string().as_bytes(), FromPath::default()).unwrap();
    let encoded = encode_request(Dialect::AnthropicMessages, &request, &Target::default()).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    assert_eq!(body["messages"][1]["content"][0], thought);
}

/// OpenAI takes names of 64 letters; Claude Code's are longer.
#[test]
fn long_users_are_told_by_a_digest() {
    let user = |name: &str| {
        let body = json!({"model": "m", "max_tokens": 20, "metadata": {"user_id": name}, "messages": []});
        let request =
            decode_request(Dialect::AnthropicMessages, body.to_string().as_bytes(), FromPath::default());
        let encoded = encode_request(Dialect::OpenaiChat, &request.unwrap(), &Target::default()).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        (body["safety_identifier"].as_str().unwrap().to_owned(), encoded.losses.rows().len())
    };
    assert_eq!(user("ann"), ("ann".to_owned(), 0));
    let (one, other) = (user(&"a".repeat(150)), user(&"b".repeat(150)));
    assert!(one.0.len() <= 64 && one.1 == 1 && one.0 != other.0 && one == user(&"a".repeat(150)));
}

#[test]
fn results_stand_in_the_order_of_their_calls() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": format!("f{id}"), "arguments": "{}"}});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": id});
    let messages = json!([{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        result("b"), result("a")]);
    let body = json!({"model": "m", "messages": messages, "logprobs": true}).to_string();
    let request = decode_request(Dialect::OpenaiChat, body.as_bytes(), FromPath::default()).unwrap();
    let encoded = encode_request(Dialect::GeminiGenerate, &request, &Target::default()).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let parts = body["contents"][2]["parts"].as_array().unwrap();
    let names: Vec<&str> =
        parts.iter().map(|part| part["functionResponse"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["fa", "fb"]);
    // Its answer's probabilities could not be told.
    assert!(check_answer(&request, Dialect::OpenaiChat, Dialect::GeminiGenerate).is_err());
    assert!(check_answer(&request, Dialect::OpenaiChat, Dialect::OpenaiChat).is_ok());
}

/// Clients put details together by their indexes: two thoughts must not have one.
#[test]
fn details_of_streamed_thoughts_are_numbered() {
    let token = |value: &str| Opaque {
        dialect: Dialect::AnthropicMessages,
        kind: OpaqueKind::Encrypted,
        value: value.into(),
        maker: None,
    };
    let mut events = vec![ChatEvent::Started { id: "a".into(), model: "m".into(), created_s: None }];
    for (part, value) in (0..).zip(["one", "two"]) {
        let thought = Box::new(Part::reasoning("", vec![token(value)]));
        events.push(ChatEvent::Opened { candidate: 0, part, opening: Opening::Whole(thought) });
        events.push(ChatEvent::Closed { candidate: 0, part });
    }
    let told = String::from_utf8(encode(Dialect::OpenaiChat, &events, &Telling::default())).unwrap();
    for (value, index) in [("one", 0), ("two", 1)] {
        let token = format!("sluice:anthropic_messages:encrypted::{value}");
        let detail = format!("\"data\":\"{token}\",\"format\":\"anthropic-claude-v1\",\"index\":{index}");
        assert!(told.contains(&detail), "{detail}: {told}");
    }
}

/// OpenAI takes no message that says nothing: what is left of a turn that only its own provider could read.
#[test]
fn a_turn_of_which_nothing_is_left_is_no_message() {
    let turns = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]},
        {"role": "user", "content": []},
        {"role": "user", "content": "go on"},
    ]);
    let body = json!({"model": "m", "max_tokens": 2000, "messages": turns}).to_string();
    let request = decode_request(Dialect::AnthropicMessages, body.as_bytes(), FromPath::default()).unwrap();
    for plain_chat in [false, true] {
        let target = Target { plain_chat, ..Target::default() };
        let encoded = encode_request(Dialect::OpenaiChat, &request, &target).unwrap();
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        let said: Vec<&Value> = body["messages"].as_array().unwrap().iter().collect();
        assert_eq!(
            said,
            [&json!({"role": "user", "content": "q"}), &json!({"role": "user", "content": "go on"})]
        );
        assert!(encoded.losses.rows().iter().any(|loss| loss.field == "messages.reasoning"));
    }
    // Where thinking goes back it is said, with an answer that is empty and not missing.
    let turns = json!([{"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]}]);
    let body = json!({"model": "m", "max_tokens": 2000, "messages": turns}).to_string();
    let request = decode_request(Dialect::AnthropicMessages, body.as_bytes(), FromPath::default()).unwrap();
    let target = Target { replay: Replay::Text, ..Target::default() };
    let encoded = encode_request(Dialect::OpenaiChat, &request, &target).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(body["messages"][1], json!({"role": "assistant", "reasoning_content": "Hm.", "content": ""}));
}

/// Thinking of which nothing was told is no block: clients keep it, and are refused with it in their next turn.
#[test]
fn thinking_of_which_nothing_is_told_is_no_block() {
    let output = json!([{"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]}]);
    let answer = json!({"id": "resp_1", "model": "m", "status": "completed", "output": output}).to_string();
    let reply = decode_reply(Dialect::OpenaiResponses, answer.as_bytes(), Accounting::Standard).unwrap();
    let told = encode_reply(Dialect::AnthropicMessages, &reply, &Telling::default());
    let body: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(body["content"], json!([{"type": "text", "text": "a"}]));
}

/// An earlier thought, and how a tool loop that began with it goes on.
fn loop_that_thinks(more: &Value) -> Value {
    let thought = json!({"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1"});
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let mut messages = vec![
        json!({"role": "user", "content": "q"}),
        json!({"role": "assistant", "tool_calls": [call], "reasoning_details": [thought]}),
        json!({"role": "tool", "tool_call_id": "c", "content": "r"}),
    ];
    messages.extend(more["messages"].as_array().into_iter().flatten().cloned());
    let mut body = json!({"model": "m", "tools": [tool]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body["messages"] = json!(messages);
    body
}

fn to_anthropic(body: &Value, target: &Target<'_>) -> (Value, Vec<String>) {
    let request =
        decode_request(Dialect::OpenaiChat, body.to_string().as_bytes(), FromPath::default()).unwrap();
    let encoded = encode_request(Dialect::AnthropicMessages, &request, target).unwrap();
    let lost = encoded.losses.rows().iter().map(|loss| loss.field.to_string()).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), lost)
}

/// "When thinking is disabled, an `assistant` message in the final position cannot contain `thinking`".
#[test]
fn a_step_without_thinking_does_not_begin_with_it() {
    let thinks = |body: &Value| body["messages"][1]["content"][0]["type"] == "thinking";
    let forced = json!({"type": "function", "function": {"name": "f"}});
    let goes_on = json!([{"role": "user", "content": "and hurry"}]);
    let over = json!([{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}]);
    for (more, kept) in [
        (json!({"reasoning_effort": "low"}), true),
        (json!({"reasoning_effort": "low", "messages": goes_on}), true),
        (json!({"reasoning_effort": "low", "tool_choice": forced}), false),
        (json!({"reasoning_effort": "none"}), false),
        (json!({"reasoning_effort": "none", "messages": goes_on}), false),
        (json!({}), false),
        // Of steps that are over, it takes out by itself what it does not need.
        (json!({"reasoning_effort": "none", "messages": over}), true),
    ] {
        let older = Target { thinks_unasked: false, ..Target::default() };
        let (body, lost) = to_anthropic(&loop_that_thinks(&more), &older);
        assert_eq!(thinks(&body), kept, "{more}: {body}");
        assert_eq!(!lost.contains(&"messages.reasoning".to_owned()), kept, "{more}: {lost:?}");
    }
    // A newer model thinks unless it is told not to; one that nobody knows may.
    let newer = Target { thinking: ThinkingForm::Effort, ..Target::default() };
    for target in [newer, Target::default()] {
        assert!(thinks(&to_anthropic(&loop_that_thinks(&json!({})), &target).0));
        assert!(!thinks(&to_anthropic(&loop_that_thinks(&json!({"reasoning_effort": "none"})), &target).0));
    }
}

/// "The final block in an assistant message cannot be `thinking`".
#[test]
fn no_answer_ends_with_thinking() {
    let thought = json!({"type": "reasoning", "encrypted_content": "sluice:anthropic_messages:signature::c2ln", "summary": [{"type": "summary_text", "text": "Hm."}]});
    let said = |role: &str, words: &str| json!({"type": "message", "role": role, "content": words});
    let body = json!({"model": "m", "reasoning": {"effort": "low"}, "input": [said("user", "q"), thought, said("user", "go on"),
        said("assistant", "a"), thought, said("user", "more")]});
    let request =
        decode_request(Dialect::OpenaiResponses, body.to_string().as_bytes(), FromPath::default()).unwrap();
    let encoded = encode_request(Dialect::AnthropicMessages, &request, &Target::default()).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let text = |words: &str| json!({"type": "text", "text": words});
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [text("q"), text("go on")]}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "more"}])
    );
    assert!(encoded.losses.rows().iter().any(|loss| loss.field == "messages.reasoning"));
}

/// The user's word beside the results does not end the loop that began without a thought to verify.
#[test]
fn a_word_beside_the_results_ends_no_loop() {
    for more in [json!({}), json!({"messages": [{"role": "user", "content": "and hurry"}]})] {
        let mut body = loop_that_thinks(&more);
        body["messages"][1].as_object_mut().unwrap().remove("reasoning_details");
        body["reasoning_effort"] = "low".into();
        let (body, lost) = to_anthropic(&body, &Target::default());
        assert_eq!(body.get("thinking"), None, "{body}");
        assert!(lost.contains(&"thinking".to_owned()), "{lost:?}");
    }
}

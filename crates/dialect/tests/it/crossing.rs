//! A conversation that crosses lanes: an answer was translated, and the next turn goes to the client's own dialect as it
//! is. No provider may get another's tokens.

use std::fs;

use bytes::Bytes;
use dialect::{
    Accounting, Dialect, Door, Edits, Framing, Operation, OwnThinking, ThinkingEdit,
    chat::{ChatReply, Effort, Opaque, OpaqueKind, Part, Role, Thinking, ThinkingMode},
    event::{ChatEvent, Delta},
    peek, splice,
    translate::{FromPath, Target, Telling, decode_reply, decode_request, encode_reply, encode_request},
};
use serde_json::{Value, json};

use crate::{gather::encode, play::play, turns::next_request};

/// The body as the relay lane sends it to a provider of the same dialect.
fn relayed(dialect: Dialect, body: &str, thinking: Option<Thinking>) -> String {
    let envelope = peek(Door::new(dialect, Operation::Chat), body.as_bytes()).unwrap();
    let thinking = thinking.map(|thinking| ThinkingEdit { dialect, thinking, target: Target::default() });
    let own_thinking = Some(OwnThinking { dialect, signs_calls: true });
    let edits = Edits { own_thinking, thinking, ..Edits::default() };
    let parts = splice(&Bytes::copy_from_slice(body.as_bytes()), &envelope, &edits).parts;
    String::from_utf8(parts.concat()).unwrap()
}

/// Answers with tokens, with words that nobody signed, and with calls alone.
fn answers(provider: Dialect) -> Vec<ChatReply> {
    let folder = format!("{}/fixtures/translate/{}", env!("CARGO_MANIFEST_DIR"), provider.name());
    let body = fs::read(format!("{folder}/thinking_and_calls.reply.json")).unwrap();
    let signed = decode_reply(provider, &body, Accounting::Standard).unwrap();
    let mut unsigned = signed.clone();
    for part in &mut unsigned.candidates[0].parts {
        part.opaque.clear();
    }
    let mut hidden = signed.clone();
    let token =
        Opaque { dialect: provider, kind: OpaqueKind::Encrypted, value: "c2VjcmV0".to_owned(), maker: None };
    hidden.candidates[0].parts.insert(0, Part::reasoning("", vec![token]));
    vec![signed, unsigned, hidden]
}

/// What a client of this dialect has in hand when the stream is over, as a whole answer.
fn collected(client: Dialect, stream: &[u8]) -> Value {
    let text = std::str::from_utf8(stream).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    match client {
        Dialect::OpenaiChat => collected_chat(&events),
        Dialect::OpenaiResponses => events.last().unwrap()["response"].clone(),
        Dialect::AnthropicMessages => collected_message(&events),
        Dialect::GeminiGenerate => {
            let parts = events.iter().flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array());
            let parts: Vec<&Value> = parts.flatten().collect();
            json!({"candidates": [{"content": {"role": "model", "parts": parts}}]})
        }
    }
}

fn append(place: &mut Value, more: &Value) {
    let more = more.as_str().unwrap_or_default();
    *place = json!(place.as_str().unwrap_or_default().to_owned() + more);
}

fn collected_chat(events: &[Value]) -> Value {
    let mut message = json!({"role": "assistant"});
    let mut calls: Vec<Value> = Vec::new();
    for event in events {
        let delta = &event["choices"][0]["delta"];
        for key in ["content", "reasoning_content"] {
            append(&mut message[key], &delta[key]);
        }
        if let Some(details) = delta["reasoning_details"].as_array() {
            let before = message["reasoning_details"].as_array().cloned().unwrap_or_default();
            message["reasoning_details"] = json!([before, details.clone()].concat());
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let at = call["index"].as_u64().unwrap() as usize;
            if at == calls.len() {
                calls.push(call.clone());
                continue;
            }
            append(&mut calls[at]["function"]["arguments"], &call["function"]["arguments"]);
            if call["extra_content"].is_object() {
                calls[at]["extra_content"] = call["extra_content"].clone();
            }
        }
    }
    message["tool_calls"] = json!(calls);
    json!({"choices": [{"message": message}]})
}

fn collected_message(events: &[Value]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    for event in events {
        let delta = &event["delta"];
        match event["type"].as_str().unwrap() {
            "content_block_start" => blocks.push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                for (key, of) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
                    if delta[key].is_string() {
                        append(&mut block[of], &delta[key]);
                    }
                }
            }
            _ => {}
        }
    }
    json!({"content": blocks})
}

#[test]
fn no_provider_gets_the_thinking_of_another_dialect() {
    for provider in Dialect::ALL {
        for client in Dialect::ALL.into_iter().filter(|client| *client != provider) {
            for answer in answers(provider) {
                let whole = encode_reply(client, &answer, &Telling::default()).body;
                let whole: Value = serde_json::from_slice(&whole).unwrap();
                let streamed = collected(client, &encode(client, &play(&answer), &Telling::default()));
                for told in [whole, streamed] {
                    let asked = next_request(client, &told).to_string();
                    let sent = relayed(client, &asked, None);
                    check(client, &asked, &sent);
                }
            }
        }
    }
}

fn check(client: Dialect, asked: &str, sent: &str) {
    for mark in ["sluice", "c2x1aWNl", "\"signature\":\"\"", "c2lnbmVk", "Z29vZ2xl", "b3BhcXVl", "c2VjcmV0"] {
        assert!(!sent.contains(mark), "{client:?}: {mark} in {sent}");
    }
    let body: Value = serde_json::from_str(sent).unwrap();
    match client {
        Dialect::AnthropicMessages => {
            let said = &body["messages"][1]["content"];
            assert!(said.as_array().unwrap().iter().all(|block| block["type"] != "thinking"), "{sent}");
            // A step that began without the provider's thinking cannot think on.
            assert!(body.get("thinking").is_none(), "{sent}");
        }
        Dialect::OpenaiResponses => {
            let items = body["input"].as_array().unwrap();
            assert!(items.iter().all(|item| item["type"] != "reasoning"), "{sent}");
        }
        Dialect::GeminiGenerate => {
            let parts = body["contents"][1]["parts"].as_array().unwrap();
            let first = parts.iter().find(|part| part["functionCall"].is_object()).unwrap();
            assert!(first["thoughtSignature"].is_string(), "{sent}");
        }
        Dialect::OpenaiChat => {}
    }
    // Words, calls and results are all there.
    let path = FromPath { model: "m", stream: false };
    let heard = |body: &str| -> Vec<(Role, Vec<Part>)> {
        let request = decode_request(client, body.as_bytes(), path).unwrap();
        let stays = |part: &Part| !matches!(part.content, dialect::chat::Content::Reasoning { .. });
        let turns = request.turns.into_iter().map(|turn| {
            let mut parts: Vec<Part> = turn.parts.into_iter().filter(stays).collect();
            for part in &mut parts {
                part.opaque.clear();
                // Pages that another's search found go, too.
                if let dialect::chat::Content::Text { citations, .. } = &mut part.content {
                    citations.clear();
                    part.extras = Default::default();
                }
            }
            (turn.role, parts)
        });
        turns.collect()
    };
    assert_eq!(heard(asked), heard(sent));
}

#[test]
fn own_thinking_stays_and_what_only_speaks_of_the_mark() {
    let own = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"});
    let other = json!({"type": "redacted_thinking", "data": "sluice:unsigned"});
    let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {"signature": "sluice:x"}});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "sluice:x"}]});
    let asked = |first: Value| {
        json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [{"role": "user", "content": "what is sluice:x?"}, {"role": "assistant", "content": first}, result]})
        .to_string()
    };
    // Byte for byte where there is nothing to leave out.
    let mine = asked(json!([own, call]));
    assert_eq!(relayed(Dialect::AnthropicMessages, &mine, None), mine);
    let both = relayed(Dialect::AnthropicMessages, &asked(json!([own, other, call])), None);
    assert_eq!(both, mine);
    let alone = relayed(Dialect::AnthropicMessages, &asked(json!([other])), None);
    assert_eq!(serde_json::from_str::<Value>(&alone).unwrap()["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_model_name_that_says_to_think_does_not_where_the_step_cannot() {
    let thinking = Thinking { mode: Some(ThinkingMode::Adaptive), effort: Some(Effort::High), shown: None };
    let asked = |token: &str| {
        json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": token},
                {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]})
        .to_string()
    };
    let sent = |token| relayed(Dialect::AnthropicMessages, &asked(token), Some(thinking));
    assert!(sent("c2lnbmVk").contains("\"enabled\""));
    assert!(!sent("sluice:unsigned").contains("\"enabled\""));
}

#[test]
fn what_clears_thinking_goes_with_it() {
    let body = json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}, {"type": "clear_tool_uses_20250919"}]},
        "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "sluice:unsigned"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]});
    let sent = relayed(Dialect::AnthropicMessages, &body.to_string(), None);
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent["context_management"], json!({"edits": [{"type": "clear_tool_uses_20250919"}]}));
}

/// Sources that another's search found stay away from Anthropic, whose own come home as they are.
#[test]
fn pages_of_another_search_are_left_out() {
    let page = |index: &str| {
        json!({"type": "web_search_result_location", "url": "https://e.com", "title": "T", "cited_text": "t",
            "encrypted_index": index})
    };
    let asked = |blocks: Value| {
        json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "q"},
            {"role": "assistant", "content": blocks}, {"role": "user", "content": "and now?"}]})
        .to_string()
    };
    let said = |citations: Value| json!([{"type": "text", "text": "So.", "citations": citations}]);
    let own = asked(said(json!([page("c2ln")])));
    assert_eq!(relayed(Dialect::AnthropicMessages, &own, None), own);
    let both = asked(said(json!([page("c2ln"), page("sluice:unsigned")])));
    assert_eq!(relayed(Dialect::AnthropicMessages, &both, None), own);
    let none = asked(json!([{"type": "text", "text": "So."}]));
    assert_eq!(
        relayed(Dialect::AnthropicMessages, &asked(said(json!([page("sluice:unsigned")]))), None),
        none
    );
    // A thought goes with all that it has.
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "sluice:unsigned", "citations": [page("sluice:unsigned")]});
    let word = json!({"type": "text", "text": "So."});
    assert_eq!(relayed(Dialect::AnthropicMessages, &asked(json!([thought, word])), None), none);
    relayed(Dialect::AnthropicMessages, &asked(json!([thought])), None);
    // That is what an answer has.
    let reply = json!({"id": "a", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "So.", "annotations": [{"type": "url_citation",
            "url_citation": {"url": "https://e.com", "title": "T", "start_index": 0, "end_index": 2}}]}}]});
    let answer =
        decode_reply(Dialect::OpenaiChat, reply.to_string().as_bytes(), Accounting::Standard).unwrap();
    let told = encode_reply(Dialect::AnthropicMessages, &answer, &Telling::default()).body;
    let told: Value = serde_json::from_slice(&told).unwrap();
    let sent = relayed(Dialect::AnthropicMessages, &asked(told["content"].clone()), None);
    assert!(sent.contains("So.") && !sent.contains("citations"), "{sent}");
}

/// A signature holds for its own words only: several thoughts of one answer are told apart when they come home.
#[test]
fn several_thoughts_come_home_each_with_its_own_words() {
    let content = json!([
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        {"type": "thinking", "thinking": "Über A.", "signature": "c2lnQQ"},
        {"type": "thinking", "thinking": "Then B.", "signature": "c2lnQg"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    ]);
    let body = json!({"id": "a", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1}})
    .to_string();
    let home = Dialect::AnthropicMessages;
    let answer = decode_reply(home, body.as_bytes(), Accounting::Standard).unwrap();
    for client in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
        let whole = encode_reply(client, &answer, &Telling::default()).body;
        let streamed = encode(client, &play(&answer), &Telling::default());
        for told in [serde_json::from_slice(&whole).unwrap(), collected(client, &streamed)] {
            let asked = next_request(client, &told).to_string();
            let path = FromPath { model: "m", stream: false };
            let mut request = decode_request(client, asked.as_bytes(), path).unwrap();
            request.thinking.mode = Some(ThinkingMode::Budget(2000));
            let sent = encode_request(home, &request, &Target::default()).unwrap().body;
            let sent: Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(sent["messages"][1]["content"], content, "{client:?}: {asked}");
        }
    }
}

/// OpenRouter tells several thoughts in details that follow one another.
#[test]
fn details_of_several_thoughts_are_several_parts() {
    let detail = |detail: Value| {
        let choice = json!({"index": 0, "delta": {"reasoning_details": [detail]}, "finish_reason": null});
        format!("data: {}\n\n", json!({"id": "a", "model": "m", "choices": [choice]}))
    };
    let format = "anthropic-claude-v1";
    let said =
        |text: &str| detail(json!({"type": "reasoning.text", "text": text, "format": format, "index": 0}));
    let signed = |token: &str| {
        detail(json!({"type": "reasoning.text", "signature": token, "format": format, "index": 0}))
    };
    let stream = [said("A"), said("B"), signed("c2lnQQ"), said("C"), signed("c2lnQg")].concat();
    let events =
        crate::gather::decode(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard, &[stream.as_bytes()]);
    let mut thoughts: Vec<(String, String)> = Vec::new();
    for event in events {
        match event {
            ChatEvent::Opened { .. } => thoughts.push(Default::default()),
            ChatEvent::Delta { delta: Delta::Text(text), .. } => thoughts.last_mut().unwrap().0 += &text,
            ChatEvent::Delta { delta: Delta::Opaque(token), .. } => {
                thoughts.last_mut().unwrap().1 += &token.value
            }
            _ => {}
        }
    }
    assert_eq!(thoughts, [("AB".into(), "c2lnQQ".into()), ("C".into(), "c2lnQg".into())]);
}

/// Words beside the results, or in a message behind them, end no loop; an answer does.
#[test]
fn a_word_beside_the_results_lets_nobody_think() {
    let result = json!({"type": "tool_result", "tool_use_id": "t"});
    let word = json!({"type": "text", "text": "and hurry"});
    let user = |content: Value| json!({"role": "user", "content": content});
    let answer = json!({"role": "assistant", "content": [{"type": "text", "text": "a"}]});
    for (since, thinks) in [
        (json!([user(json!([result, word]))]), false),
        (json!([user(json!([result])), user(json!([word]))]), false),
        (json!([user(json!([result])), answer, user(json!([word]))]), true),
        (json!([user(json!([word]))]), true),
    ] {
        let mut body = json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [{"role": "user", "content": "q"},
                {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "sluice:unsigned"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {}}]}]});
        body["messages"].as_array_mut().unwrap().extend(since.as_array().unwrap().iter().cloned());
        let sent = relayed(Dialect::AnthropicMessages, &body.to_string(), None);
        let sent: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(sent.get("thinking").is_some(), thinks, "{sent}");
    }
}

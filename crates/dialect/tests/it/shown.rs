//! What the user shows arrives in words, or the request is refused: it is never answered without it.

use dialect::{
    Dialect,
    translate::{FromPath, Target, Untranslatable, decode_request, encode_request},
};
use serde_json::{Value, json};

fn send(from: Dialect, body: &Value, to: Dialect, target: &Target<'_>) -> Result<String, String> {
    let request = decode_request(from, body.to_string().as_bytes(), FromPath::default()).unwrap();
    match encode_request(to, &request, target) {
        Ok(encoded) => Ok(String::from_utf8(encoded.body).unwrap()),
        Err(Untranslatable::Unsupported { field, .. }) => Err(field),
        Err(error) => panic!("{error:?}"),
    }
}

fn others(from: Dialect) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |to| *to != from)
}

/// Documents made of blocks and search results, in the question and in a tool's result.
#[test]
fn documents_and_search_results_are_told_in_words() {
    let body = include_bytes!("../../fixtures/translate/anthropic_messages/shown.request.json");
    let body: Value = serde_json::from_slice(body).unwrap();
    for to in others(Dialect::AnthropicMessages) {
        let sent = send(Dialect::AnthropicMessages, &body, to, &Target::default()).unwrap();
        for words in [
            "First note.",
            "from Monday",
            "aGk=",
            "https://example.com/bern",
            "Aare",
            "capital",
            "Thun, too.",
        ] {
            assert!(sent.contains(words), "{words} to {}: {sent}", to.name());
        }
    }
    let own =
        send(Dialect::AnthropicMessages, &body, Dialect::AnthropicMessages, &Target::default()).unwrap();
    assert!(own.contains("\"search_result\"") && own.contains("\"citations\":{\"enabled\":true}"), "{own}");
}

#[test]
fn what_cannot_be_told_is_refused_by_name() {
    let anthropic = |block: Value, role: &str| {
        let messages = json!([{"role": "user", "content": "hi"}, {"role": role, "content": [block, {"type": "text", "text": "q"}]}]);
        (Dialect::AnthropicMessages, json!({"model": "m", "max_tokens": 9, "messages": messages}))
    };
    let responses = |item: Value| {
        (
            Dialect::OpenaiResponses,
            json!({"model": "m", "input": [item, {"role": "user", "content": "go on"}]}),
        )
    };
    let chat = |part: Value| {
        let content = json!([part, {"type": "text", "text": "q"}]);
        (Dialect::OpenaiChat, json!({"model": "m", "messages": [{"role": "user", "content": content}]}))
    };
    for ((from, body), expected) in [
        (
            anthropic(json!({"type": "container_upload", "file_id": "f"}), "user"),
            "messages.content.container_upload",
        ),
        (anthropic(json!({"type": "sample", "a": 1}), "user"), "messages.content.sample"),
        (
            anthropic(json!({"type": "compaction", "content": "all"}), "assistant"),
            "messages.content.compaction",
        ),
        (
            anthropic(
                json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "sample"}]}),
                "user",
            ),
            "messages.content.sample",
        ),
        (
            responses(
                json!({"type": "function_call_output", "call_id": "c", "output": [{"type": "sample"}]}),
            ),
            "input.content.sample",
        ),
        (responses(json!({"type": null, "id": "msg_1"})), "input.item_reference"),
        (responses(json!({"id": "msg_1"})), "input.item_reference"),
        (responses(json!({"type": "compaction", "encrypted_content": "all"})), "input.compaction"),
        (
            responses(json!({"type": "compaction_summary", "encrypted_content": "all"})),
            "input.compaction_summary",
        ),
        (responses(json!({"role": "user", "content": [{"type": "sample"}]})), "input.content.sample"),
        (
            responses(json!({"type": "computer_call_output", "call_id": "c", "output": {}})),
            "input.computer_call_output",
        ),
        (chat(json!({"type": "sample"})), "messages.content.sample"),
        // An answer of one bare word is read as one.
        (
            (
                Dialect::GeminiGenerate,
                json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}],
                    "generationConfig": {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a", "b"]}}}),
            ),
            "generationConfig.responseMimeType",
        ),
    ] {
        for to in others(from) {
            assert_eq!(
                send(from, &body, to, &Target::default()),
                Err(expected.to_owned()),
                "to {}",
                to.name()
            );
        }
        assert!(send(from, &body, from, &Target::default()).is_ok(), "{expected}");
    }
    // Tools that a search of the client's found are offered all the same.
    let found = json!({"type": "tool_reference", "tool_name": "f"});
    let (from, body) =
        anthropic(json!({"type": "tool_result", "tool_use_id": "t", "content": [found]}), "user");
    others(from).for_each(|to| assert!(send(from, &body, to, &Target::default()).is_ok()));
    // The operator would rather lose what another provider's tools said.
    let (from, body) = responses(json!({"type": "computer_call_output", "call_id": "c", "output": {}}));
    let target = Target { drops_server_tools: true, ..Target::default() };
    assert!(send(from, &body, Dialect::OpenaiChat, &target).is_ok());
    // An assistant's deeds are gone with a word.
    let (from, body) =
        anthropic(json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": []}), "assistant");
    assert!(send(from, &body, Dialect::OpenaiChat, &Target::default()).is_ok());
}

#[test]
fn the_title_of_a_plain_document_is_told() {
    let source = json!({"type": "text", "media_type": "text/plain", "data": "We agree."});
    let document = json!({"type": "document", "title": "contract.txt", "source": source});
    let untitled = json!({"type": "document", "source": source});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [document, untitled]}]});
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
        let sent = send(Dialect::AnthropicMessages, &body, to, &Target::default()).unwrap();
        assert!(sent.contains(r#""text":"contract.txt\nWe agree.""#), "{to:?}: {sent}");
        assert!(sent.contains(r#""text":"We agree.""#), "{to:?}: {sent}");
    }
}

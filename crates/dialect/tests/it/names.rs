//! What a request says of models beside the one it names, and what a model's name says beside the model.

use bytes::Bytes;
use dialect::{
    Dialect, Door, Edits, Operation, OutputLimit, PeekError, ThinkingEdit,
    chat::{Effort, Thinking, ThinkingMode},
    peek, splice,
    translate::{Target, ThinkingForm},
};
use serde_json::{Value, json};

fn chat(dialect: Dialect) -> Door {
    Door::new(dialect, Operation::Chat)
}

fn edited(door: Door, body: &str, edits: &Edits<'_>) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let envelope = peek(door, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let text = String::from_utf8(splice(&bytes, &envelope, edits).parts.concat()).unwrap();
    serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{body} became {text}: {error}"));
    text
}

/// As a body goes out, where nothing else is changed.
const ONE: Edits<'_> = Edits {
    model: None,
    ask_usage: false,
    output_limit: None,
    one_model: true,
    thinking: None,
    own_thinking: None,
};

#[test]
fn a_list_of_models_is_read_and_does_not_travel() {
    for (body, model, fallbacks, sent) in [
        (r#"{"model":"a","models":["b","a","c","b"],"x":1}"#, "a", &["b", "c"][..], r#"{"model":"a","x":1}"#),
        (r#"{"models" : ["b"] , "model":"a"}"#, "a", &["b"], r#"{ "model":"a"}"#),
        (r#"{"model":"a","x":1,"models":["b"]}"#, "a", &["b"], r#"{"model":"a","x":1}"#),
        (r#"{"mod\u0065ls":["a","b"],"x":1}"#, "a", &["b"], r#"{"model":"a","x":1}"#),
        (r#"{"model":"a","models":null}"#, "a", &[], r#"{"model":"a","models":null}"#),
        (r#"{"models":["a"]}"#, "a", &[], r#"{"model":"a"}"#),
    ] {
        for dialect in [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::AnthropicMessages] {
            let envelope = peek(chat(dialect), body.as_bytes()).unwrap();
            assert_eq!(
                (envelope.model.as_str(), envelope.fallbacks.as_slice()),
                (model, &fallbacks.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
            assert_eq!(edited(chat(dialect), body, &ONE), sent, "{body}");
            assert_eq!(edited(chat(dialect), body, &Edits::default()), body);
        }
    }
    let gemini = r#"{"contents":[],"models":["b"]}"#;
    assert_eq!(peek(chat(Dialect::GeminiGenerate), gemini.as_bytes()).unwrap().fallbacks, ["b"]);
    assert_eq!(edited(chat(Dialect::GeminiGenerate), gemini, &ONE), r#"{"contents":[]}"#);
    // Found by fuzzing: what is added comes first where all else was cut.
    let door = chat(Dialect::GeminiGenerate);
    let limit = OutputLimit { dialect: door.dialect, operation: door.operation, tokens: 17, new_name: false };
    let edits = Edits { output_limit: Some(limit), ..ONE };
    let sent = "{\n\"generationConfig\":{\"maxOutputTokens\":17}}";
    assert_eq!(edited(door, "{\n\"models\":[\"b\"]}", &edits), sent);
}

#[test]
fn another_model_and_other_edits_stand_beside_a_list() {
    for body in [
        r#"{"messages":[],"models":["a","b"]}"#,
        r#"{"models":["a","b"],"messages":[],"stream":true}"#,
        r#"{"model":"a","models":["b"]}"#,
        r#"{"models":["b"],"model":"a","max_tokens":900}"#,
    ] {
        let limit = OutputLimit {
            dialect: Dialect::OpenaiChat,
            operation: Operation::Chat,
            tokens: 7,
            new_name: false,
        };
        let edits = Edits { model: Some("b2"), ask_usage: true, output_limit: Some(limit), ..ONE };
        let sent: Value = serde_json::from_str(&edited(chat(Dialect::OpenaiChat), body, &edits)).unwrap();
        assert_eq!((&sent["model"], &sent["max_tokens"]), (&json!("b2"), &json!(7)), "{body}");
        assert_eq!(
            (sent.get("models"), &sent["stream_options"]["include_usage"]),
            (None, &json!(true)),
            "{body}"
        );
    }
}

#[test]
fn a_list_that_is_none_is_named() {
    let many = format!(r#"{{"model":"a","models":{}}}"#, json!(vec!["x"; 17]));
    for body in [
        r#"{"models":[]}"#,
        r#"{"model":"a","models":"b"}"#,
        r#"{"model":"a","models":[1]}"#,
        r#"{"model":"a","models":[""]}"#,
        &many,
    ] {
        for operation in [Operation::Chat, Operation::CountTokens] {
            let error = peek(Door::new(Dialect::AnthropicMessages, operation), body.as_bytes()).unwrap_err();
            assert!(matches!(error, PeekError::BadField { field: "models", .. }), "{body}: {error:?}");
        }
    }
    // Elsewhere the field means nothing to us.
    let embedding = Door::new(Dialect::OpenaiChat, Operation::Embeddings);
    assert_eq!(edited(embedding, r#"{"model":"a","models":3}"#, &ONE), r#"{"model":"a","models":3}"#);
}

const OFF: Thinking = Thinking { mode: Some(ThinkingMode::Off), effort: None, shown: None };
const ON: Thinking = Thinking { mode: Some(ThinkingMode::Adaptive), effort: None, shown: None };
const HIGH: Thinking = Thinking { mode: None, effort: Some(Effort::High), shown: None };

fn told(dialect: Dialect, thinking: Thinking, form: ThinkingForm, body: &str) -> String {
    let target = Target { model: "m", thinking: form, max_output: Some(32_000), ..Target::default() };
    let edits = Edits { thinking: Some(ThinkingEdit { dialect, thinking, target }), ..Edits::default() };
    edited(chat(dialect), body, &edits)
}

/// Gemini has both in one object.
#[test]
fn a_wish_for_thinking_and_a_limit_of_the_output_stand_beside_each_other() {
    let door = chat(Dialect::GeminiGenerate);
    let target = Target { model: "m", thinking: ThinkingForm::Budget, ..Target::default() };
    let edits = Edits {
        thinking: Some(ThinkingEdit { dialect: door.dialect, thinking: HIGH, target }),
        output_limit: Some(OutputLimit {
            dialect: door.dialect,
            operation: door.operation,
            tokens: 17,
            new_name: false,
        }),
        ..ONE
    };
    for config in
        ["", r#","generationConfig":null"#, r#","generationConfig":{}"#, r#","generationConfig":{"topK":3}"#]
    {
        let body = format!(r#"{{"contents":[]{config}}}"#);
        let sent = edited(door, &body, &edits);
        assert_eq!(sent.matches("generationConfig").count(), 1, "{sent}");
        let sent: Value = serde_json::from_str(&sent).unwrap();
        let config = &sent["generationConfig"];
        assert_eq!(config["maxOutputTokens"], 17, "{sent}");
        assert!(config["thinkingConfig"].is_object(), "{sent}");
    }
}

#[test]
fn a_wish_for_thinking_is_one_field_of_the_dialect() {
    use Dialect::{AnthropicMessages, GeminiGenerate, OpenaiChat, OpenaiResponses};
    use ThinkingForm::{Budget, Effort};
    for (dialect, thinking, form, body, sent) in [
        (OpenaiChat, HIGH, Budget, r#"{"model":"m"}"#, r#"{"model":"m","reasoning_effort":"high"}"#),
        (OpenaiChat, ON, Budget, r#"{"model":"m"}"#, r#"{"model":"m","reasoning_effort":"medium"}"#),
        (
            OpenaiChat,
            OFF,
            Budget,
            r#"{"model":"m","reasoning_effort":null}"#,
            r#"{"model":"m","reasoning_effort":"none"}"#,
        ),
        (OpenaiResponses, HIGH, Effort, r#"{"model":"m"}"#, r#"{"model":"m","reasoning":{"effort":"high"}}"#),
        (
            OpenaiResponses,
            HIGH,
            Effort,
            r#"{"model":"m","reasoning":{"summary":"auto"}}"#,
            r#"{"model":"m","reasoning":{"summary":"auto","effort":"high"}}"#,
        ),
        (
            AnthropicMessages,
            ON,
            Effort,
            r#"{"model":"m","max_tokens":9}"#,
            r#"{"model":"m","max_tokens":9,"thinking":{"type":"adaptive","display":"summarized"}}"#,
        ),
        (
            AnthropicMessages,
            OFF,
            Budget,
            r#"{"model":"m"}"#,
            r#"{"model":"m","thinking":{"type":"disabled"}}"#,
        ),
        (
            GeminiGenerate,
            HIGH,
            Effort,
            r#"{"contents":[]}"#,
            r#"{"contents":[],"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH","includeThoughts":true}}}"#,
        ),
        (
            GeminiGenerate,
            OFF,
            Budget,
            r#"{"generationConfig":{"topP":1}}"#,
            r#"{"generationConfig":{"topP":1,"thinkingConfig":{"thinkingBudget":0}}}"#,
        ),
    ] {
        assert_eq!(told(dialect, thinking, form, body), sent, "{body}");
    }
}

#[test]
fn an_anthropic_budget_makes_room_for_the_answer_and_sampling_goes() {
    let body = r#"{"temperature":0.2,"top_p":0.9,"model":"m","max_tokens":500,"top_k":3}"#;
    let sent: Value =
        serde_json::from_str(&told(Dialect::AnthropicMessages, HIGH, ThinkingForm::Budget, body)).unwrap();
    assert_eq!(sent["thinking"]["budget_tokens"], 1_024);
    assert_eq!(sent["max_tokens"], 2_048);
    for gone in ["temperature", "top_p", "top_k"] {
        assert_eq!(sent.get(gone), None, "{sent}");
    }
}

#[test]
fn what_the_body_says_of_thinking_stays() {
    for (dialect, body) in [
        (Dialect::OpenaiChat, r#"{"model":"m","reasoning_effort":"low"}"#),
        (Dialect::OpenaiChat, r#"{"model":"m","reasoning":{"max_tokens":9}}"#),
        (Dialect::OpenaiResponses, r#"{"model":"m","reasoning":{"effort":"low"}}"#),
        (Dialect::AnthropicMessages, r#"{"model":"m","temperature":1,"thinking":{"type":"disabled"}}"#),
        (Dialect::GeminiGenerate, r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":1}}}"#),
    ] {
        assert_eq!(told(dialect, HIGH, ThinkingForm::Budget, body), body);
    }
}

//! What differs between models of one dialect: what one of them refuses is not sent to it, and listed.

use dialect::{
    Dialect::{self, AnthropicMessages, GeminiGenerate, OpenaiChat, OpenaiResponses},
    chat::Effort::{High, Low, Medium, Minimal},
    translate::{FromPath, Sampling, Target, ThinkingForm, Untranslatable, decode_request, encode_request},
};
use serde_json::{Value, json};

/// What is sent of the options of a body, and the fields that are listed.
fn sent(from: Dialect, body: &Value, to: Dialect, target: Target<'_>) -> (Value, Vec<String>) {
    let encoded = try_sent(from, body, to, target).unwrap();
    let lost = encoded.losses.rows().iter().map(|loss| loss.field.to_string()).collect();
    (serde_json::from_slice(&encoded.body).unwrap(), lost)
}

fn try_sent(
    from: Dialect,
    body: &Value,
    to: Dialect,
    target: Target<'_>,
) -> Result<dialect::translate::Encoded, Untranslatable> {
    let path = FromPath { model: "m", stream: false };
    let request = decode_request(from, body.to_string().as_bytes(), path).unwrap();
    encode_request(to, &request, &target)
}

fn anthropic(options: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "q"}]});
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    body
}

fn gemini(config: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "q"}]}], "generationConfig": config})
}

fn chat(options: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}]});
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    body
}

#[test]
fn a_budget_outside_of_the_models_range_is_the_nearest_in_it() {
    let flash = Target { budgets: (1, 24_576), ..Target::default() };
    let pro = Target { budgets: (128, 32_768), always_thinks: true, ..Target::default() };
    let lite = Target { budgets: (512, 24_576), ..Target::default() };
    let budget = |tokens: u64| anthropic(json!({"thinking": {"type": "enabled", "budget_tokens": tokens}}));
    let off = anthropic(json!({"thinking": {"type": "disabled"}}));
    for (body, target, thought, lost) in [
        (
            budget(31_999),
            flash,
            json!({"thinkingBudget": 24_576, "includeThoughts": true}),
            vec!["thinking.budget_tokens"],
        ),
        (budget(31_999), pro, json!({"thinkingBudget": 31_999, "includeThoughts": true}), vec![]),
        (
            budget(300),
            lite,
            json!({"thinkingBudget": 512, "includeThoughts": true}),
            vec!["thinking.budget_tokens"],
        ),
        (off.clone(), flash, json!({"thinkingBudget": 0}), vec![]),
        (off, pro, json!({"thinkingBudget": 128}), vec!["thinking"]),
    ] {
        let (body, fields) = sent(AnthropicMessages, &body, GeminiGenerate, target);
        assert_eq!(body["generationConfig"]["thinkingConfig"], thought);
        assert_eq!(fields, lost, "{body}");
    }
    // The most that a model can is what the highest effort stands for: nothing is lost.
    let (body, lost) = sent(OpenaiChat, &chat(json!({"reasoning_effort": "xhigh"})), GeminiGenerate, flash);
    assert_eq!(body["generationConfig"]["thinkingConfig"]["thinkingBudget"], 24_576);
    assert_eq!(lost, Vec::<String>::new());
}

#[test]
fn an_effort_that_the_model_does_not_know_is_the_nearest_that_it_knows() {
    let four = Target { efforts: &[Minimal, Low, Medium, High], always_thinks: true, ..Target::default() };
    let three = Target { efforts: &[Low, Medium, High], ..four };
    let untold = Target { efforts: &[], ..four };
    let unknown = Target::default();
    let effort = |word: &str| chat(json!({"reasoning_effort": word}));
    let two = Target { efforts: &[Low, High], thinking: ThinkingForm::Effort, ..four };
    for (word, to, target, said, lost) in [
        ("none", OpenaiResponses, four, json!("minimal"), vec!["thinking"]),
        ("none", OpenaiChat, three, json!("low"), vec!["thinking"]),
        ("minimal", OpenaiChat, three, json!("low"), vec!["reasoning_effort"]),
        ("max", OpenaiResponses, three, json!("high"), vec!["reasoning_effort"]),
        ("medium", OpenaiChat, three, json!("medium"), vec![]),
        ("medium", OpenaiResponses, untold, Value::Null, vec!["reasoning_effort"]),
        ("none", OpenaiChat, unknown, json!("none"), vec![]),
        ("medium", GeminiGenerate, two, json!("HIGH"), vec!["reasoning_effort"]),
        ("none", GeminiGenerate, two, json!("LOW"), vec!["thinking"]),
    ] {
        let (body, fields) = sent(OpenaiChat, &effort(word), to, target);
        let told = match to {
            OpenaiChat => &body["reasoning_effort"],
            OpenaiResponses => &body["reasoning"]["effort"],
            _ => &body["generationConfig"]["thinkingConfig"]["thinkingLevel"],
        };
        assert_eq!(
            (told, fields),
            (&said, lost.iter().map(|field| field.to_string()).collect()),
            "{word}: {body}"
        );
    }
}

#[test]
fn to_think_as_much_as_it_likes_is_listed_where_it_cannot_be_said() {
    let adaptive = anthropic(json!({"thinking": {"type": "adaptive"}}));
    let never = Target { thinking: ThinkingForm::Never, ..Target::default() };
    let always = Target { always_thinks: true, ..Target::default() };
    for to in [OpenaiChat, OpenaiResponses] {
        assert_eq!(sent(AnthropicMessages, &adaptive, to, Target::default()).1, ["thinking"]);
        assert_eq!(sent(AnthropicMessages, &adaptive, to, never).1, ["thinking"]);
        assert_eq!(sent(AnthropicMessages, &adaptive, to, always).1, Vec::<String>::new());
    }
}

#[test]
fn not_to_think_is_no_loss_where_the_model_never_does() {
    let never = Target { thinking: ThinkingForm::Never, ..Target::default() };
    let off = anthropic(json!({"thinking": {"type": "disabled"}}));
    for to in Dialect::ALL {
        let (body, lost) = sent(AnthropicMessages, &off, to, never);
        assert_eq!(lost, Vec::<String>::new(), "{to:?}: {body}");
        assert_eq!(body.get("reasoning_effort"), None);
    }
}

#[test]
fn sampling_options_that_the_model_refuses_are_left_out() {
    let nothing = Target { sampling: Sampling::Nothing, ..Target::default() };
    let config = gemini(json!({"temperature": 0.4, "topP": 0.95, "topK": 3, "presencePenalty": 0.5}));
    for to in Dialect::ALL {
        let (body, lost) = sent(GeminiGenerate, &config, to, nothing);
        let text = body.to_string();
        for (field, name) in [("temperature", "temperature"), ("top_p", "topP"), ("top_k", "topK")] {
            assert!(!text.contains(field) && !text.contains(name), "{to:?}: {body}");
            assert_eq!(lost.iter().filter(|lost| *lost == field).count(), 1, "{to:?}: {lost:?}");
        }
    }
    // What is usual is no wish: its absence says the same.
    let usual = gemini(json!({"temperature": 1, "topP": 1.0, "presencePenalty": 0}));
    let (body, lost) = sent(GeminiGenerate, &usual, OpenaiResponses, nothing);
    assert_eq!((body.get("temperature"), lost.len()), (None, 0), "{body}");

    let one = Target { sampling: Sampling::OneOfTwo, ..Target::default() };
    let (body, lost) = sent(GeminiGenerate, &config, AnthropicMessages, one);
    assert_eq!((&body["temperature"], body.get("top_p")), (&json!(0.4), None), "{body}");
    assert!(lost.iter().any(|field| field == "top_p"), "{lost:?}");
    let (body, lost) = sent(GeminiGenerate, &gemini(json!({"topP": 0.95})), AnthropicMessages, one);
    assert_eq!((&body["top_p"], lost.len()), (&json!(0.95), 0), "{body}");
}

#[test]
fn a_limit_above_the_models_own_is_the_models() {
    let known = Target { max_output: Some(4096), ..Target::default() };
    let limit = |body: &Value| {
        let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
        let limit = names.iter().find_map(|name| body[name].as_u64());
        limit.or_else(|| body["generationConfig"]["maxOutputTokens"].as_u64())
    };
    for to in Dialect::ALL {
        let body = anthropic(json!({"max_tokens": 32_000}));
        let (body_of_known, lost) = sent(AnthropicMessages, &body, to, known);
        assert_eq!((limit(&body_of_known), lost), (Some(4096), vec!["max_tokens".to_owned()]), "{to:?}");
        let (body_of_unknown, lost) = sent(AnthropicMessages, &body, to, Target::default());
        assert_eq!((limit(&body_of_unknown), lost.len()), (Some(32_000), 0), "{to:?}");
        // What the caller may have is no loss of his, whether he names a limit or not.
        let poor = Target { ceiling: Some(1500), ..known };
        for body in [anthropic(json!({"max_tokens": 2000})), anthropic(json!({"max_tokens": null}))] {
            let (body, lost) = sent(AnthropicMessages, &body, to, poor);
            assert_eq!((limit(&body), lost.len()), (Some(1500), 0), "{to:?}");
        }
    }
}

#[test]
fn a_model_that_cannot_be_held_to_a_schema_is_not_asked_to() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let body = chat(json!({"response_format": schema}));
    let old = Target { schemas: false, ..Target::default() };
    let refused = try_sent(OpenaiChat, &body, AnthropicMessages, old);
    assert!(
        matches!(&refused, Err(Untranslatable::Unsupported { field, .. }) if field == "response_format"),
        "{refused:?}"
    );
    let (body, _) = sent(OpenaiChat, &body, AnthropicMessages, Target::default());
    assert_eq!(body["output_config"]["format"]["type"], "json_schema");
}

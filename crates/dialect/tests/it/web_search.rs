//! Web search where there is none: what agents offer beside their own tools is left out and listed, what was asked for is
//! refused.

use dialect::{
    Dialect,
    translate::{FromPath, Target, Untranslatable, decode_request, encode_request},
};
use serde_json::{Value, json};

fn to_chat(tools: Value, choice: Value) -> Result<(Value, Vec<String>), Untranslatable> {
    let body = json!({"model": "m", "input": "hi", "tools": tools, "tool_choice": choice}).to_string();
    let request = decode_request(Dialect::OpenaiResponses, body.as_bytes(), FromPath::default()).unwrap();
    let encoded = encode_request(Dialect::OpenaiChat, &request, &Target::default())?;
    let lost = encoded.losses.rows().iter().map(|loss| loss.field.to_string()).collect();
    Ok((serde_json::from_slice(&encoded.body).unwrap(), lost))
}

/// Chat has it beside its tools, the others among theirs.
#[test]
fn the_search_of_chat_is_the_search_of_the_others() {
    let options = json!({"search_context_size": "low"});
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "web_search_options": options});
    let request =
        decode_request(Dialect::OpenaiChat, body.to_string().as_bytes(), FromPath::default()).unwrap();
    for (to, tool) in [
        (Dialect::OpenaiResponses, json!({"type": "web_search"})),
        (Dialect::AnthropicMessages, json!({"type": "web_search_20250305", "name": "web_search"})),
        (Dialect::GeminiGenerate, json!({"googleSearch": {}})),
    ] {
        let sent = encode_request(to, &request, &Target::default()).unwrap();
        assert!(sent.losses.rows().iter().any(|loss| loss.field == "tools.web_search"));
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(sent["tools"], json!([tool]), "{to:?}");
    }
    let own = encode_request(Dialect::OpenaiChat, &request, &Target::default()).unwrap();
    let own: Value = serde_json::from_slice(&own.body).unwrap();
    assert_eq!((&own["web_search_options"], &own["tools"]), (&options, &Value::Null));
}

#[test]
fn beside_tools_of_ones_own_it_is_left_out_and_listed() {
    let own = json!({"type": "function", "name": "look_up"});
    let search = json!({"type": "web_search", "external_web_access": true});
    for choice in [Value::Null, "auto".into(), "none".into()] {
        let (sent, lost) = to_chat(json!([own, search]), choice).unwrap();
        assert_eq!(sent["tools"].as_array().unwrap().len(), 1);
        assert_eq!(lost, ["tools.web_search"]);
    }
    let wanted = [json!([own, search]), json!([search])];
    for (tools, choice) in [
        (&wanted[1], "auto".into()),
        (&wanted[0], "required".into()),
        (&wanted[0], json!({"type": "web_search"})),
    ] {
        let refused = to_chat(tools.clone(), choice);
        assert!(matches!(refused, Err(Untranslatable::Unsupported { .. })), "{refused:?}");
    }
    // Other tools of providers are not for the model's comfort.
    let refused = to_chat(json!([own, {"type": "file_search"}]), Value::Null);
    assert!(matches!(refused, Err(Untranslatable::Unsupported { .. })));
}

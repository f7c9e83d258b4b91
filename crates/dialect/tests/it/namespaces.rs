//! Tools in namespaces, which only Responses has: offered to every dialect, and called by their two names again.

use dialect::{
    Accounting, Dialect, Framing,
    translate::{FromPath, StreamDecoder, StreamEncoder, Target, Telling, decode_request, encode_request},
};
use serde_json::{Value, json};

const REQUEST: &[u8] = include_bytes!("../../fixtures/translate/openai_responses/namespaces.request.json");

/// A chat provider's stream that calls these tools.
fn calling(names: &[&str]) -> String {
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": [choice]}))
    };
    let call = |(at, name): (usize, &&str)| {
        let function = json!({"name": name, "arguments": "{\"input\":\"hi\"}"});
        let call = json!({"index": at, "id": format!("call_{at}"), "type": "function", "function": function});
        chunk(json!({"tool_calls": [call]}), Value::Null)
    };
    let calls: String = names.iter().enumerate().map(call).collect();
    calls + &chunk(json!({}), "tool_calls".into()) + "data: [DONE]\n\n"
}

#[test]
fn calls_come_back_with_their_namespace() {
    let request =
        decode_request(Dialect::OpenaiResponses, REQUEST, FromPath { model: "", stream: true }).unwrap();
    let target = Target { model: "m", ..Target::default() };
    let encoded = encode_request(Dialect::OpenaiChat, &request, &target).unwrap();
    let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
    let names: Vec<&str> = sent["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().or(tool["custom"]["name"].as_str()).unwrap())
        .collect();
    assert_eq!(names, ["list", "agents_list", "agents_close", "agents_tell", "crm_find"]);
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], "agents_list");

    let telling = Telling { renamed: encoded.renamed, id: "r".into(), ..Telling::default() };
    let mut decoder = StreamDecoder::new(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard);
    let mut encoder = StreamEncoder::new(Dialect::OpenaiResponses, telling);
    let (mut events, mut out) = (Vec::new(), Vec::new());
    decoder.feed(calling(&["agents_close", "list"]).as_bytes(), &mut events);
    events.iter().for_each(|event| encoder.write(event, &mut out));
    let told: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    for kind in ["response.output_item.added", "response.output_item.done"] {
        let items: Vec<_> = told.iter().filter(|event| event["type"] == kind).collect();
        assert_eq!(items[0]["item"]["name"], "close", "{kind}");
        assert_eq!(items[0]["item"]["namespace"], "agents", "{kind}");
        assert_eq!(items[1]["item"]["name"], "list", "{kind}");
        assert!(items[1]["item"].get("namespace").is_none(), "{kind}");
    }
    let whole = &told.last().unwrap()["response"]["output"];
    assert_eq!((&whole[0]["name"], &whole[0]["namespace"]), (&json!("close"), &json!("agents")));
}

#[test]
fn groups_are_groups_again_in_their_own_dialect() {
    let path = FromPath { model: "", stream: true };
    let request = decode_request(Dialect::OpenaiResponses, REQUEST, path).unwrap();
    let target = Target { model: "m", ..Target::default() };
    let encoded = encode_request(Dialect::OpenaiResponses, &request, &target).unwrap();
    assert!(encoded.losses.is_empty() && encoded.renamed.is_empty());
    let sent: Value = serde_json::from_slice(&encoded.body).unwrap();
    let asked: Value = serde_json::from_slice(REQUEST).unwrap();
    assert_eq!(sent["tools"][1], asked["tools"][1]);
    assert_eq!(sent["tools"][2]["tools"][0]["name"], "find");
    assert_eq!(sent["input"][1]["namespace"], "agents");
    assert_eq!(decode_request(Dialect::OpenaiResponses, &encoded.body, path).unwrap().tools, {
        let mut tools = request.tools;
        // What was not said is said.
        if let Some(dialect::chat::Tool::Function(find)) = tools.last_mut() {
            find.strict = Some(false);
        }
        tools
    });
}

/// A group with a tool that only its provider runs stays the provider's.
#[test]
fn a_group_with_a_server_tool_is_refused_elsewhere() {
    let body =
        br#"{"model":"m","input":"hi","tools":[{"type":"namespace","name":"n","tools":[{"type":"mcp"}]}]}"#;
    let request = decode_request(Dialect::OpenaiResponses, body, FromPath::default()).unwrap();
    let target = Target::default();
    assert!(encode_request(Dialect::OpenaiChat, &request, &target).is_err());
    assert!(encode_request(Dialect::OpenaiResponses, &request, &target).is_ok());
}

//! Small bodies of very many things: what they cost grows with their number and not with its square.

use std::time::{Duration, Instant};

use dialect::{
    Dialect,
    chat::{
        Candidate, ChatReply, ChatRequest, Citation, Content, Function, Part, Role, Tool, ToolChoice, Turn,
    },
    translate::{FromPath, Target, Telling, decode_request, encode_reply, encode_request},
};
use serde_json::{Value, json};

/// A minute is what hours become on a slow machine without optimisation; what is measured takes a second.
const LONGEST: Duration = Duration::from_secs(60);
const MANY: usize = 20_000;

fn encode(to: Dialect, request: &ChatRequest) -> Vec<u8> {
    let began = Instant::now();
    let encoded = encode_request(to, request, &Target::default()).unwrap();
    let took = began.elapsed();
    assert!(took < LONGEST, "{to:?}: {took:?}");
    encoded.body
}

#[test]
fn names_that_only_differ_in_letters_that_are_not_taken() {
    let letters = (0..MANY as u32).filter_map(|at| char::from_u32(0x4e00 + at));
    let tools: Vec<Value> =
        letters.map(|letter| json!({"type": "function", "function": {"name": letter.to_string()}})).collect();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "tools": tools});
    let request =
        decode_request(Dialect::OpenaiChat, body.to_string().as_bytes(), FromPath::default()).unwrap();
    for to in Dialect::ALL {
        let body: Value = serde_json::from_slice(&encode(to, &request)).unwrap();
        let named = |tool: &Value| {
            [&tool["name"], &tool["function"]["name"]]
                .iter()
                .find_map(|name| name.as_str().map(str::to_owned))
        };
        let tools = match to {
            Dialect::GeminiGenerate => &body["tools"][0]["functionDeclarations"],
            _ => &body["tools"],
        };
        let mut names: Vec<String> = tools.as_array().unwrap().iter().filter_map(named).collect();
        assert_eq!(names.len(), tools.as_array().unwrap().len());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), MANY, "two tools have one name in {to:?}");
    }
}

#[test]
fn calls_results_and_choices() {
    let ids = || (0..MANY).map(|at| format!("call_{at}"));
    let call =
        |id: String| Part::new(Content::ToolCall { id, name: "f".into(), input: "{}".into(), custom: true });
    let result = |call_id: String| {
        let parts = vec![Part::text("r")];
        Part::new(Content::ToolResult { call_id, name: None, parts, is_error: false, custom: false })
    };
    let tool = |name| Tool::Function(Function { name, ..Function::default() });
    let request = ChatRequest {
        turns: vec![
            Turn::new(Role::User, vec![Part::text("q")]),
            Turn::new(Role::Assistant, ids().map(call).collect()),
            Turn::new(Role::Tool, ids().rev().map(result).collect()),
        ],
        tools: ids().map(tool).collect(),
        tool_choice: Some(ToolChoice::Subset { names: ids().rev().collect(), required: false }),
        ..ChatRequest::default()
    };
    for to in Dialect::ALL {
        let body = encode(to, &request);
        let began = Instant::now();
        let again = decode_request(to, &body, FromPath { model: "m", stream: false }).unwrap();
        assert!(began.elapsed() < LONGEST, "{to:?}: {:?}", began.elapsed());
        assert_eq!(again.tools.len(), MANY);
    }
}

/// Without ids a result finds its call by the name, or finds none; and all calls may have one name.
#[test]
fn results_that_find_their_calls_by_name() {
    let spoken = |role: &str, part: &str, name: fn(usize) -> String| {
        let parts: Vec<Value> = (0..80_000).map(|at| json!({part: {"name": name(at)}})).collect();
        json!({"role": role, "parts": parts})
    };
    type Name = fn(usize) -> String;
    let one: Name = |_| "a".to_owned();
    let another: Name = |_| "b".to_owned();
    let numbered: Name = |at| format!("f{at}");
    let backwards: Name = |at| format!("f{}", 79_999 - at);
    for (called, answered) in [(one, one), (one, another), (numbered, backwards)] {
        let contents =
            [spoken("model", "functionCall", called), spoken("user", "functionResponse", answered)];
        let (request, turns) = decode_many(Dialect::GeminiGenerate, &json!({"contents": contents}));
        let found = called(0) == answered(0) || called(0) == answered(79_999);
        let ids = |turn: usize| -> Vec<&str> {
            let parts = request.turns[turn].parts.iter();
            parts
                .map(|part| match &part.content {
                    Content::ToolCall { id, .. } => id.as_str(),
                    Content::ToolResult { call_id, .. } => call_id.as_str(),
                    content => panic!("{content:?}"),
                })
                .collect()
        };
        let (calls, mut results) = (ids(turns - 2), ids(turns - 1));
        if called(1) != "a" {
            results.reverse();
        }
        assert_eq!(calls == results, found, "{:?} {:?}", &calls[..2], &results[..2]);
    }
}

#[test]
fn results_of_the_old_functions() {
    let mut messages = Vec::new();
    messages.extend((0..60_000).map(|_| json!({"role": "assistant", "function_call": {"name": "a"}})));
    messages.extend((0..60_000).map(|_| json!({"role": "function", "name": "b"})));
    let (request, _) = decode_many(Dialect::OpenaiChat, &json!({"model": "m", "messages": messages}));
    let calls = request.turns.iter().flat_map(|turn| &turn.parts);
    assert_eq!(calls.filter(|part| matches!(part.content, Content::ToolCall { .. })).count(), 60_000);
}

/// Sources of one long text, and texts of one long answer, are told without counting it anew for each.
#[test]
fn sources_and_texts_of_a_long_answer() {
    let citation = Citation { url: "https://e.com".into(), ..Citation::default() };
    let cited = Content::Text { text: "a".repeat(32_000_000), citations: vec![citation; 5 * MANY] };
    let mut parts = vec![Part::new(cited)];
    parts.extend((0..5 * MANY).map(|_| Part::text("b")));
    let request = ChatRequest {
        turns: vec![Turn::new(Role::User, vec![Part::text("q")]), Turn::new(Role::Assistant, parts.clone())],
        ..ChatRequest::default()
    };
    let reply =
        ChatReply { candidates: vec![Candidate { parts, ..Candidate::default() }], ..ChatReply::default() };
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
        encode(to, &request);
        let began = Instant::now();
        encode_reply(to, &reply, &Telling::default());
        assert!(began.elapsed() < LONGEST, "{to:?}: {:?}", began.elapsed());
    }
}

fn decode_many(from: Dialect, body: &Value) -> (ChatRequest, usize) {
    let body = body.to_string();
    let began = Instant::now();
    let request = decode_request(from, body.as_bytes(), FromPath { model: "m", stream: false }).unwrap();
    assert!(began.elapsed() < LONGEST, "{from:?}: {:?}", began.elapsed());
    let turns = request.turns.len();
    (request, turns)
}

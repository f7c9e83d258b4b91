//! Clients that keep nothing of what a model thought go on using tools, and nobody else gets it.

use serde_json::{Value, json};
use upstream_sim::Sim;

use super::{
    asked::{self, CALL, RESULT, Turn},
    one_each, pairs,
    said::Said,
};
use crate::harness::{DIALECTS, World, channel};

const OTHER: &str = "sk-another-caller-of-the-test";
/// The provider's token, whatever the dialect.
const TOKEN: &str = "c2x1aWNlLXNpbS1zaWduYXR1cmU=";

async fn world() -> World {
    World::start(|sim| {
        let other = format!("[[key]]\nname = \"other\"\nsecret = \"{OTHER}\"\n");
        other + &one_each(&sim.scripted("tool,reasoning"))
    })
    .await
}

/// Asks for thinking, in the dialect's own words.
fn thoughtful(dialect: &str, turn: Turn) -> Value {
    let mut body = asked::body(dialect, turn);
    match dialect {
        "openai_chat" => body["reasoning_effort"] = json!("high"),
        "openai_responses" => body["reasoning"] = json!({"effort": "high"}),
        "anthropic_messages" => body["thinking"] = json!({"type": "enabled", "budget_tokens": 2000}),
        _ => body["generationConfig"]["thinkingConfig"] = json!({"thinkingBudget": 2000}),
    }
    body
}

/// The tokens that a provider was sent, in the places where it looks for them; and whether it is to think.
fn tokens(dialect: &str, body: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match dialect {
        "openai_responses" => {
            let items = list(&body["input"]);
            let at = items.iter().position(|item| item["type"] == "reasoning");
            at.map(|at| {
                assert_eq!(items[at + 1]["type"], "function_call", "right before what it led to: {body}");
                items[at]["encrypted_content"].clone()
            })
            .into_iter()
            .collect()
        }
        "anthropic_messages" => {
            let blocks = list(&body["messages"][1]["content"]);
            let first = blocks.first().filter(|block| block["type"] == "thinking");
            first
                .map(|block| {
                    assert!(
                        block["thinking"].as_str().is_some_and(|text| text.starts_with("The caller wants"))
                    );
                    block["signature"].clone()
                })
                .into_iter()
                .collect()
        }
        _ => {
            let parts = list(&body["contents"][1]["parts"]);
            parts.iter().filter_map(|part| part.get("thoughtSignature").cloned()).collect()
        }
    }
}

#[tokio::test]
async fn a_client_that_keeps_nothing_goes_on_thinking_and_another_gets_nothing() {
    let world = world().await;
    for to in ["openai_responses", "anthropic_messages", "gemini_generate"] {
        for from in DIALECTS.into_iter().filter(|from| *from != to) {
            for stream in [false, true] {
                let case = format!("{from} to {to}, stream: {stream}");
                let first = world.ask(&asked::request(from, to, thoughtful(from, Turn::Tool), stream)).await;
                assert_eq!(first.status, 200, "{case}: {first:?}");
                let said =
                    if stream { Said::streamed(from, &first.body) } else { Said::whole(from, &first.json()) };
                // Of the answer it keeps the call and its id, and nothing else.
                let history = thoughtful(from, Turn::Result).to_string().replace(CALL, &said.ids[0]);
                let request = asked::request(from, to, serde_json::from_str(&history).unwrap(), stream);
                let read =
                    || -> Value { serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap() };

                let mut stranger = request.clone();
                stranger.headers[0].1 = format!("Bearer {OTHER}");
                assert_eq!(world.ask(&stranger).await.status, 200, "{case}");
                let body = read();
                assert_eq!(tokens(to, &body), Vec::<Value>::new(), "{case}: {body}");
                assert!(!body.to_string().contains(TOKEN), "{case}: {body}");

                let second = world.ask(&request).await;
                assert_eq!(second.status, 200, "{case}: {second:?}");
                let body = read();
                assert_eq!(tokens(to, &body), [TOKEN], "{case}: {body}");
                if to == "anthropic_messages" {
                    assert_eq!(body["thinking"]["type"], "enabled", "{case}: {body}");
                }
            }
        }
    }
    world.close().await;
}

#[tokio::test]
async fn what_a_client_kept_itself_is_not_told_twice() {
    let world = world().await;
    let first = world
        .ask(&asked::request(
            "openai_chat",
            "anthropic_messages",
            thoughtful("openai_chat", Turn::Tool),
            false,
        ))
        .await;
    let message = first.json()["choices"][0]["message"].clone();
    let id = message["tool_calls"][0]["id"].clone();
    let signature = message["reasoning_details"][0]["signature"].as_str().unwrap();
    assert!(signature.starts_with("sluice:anthropic_messages:") && signature.ends_with(TOKEN), "{message}");
    let mut body = thoughtful("openai_chat", Turn::Result);
    body["messages"][2] = message;
    body["messages"][3]["tool_call_id"] = id;
    let second = world.ask(&asked::request("openai_chat", "anthropic_messages", body, false)).await;
    assert_eq!(second.status, 200, "{second:?}");
    let body = String::from_utf8(world.sim.log().last().unwrap().body.to_vec()).unwrap();
    assert_eq!(body.matches(TOKEN).count(), 1, "{body}");
    world.close().await;
}

/// The next request of a client that keeps the whole answer.
fn kept(from: &str, answer: &Value) -> Value {
    let mut body = thoughtful(from, Turn::Result);
    let (list, said) = match from {
        "openai_chat" => (&mut body["messages"], json!([answer["choices"][0]["message"]])),
        "openai_responses" => (&mut body["input"], answer["output"].clone()),
        "anthropic_messages" => {
            (&mut body["messages"], json!([{"role": "assistant", "content": answer["content"]}]))
        }
        _ => (&mut body["contents"], json!([answer["candidates"][0]["content"]])),
    };
    let list = list.as_array_mut().unwrap();
    let call = list.iter().position(|entry| entry.to_string().contains("get_weather")).unwrap();
    list.splice(call..=call, said.as_array().unwrap().clone());
    body
}

#[tokio::test]
async fn a_step_that_comes_home_brings_nobody_elses_tokens() {
    let world = world().await;
    for (from, to) in pairs() {
        let case = format!("{from} to {to} and back");
        let first = world.ask(&asked::request(from, to, thoughtful(from, Turn::Tool), false)).await;
        assert_eq!(first.status, 200, "{case}: {first:?}");
        let history = kept(from, &first.json());
        let second = world.ask(&asked::request(from, from, history, false)).await;
        assert_eq!(second.status, 200, "{case}: {second:?}");
        let body = String::from_utf8(world.sim.log().last().unwrap().body.to_vec()).unwrap();
        let read: Value = serde_json::from_str(&body).unwrap();
        assert!(body.contains("get_weather") && body.contains(RESULT), "{case}: {body}");
        for mark in ["sluice:", "c2x1aWNlO", TOKEN, "\"signature\":\"\"", "\"type\":\"reasoning\""] {
            assert!(!body.contains(mark), "{case}: {mark} in {body}");
        }
        assert_eq!(read.get("thinking"), None, "{case}: {body}");
        // Who asked for thinking and gets none is told so.
        let told = (from == "anthropic_messages").then_some("thinking=anthropic_messages");
        assert_eq!(second.header("x-sluice-losses"), told, "{case}");
    }
    world.close().await;
}

/// Two providers of one dialect cannot read each other's tokens, whether the client kept them or Sluice did; nor can two accounts
/// at one where an account's tokens are its own.
#[tokio::test]
async fn another_provider_of_the_same_dialect_gets_none() {
    let other = Sim::start().await;
    for dialect in ["anthropic_messages", "openai_responses", "gemini_generate"] {
        let script = "tool,reasoning";
        let world = World::start(|sim| {
            channel("one", dialect, &sim.scripted(script), "one")
                + &channel("again", dialect, &sim.scripted(script), "again")
                // Calls have one id everywhere here: it gives none of its own.
                + &channel("two", dialect, &other.scripted("reasoning"), "two")
        })
        .await;
        let ask = async |model: &str, body: Value, stream: bool| {
            world.ask(&asked::request("openai_chat", model, body, stream)).await
        };
        for stream in [false, true] {
            let first = ask("one", thoughtful("openai_chat", Turn::Tool), stream).await;
            let said = if stream {
                Said::streamed("openai_chat", &first.body)
            } else {
                Said::whole("openai_chat", &first.json())
            };
            let history = thoughtful("openai_chat", Turn::Result).to_string().replace(CALL, &said.ids[0]);
            let mut histories: Vec<Value> = vec![serde_json::from_str(&history).unwrap()];
            if !stream {
                histories.push(kept("openai_chat", &first.json()));
            }
            for history in histories {
                assert_eq!(ask("again", history.clone(), false).await.status, 200);
                let same = String::from_utf8(world.sim.log().last().unwrap().body.to_vec()).unwrap();
                // Another account there: Responses' tokens are its account's alone.
                let read = usize::from(dialect != "openai_responses");
                assert_eq!(same.matches(TOKEN).count(), read, "{dialect}: {same}");
                assert_eq!(ask("one", history.clone(), false).await.status, 200);
                let home = String::from_utf8(world.sim.log().last().unwrap().body.to_vec()).unwrap();
                assert_eq!(home.matches(TOKEN).count(), 1, "{dialect}: {home}");
                assert_eq!(ask("two", history, false).await.status, 200);
                let stranger = String::from_utf8(other.log().last().unwrap().body.to_vec()).unwrap();
                assert!(!stranger.contains(TOKEN), "{dialect}: {stranger}");
            }
        }
        world.close().await;
    }
}

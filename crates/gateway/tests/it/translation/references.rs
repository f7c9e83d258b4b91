//! Clients of Responses that name earlier texts by their ids: the texts go to the provider, and to nobody else's, and no more
//! of them than a request can be held to.

use serde_json::{Value, json};

use super::{asked, one_each, said::Said};
use crate::harness::{World, channel};

const OTHER: &str = "sk-another-caller-of-the-test";

fn body(input: Value) -> Value {
    json!({"input": input})
}

#[tokio::test]
async fn a_text_that_is_only_named_is_sent_and_another_callers_is_refused() {
    let world = World::start(|sim| {
        let other = format!("[[key]]\nname = \"other\"\nsecret = \"{OTHER}\"\n");
        other + &one_each(&sim.url())
    })
    .await;
    let question = json!({"role": "user", "content": "hi"});
    for to in ["openai_chat", "anthropic_messages", "gemini_generate"] {
        for stream in [false, true] {
            let case = format!("{to}, stream: {stream}");
            let ask = |input: Value| asked::request("openai_responses", to, body(input), stream);
            let first = world.ask(&ask(json!([question]))).await;
            let (id, text) = if stream {
                let told = String::from_utf8(first.body.to_vec()).unwrap();
                let last = told.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
                let last: Value = serde_json::from_str(last).unwrap();
                let id = last["response"]["output"][0]["id"].as_str().unwrap().to_owned();
                (id, Said::streamed("openai_responses", &first.body).text)
            } else {
                let id = first.json()["output"][0]["id"].as_str().unwrap().to_owned();
                (id, Said::whole("openai_responses", &first.json()).text)
            };
            assert!(text.starts_with("Hello from the Sluice demo."), "{case}: {text}");
            let named = ask(json!([question, {"type": "item_reference", "id": id}, question]));
            let second = world.ask(&named).await;
            assert_eq!(second.status, 200, "{case}: {second:?}");
            let sent = String::from_utf8(world.sim.log().last().unwrap().body.to_vec()).unwrap();
            assert!(sent.contains(&text) && !sent.contains(&id), "{case}: {sent}");

            let mut stranger = named.clone();
            stranger.headers[0].1 = format!("Bearer {OTHER}");
            let refused = world.ask(&stranger).await;
            assert_eq!(refused.status, 400, "{case}: {refused:?}");
            assert_eq!(refused.json()["error"]["param"], "input.item_reference", "{case}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn a_text_named_ten_thousand_times_is_refused_with_its_name() {
    // An answer of 40,000 bytes.
    let world = World::start(|sim| {
        channel("claude", "anthropic_messages", &sim.scripted("events=1,size=40000"), "claude")
    })
    .await;
    let ask = |input: Value| asked::request("openai_responses", "claude", json!({"input": input}), false);
    let question = json!({"role": "user", "content": "hi"});
    let first = world.ask(&ask(json!([question]))).await;
    let name = json!({"type": "item_reference", "id": first.json()["output"][0]["id"]});
    let times = |count: usize| {
        let mut input = vec![name.clone(); count];
        input.push(question.clone());
        ask(json!(input))
    };
    let refused = world.ask(&times(10_000)).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(refused.json()["error"]["param"], "input.item_reference", "{refused:?}");
    assert_eq!(world.sim.log().len(), 1);
    // A hundred times is four million bytes, and fits.
    let served = world.ask(&times(100)).await;
    assert_eq!(served.status, 200, "{served:?}");
    assert!(world.sim.log().last().unwrap().body_len > 100 * 40_000);
    world.close().await;
}

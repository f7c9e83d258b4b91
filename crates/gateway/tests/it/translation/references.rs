//! Clients of Responses that name earlier texts by their ids: the texts go to the provider, and to nobody else's.

use serde_json::{Value, json};

use super::{asked, one_each, said::Said};
use crate::harness::World;

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

//! The twelve pairs, plain and streamed: a question, a tool that is called, a tool's result.

use serde_json::json;

use super::{
    asked::{self, Asked, Turn},
    one_each, pairs,
    said::Said,
};
use crate::{
    harness::{GEMINI_ARRAY, World, channel, post},
    wire::{Answer, Client},
};

const TURNS: [(Turn, &str); 3] =
    [(Turn::Text, "healthy"), (Turn::Tool, "tool,reasoning"), (Turn::Result, "reasoning")];

/// What the provider says of itself, without a gateway in between.
async fn direct(world: &World, to: &str, script: &str) -> Said {
    let mut request = asked::request(to, to, asked::body(to, Turn::Tool), false);
    request.path = format!("/~{script}{}", request.path);
    let answer = Client::connect(world.sim.addr, Default::default()).await.ask(&request).await;
    Said::whole(to, &answer.json())
}

fn read(dialect: &str, answer: &Answer, stream: bool) -> Said {
    assert_eq!(answer.status, 200, "{answer:?}");
    if stream { Said::streamed(dialect, &answer.body) } else { Said::whole(dialect, &answer.json()) }
}

#[tokio::test]
async fn every_client_reads_every_channel() {
    for (turn, script) in TURNS {
        let world = World::start(|sim| one_each(&sim.scripted(script))).await;
        for (from, to) in pairs() {
            let expected = direct(&world, to, script).await;
            for stream in [false, true] {
                let case = format!("{from} to {to}, {turn:?}, stream: {stream}");
                let request = asked::request(from, to, asked::body(from, turn), stream);
                let answer = world.ask(&request).await;
                // Of the request; what answers leave out (a fingerprint, a service tier) is another matter.
                let lost = answer.header("x-sluice-losses").unwrap_or("");
                assert!(!lost.contains(&format!("={to}")), "{case}: {lost}");
                let said = read(from, &answer, stream);
                assert_eq!((&said.text, &said.calls), (&expected.text, &expected.calls), "{case}");
                assert_eq!(said.thinking, expected.thinking, "{case}");
                assert_eq!(said.stopped_to_call, expected.stopped_to_call, "{case}");

                let served = world.sim.log().last().cloned().unwrap();
                let body = serde_json::from_slice(&served.body).unwrap();
                let streamed = served.path.ends_with(":streamGenerateContent");
                assert_eq!(Asked::read(to, &body, streamed), Asked::of(turn, stream), "{case}: {body}");

                // The caller reads what is charged, and both are the provider's word.
                let line = world.settlement(&answer).await;
                let told = served.usage.unwrap();
                assert_eq!((said.input, said.output), (told.input, told.output), "{case}");
                assert_eq!(line["usage"]["total"], told.input + told.output, "{case}: {line}");
                assert_eq!(
                    (&line["ending"], &line["dialect"]),
                    (&json!("completed"), &json!(from)),
                    "{case}"
                );
                assert_eq!(line["attempts"][0]["translated"], to, "{case}: {line}");
            }
        }
        world.close().await;
    }
}

#[tokio::test]
async fn a_gemini_client_without_sse_gets_an_array() {
    for to in ["openai_chat", "openai_responses", "anthropic_messages"] {
        let world = World::start(|sim| channel("c", to, &sim.scripted("tool,reasoning"), "sim")).await;
        let body = asked::body("gemini_generate", Turn::Tool).to_string();
        let answer = world.ask(&post(GEMINI_ARRAY, body)).await;
        let chunks: Vec<serde_json::Value> = serde_json::from_slice(&answer.body).unwrap();
        let texts: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let said = Said::streamed("gemini_generate", texts.concat().as_bytes());
        assert!(said.stopped_to_call && said.calls.len() == 1, "{said:?}");
        assert_eq!(said.calls[0].0, "get_weather");
        world.close().await;
    }
}

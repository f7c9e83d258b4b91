//! A provider says that the request is at fault: who else is asked, and what is told.

use serde_json::{Value, json};

use super::asked::{self, Turn};
use crate::{
    harness::{CHAT, World, channel, post},
    wire::{Answer, Request},
};

/// A chat for one model, or a list of them.
fn chat(models: &[&str]) -> Request {
    let mut body = asked::body("openai_chat", Turn::Text);
    body["models"] = json!(models);
    post(CHAT, body.to_string())
}

/// How often a channel was asked, in order, and with what result.
async fn attempts(world: &World, answer: &Answer) -> Vec<(String, u64)> {
    let line = world.settlement(answer).await;
    let attempt = |a: &Value| (a["channel"].as_str().unwrap().to_owned(), a["status"].as_u64().unwrap());
    line["attempts"].as_array().unwrap().iter().map(attempt).collect()
}

fn asked(channels: &[(&str, u64)]) -> Vec<(String, u64)> {
    channels.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect()
}

/// Channels of one model, the first with the highest priority: name, dialect, script.
fn ranked(sim: &upstream_sim::Sim, model: &str, channels: &[(&str, &str, &str)]) -> String {
    let ranks = (0..channels.len()).rev();
    let one = |((name, dialect, script), rank): (&(&str, &str, &str), usize)| {
        channel(name, dialect, &sim.scripted(script), model) + &format!("priority = {rank}\n")
    };
    channels.iter().zip(ranks).map(one).collect()
}

#[tokio::test]
async fn what_we_worded_is_asked_again_in_the_callers_own_words_and_no_other() {
    let world = World::start(|sim| {
        ranked(
            sim,
            "sim",
            &[
                ("claude", "anthropic_messages", "status=400"),
                ("gemini", "gemini_generate", ""),
                ("chat", "openai_chat", ""),
            ],
        ) + &ranked(
            sim,
            "both",
            &[("first", "anthropic_messages", "status=422"), ("second", "openai_chat", "status=400")],
        ) + &ranked(
            sim,
            "down",
            &[("refuses", "anthropic_messages", "status=422"), ("fails", "openai_chat", "status=500")],
        ) + &ranked(
            sim,
            "alone",
            &[("one", "anthropic_messages", "status=400"), ("two", "gemini_generate", "")],
        ) + &ranked(
            sim,
            "policy",
            &[("strict", "anthropic_messages", "error=content_policy"), ("lax", "openai_chat", "")],
        ) + &ranked(
            sim,
            "own",
            &[("relayed", "openai_chat", "status=400"), ("translated", "anthropic_messages", "")],
        )
    })
    .await;
    for (model, status, expected) in [
        ("sim", 200, asked(&[("claude", 400), ("chat", 200)])),
        // The first that is about the request is told, whatever comes after it.
        ("both", 422, asked(&[("first", 422), ("second", 400)])),
        ("down", 422, asked(&[("refuses", 422), ("fails", 500)])),
        ("alone", 400, asked(&[("one", 400)])),
        ("policy", 400, asked(&[("strict", 400)])),
        ("own", 400, asked(&[("relayed", 400)])),
    ] {
        let answer = world.ask(&chat(&[model])).await;
        assert_eq!(answer.status, status, "{model}: {answer:?}");
        assert_eq!(attempts(&world, &answer).await, expected, "{model}");
        let ending = if status == 200 { "completed" } else { "refused" };
        assert_eq!(world.settlement(&answer).await["ending"], ending, "{model}");
    }
    world.close().await;
}

#[tokio::test]
async fn another_model_of_the_list_may_read_what_is_too_long_for_one() {
    let world = World::start(|sim| {
        let small =
            |name: &&str| channel(name, "openai_chat", &sim.scripted("error=context_length"), "small");
        ["s1", "s2", "s3"].iter().map(small).collect::<String>()
            + &channel("refuses", "openai_chat", &sim.scripted("status=400"), "wrong")
            + &channel("claude", "anthropic_messages", &sim.scripted("status=400"), "claude")
            + &channel("big", "openai_chat", &sim.url(), "big")
    })
    .await;
    for (models, status, tried) in [
        (&["small", "big"][..], 200, 2),
        (&["small"], 400, 1),
        // What no provider of his own dialect can read, no other model is asked.
        (&["wrong", "big"], 400, 1),
        (&["claude", "big"], 200, 2),
    ] {
        let answer = world.ask(&chat(models)).await;
        assert_eq!(answer.status, status, "{models:?}: {answer:?}");
        assert_eq!(attempts(&world, &answer).await.len(), tried, "{models:?}");
    }
    world.close().await;
}

//! Answers that break, providers that fail, clients that leave: as in the relay lane, in the caller's words.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use upstream_sim::{Outcome, Sim};

use super::{
    asked::{self, Turn},
    one_each, pairs,
    said::Said,
};
use crate::{
    harness::{
        DIALECTS, GEMINI_ARRAY, KEY, Parrot, World, assert_error, channel, error_event, events, post, said,
        side_by_side,
    },
    midstream::{assert_broken, claims_an_end},
    wire::{End, Request},
};

fn text(from: &str, to: &str, stream: bool) -> Request {
    asked::request(from, to, asked::body(from, Turn::Text), stream)
}

#[tokio::test]
async fn what_breaks_in_the_middle_is_told_in_the_callers_dialect() {
    let cases = [
        ("stall=2", "timed_out", "upstream: silent past timeouts.idle"),
        ("reset=2", "cut", "upstream: broke off"),
        ("fin=2", "cut", "upstream: broke off"),
        ("cut=2,eof-delimited", "cut", "upstream: ended without its end"),
        ("cut=3,gzip-sse", "cut", "upstream: ended without its end"),
        ("no-terminal", "cut", "upstream: ended without its end"),
        ("no-terminal,tool,reasoning", "cut", "upstream: ended without its end"),
        ("error-event=3,error=overloaded", "cut", "upstream: error event"),
        ("error-event=2,chop=5", "cut", "upstream: error event"),
    ]
    .map(|(script, ending, cause)| async move {
        let clocks = if script.contains("stall") { "[timeouts]\nidle = \"400ms\"\n" } else { "" };
        let world = World::start(|sim| clocks.to_owned() + &one_each(&sim.scripted(script))).await;
        for (from, to) in pairs() {
            let answer = world.ask(&text(from, to, true)).await;
            assert_broken(&format!("{script}, {to}"), from, &answer);
            let line = world.settlement(&answer).await;
            assert_eq!(line["ending"], ending, "{script}, {from} to {to}: {line}");
            assert!(line["cause"].as_str().unwrap().starts_with(cause), "{script}, {from} to {to}: {line}");
            assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "nothing is tried again: {line}");
        }
        world.close().await;
    });
    side_by_side(cases).await;
}

#[tokio::test]
async fn a_broken_array_is_closed_with_an_error_element() {
    for script in ["reset=2", "cut=2", "no-terminal", "error-event=2"] {
        for to in ["openai_chat", "openai_responses", "anthropic_messages"] {
            let world = World::start(|sim| channel("c", to, &sim.scripted(script), "sim")).await;
            let body = asked::body("gemini_generate", Turn::Text).to_string();
            let answer = world.ask(&post(GEMINI_ARRAY, body)).await;
            assert_eq!((answer.status, answer.end), (200, End::Whole), "{script}, {to}: {answer:?}");
            let elements = answer.json().as_array().unwrap().clone();
            let (last, before) = elements.split_last().unwrap();
            assert!(!before.is_empty() && last.get("error").is_some(), "{script}, {to}: {answer:?}");
            assert!(!claims_an_end("gemini_generate", &answer.body), "{script}, {to}: {answer:?}");
            world.close().await;
        }
    }
}

#[tokio::test]
async fn errors_of_every_provider_come_in_the_callers_dialect() {
    for (script, status) in [
        ("status=429", 429),
        ("error=overloaded", 503),
        ("error=context_length", 400),
        ("error=server", 500),
        ("status=503,body=html", 503),
        ("error=bad_request,status=200", 400),
    ] {
        for (from, to) in pairs() {
            for stream in [false, true] {
                // One each: a limit that was reached rests the channel.
                let world = World::start(|sim| channel("c", to, &sim.scripted(script), "sim")).await;
                let answer = world.ask(&text(from, "sim", stream)).await;
                let case = format!("{script}, {from} to {to}, {stream}: {answer:?}");
                match script {
                    "error=overloaded" => assert!(matches!(answer.status, 503 | 529), "{case}"),
                    _ if script.ends_with("status=200") => assert!(answer.status >= 400, "{case}"),
                    _ => assert_eq!(answer.status, status, "{case}"),
                }
                assert_error(from, &answer.json(), answer.status);
                world.close().await;
            }
        }
    }
    // About our own account: nobody reads it.
    let world = World::start(|sim| one_each(&sim.scripted("error=invalid_key"))).await;
    for (from, to) in pairs().filter(|(from, _)| *from == "openai_chat") {
        let answer = world.ask(&text(from, to, false)).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_error(from, &answer.json(), 503);
    }
    world.close().await;
}

#[tokio::test]
async fn what_is_no_answer_in_its_dialect_is_taken_to_another_channel() {
    for (to, document, events) in [
        (
            "openai_chat",
            r#"{"choices":7}"#,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"choices\n\n",
        ),
        (
            "openai_chat",
            r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"half"},"finish_reason":"error"}]}"#,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n",
        ),
        (
            "anthropic_messages",
            r#"{"content":7}"#,
            "event: content_block_start\ndata: {\"type\":\"content_block_start\n\n",
        ),
        (
            "gemini_generate",
            r#"{"candidates":7}"#,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}\n\n",
        ),
    ] {
        let from = if to == "openai_chat" { "gemini_generate" } else { "openai_chat" };
        for (stream, said) in [
            (false, said(200, "content-type: application/json\r\n", document, 0)),
            (true, said(200, "content-type: text/event-stream\r\n", events, 0)),
        ] {
            let parrot = Parrot::start(|_| said, false).await;
            let world = World::start(|sim| {
                channel("bad", to, &parrot.url(), "sim")
                    + "priority = 1\n"
                    + &channel("good", "openai_responses", &sim.url(), "sim")
            })
            .await;
            let answer = world.ask(&text(from, "sim", stream)).await;
            let line = world.settlement(&answer).await;
            assert_eq!((answer.status, &line["channel"]), (200, &json!("good")), "{to}: {line}");
            assert_eq!(line["attempts"].as_array().unwrap().len(), 2, "{line}");
            let fault = line["attempts"][0]["fault"].as_str().unwrap();
            assert!(fault.starts_with("upstream: "), "{line}");
            world.close().await;
        }
    }
}

/// The provider's words say that it broke down, in the place of a reason and with its usual end behind.
#[tokio::test]
async fn a_failure_in_the_place_of_a_reason_is_no_end() {
    let chunk = |delta: &str, reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n")
    };
    let half = chunk("{\"content\":\"half\"}", "null");
    let rest = chunk("{}", "\"error\"") + "data: [DONE]\n\n";
    for from in DIALECTS.into_iter().filter(|from| *from != "openai_chat") {
        let events = half.clone() + &"data: {\"choices\":[]}\n\n".repeat(2000) + &rest;
        let words = said(200, "content-type: text/event-stream\r\n", &events, 0);
        let parrot = Parrot::start(|_| words, false).await;
        let world = World::start(|_| channel("c", "openai_chat", &parrot.url(), "sim")).await;
        let answer = world.ask(&text(from, "sim", true)).await;
        let line = world.settlement(&answer).await;
        // Read in one piece with the beginning it is another channel's to answer; after that it is told.
        assert!(!claims_an_end(from, &answer.body), "{from}: {answer:?}");
        assert!(matches!(line["ending"].as_str(), Some("cut" | "failed")), "{from}: {line}");
        assert!(line["cause"].as_str().unwrap().starts_with("upstream: "), "{from}: {line}");
        world.close().await;
    }
}

/// Who asked for a stream reads a stream: a document would be an empty one to him.
#[tokio::test]
async fn a_document_in_the_place_of_a_stream_is_told_as_one() {
    let documents = [
        (
            "openai_chat",
            r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
        ),
        (
            "openai_responses",
            r#"{"id":"r","object":"response","model":"m","status":"completed","output":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}"#,
        ),
        (
            "anthropic_messages",
            r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":2}}"#,
        ),
        (
            "gemini_generate",
            r#"{"responseId":"g","candidates":[{"content":{"parts":[{"text":"Hello"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7}}"#,
        ),
    ];
    for (to, document) in documents {
        let words = said(200, "content-type: application/json\r\n", document, 0);
        let parrot = Parrot::start(|_| words, false).await;
        let world = World::start(|_| channel("c", to, &parrot.url(), "sim")).await;
        for from in DIALECTS.into_iter().filter(|from| *from != to) {
            let answer = world.ask(&text(from, "sim", true)).await;
            assert_eq!(answer.status, 200, "{from} to {to}: {answer:?}");
            let kind = answer.header("content-type").unwrap();
            assert!(kind.starts_with("text/event-stream"), "{from} to {to}: {answer:?}");
            let told = Said::streamed(from, &answer.body);
            assert_eq!((told.text.as_str(), told.input, told.output), ("Hello", 5, 2), "{from} to {to}");
            let line = world.settlement(&answer).await;
            assert_eq!(
                (&line["ending"], &line["usage"]["total"]),
                (&json!("completed"), &json!(7)),
                "{line}"
            );
        }
        if to != "gemini_generate" {
            let array =
                world.ask(&post(GEMINI_ARRAY, asked::body("gemini_generate", Turn::Text).to_string())).await;
            assert!(array.json().is_array(), "{to}: {array:?}");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn a_long_answer_is_translated_and_a_longer_one_is_not_held() {
    let world = World::start(|sim| {
        channel("long", "openai_chat", &sim.scripted("large-reply=3000000"), "long")
            + &channel("longer", "openai_chat", &sim.scripted("large-reply=17000000"), "longer")
            + "priority = 1\n"
            + &channel("next", "openai_chat", &sim.url(), "longer")
    })
    .await;
    let answer = world.ask(&text("anthropic_messages", "long", false)).await;
    assert_eq!(Said::whole("anthropic_messages", &answer.json()).text.len(), 3_000_000);
    // Whoever is asked would say as much: no other is, and nothing is held against the one that was.
    for _ in 0..4 {
        let answer = world.ask(&text("anthropic_messages", "longer", false)).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.text().contains("too long"), "{answer:?}");
        let line = world.settlement(&answer).await;
        assert_eq!((&line["ending"], &line["channel"]), (&json!("failed"), &json!("longer")), "{line}");
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "{line}");
    }
    world.close().await;
}

/// Responses repeats its answer at the end, so it must be held: not without a bound. Who repeats nothing holds nothing.
#[tokio::test]
async fn a_stream_is_held_up_to_the_same_size() {
    let chunk = |delta: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        format!("data: {}\n\n", json!({"id": "c", "model": "m", "choices": [choice]}))
    };
    let long = "x".repeat(1_000_000);
    let call =
        json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"a\":\""}}]});
    let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": long}}]});
    let texts = chunk(json!({"content": long})).repeat(18);
    let calls = chunk(call) + &chunk(more).repeat(18);
    let end =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    for (events, from, whole) in [
        (&texts, "openai_responses", false),
        (&texts, "anthropic_messages", true),
        (&calls, "gemini_generate", false),
    ] {
        let words = said(200, "content-type: text/event-stream\r\n", &(events.clone() + end), 0);
        let parrot = Parrot::start(|_| words, false).await;
        let world = World::start(|_| channel("c", "openai_chat", &parrot.url(), "sim")).await;
        let answer = world.ask(&text(from, "sim", true)).await;
        let line = world.settlement(&answer).await;
        assert_eq!(claims_an_end(from, &answer.body), whole, "{from}: {line}");
        if whole {
            assert_eq!(Said::streamed(from, &answer.body).text.len(), 18_000_000, "{from}");
        } else {
            assert_broken("held", from, &answer);
            assert!(answer.text().contains("too long"), "{from}");
            assert!(line["cause"].as_str().unwrap().contains("longer than what is held"), "{line}");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_provider_with_it_whatever_it_waited_for() {
    let phases = [
        ("silence", false, false),
        ("silence", true, false),
        // The head is there, and nothing of the answer.
        ("first=60000", false, false),
        ("lifecycle-only", true, false),
        // Held until it is whole.
        ("large-reply=400000,stall=1", false, false),
        ("events=10000,every=20", true, true),
    ];
    side_by_side(phases.map(|(script, stream, content)| all_leave(script, stream, content))).await;
}

/// Clients of all dialects on channels of all others leave together. `content`: when each has some of the answer.
async fn all_leave(script: &'static str, stream: bool, content: bool) {
    let world = World::start(|sim| one_each(&sim.scripted(script))).await;
    let count = pairs().count();
    let mut clients = Vec::new();
    for (from, to) in pairs() {
        let mut client = world.client().await;
        client.send(&text(from, to, stream).bytes()).await;
        clients.push(client);
    }
    world.sim.wait_until(|log| log.len() == count).await;
    if content {
        for client in &mut clients {
            client.until(|body| !body.is_empty()).await;
        }
    }
    let left = Instant::now();
    clients.into_iter().for_each(|client| client.leave());
    let gone = world.sim.wait_until(|log| log.iter().all(|served| served.ended.is_some()));
    timeout(Duration::from_secs(1), gone)
        .await
        .unwrap_or_else(|_| panic!("{script}, stream: {stream}: not seen to leave in a second"));
    for served in world.sim.log() {
        assert!(matches!(served.outcome, Outcome::PeerClosed { .. }), "{script}: {served:?}");
        assert!(served.ended.unwrap() < left + Duration::from_secs(1), "{script}: {served:?}");
    }
    for line in world.settlements(count).await {
        assert_eq!(line["ending"], "client_left", "{script}: {line}");
        let used = line["usage"]["total"].as_u64().is_some_and(|total| total > 0);
        assert_eq!(used, content, "{script}: what was delivered is paid for, and nothing else: {line}");
    }
    world.close().await;
}

#[tokio::test]
async fn with_drain_it_is_read_on_and_charged_by_what_the_provider_says() {
    let sim = Sim::start().await;
    let drains =
        |to: &&str| channel(to, to, &sim.scripted("every=20,events=20"), to) + "on_client_left = \"drain\"\n";
    let channels: String = DIALECTS.iter().map(drains).collect();
    let priced = "[[price]]\nmodel = \"*\"\ninput = 2.5\noutput = 10\n";
    let text_of =
        format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 100\n{priced}{channels}");
    let world = World::with(sim, &text_of);
    for (from, to) in pairs() {
        let mut client = world.client().await;
        client.send(&text(from, to, true).bytes()).await;
        client.until(|body| !body.is_empty()).await;
        client.leave();
    }
    let lines = world.settlements(pairs().count()).await;
    for served in world.sim.log() {
        assert_eq!(served.outcome, Outcome::Answered, "{served:?}");
    }
    for line in lines {
        assert_eq!((&line["ending"], &line["estimated"]), (&json!("client_left"), &json!(false)), "{line}");
        let count = |name: &str| line["usage"][name].as_i64().unwrap_or_default();
        let cost = store::Nanos(count("input") * 2_500 + count("output") * 10_000).to_string();
        assert!(count("output") > 0 && line["charge"] == cost, "{cost}: {line}");
    }
    world.close().await;
}

#[tokio::test]
async fn pings_and_comments_of_another_dialect_are_no_bytes_of_the_callers() {
    let world = World::start(|sim| one_each(&sim.scripted("pings=3,comments,crlf"))).await;
    for (from, to) in pairs() {
        let answer = world.ask(&text(from, to, true)).await;
        let said = Said::streamed(from, &answer.body);
        assert!(said.text.starts_with("Hello from"), "{from} to {to}: {said:?}");
        let told = events(&answer.body);
        assert!(told.iter().all(|event| error_event(from, event).is_none() && !event.contains("\"ping\"")));
    }
    world.close().await;
}

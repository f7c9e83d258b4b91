//! A stream whose provider stays silent for longer than a client waits without a sign.
//!
//! The one test here takes its eleven seconds: the constant is real, and sockets do not follow a paused clock.

use std::time::Duration;

use tokio::time::timeout;
use upstream_sim::Outcome;

use crate::{
    harness::{DIALECTS, GEMINI_ARRAY, World, channel, error_event, events, post, side_by_side, stream},
    wire::{Answer, End, Request, contains},
};

const COMMENT: &[u8] = b": waiting for the provider\n\n";

/// Past the ten seconds after which the head goes out, with the connect clock on top.
const CLOCKS: &str = "timeouts = { connect = \"200ms\", first_event = \"10500ms\" }\n";

fn of_model(request: Request, model: &str) -> Request {
    let body = String::from_utf8(request.body.clone()).unwrap().replace("\"sim\"", &format!("\"{model}\""));
    Request { path: request.path.replace("/sim:", &format!("/{model}:")), ..request }.body(body)
}

fn claims_an_end(answer: &Answer) -> bool {
    ["[DONE]", "response.completed", "message_stop", "finishReason"]
        .iter()
        .any(|end| contains(&answer.body, end))
}

#[tokio::test]
async fn after_ten_seconds_the_head_and_comments_go_out_and_failing_over_stays_possible() {
    side_by_side(DIALECTS.into_iter().chain(["array"]).map(all_phases)).await;
}

async fn all_phases(dialect: &'static str) {
    let name = if dialect == "array" { "gemini_generate" } else { dialect };
    let request = if dialect == "array" { post(GEMINI_ARRAY, "{}") } else { stream(dialect) };
    let sign: &[u8] = if dialect == "array" { b"\n" } else { COMMENT };
    let world = World::start(|sim| {
        let silent =
            |name_: &str, model: &str| channel(name_, name, &sim.scripted("silence"), model) + CLOCKS;
        silent("bad", "helped")
            + "priority = 1\n"
            + &channel("good", name, &sim.url(), "helped")
            + &silent("alone", "alone")
            + &silent("left", "left")
    })
    .await;
    let mut helped = world.client().await;
    helped.send(&of_model(request.clone(), "helped").bytes()).await;
    let mut alone = world.client().await;
    alone.send(&of_model(request.clone(), "alone").bytes()).await;
    let mut left = world.client().await;
    left.send(&of_model(request, "left").bytes()).await;

    for client in [&mut helped, &mut alone, &mut left] {
        let early = client.until(|body| !body.is_empty()).await;
        assert_eq!((early.status, &early.body[..]), (200, sign), "{dialect}");
    }
    assert_eq!(world.sim.log().len(), 3, "the second channel was not asked yet");
    left.leave();
    let seen = world
        .sim
        .wait_until(|log| log.iter().any(|served| matches!(served.outcome, Outcome::PeerClosed { .. })));
    timeout(Duration::from_secs(1), seen).await.expect("the provider does not see the client leave");

    let answer = helped.answer().await;
    assert_eq!(answer.end, End::Whole, "{dialect}: {answer:?}");
    assert!(claims_an_end(&answer), "{dialect}: {answer:?}");
    let line = world.settlement(&answer).await;
    assert_eq!((&line["ending"], &line["channel"]), (&"completed".into(), &"good".into()), "{line}");

    let answer = alone.answer().await;
    assert_eq!((answer.status, answer.end), (200, End::Whole), "{dialect}: {answer:?}");
    assert!(!claims_an_end(&answer), "{dialect}: {answer:?}");
    if dialect == "array" {
        let elements = answer.json();
        assert_eq!(elements.as_array().unwrap().len(), 1, "{answer:?}");
        assert_eq!(elements[0]["error"]["code"], 504, "{answer:?}");
    } else {
        let told = events(&answer.body);
        assert_eq!(told.len(), 1, "{dialect}: {answer:?}");
        assert!(error_event(dialect, &told[0]).is_some(), "{dialect}: {answer:?}");
    }
    let line = world.settlement(&answer).await;
    assert_eq!((&line["ending"], &line["status"]), (&"timed_out".into(), &200.into()), "{line}");
    let endings: Vec<String> =
        world.settlements(3).await.iter().map(|line| line["ending"].to_string()).collect();
    assert_eq!(endings.iter().filter(|ending| *ending == "\"client_left\"").count(), 1, "{endings:?}");
    world.close().await;
}

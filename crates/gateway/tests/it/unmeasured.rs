//! Answers whose usage nobody told, and clients that leave before it is: what they are charged.

use gateway::flow::Phase;
use serde_json::Value;
use upstream_sim::{Outcome, Sim};

use crate::harness::{DIALECTS, KEY, World, channel, eventually, four, plain, stream};

const PRICED: &str = "[[price]]\nmodel = \"sim\"\ninput = 2.5\noutput = 10\n";

/// Every event says what was used so far.
const TELLS_AS_IT_GOES: [&str; 1] = ["gemini_generate"];

fn key() -> String {
    format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 100\n")
}

async fn world(script: &str) -> World {
    let sim = Sim::start().await;
    let text = key() + PRICED + &four(&sim.scripted(script));
    World::with(sim, &text)
}

/// Nanodollars for a line's usage at the price above.
fn cost(line: &Value) -> String {
    let count = |name: &str| line["usage"][name].as_i64().unwrap_or_default();
    let output = count("output") + count("reasoning");
    store::Nanos(count("input") * 2_500 + output * 10_000).to_string()
}

fn output(line: &Value) -> u64 {
    line["usage"]["output"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn an_answer_without_usage_is_charged_by_an_estimate_that_says_so() {
    let (silent, told) = (world("usage=none").await, world("healthy").await);
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let answer = silent.ask(&request).await;
            let line = silent.settlement(&answer).await;
            assert_eq!((&line["ending"], &line["estimated"]), (&"completed".into(), &true.into()), "{line}");
            // Five pieces of three words.
            assert!((15..40).contains(&output(&line)), "{line}");
            assert_eq!(line["charge"], cost(&line), "{line}");
            let answer = told.ask(&request).await;
            let line = told.settlement(&answer).await;
            assert_eq!(line["estimated"], false, "{line}");
        }
    }
    silent.close().await;
    told.close().await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_charged_by_what_was_delivered() {
    for script in ["cut=3,events=50", "error-event=3,events=50"] {
        let world = world(script).await;
        for dialect in DIALECTS {
            let answer = world.ask(&stream(dialect)).await;
            let line = world.settlement(&answer).await;
            assert_eq!(line["ending"], "cut", "{line}");
            assert_eq!(line["estimated"], !TELLS_AS_IT_GOES.contains(&dialect), "{line}");
            // Three pieces, and nothing for the words of the error.
            assert!((5..20).contains(&output(&line)), "{script}: {line}");
            assert_eq!(line["charge"], cost(&line), "{line}");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn what_failed_costs_nothing_whatever_it_said() {
    let world = world("status=500,error=overloaded").await;
    let answer = world.ask(&stream("openai_chat")).await;
    let line = world.settlement(&answer).await;
    assert_eq!((&line["ending"], &line["charge"]), (&"failed".into(), &"0".into()), "{line}");
    assert_eq!((&line["usage"], &line["estimated"]), (&Value::Null, &false.into()), "{line}");
    world.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_it_got() {
    let world = world("every=20,events=1000").await;
    for dialect in DIALECTS {
        let mut client = world.client().await;
        client.send(&stream(dialect).bytes()).await;
        client.until(|body| body.len() > 600).await;
        client.leave();
    }
    for line in world.settlements(DIALECTS.len()).await {
        assert_eq!(line["ending"], "client_left", "{line}");
        let told = TELLS_AS_IT_GOES.contains(&line["dialect"].as_str().unwrap());
        assert_eq!(line["estimated"], !told, "{line}");
        assert!((1..1_000).contains(&output(&line)), "{line}");
        assert_eq!(line["charge"], cost(&line), "{line}");
    }
    world.close().await;
}

/// A channel for each dialect that reads on when the client leaves.
fn draining(url: &str) -> String {
    let drains = |dialect: &&str| channel(dialect, dialect, url, "sim") + "on_client_left = \"drain\"\n";
    DIALECTS.iter().map(drains).collect()
}

async fn draining_world(script: &str, more: &str) -> World {
    let sim = Sim::start().await;
    let text = more.to_owned() + &key() + PRICED + &draining(&sim.scripted(script));
    World::with(sim, &text)
}

/// Whether all was read of every answer, and each is charged by what the provider said.
async fn all_read_on(world: &World, count: usize) {
    let lines = world.settlements(count).await;
    for served in world.sim.log() {
        assert_eq!(served.outcome, Outcome::Answered, "{served:?}");
    }
    for line in lines {
        assert_eq!((&line["ending"], &line["estimated"]), (&"client_left".into(), &false.into()), "{line}");
        assert!(output(&line) > 0, "{line}");
        assert_eq!(line["charge"], cost(&line), "{line}");
    }
}

#[tokio::test]
async fn with_drain_a_stream_is_read_on_and_charged_by_what_the_provider_says() {
    let world = draining_world("every=20,events=40", "").await;
    for dialect in DIALECTS {
        let mut client = world.client().await;
        client.send(&stream(dialect).bytes()).await;
        client.until(|body| !body.is_empty()).await;
        client.leave();
    }
    eventually("all of them drained", || {
        world.app.flow.census().by_phase[Phase::Draining as usize] == DIALECTS.len() as u64
    })
    .await;
    all_read_on(&world, DIALECTS.len()).await;
    world.close().await;
}

#[tokio::test]
async fn with_drain_an_answer_is_read_on_that_had_not_begun() {
    let world = draining_world("delay=600", "").await;
    let mut count = 0;
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let mut client = world.client().await;
            client.send(&request.bytes()).await;
            count += 1;
            world.sim.wait_until(|log| log.len() == count).await;
            client.leave();
        }
    }
    all_read_on(&world, count).await;
    // Nobody was sent anything.
    assert!(world.settlements(count).await.iter().all(|line| line["status"] == 0));
    world.close().await;
}

#[tokio::test]
async fn with_drain_a_large_plain_answer_is_read_on() {
    // More than the buffers of all sockets on the way hold.
    let world = draining_world("large-reply=12000000", "").await;
    let mut client = world.client().await;
    client.send(&plain("openai_chat").bytes()).await;
    client.until(|body| !body.is_empty()).await;
    client.leave();
    all_read_on(&world, 1).await;
    world.close().await;
}

#[tokio::test]
async fn who_finds_no_place_to_be_drained_is_given_up() {
    let world = draining_world("every=20,events=100000", "[bounds]\ndraining = 1\n").await;
    for _ in 0..3 {
        let mut client = world.client().await;
        client.send(&stream("openai_chat").bytes()).await;
        client.until(|body| !body.is_empty()).await;
        client.leave();
    }
    for line in world.settlements(2).await {
        assert_eq!((&line["ending"], &line["estimated"]), (&"client_left".into(), &true.into()), "{line}");
    }
    assert_eq!(world.app.flow.in_flight(), 1);
    // The stop does not wait for it longer than for others.
    world.app.shutdown.advance(gateway::shutdown::Stage::Ending);
    world.settlements(3).await;
    world.close().await;
}

#[tokio::test]
async fn an_attempt_that_fails_after_its_client_has_left_is_the_last() {
    let sim = Sim::start().await;
    let failing = sim.scripted("delay=300,status=500");
    let drains = "on_client_left = \"drain\"\npriority = 1\n";
    let text = key()
        + PRICED
        + &channel("failing", "openai_chat", &failing, "sim")
        + drains
        + &channel("next", "openai_chat", &sim.url(), "sim");
    let world = World::with(sim, &text);
    let mut client = world.client().await;
    client.send(&plain("openai_chat").bytes()).await;
    world.sim.wait_until(|log| log.len() == 1).await;
    client.leave();
    let line = &world.settlements(1).await[0];
    assert_eq!((&line["ending"], &line["charge"]), (&"client_left".into(), &"0".into()), "{line}");
    assert_eq!(world.asked().len(), 1, "nobody waits for the next channel's answer");
    world.close().await;
}

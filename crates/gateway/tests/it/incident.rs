//! The incident and its family: error answers whose bodies never end, or end badly.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    harness::{DIALECTS, OWN_ONLY, World, assert_error, channel, four, plain, side_by_side, stream},
    wire::Answer,
};

const STATUSES: [u16; 4] = [429, 503, 504, 529];

/// The bounded read of an error's body takes a second at most.
const SOON: Duration = Duration::from_millis(2500);

/// All four dialects at once, to channels of which the first gives errors; the answers with how long they took.
async fn ask_all(world: &World, streamed: bool) -> Vec<(&'static str, Answer, Duration)> {
    let asking = DIALECTS.map(|dialect| async move {
        let request = if streamed { stream(dialect) } else { plain(dialect) };
        let started = Instant::now();
        let answer = world.ask(&request).await;
        (dialect, answer, started.elapsed())
    });
    let [a, b, c, d] = asking;
    <[_; 4]>::from(tokio::join!(a, b, c, d)).into()
}

/// One body fault at every status, without and with another channel.
async fn family(body: &'static str) {
    side_by_side(STATUSES.iter().map(|status| alone(*status, body))).await;
    side_by_side(STATUSES.iter().map(|status| helped(*status, body))).await;
}

async fn alone(status: u16, body: &str) {
    let script = format!("status={status},body={body}");
    let world = World::start(|sim| four(&sim.scripted(&script))).await;
    for (dialect, answer, took) in ask_all(&world, status.is_multiple_of(2)).await {
        let wanted = if status == 529 && dialect != "anthropic_messages" { 503 } else { status };
        assert_eq!(answer.status, wanted, "{script}, {dialect}: {answer:?}");
        let value = answer.json();
        // A whole body is the provider's own, with its own code.
        let code = if value["error"]["code"] == status { status } else { wanted };
        assert_error(dialect, &value, code);
        assert!(took < SOON, "{script}, {dialect}: took {took:?}");
        assert_eq!(world.settlement(&answer).await["ending"], "failed");
    }
    released(&world, &script, body).await;
    world.close().await;
}

async fn helped(status: u16, body: &str) {
    let script = format!("status={status},body={body}");
    let world = World::start(|sim| {
        let two = |dialect: &&str| {
            channel(&format!("bad-{dialect}"), dialect, &sim.scripted(&script), "sim")
                + "priority = 1\n"
                + OWN_ONLY
                + &channel(&format!("good-{dialect}"), dialect, &sim.url(), "sim")
                + OWN_ONLY
        };
        DIALECTS.iter().map(two).collect()
    })
    .await;
    for (dialect, answer, took) in ask_all(&world, !status.is_multiple_of(2)).await {
        assert_eq!(answer.status, 200, "{script}, {dialect}: {answer:?}");
        assert!(took < SOON, "{script}, {dialect}: took {took:?}");
        let line = world.settlement(&answer).await;
        assert_eq!(line["ending"], "completed", "{line}");
        assert_eq!(line["attempts"][0]["status"], status, "{line}");
    }
    released(&world, &script, body).await;
    world.close().await;
}

/// The provider sees that nobody waits for the rest of its bad bodies; whole ones leave their connections usable.
async fn released(world: &World, script: &str, body: &str) {
    world.sim.wait_until(|log| log.iter().all(|served| served.ended.is_some())).await;
    let whole = matches!(body, "gzip" | "html" | "empty");
    for served in world.sim.log().iter().filter(|served| !served.secret.contains("good")) {
        use upstream_sim::Outcome::{Answered, Cut, PeerClosed};
        match served.outcome {
            Answered if whole || body == "huge" => {}
            Cut if body == "reset" => {}
            PeerClosed { .. } if !whole && body != "reset" => {}
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn bodies_that_hang() {
    family("hang").await;
}

#[tokio::test]
async fn bodies_that_trickle() {
    family("trickle").await;
}

#[tokio::test]
async fn bodies_that_are_reset() {
    family("reset").await;
}

#[tokio::test]
async fn bodies_of_fifty_megabytes() {
    family("huge").await;
}

#[tokio::test]
async fn bodies_that_are_packed_a_page_or_empty() {
    for body in ["gzip", "html", "empty"] {
        family(body).await;
    }
}

#[tokio::test]
async fn bodies_without_end() {
    family("endless").await;
}

#[tokio::test]
async fn an_error_read_to_its_end_leaves_its_connection_to_the_next_request() {
    let world = World::start(|sim| channel("c", "openai_chat", &sim.scripted("status=500"), "sim")).await;
    for _ in 0..10 {
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 500);
    }
    // One, or two where the next request was faster than the pool.
    assert!(world.sim.connections_total() < 4, "{}", world.sim.connections_total());
    world.close().await;
    let world =
        World::start(|sim| channel("c", "openai_chat", &sim.scripted("status=500,body=endless"), "sim"))
            .await;
    for _ in 0..3 {
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 500);
    }
    assert_eq!(world.sim.connections_total(), 3, "what was not read to its end is closed");
    world.sim.wait_until(|_| true).await;
    crate::harness::eventually("closed", || world.sim.open_connections() == 0).await;
    world.close().await;
}

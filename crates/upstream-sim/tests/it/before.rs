//! What can happen instead of an answer, and on the way to one.

use crate::wire::*;
use upstream_sim::{Outcome, Script, Sim};

#[tokio::test]
async fn silence_reads_the_request_and_says_nothing() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "silence", CHAT), PLAIN).await;
    sim.wait_until(|log| log.len() == 1).await;
    assert_eq!(sim.open_requests(), 1);
    drop(wire);
    let served = ended(&sim).await;
    assert_eq!(served.outcome, Outcome::PeerClosed { after_bytes: 0 });
    assert_eq!(served.body, PLAIN);
    assert_eq!(sim.open_requests(), 0);
}

#[tokio::test]
async fn close_and_rst_end_the_connection_unanswered() {
    for (script, end) in [("close", End::Fin), ("rst", End::Rst)] {
        let sim = Sim::start().await;
        let mut wire = Wire::open(&sim).await;
        wire.post(&scripted(&sim, script, CHAT), PLAIN).await;
        assert_eq!(wire.end().await, end, "{script}");
        assert_eq!(wire.received, 0);
        assert_eq!(ended(&sim).await.outcome, Outcome::Cut);
    }
}

#[tokio::test]
async fn refusing_resets_with_the_body_unread() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    let path = scripted(&sim, "refuse-after-accept", CHAT);
    wire.send(format!("POST {path} HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n").as_bytes()).await;
    assert_eq!(wire.end().await, End::Rst);
    assert_eq!(ended(&sim).await.outcome, Outcome::Refused);

    let script: Script = "refuse-after-accept".parse().unwrap();
    let sim = Sim::bind_with(([127, 0, 0, 1], 0).into(), script).await.unwrap();
    assert_eq!(Wire::open(&sim).await.end().await, End::Rst);
    assert_eq!((sim.log().len(), sim.connections_total()), (0, 1));
}

#[tokio::test]
async fn a_stale_connection_answers_once() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    let path = scripted(&sim, "stale", CHAT);
    wire.post(&path, PLAIN).await;
    assert_eq!(wire.answer().await.status, 200);
    wire.post(&path, PLAIN).await;
    assert_eq!(wire.end().await, End::Fin);
    let outcomes: Vec<_> = sim.log().iter().map(|served| served.outcome).collect();
    assert_eq!(outcomes, [Outcome::Answered, Outcome::Cut]);
}

#[tokio::test]
async fn early_413_comes_before_the_body_is_sent() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    let path = scripted(&sim, "early-413", MESSAGES);
    wire.send(format!("POST {path} HTTP/1.1\r\ncontent-length: 5000000\r\n\r\n{{").as_bytes()).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"]["type"], "request_too_large");
    // The rest may still be sent, and does not turn the close into a reset.
    wire.send(&vec![b' '; 1_000_000]).await;
    assert_eq!(wire.end().await, End::Fin);
}

#[tokio::test]
async fn a_redirect_names_its_target() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "redirect=http://other.test/a%2Cb", CHAT, PLAIN).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), Some("http://other.test/a,b"));
}

#[tokio::test]
async fn a_trickled_head_is_still_a_head() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "head-trickle=1", CHAT, PLAIN).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
}

#[tokio::test]
async fn the_peer_may_leave_while_the_sim_waits() {
    for script in ["delay=600000", "first=600000", "events=2,every=600000", "head-trickle=600000"] {
        let sim = Sim::start().await;
        let mut wire = Wire::open(&sim).await;
        wire.post(&scripted(&sim, script, CHAT), STREAM).await;
        let is_open = |log: &[upstream_sim::Served]| log.len() == 1;
        sim.wait_until(is_open).await;
        if script.starts_with("first") {
            wire.read_until("\r\n\r\n").await;
        }
        drop(wire);
        assert!(matches!(ended(&sim).await.outcome, Outcome::PeerClosed { .. }), "{script}");
    }
}

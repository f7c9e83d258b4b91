//! The record is true, and scripts reach the request they are meant for.

use crate::wire::*;
use serde_json::Value;
use std::time::Duration;
use upstream_sim::{Outcome, Script, Sim};

fn signed(header: &str, path: &str) -> String {
    request("POST", path, &format!("{header}\r\n"), PLAIN)
}

#[tokio::test]
async fn pushed_scripts_are_followed_in_order_by_their_secret_only() {
    let sim = Sim::start().await;
    sim.push("sk-a", "status=429".parse().unwrap());
    sim.push("sk-a", "status=503".parse().unwrap());
    let mut wire = Wire::open(&sim).await;
    let mut statuses = Vec::new();
    for key in ["sk-b", "sk-a", "sk-b", "sk-a", "sk-a"] {
        wire.send(signed(&format!("Authorization: Bearer {key}"), CHAT).as_bytes()).await;
        statuses.push(wire.answer().await.status);
    }
    assert_eq!(statuses, [200, 429, 200, 503, 200]);
}

#[tokio::test]
async fn the_path_goes_before_the_header_and_the_header_before_the_queue() {
    let sim = Sim::start().await;
    sim.push("", "status=503".parse().unwrap());
    let mut wire = Wire::open(&sim).await;
    wire.send(signed("x-sim-script: status=401", &scripted(&sim, "status=402", CHAT)).as_bytes()).await;
    assert_eq!(wire.answer().await.status, 402);
    wire.send(signed("x-sim-script: status=401", CHAT).as_bytes()).await;
    assert_eq!(wire.answer().await.status, 401);
    wire.post(CHAT, PLAIN).await;
    assert_eq!(wire.answer().await.status, 503);
    wire.post(CHAT, PLAIN).await;
    assert_eq!(wire.answer().await.status, 200);
}

#[tokio::test]
async fn secrets_are_found_wherever_a_dialect_puts_them() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    for (header, path) in [
        ("authorization: bearer k1", CHAT),
        ("X-Api-Key: k2", MESSAGES),
        ("x-goog-api-key: k3", GEMINI),
        ("api-key: k4", CHAT),
        ("x: y", "/v1beta/models/m:generateContent?key=k%35"),
    ] {
        wire.send(signed(header, path).as_bytes()).await;
        wire.answer().await;
    }
    let log = sim.log();
    let secrets: Vec<_> = log.iter().map(|served| served.secret.as_str()).collect();
    assert_eq!(secrets, ["k1", "k2", "k3", "k4", "k5"]);
    assert_eq!(log[1].header("x-api-key"), Some("k2"));
    assert_eq!(log[4].query, "key=k%35");
    assert_eq!(log[4].path, "/v1beta/models/m:generateContent");
}

#[tokio::test]
async fn a_script_that_is_not_understood_is_refused_aloud() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.post("/~stal=1/v1/chat/completions", PLAIN).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("stal"));
    assert_eq!(ended(&sim).await.outcome, Outcome::Refused);
}

#[tokio::test]
async fn a_peer_that_leaves_is_seen_within_a_moment() {
    for script in ["silence", "stall=1", "body=hang", "ping-only"] {
        let sim = Sim::start().await;
        let mut wire = Wire::open(&sim).await;
        wire.post(&scripted(&sim, script, CHAT), STREAM).await;
        sim.wait_until(|log| !log.is_empty()).await;
        // Unread bytes must not hide the leaving.
        wire.send(b"\r\nGET /~more HTTP/1.1\r\n").await;
        let left = tokio::time::Instant::now();
        drop(wire);
        let served = ended(&sim).await;
        assert!(matches!(served.outcome, Outcome::PeerClosed { .. }), "{script}");
        assert!(served.ended.unwrap().duration_since(left) < Duration::from_secs(1), "{script}");
        sim.wait_until(|_| sim.open_connections() == 0).await;
    }
}

#[tokio::test]
async fn a_flood_of_pipelined_bytes_hides_nothing_and_is_not_kept() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "silence", CHAT), PLAIN).await;
    wire.send(&vec![b'x'; 5_000_000]).await;
    drop(wire);
    assert_eq!(ended(&sim).await.outcome, Outcome::PeerClosed { after_bytes: 0 });
}

#[tokio::test]
async fn a_peer_that_leaves_while_sending_is_recorded() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.send(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 100\r\n\r\n{").await;
    drop(wire);
    assert_eq!(ended(&sim).await.outcome, Outcome::PeerClosed { after_bytes: 0 });
}

#[tokio::test]
async fn the_record_can_be_asked_for_over_http() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.send(signed("x-api-key: sk-secret-1234", MESSAGES).as_bytes()).await;
    wire.answer().await;
    wire.send(request("GET", "/~log", "", "").as_bytes()).await;
    let log = wire.answer().await;
    assert!(!log.text().contains("secret-"));
    let line = &log.json()[0];
    assert_eq!((&line["secret_end"], &line["outcome"]), (&Value::from("1234"), &Value::from("answered")));
    assert!(line["usage"]["output"].as_u64() > Some(0));
    wire.send(request("GET", "/~stats", "", "").as_bytes()).await;
    let stats = wire.answer().await.json();
    assert_eq!(stats["served"], 1);
    assert_eq!(stats["open_requests"], 0);
    assert_eq!(stats["open_connections"], 1);
}

#[tokio::test]
async fn of_a_long_body_the_first_mebibyte_is_kept() {
    let sim = Sim::start().await;
    let body = format!(r#"{{"model":"m","messages":"{}"}}"#, "x".repeat(3_000_000));
    assert_eq!(ask(&sim, "", CHAT, &body).await.status, 200);
    let served = ended(&sim).await;
    assert_eq!((served.body.len(), served.body_len), (1 << 20, body.len() as u64));
    assert_eq!(served.model, "m");
}

#[tokio::test]
async fn dropping_the_sim_ends_its_connections() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "silence", CHAT), PLAIN).await;
    sim.wait_until(|log| log.len() == 1).await;
    drop(sim);
    wire.end().await;
}

#[tokio::test]
async fn a_default_script_answers_whoever_has_none() {
    let script: Script = "words,every=1".parse().unwrap();
    let sim = Sim::bind_with(([127, 0, 0, 1], 0).into(), script).await.unwrap();
    let mut wire = Wire::open(&sim).await;
    wire.post(MESSAGES, STREAM).await;
    let events = wire.answer().await.events();
    assert_eq!(events.iter().filter(|event| event.name == "content_block_delta").count(), 55);
}

//! Bodies that are not as they should be.

use crate::wire::*;
use flate2::read::GzDecoder;
use std::io::Read;
use upstream_sim::{Outcome, Sim};

#[tokio::test]
async fn empty_html_and_gzip_bodies() {
    let sim = Sim::start().await;
    for status in ["status=200", "status=502"] {
        let empty = ask(&sim, &format!("{status},body=empty"), CHAT, PLAIN).await;
        assert_eq!(empty.header("content-length"), Some("0"));
        let html = ask(&sim, &format!("{status},body=html"), CHAT, PLAIN).await;
        assert_eq!(html.header("content-type"), Some("text/html"));
        assert!(html.text().starts_with("<!doctype html>"));
        let gzip = ask(&sim, &format!("{status},body=gzip"), CHAT, PLAIN).await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert!(unpacked(&gzip.body).starts_with('{'));
    }
}

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn a_hanging_body_is_half_sent() {
    for (script, path, body) in
        [("status=429,body=hang", CHAT, PLAIN), ("body=hang", CHAT, STREAM), ("stall=1", GEMINI, "{}")]
    {
        let sim = Sim::start().await;
        let mut wire = Wire::open(&sim).await;
        wire.post(&scripted(&sim, script, path), body).await;
        wire.read_until("\r\n\r\n").await;
        // The head and half of the body leave in one write.
        sim.wait_until(|log| log[0].bytes_sent > 0).await;
        let sent = sim.log()[0].bytes_sent;
        wire.read_at_least(sent).await;
        assert_eq!(sim.open_requests(), 1);
        drop(wire);
        assert_eq!(ended(&sim).await.outcome, Outcome::PeerClosed { after_bytes: sent }, "{script}");
    }
}

#[tokio::test]
async fn a_reset_body_breaks_in_the_middle() {
    for (script, path, body) in
        [("status=500,body=reset", CHAT, PLAIN), ("body=reset", MESSAGES, STREAM), ("reset=1", CHAT, PLAIN)]
    {
        let sim = Sim::start().await;
        let answer = ask(&sim, script, path, body).await;
        assert_eq!(answer.end, End::Rst, "{script}");
        assert!(!answer.body.is_empty());
        assert_eq!(ended(&sim).await.outcome, Outcome::Cut);
    }
}

#[tokio::test]
async fn an_endless_body_goes_on_and_stops_with_the_peer() {
    const PLENTY: u64 = 4 * 1024 * 1024;
    for (script, body) in [("status=500,body=endless", PLAIN), ("body=endless", STREAM)] {
        let sim = Sim::start().await;
        let mut wire = Wire::open(&sim).await;
        wire.post(&scripted(&sim, script, CHAT), body).await;
        wire.read_at_least(PLENTY).await;
        drop(wire);
        let Outcome::PeerClosed { after_bytes } = ended(&sim).await.outcome else { panic!("not closed") };
        assert!(after_bytes >= PLENTY);
    }
}

#[tokio::test]
async fn an_endless_body_nobody_reads_is_given_up_when_the_peer_leaves() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "body=endless", CHAT), PLAIN).await;
    wire.read_until("\r\n\r\n").await;
    drop(wire);
    assert!(matches!(ended(&sim).await.outcome, Outcome::PeerClosed { .. }));
}

#[tokio::test]
async fn a_trickled_body_comes_byte_by_byte() {
    let sim = Sim::start().await;
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "status=500,body=trickle,every=1", CHAT), PLAIN).await;
    let text = wire.read_until("1\r\ne\r\n1\r\nr\r\n").await;
    assert!(text.contains("\r\n\r\n1\r\n{\r\n1\r\n\"\r\n"), "{text}");
    drop(wire);
    assert!(matches!(ended(&sim).await.outcome, Outcome::PeerClosed { .. }));
}

#[tokio::test]
async fn a_padded_body_has_its_size_and_still_parses() {
    const SIZE: usize = 300_000;
    let sim = Sim::start().await;
    for script in ["body=big:300000", "status=429,body=big:300000"] {
        let answer = ask(&sim, script, CHAT, PLAIN).await;
        assert_eq!(answer.body.len(), SIZE);
        assert!(answer.json().is_object());
    }
    let stream = ask(&sim, "body=big:300000", CHAT, STREAM).await;
    assert_eq!(stream.body.len(), SIZE);
    assert_eq!(stream.events().last().unwrap().data, "[DONE]");
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "status=500,body=huge", CHAT), PLAIN).await;
    assert!(wire.read_until("\r\n\r\n").await.contains("content-length: 52428800\r\n"));
}

#[tokio::test]
async fn a_wrong_length_is_ten_off() {
    let sim = Sim::start().await;
    let right = ask(&sim, "", CHAT, PLAIN).await.body.len();
    let short = ask(&sim, "length=wrong-short", CHAT, PLAIN).await;
    assert!(short.body.len() >= right - 10 && short.body.len() < right);
    let long = ask(&sim, "length=wrong-long", CHAT, PLAIN).await;
    assert_eq!(long.end, End::Fin);
    let stream = ask(&sim, "length=wrong-long", CHAT, STREAM).await;
    assert_eq!(stream.end, End::Fin);
    assert_eq!(stream.events().last().unwrap().data, "[DONE]");
}

#[tokio::test]
async fn a_plain_answer_can_be_cut_in_order_or_not() {
    let sim = Sim::start().await;
    let cut = ask(&sim, "cut=1", CHAT, PLAIN).await;
    assert_eq!(cut.end, End::Whole);
    assert!(serde_json::from_slice::<serde_json::Value>(&cut.body).is_err());
    let fin = ask(&sim, "fin=1", CHAT, PLAIN).await;
    assert_eq!(fin.end, End::Fin);
    let delimited = ask(&sim, "eof-delimited", CHAT, PLAIN).await;
    assert_eq!((delimited.end, delimited.header("connection")), (End::Fin, Some("close")));
    assert!(delimited.json().is_object());
}

#[tokio::test]
async fn sizes_types_usage_and_echo() {
    let sim = Sim::start().await;
    let large = ask(&sim, "large-reply=100000", CHAT, PLAIN).await.json();
    let content = &large["choices"][0]["message"]["content"];
    assert_eq!(content.as_str().unwrap().len(), 100_000);
    let typed = ask(&sim, "type=application/octet-stream", CHAT, PLAIN).await;
    assert_eq!(typed.header("content-type"), Some("application/octet-stream"));
    assert!(ask(&sim, "usage=none", CHAT, PLAIN).await.json().get("usage").is_none());
    assert!(ask(&sim, "usage=null", CHAT, PLAIN).await.json()["usage"].is_null());
    let fixed = ask(&sim, "usage=11:22", CHAT, PLAIN).await.json();
    assert_eq!((&fixed["usage"]["prompt_tokens"], &fixed["usage"]["total_tokens"]), (&11.into(), &33.into()));
    let body = r#"{"model":"x","odd":"\u00fc \"ü\" 水"}"#;
    let echo = ask(&sim, "echo", CHAT, body).await.json();
    assert_eq!(echo["choices"][0]["message"]["content"], body);
    let chopped = ask(&sim, "one-byte", CHAT, PLAIN).await;
    assert!(!chopped.text().is_ascii());
}

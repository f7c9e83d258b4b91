//! Streams that break, stall, or come in odd packets.

use crate::wire::*;
use flate2::read::GzDecoder;
use std::io::Read;
use upstream_sim::{Outcome, Sim};

fn deltas(answer: &Answer) -> usize {
    answer.events().iter().filter(|event| is_content(event)).count()
}

/// Content of any dialect; texts are never empty in content events.
fn is_content(event: &Event) -> bool {
    let has = |mark: &str| event.data.contains(mark);
    has(r#""delta":{"content":"#)
        || event.name == "response.output_text.delta"
        || event.name == "content_block_delta"
        || (has(r#""parts":[{"text":"#) && !has(r#"{"text":""}"#))
}

fn has_terminal(answer: &Answer) -> bool {
    let text = answer.text();
    ["[DONE]", "response.completed", "message_stop", "finishReason"].iter().any(|mark| text.contains(mark))
}

#[tokio::test]
async fn cut_ends_in_order_without_a_terminal_event() {
    for (path, body) in STREAMS {
        for (script, events) in [("cut=0", 0), ("cut=3", 3), ("no-terminal", 5)] {
            let sim = Sim::start().await;
            let answer = ask(&sim, script, path, body).await;
            assert_eq!(answer.end, End::Whole, "{path} {script}");
            assert_eq!(deltas(&answer), events, "{path} {script}");
            assert!(!has_terminal(&answer), "{path} {script}");
            let served = ended(&sim).await;
            assert_eq!((served.outcome, served.usage), (Outcome::Cut, None));
        }
    }
}

#[tokio::test]
async fn fin_and_reset_break_the_connection() {
    for (path, body) in STREAMS {
        for (script, end) in [("fin=2", End::Fin), ("reset=2", End::Rst)] {
            let sim = Sim::start().await;
            let answer = ask(&sim, script, path, body).await;
            assert_eq!(answer.end, end, "{path} {script}");
            assert_eq!(deltas(&answer), 2, "{path} {script}");
            assert_eq!(ended(&sim).await.outcome, Outcome::Cut);
        }
    }
    let sim = Sim::start().await;
    let answer = ask(&sim, "fin=2", CHAT, STREAM).await;
    let whole: usize = answer.chunks.iter().map(Vec::len).sum();
    assert!(answer.body.len() > whole, "the FIN comes in mid-chunk");
}

#[tokio::test]
async fn stalls_say_nothing_until_the_peer_leaves() {
    for (path, body) in STREAMS {
        for script in ["stall=2", "linger", "lifecycle-only"] {
            let sim = Sim::start().await;
            let mut wire = Wire::open(&sim).await;
            wire.post(&scripted(&sim, script, path), body).await;
            wire.read_until("data: ").await;
            let text = match script {
                "linger" if path == CHAT => wire.read_until("[DONE]\n\n").await,
                "linger" if path == RESPONSES => wire.read_until("event: response.completed").await,
                "linger" if path == MESSAGES => wire.read_until("message_stop\"}\n\n").await,
                "linger" => wire.read_until("finishReason").await,
                _ => String::new(),
            };
            assert!(!text.contains("\r\n0\r\n\r\n"), "{path} {script}");
            drop(wire);
            let served = ended(&sim).await;
            assert!(matches!(served.outcome, Outcome::PeerClosed { .. }), "{path} {script}");
        }
    }
}

#[tokio::test]
async fn a_stall_comes_after_exactly_so_many_events() {
    let sim = Sim::start().await;
    let full = ask(&sim, "cut=2", CHAT, STREAM).await;
    let framed = |chunk: &Vec<u8>| format!("{:x}\r\n\r\n", chunk.len()).len() + chunk.len();
    let stalled = full.head.len() + full.chunks.iter().map(framed).sum::<usize>();
    let mut wire = Wire::open(&sim).await;
    wire.post(&scripted(&sim, "stall=2", CHAT), STREAM).await;
    wire.read_at_least(stalled as u64).await;
    drop(wire);
    sim.wait_until(|log| log.len() == 2 && log[1].ended.is_some()).await;
    assert_eq!(sim.log()[1].outcome, Outcome::PeerClosed { after_bytes: stalled as u64 });
}

#[tokio::test]
async fn error_events_are_worded_by_the_dialect_and_are_the_end() {
    let sim = Sim::start().await;
    for (path, body) in STREAMS {
        for k in [0, 2] {
            let answer = ask(&sim, &format!("error-event={k},error=overloaded"), path, body).await;
            assert_eq!((answer.status, answer.end), (200, End::Whole), "{path}");
            assert_eq!(deltas(&answer), k, "{path}");
            assert!(!has_terminal(&answer), "{path}");
            let events = answer.events();
            if k == 0 {
                assert!(events[0].data.contains(r#""error":{"#), "{path}: {events:?}");
            }
            let last = events.last().unwrap();
            match path {
                RESPONSES => {
                    assert_eq!(events[events.len() - 2].name, "error");
                    assert_eq!(last.json()["response"]["status"], "failed");
                }
                MESSAGES => assert_eq!(last.json()["error"]["type"], "overloaded_error"),
                CHAT => assert_eq!(last.json()["error"]["type"], "server_error"),
                _ => assert_eq!(last.json()["error"]["status"], "UNAVAILABLE"),
            }
        }
    }
    let array = ask(&sim, "error-event=1", GEMINI_ARRAY, "{}").await.json();
    assert_eq!(array.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn no_done_leaves_only_the_mark_out() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "no-done", CHAT, STREAM).await;
    assert!(answer.events().last().unwrap().data.contains("total_tokens"));
    assert_eq!(sim.log().len(), 1);
}

#[tokio::test]
async fn pings_come_first_or_for_ever() {
    for (path, body) in STREAMS {
        let sim = Sim::start().await;
        let mark = if path == MESSAGES { "event: ping" } else { ": still at work" };
        let text = ask(&sim, "pings=3", path, body).await.text();
        let end = text.find(if path == MESSAGES { "event: message_start" } else { "data: {" }).unwrap();
        assert_eq!(text[..end].matches(mark).count(), 3, "{path}");

        let mut wire = Wire::open(&sim).await;
        wire.post(&scripted(&sim, "ping-only,every=1", path), body).await;
        wire.read_at_least(1000).await;
        let heard = wire.read_until(mark).await;
        assert!(!heard.contains("sim-large"), "{path}: pings only");
        drop(wire);
        sim.wait_until(|log| log.len() == 2 && log[1].ended.is_some()).await;
        assert!(matches!(sim.log()[1].outcome, Outcome::PeerClosed { .. }));
    }
}

#[tokio::test]
async fn packets_are_cut_as_told() {
    let sim = Sim::start().await;
    for (path, body) in STREAMS {
        for (script, longest) in [("one-byte", 1), ("chop=7", 7)] {
            let answer = ask(&sim, script, path, body).await;
            assert!(answer.chunks.iter().all(|chunk| chunk.len() <= longest), "{path}");
            assert!(
                answer.chunks.iter().any(|chunk| std::str::from_utf8(chunk).is_err()),
                "cuts a character"
            );
            assert_eq!(deltas(&answer), 5, "{path}");
        }
        let each = ask(&sim, "", path, body).await;
        assert!(each.chunks.iter().all(|chunk| events(std::str::from_utf8(chunk).unwrap()).len() == 1));
        let burst = ask(&sim, "burst", path, body).await;
        assert_eq!(deltas(&burst), 5);
    }
}

#[tokio::test]
async fn framing_of_events_and_bodies() {
    let sim = Sim::start().await;
    let crlf = ask(&sim, "crlf", MESSAGES, STREAM).await.text();
    assert!(crlf.lines().count() > 10 && !crlf.replace("\r\n", "").contains('\n'));
    let comments = ask(&sim, "comments", CHAT, STREAM).await;
    assert!(comments.text().starts_with(": a comment\n\ndata: {"));
    assert_eq!(deltas(&comments), 5);
    let delimited = ask(&sim, "eof-delimited", CHAT, STREAM).await;
    assert_eq!((delimited.end, delimited.header("transfer-encoding")), (End::Fin, None));
    assert!(has_terminal(&delimited));
    let line = ask(&sim, "huge-line=200000", CHAT, STREAM).await;
    assert!(line.events()[1].data.len() > 200_000);
    let sized = ask(&sim, "events=3,size=50", GEMINI_SSE, "{}").await.events();
    let text = &sized[1].json()["candidates"][0]["content"]["parts"][0]["text"];
    assert_eq!(text.as_str().unwrap().len(), 50);
    let array = ask(&sim, "pings=2,comments", GEMINI_ARRAY, "{}").await.json();
    assert_eq!(array.as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_compressed_stream_is_readable_event_by_event() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "gzip-sse", CHAT, STREAM).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(events(&text).last().unwrap().data, "[DONE]");
    // What has arrived can be unpacked before the rest is there.
    let mut begun = Vec::new();
    let _ = GzDecoder::new(&answer.chunks[..2].concat()[..]).read_to_end(&mut begun);
    assert_eq!(events(std::str::from_utf8(&begun).unwrap()).len(), 2);
}

#[tokio::test]
async fn usage_on_a_stream_is_as_told_and_recorded_when_sent() {
    let sim = Sim::start().await;
    let fixed = ask(&sim, "usage=2:3", MESSAGES, STREAM).await;
    assert!(fixed.text().contains(r#""output_tokens":3}"#));
    let none = ask(&sim, "usage=none", MESSAGES, STREAM).await;
    assert!(!none.text().contains("usage"));
    let unasked = ask(&sim, "", CHAT, r#"{"stream":true}"#).await;
    assert!(has_terminal(&unasked));
    sim.wait_until(|log| log.iter().all(|served| served.ended.is_some())).await;
    let reported: Vec<_> = sim.log().iter().map(|s| s.usage.map(|u| (u.input, u.output))).collect();
    assert_eq!(reported, [Some((2, 3)), None, None]);
}

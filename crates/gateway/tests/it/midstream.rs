//! Streams that break after their first content, and streams that only look odd.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use upstream_sim::Sim;

use crate::{
    harness::{
        CHAT, DIALECTS, GEMINI_ARRAY, Parrot, World, channel, error_event, events, eventually, first_words,
        four, plain, post, said, side_by_side, stream,
    },
    wire::{Answer, Client, End, Request, contains},
};

/// Words that only a whole answer holds.
pub fn claims_an_end(dialect: &str, body: &[u8]) -> bool {
    match dialect {
        "openai_chat" => contains(body, "[DONE]") || contains(body, "\"finish_reason\":\"stop\""),
        "openai_responses" => contains(body, "response.completed") || contains(body, "response.incomplete"),
        "anthropic_messages" => {
            contains(body, "message_stop") || contains(body, "\"stop_reason\":\"end_turn\"")
        }
        _ => contains(body, "finishReason"),
    }
}

/// Channels of all dialects that follow a script, with short clocks.
fn impatient(sim: &Sim, script: &str) -> String {
    let clocks = "connect = \"300ms\"\nidle = \"400ms\"\nfirst_event = \"800ms\"\nfirst_byte = \"800ms\"";
    format!("[timeouts]\n{clocks}\n{}", four(&sim.scripted(script)))
}

/// The same; a short clock only where silence is what the script is about: a loaded machine is silent, too.
fn following(sim: &Sim, script: &str) -> String {
    let clocks = if script.contains("stall") { "[timeouts]\nidle = \"400ms\"\n" } else { "" };
    clocks.to_owned() + &four(&sim.scripted(script))
}

pub fn assert_broken(script: &str, dialect: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.end), (200, End::Whole), "{script}, {dialect}: {answer:?}");
    let told = events(&answer.body);
    let error = told.iter().position(|event| error_event(dialect, event).is_some());
    assert_eq!(error, Some(told.len() - 1), "{script}, {dialect}: an error, and last: {answer:?}");
    assert!(!claims_an_end(dialect, &answer.body), "{script}, {dialect}: an invented end: {answer:?}");
    for event in &told {
        serde_json::from_str::<Value>(event).unwrap_or_else(|error| panic!("{error}: {event}"));
    }
    if dialect == "openai_responses" {
        let numbers: Vec<u64> = told
            .iter()
            .map(|event| serde_json::from_str::<Value>(event).unwrap()["sequence_number"].as_u64().unwrap())
            .collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{script}: {numbers:?}");
    }
}

#[tokio::test]
async fn what_breaks_in_the_middle_is_told_in_the_stream() {
    let cases = [
        ("stall=2", "timed_out", "upstream: silent past timeouts.idle"),
        ("stall=2,one-byte", "timed_out", "upstream: silent past timeouts.idle"),
        ("reset=2", "cut", "upstream: broke off"),
        ("fin=2", "cut", "upstream: broke off"),
        ("fin=2,eof-delimited", "cut", "upstream: ended without its end"),
        ("cut=2", "cut", "upstream: ended without its end"),
        ("cut=2,eof-delimited", "cut", "upstream: ended without its end"),
        ("cut=3,gzip-sse", "cut", "upstream: ended without its end"),
        ("no-terminal", "cut", "upstream: ended without its end"),
        ("error-event=2", "cut", "upstream: error event"),
        ("error-event=3,error=overloaded", "cut", "upstream: error event"),
        ("error-event=2,chop=5", "cut", "upstream: error event"),
    ]
    .map(|(script, ending, cause)| async move {
        let world = World::start(|sim| following(sim, script)).await;
        for dialect in DIALECTS {
            let answer = world.ask(&stream(dialect)).await;
            assert_broken(script, dialect, &answer);
            let line = world.settlement(&answer).await;
            assert_eq!(line["ending"], ending, "{script}, {dialect}: {line}");
            assert!(line["cause"].as_str().unwrap().starts_with(cause), "{script}, {dialect}: {line}");
            assert_eq!(line["status"], 200);
            assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "nothing is tried again: {line}");
        }
        world.close().await;
    });
    side_by_side(cases).await;
}

#[tokio::test]
async fn a_broken_array_is_closed_with_an_error_element() {
    for script in ["stall=2", "reset=2", "fin=2", "cut=2", "no-terminal", "error-event=2"] {
        let world = World::start(|sim| following(sim, script)).await;
        let answer = world.ask(&post(GEMINI_ARRAY, "{}")).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{script}: {answer:?}");
        let elements = answer.json().as_array().unwrap().clone();
        assert!(
            elements.len() > 1 && elements.last().unwrap().get("error").is_some(),
            "{script}: {answer:?}"
        );
        assert!(!claims_an_end("gemini_generate", &answer.body), "{script}: {answer:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn a_plain_answer_that_breaks_is_not_passed_off_as_whole() {
    let cases = ["stall=1", "reset=1", "fin=1", "cut=1"].map(|script| async move {
        let world = World::start(|sim| following(sim, &format!("large-reply=500000,{script}"))).await;
        for dialect in DIALECTS {
            let answer = world.ask(&plain(dialect)).await;
            assert_eq!(answer.status, 200, "{script}, {dialect}");
            assert_ne!(answer.end, End::Whole, "{script}, {dialect}: {answer:?}");
            let line = world.settlement(&answer).await;
            let ending = if script == "stall=1" { "timed_out" } else { "cut" };
            assert_eq!(line["ending"], ending, "{script}, {dialect}: {line}");
        }
        world.close().await;
    });
    side_by_side(cases).await;
}

#[tokio::test]
async fn odd_but_whole_streams_pass_byte_for_byte() {
    let cases = [
        "one-byte",
        "chop=3,events=20",
        "chop=17",
        "burst",
        "comments",
        "crlf",
        "comments,crlf,chop=2",
        "pings=3",
        "tool",
        "reasoning",
        "eof-delimited",
        "type=text/plain",
        "type=application/json",
        "no-done",
        "usage=none",
        "usage=null",
        "head-trickle=1",
        "huge-line=300000",
    ]
    .into_iter()
    .map(|script| async move {
        let (world, other) = (World::start(|sim| following(sim, script)).await, Sim::start().await);
        let prefix = other.scripted(script).replace(&other.url(), "");
        for dialect in DIALECTS {
            let mut request = stream(dialect);
            if dialect == "openai_chat" {
                // With the usage asked for, nothing is to be edited.
                request = request.body(
                    r#"{"model":"sim","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
                );
            }
            let answer = world.ask(&request).await;
            let direct = Request { path: format!("{prefix}{}", request.path), ..request };
            let wanted = Client::connect(other.addr, Default::default()).await.ask(&direct).await;
            assert_eq!(answer.end, End::Whole, "{script}, {dialect}: {answer:?}");
            assert_eq!(timeless(&answer), timeless(&wanted), "{script}, {dialect}");
            assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"), "{script}");
            let line = world.settlement(&answer).await;
            assert_eq!(line["ending"], "completed", "{script}, {dialect}: {line}");
            let usage = world.sim.log().last().unwrap().usage;
            let count = |name: &str| line["usage"][name].as_u64();
            let output = count("output").map(|output| output + count("reasoning").unwrap_or(0));
            // What nobody told is estimated, and says so.
            let told = output.filter(|_| line["estimated"] == false);
            assert_eq!(told, usage.map(|usage| usage.output), "{script}, {dialect}: {line}");
            assert!(output.is_some(), "{script}, {dialect}: {line}");
        }
        world.close().await;
    });
    side_by_side(cases).await;
}

fn timeless(answer: &Answer) -> String {
    let text = answer.text();
    let mut out = String::new();
    for (at, part) in text.split("\"created").enumerate() {
        let part = if at == 0 { part } else { part.trim_start_matches(|c: char| c != ',') };
        out.push_str(part);
    }
    out
}

#[tokio::test]
async fn a_packed_stream_is_unpacked_as_it_comes() {
    let world = World::start(|sim| following(sim, "gzip-sse,every=60,events=4")).await;
    for dialect in DIALECTS {
        let mut client = world.client().await;
        client.send(&stream(dialect).bytes()).await;
        let early = client.until(|body| !events(body).is_empty()).await;
        assert!(!claims_an_end(dialect, &early.body), "{dialect}: held back: {early:?}");
        let answer = client.answer().await;
        assert_eq!(answer.header("content-encoding"), None);
        assert!(claims_an_end(dialect, &answer.body), "{dialect}: {answer:?}");
        assert_eq!(world.settlement(&answer).await["ending"], "completed");
    }
    world.close().await;
}

#[tokio::test]
async fn a_whole_answer_whose_body_stays_open_ends_for_the_client() {
    let world = World::start(|sim| impatient(sim, "linger")).await;
    for dialect in DIALECTS {
        let started = Instant::now();
        let answer = world.ask(&stream(dialect)).await;
        assert_eq!(answer.end, End::Whole, "{dialect}: {answer:?}");
        assert!(claims_an_end(dialect, &answer.body), "{dialect}: {answer:?}");
        assert!(started.elapsed() < Duration::from_secs(2), "{dialect}: {:?}", started.elapsed());
        assert_eq!(world.settlement(&answer).await["ending"], "completed", "{dialect}");
    }
    world.sim.wait_until(|log| log.iter().all(|served| served.ended.is_some())).await;
    world.close().await;
}

#[tokio::test]
async fn a_translated_answer_ends_soon_after_its_end_where_the_provider_has_no_closing_event() {
    // The clocks are the usual ones, and longer than any client here waits.
    let others = DIALECTS.into_iter().filter(|dialect| *dialect != "gemini_generate");
    let cases = others.map(|dialect| async move {
        let lingering = |sim: &Sim| channel("g", "gemini_generate", &sim.scripted("linger"), "sim");
        let world = World::start(lingering).await;
        let answer = world.ask(&stream(dialect)).await;
        assert_eq!(answer.end, End::Whole, "{dialect}: {answer:?}");
        assert!(claims_an_end(dialect, &answer.body), "{dialect}: {answer:?}");
        let line = world.settlement(&answer).await;
        assert_eq!((&line["ending"], &line["estimated"]), (&json!("completed"), &json!(false)), "{line}");
        assert!(line["usage"]["output"].as_u64() > Some(0), "{line}");
        world.sim.wait_until(|log| log.iter().all(|served| served.ended.is_some())).await;
        world.close().await;
    });
    side_by_side(cases).await;
}

#[tokio::test]
async fn pings_and_opening_events_do_not_count_as_life() {
    let scripts = ["ping-only", "lifecycle-only", "ping-only,every=20"];
    let pairs = scripts.into_iter().flat_map(|script| DIALECTS.map(|dialect| (script, dialect)));
    let cases = pairs.map(|(script, dialect)| async move {
        let world = World::start(|sim| impatient(sim, script)).await;
        let started = Instant::now();
        let answer = world.ask(&stream(dialect)).await;
        assert_eq!(answer.status, 504, "{script}, {dialect}: {answer:?}");
        assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
        let line = world.settlement(&answer).await;
        assert_eq!(line["ending"], "timed_out", "{script}, {dialect}: {line}");
        assert_eq!(line["cause"], "upstream: silent past timeouts.first_event");
        world.close().await;
    });
    side_by_side(cases).await;
}

#[tokio::test]
async fn a_stream_of_a_wrong_length_ends() {
    for (script, whole) in [("length=wrong-long", true), ("length=wrong-short", false)] {
        let world = World::start(|sim| following(sim, script)).await;
        for dialect in DIALECTS {
            let answer = world.ask(&stream(dialect)).await;
            assert_eq!((answer.status, answer.end), (200, End::Whole), "{script}, {dialect}: {answer:?}");
            assert_eq!(ends_in_order(dialect, &answer.body), whole, "{script}, {dialect}: {answer:?}");
            let line = world.settlement(&answer).await;
            // Where only a formality is missing (`[DONE]`), the answer is whole.
            let ending = if whole || dialect == "openai_chat" { "completed" } else { "cut" };
            assert_eq!(line["ending"], ending, "{script}, {dialect}: {line}");
        }
        world.close().await;
    }
}

/// The last words of a whole answer.
fn ends_in_order(dialect: &str, body: &[u8]) -> bool {
    let last = events(body).pop().unwrap();
    match dialect {
        "openai_chat" => last == "[DONE]",
        "openai_responses" => last.starts_with("{\"type\":\"response.completed\""),
        "anthropic_messages" => last.starts_with("{\"type\":\"message_stop\""),
        _ => last.contains("finishReason"),
    }
}

#[tokio::test]
async fn the_total_clock_ends_what_flows() {
    let world = World::start(|sim| {
        format!("[timeouts]\ntotal = \"500ms\"\n{}", four(&sim.scripted("every=50,events=1000")))
    })
    .await;
    for dialect in DIALECTS {
        let answer = world.ask(&stream(dialect)).await;
        assert_broken("total", dialect, &answer);
        let line = world.settlement(&answer).await;
        assert_eq!((&line["ending"], &line["cause"]), (&"timed_out".into(), &"past timeouts.total".into()));
    }
    world.close().await;
}

/// A provider of raw bytes: each request gets `head` and then whatever `body` writes.
async fn raw<F, W>(body: F) -> std::net::SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let _ = stream.read(&mut request).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head).await;
            tokio::spawn(body(stream));
        }
    });
    address
}

#[tokio::test]
async fn a_huge_line_passes_before_it_is_whole_and_is_not_held() {
    const PIECE: &[u8] = &[b'x'; 64 * 1024];
    // The line never ends: what can be read of it was not held back, what cannot be written is not held anywhere.
    let address = raw(|mut stream| async move {
        let _ = stream.write_all(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"").await;
        while stream.write_all(PIECE).await.is_ok() {}
    })
    .await;
    let world = World::start(|_| channel("c", "openai_chat", &format!("http://{address}"), "sim")).await;
    let mut client = world.client().await;
    client.send(&stream("openai_chat").bytes()).await;
    let part = client.until(|body| body.len() > 20_000_000).await;
    assert!(!contains(&part.body[..1000], "\n"), "{part:?}");
    // Now the client reads no more: the flow must come to rest, for all that is held is in the kernel's buffers.
    let memory = || gateway::monitor::read(&world.app).memory.anonymous_bytes;
    let before = memory();
    let mut last = (0, Instant::now());
    let entry = world.app.flow.entries().remove(0);
    eventually("back-pressure", move || {
        let out = entry.bytes_out.load(std::sync::atomic::Ordering::Relaxed);
        if out != last.0 {
            last = (out, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(300)
    })
    .await;
    // Other tests of this process need memory meanwhile; a gateway that holds the flow would need gigabytes.
    assert!(memory() < before + 300_000_000, "{} {before}", memory());
    client.leave();
    world.close().await;
}

#[tokio::test]
async fn an_error_after_a_part_of_a_long_line_stands_apart() {
    let address = raw(|mut stream| async move {
        let head = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":null}]}\n\n";
        let _ = stream.write_all(head).await;
        let _ = stream.write_all(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"").await;
        let _ = stream.write_all(&[b'x'; 300_000]).await;
    })
    .await;
    let world = World::start(|_| channel("c", "openai_chat", &format!("http://{address}"), "sim")).await;
    let answer = world.ask(&stream("openai_chat")).await;
    let told = events(&answer.body);
    assert_eq!(told.len(), 3, "{} events", told.len());
    assert!(error_event("openai_chat", &told[2]).is_some(), "{}", told[2]);
    assert_eq!(world.settlement(&answer).await["ending"], "cut");
    world.close().await;
}

#[tokio::test]
async fn bytes_of_a_frame_under_way_are_life_above_a_minimum_rate() {
    // 30 bytes each 60 ms are 500 a second, and one event takes 1.2 s: longer than the idle clock.
    let flowing = raw(|mut stream| async move {
        let first =
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
        let _ = stream.write_all(first).await;
        let _ = stream.write_all(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"").await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            let _ = stream.write_all(&[b'x'; 30]).await;
        }
        let _ = stream.write_all(b"\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n").await;
    })
    .await;
    // One byte each 100 ms is less than 100 a second.
    let dripping = raw(|mut stream| async move {
        let first =
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
        let _ = stream.write_all(first).await;
        let _ = stream.write_all(b"data: {").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let world = World::start(|_| {
        "[timeouts]\nidle = \"500ms\"\n".to_owned()
            + &channel("flowing", "openai_chat", &format!("http://{flowing}"), "flowing")
            + &channel("dripping", "openai_chat", &format!("http://{dripping}"), "dripping")
    })
    .await;
    let ask = |model: &str| post(CHAT, format!(r#"{{"model":"{model}","messages":[],"stream":true}}"#));
    let answer = world.ask(&ask("flowing")).await;
    assert!(contains(&answer.body, "[DONE]"), "{answer:?}");
    assert_eq!(world.settlement(&answer).await["ending"], "completed");
    let answer = timeout(Duration::from_secs(3), world.ask(&ask("dripping"))).await.unwrap();
    assert_eq!(world.settlement(&answer).await["ending"], "timed_out");
    world.close().await;
}

#[tokio::test]
async fn what_was_used_until_a_break_is_written_down() {
    let world = World::start(|sim| following(sim, "reset=3")).await;
    // Gemini says with every event what was used; the others are estimated, Anthropic's input but for.
    for (dialect, told) in [("anthropic_messages", false), ("gemini_generate", true), ("openai_chat", false)]
    {
        let answer = world.ask(&stream(dialect)).await;
        let line = world.settlement(&answer).await;
        assert!(line["usage"]["output"].as_u64() > Some(0), "{dialect}: {line}");
        assert_eq!(line["estimated"], !told, "{dialect}: {line}");
    }
    world.close().await;
}

#[tokio::test]
async fn blank_lines_for_ever_are_silence() {
    // As many a second as three of them: what is thrown away must not be read for ever either.
    let cases = [("\n", 1), ("\n\n", 50), ("\r\n\r\n", 50), (" \n", 50), ("\u{feff}\n", 50)];
    let pairs = cases.into_iter().flat_map(|case| DIALECTS.map(|dialect| (case, dialect)));
    let running = pairs.map(|((blank, wait_ms), dialect)| async move {
        let address = raw(move |mut stream| async move {
            // Only the first may be a mark.
            let mut next = blank;
            while stream.write_all(next.as_bytes()).await.is_ok() {
                next = blank.trim_start_matches('\u{feff}');
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
        })
        .await;
        let world = World::start(|_| {
            "[timeouts]\nfirst_event = \"400ms\"\n".to_owned()
                + &channel("c", dialect, &format!("http://{address}"), "sim")
        })
        .await;
        let started = Instant::now();
        let answer = world.ask(&stream(dialect)).await;
        assert_eq!(answer.status, 504, "{blank:?}, {dialect}: {answer:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "{blank:?}, {dialect}: {:?}", started.elapsed());
        let line = world.settlement(&answer).await;
        assert_eq!(line["ending"], "timed_out", "{blank:?}, {dialect}: {line}");
        assert_eq!(line["cause"], "upstream: silent past timeouts.first_event");
        world.close().await;
    });
    side_by_side(running).await;
}

#[tokio::test]
async fn nobody_reads_in_a_stream_about_our_account() {
    let kinds = ["invalid_key", "insufficient_quota", "billing", "model_missing"];
    side_by_side(kinds.map(|kind| async move {
        let script = format!("error-event=2,error={kind}");
        let world = World::start(|sim| four(&sim.scripted(&script))).await;
        for dialect in DIALECTS {
            if (kind, dialect) == ("insufficient_quota", "gemini_generate") {
                continue; // Its words are those of a rate limit.
            }
            let answer = world.ask(&stream(dialect)).await;
            assert_broken(&script, dialect, &answer);
            let told = events(&answer.body).pop().unwrap().to_lowercase();
            for word in [
                "api key",
                "api_key",
                "authentic",
                "****",
                "quota",
                "billing",
                "balance",
                "sim-project",
                "does not exist",
                "not_found",
            ] {
                assert!(!told.contains(word), "{script}, {dialect}: says {word}: {told}");
            }
            let line = world.settlement(&answer).await;
            assert_eq!(line["ending"], "cut", "{line}");
            let cause = line["cause"].as_str().unwrap();
            let blame = match kind {
                "invalid_key" => "Credentials",
                "model_missing" => "Model",
                _ => "Account",
            };
            assert!(cause.contains(blame), "{script}, {dialect}: the operator reads the cause: {line}");
        }
        let answer = world.ask(&post(GEMINI_ARRAY, "{}")).await;
        let last = answer.json().as_array().unwrap().last().unwrap().clone();
        assert!(last["error"]["message"].is_string(), "{answer:?}");
        assert!(!contains(&answer.body, "API key ****"), "{answer:?}");
        world.close().await;
    }))
    .await;
}

#[tokio::test]
async fn a_channel_whose_streams_always_break_is_tried_last() {
    let scripts = ["reset=1", "fin=1", "cut=1", "no-terminal", "error-event=1", "stall=1"];
    side_by_side(scripts.map(|script| async move {
        for dialect in DIALECTS {
            let world = World::start(|sim| {
                let clocks = if script.starts_with("stall") { "[timeouts]\nidle = \"300ms\"\n" } else { "" };
                clocks.to_owned()
                    + &channel("bad", dialect, &sim.scripted(script), "sim")
                    + "priority = 1\n"
                    + &channel("good", dialect, &sim.url(), "sim")
            })
            .await;
            for _ in 0..3 {
                let answer = world.ask(&stream(dialect)).await;
                assert_broken(script, dialect, &answer);
                assert_eq!(world.settlement(&answer).await["channel"], "bad", "{script}, {dialect}");
            }
            let answer = world.ask(&stream(dialect)).await;
            let line = world.settlement(&answer).await;
            assert_eq!(
                (&line["channel"], &line["ending"]),
                (&"good".into(), &"completed".into()),
                "{script}, {dialect}: {line}"
            );
            world.close().await;
        }
    }))
    .await;
}

#[tokio::test]
async fn plain_answers_that_break_count_and_clients_that_leave_do_not() {
    let world = World::start(|sim| {
        channel("bad", "openai_chat", &sim.scripted("large-reply=500000,reset=1"), "sim")
            + "priority = 1\n"
            + &channel("good", "openai_chat", &sim.url(), "sim")
    })
    .await;
    for channel in ["bad", "bad", "bad", "good"] {
        let answer = world.ask(&plain("openai_chat")).await;
        assert_eq!(world.settlement(&answer).await["channel"], channel);
    }
    world.close().await;

    // Five clients leave, and one caller's request is at fault in the middle of its answer.
    let refusal =
        r#"{"error":{"message":"Content refused.","type":"invalid_request_error","code":"content_filter"}}"#;
    let body = format!("{}data: {refusal}\n\n", first_words("openai_chat"));
    let parrot = Parrot::start(|_| said(200, "content-type: text/event-stream\r\n", &body, 0), false).await;
    let world = World::start(|sim| {
        channel("slow", "openai_chat", &sim.scripted("every=50,events=100000"), "sim")
            + "priority = 1\n"
            + &channel("good", "openai_chat", &sim.url(), "sim")
            + &channel("refusing", "openai_chat", &parrot.url(), "other")
            + "priority = 1\n"
            + &channel("spare", "openai_chat", &sim.url(), "other")
    })
    .await;
    for _ in 0..5 {
        let mut client = world.client().await;
        client.send(&stream("openai_chat").bytes()).await;
        client.until(|body| !body.is_empty()).await;
        client.leave();
        eventually("it left", || world.app.flow.in_flight() == 0).await;
    }
    for line in world.settlements(5).await {
        assert_eq!(line["channel"], "slow", "{line}");
    }
    for _ in 0..5 {
        let request = post(CHAT, r#"{"model":"other","messages":[],"stream":true}"#);
        let answer = world.ask(&request).await;
        assert_eq!(world.settlement(&answer).await["channel"], "refusing", "{answer:?}");
    }
    world.close().await;
}

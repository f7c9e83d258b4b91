//! What another channel can help, and what it cannot.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::{
    harness::{
        DIALECTS, MESSAGES, Parrot, SECRET, World, assert_error, channel, error_event, event, events,
        first_words, plain, post, said, side_by_side, stream, worded,
    },
    wire::{Answer, Request, contains},
};

/// Short clocks, and a second channel that is healthy.
fn two(dialect: &str, bad: &str, good: &str) -> String {
    channel("bad", dialect, bad, "sim")
        + "priority = 9\ntimeouts = { first_byte = \"300ms\", first_event = \"300ms\", idle = \"300ms\", connect = \"300ms\" }\n"
        + &channel("good", dialect, good, "sim")
}

/// Whether the second channel's answer came, and in full.
fn served_well(request: &Request, dialect: &str, answer: &Answer) -> bool {
    let is_stream = request.path.contains("stream") || contains(&request.body, "\"stream\":true");
    answer.status == 200
        && match (is_stream, dialect) {
            (false, _) => serde_json::from_slice::<Value>(&answer.body).is_ok(),
            (true, "openai_chat") => contains(&answer.body, "[DONE]"),
            (true, "openai_responses") => contains(&answer.body, "response.completed"),
            (true, "anthropic_messages") => contains(&answer.body, "message_stop"),
            (true, _) => contains(&answer.body, "\"finishReason\":\"STOP\""),
        }
}

/// Runs `request` against a bad channel and a good one; the good one must have answered.
async fn helped(what: &str, dialect: &str, bad: &str, request: Request) -> Value {
    let world = World::start(|sim| two(dialect, &sim.scripted(bad), &sim.url())).await;
    let started = Instant::now();
    let answer = world.ask(&request).await;
    let took = started.elapsed();
    assert!(served_well(&request, dialect, &answer), "{what}, {dialect}: {answer:?}");
    assert!(took < Duration::from_secs(3), "{what}, {dialect}: took {took:?}");
    let line = world.settlement(&answer).await;
    assert_eq!(line["ending"], "completed", "{what}, {dialect}: {line}");
    assert_eq!(line["channel"], "good", "{line}");
    let attempts = line["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{what}, {dialect}: {line}");
    assert!(attempts[0]["fault"].as_str().is_some_and(|fault| fault.starts_with("upstream: ")), "{line}");
    assert_eq!(attempts[1].get("fault"), None, "{line}");
    assert_eq!(attempts[1]["status"], 200);
    let calls: Vec<String> = world.sim.log().iter().map(|served| served.secret.clone()).collect();
    assert_eq!(calls, ["upstream-secret-bad", "upstream-secret-good"], "{what}, {dialect}");
    world.close().await;
    line
}

#[tokio::test]
async fn faults_of_the_provider_are_taken_to_another_channel() {
    // script, and the status that the settlement line shows
    let cases = [
        ("rst", 0),
        ("close", 0),
        ("silence", 0),
        ("status=429", 429),
        ("status=429,body=gzip", 429),
        ("status=429,body=html", 429),
        ("status=429,body=empty", 429),
        ("status=408", 408),
        ("status=500", 500),
        ("status=502", 502),
        ("status=503", 503),
        ("status=504", 504),
        ("status=529", 529),
        ("error=overloaded", 0),
        ("redirect=http://elsewhere.test/v1", 302),
        ("length=wrong-long", 0),
        ("head-trickle=200", 0),
        ("refuse-after-accept", 0),
        ("status=200,body=html", 0),
        ("status=200,body=empty", 0),
        ("status=200,body=hang", 0),
        ("status=200,body=trickle", 0),
        ("status=200,body=reset", 0),
        ("length=wrong-short", 0),
        ("stall=1", 0),
        ("cut=1", 0),
        ("fin=1", 0),
        ("large-reply=60000,reset=1", 0),
        ("lifecycle-only", 0),
        ("error-event=0", 0),
        ("error-event=0,error=rate_limit", 0),
    ];
    side_by_side(DIALECTS.map(|dialect| async move {
        for (script, status) in cases {
            let line = helped(script, dialect, script, plain(dialect)).await;
            let shown = line["attempts"][0]["status"].as_u64().unwrap();
            match status {
                302 => assert_eq!(shown, 502),
                0 => {}
                status => assert_eq!(shown, status, "{script}, {dialect}: {line}"),
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn faults_of_the_provider_are_taken_to_another_channel_in_streams_too() {
    let cases = [
        "rst",
        "close",
        "silence",
        "status=429",
        "status=500,body=gzip",
        "status=503",
        "error-event=0",
        "error-event=0,error=overloaded",
        "error-event=0,error=rate_limit",
        "error-event=0,error=insufficient_quota",
        "first=5000",
        "lifecycle-only",
        "ping-only",
        "stall=0",
        "cut=0",
        "fin=0",
        "reset=0",
        "status=200,body=html",
        "status=200,body=empty",
        "status=200,error=server",
        "gzip-sse,reset=0",
    ];
    side_by_side(DIALECTS.map(|dialect| async move {
        for script in cases {
            helped(script, dialect, script, stream(dialect)).await;
        }
    }))
    .await;
}

#[tokio::test]
async fn faults_of_our_account_are_taken_to_another_channel() {
    let everywhere = [
        "status=401",
        "status=402",
        "status=403",
        "error=invalid_key",
        "error=insufficient_quota",
        "error=billing",
        "error=permission",
        "error=model_missing",
    ];
    side_by_side(DIALECTS.map(|dialect| async move {
        for script in everywhere {
            helped(script, dialect, script, plain(dialect)).await;
            helped(script, dialect, script, stream(dialect)).await;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_refused_connection_is_taken_to_another_channel() {
    for dialect in DIALECTS {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let world = World::start(|sim| two(dialect, &format!("http://{address}"), &sim.url())).await;
        for request in [plain(dialect), stream(dialect)] {
            let answer = world.ask(&request).await;
            assert!(served_well(&request, dialect, &answer), "{answer:?}");
            let line = world.settlement(&answer).await;
            let fault = line["attempts"][0]["fault"].as_str().unwrap();
            assert!(fault.contains("cannot connect"), "{fault}");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn faults_of_the_caller_are_told_as_they_are_and_tried_nowhere_else() {
    let cases = [
        ("status=400", [400, 400, 400, 400]),
        ("error=context_length", [400, 400, 400, 400]),
        ("error=content_policy", [400, 400, 400, 400]),
        ("status=413", [413, 413, 413, 413]),
        ("status=422", [422, 422, 422, 422]),
        ("status=404,error=bad_request", [404, 404, 404, 404]),
        ("status=403,error=content_policy", [403, 403, 403, 403]),
        ("early-413", [413, 413, 413, 413]),
    ];
    for (script, statuses) in cases {
        for (dialect, status) in DIALECTS.into_iter().zip(statuses) {
            let world = World::start(|sim| two(dialect, &sim.scripted(script), &sim.url())).await;
            for request in [plain(dialect), stream(dialect)] {
                let answer = world.ask(&request).await;
                assert_eq!(answer.status, status, "{script}, {dialect}: {answer:?}");
                assert_error(dialect, &answer.json(), status);
                let line = world.settlement(&answer).await;
                assert_eq!(line["ending"], "refused", "{script}, {dialect}: {line}");
                assert_eq!(line["attempts"].as_array().unwrap().len(), 1);
            }
            assert_eq!(world.sim.log().len(), 2, "{script}, {dialect}: exactly one call each");
            assert!(world.sim.log().iter().all(|served| served.secret.ends_with("-bad")));
            world.close().await;
        }
    }
}

#[tokio::test]
async fn the_callers_own_error_comes_word_for_word() {
    for dialect in DIALECTS {
        let world =
            World::start(|sim| channel("c", dialect, &sim.scripted("error=context_length"), "sim")).await;
        let mut direct = crate::wire::Client::connect(world.sim.addr, Default::default()).await;
        let mut request = plain(dialect);
        request.path = format!("/~error=context_length{}", request.path);
        let wanted = direct.ask(&request).await;
        let answer = world.ask(&plain(dialect)).await;
        let numberless = |answer: &Answer| answer.text().replace("req_sim1", "req_sim2");
        assert_eq!(numberless(&answer), numberless(&wanted), "{dialect}");
        world.close().await;
    }
}

#[tokio::test]
async fn each_channel_is_tried_once_and_no_more_than_attempts_max() {
    for (max, channels, calls) in [(3, 5, 3), (20, 4, 4), (1, 3, 1)] {
        let world = World::start(|sim| {
            let mut text = format!("[attempts]\nmax = {max}\n");
            for at in 0..channels {
                text += &channel(&format!("c{at}"), "openai_chat", &sim.scripted("status=500"), "sim");
            }
            text
        })
        .await;
        let answer = world.ask(&plain("openai_chat")).await;
        assert_eq!(answer.status, 500, "{answer:?}");
        let mut secrets: Vec<String> = world.sim.log().iter().map(|served| served.secret.clone()).collect();
        assert_eq!(secrets.len(), calls);
        secrets.sort_unstable();
        secrets.dedup();
        assert_eq!(secrets.len(), calls, "each channel at most once");
        let line = world.settlement(&answer).await;
        assert_eq!(line["attempts"].as_array().unwrap().len(), calls);
        assert_eq!(line["ending"], "failed");
        world.close().await;
    }
}

#[tokio::test]
async fn no_attempt_starts_after_the_deadline() {
    let world = World::start(|sim| {
        let mut text = "[attempts]\nmax = 9\ndeadline = \"300ms\"\n".to_owned();
        for at in 0..5 {
            text += &channel(&format!("c{at}"), "openai_chat", &sim.scripted("delay=200,status=500"), "sim");
        }
        text
    })
    .await;
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 500);
    assert!(world.sim.log().len() <= 2, "{}", world.sim.log().len());
    world.close().await;
}

#[tokio::test]
async fn retry_after_in_every_form_rests_the_channel() {
    for (dialect, script, at_least, at_most) in [
        ("openai_chat", "status=429,retry-after=30", 28, 30),
        ("openai_responses", "status=503,retry-after=30", 28, 30),
        ("anthropic_messages", "status=429,retry-after=date", 1, 3),
        ("openai_chat", "status=429,retry-after-ms=20500", 19, 21),
        ("gemini_generate", "status=429,retry-info=25", 23, 25),
    ] {
        let world = World::start(|sim| two(dialect, &sim.scripted(script), &sim.url())).await;
        for _ in 0..3 {
            assert_eq!(world.ask(&plain(dialect)).await.status, 200, "{script}");
        }
        let calls = world.sim.log().iter().filter(|served| served.secret.ends_with("-bad")).count();
        assert_eq!(calls, 1, "{script}: the channel was asked while it rests");
        world.close().await;

        // With no other channel the caller is told how long.
        let world = World::start(|sim| channel("c", dialect, &sim.scripted(script), "sim")).await;
        let answer = world.ask(&plain(dialect)).await;
        let status = if script.contains("503") { 503 } else { 429 };
        assert_eq!(answer.status, status, "the upstream's own answer: {answer:?}");
        for answer in [answer, world.ask(&plain(dialect)).await] {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((at_least..=at_most).contains(&wait), "{script}: {wait}");
        }
        let answer = world.ask(&stream(dialect)).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_error(dialect, &answer.json(), 503);
        assert!(contains(&answer.body, "No channel"), "{answer:?}");
        assert_eq!(world.sim.log().len(), 1, "{script}: nothing is sent while it rests");
        assert_eq!(world.settlement(&answer).await["ending"], "rejected");
        world.close().await;
    }
}

#[tokio::test]
async fn one_secret_rests_and_the_channels_other_one_goes_on() {
    let world = World::start(|sim| {
        channel("c", "openai_chat", &sim.url(), "sim")
            .replace("[\"upstream-secret-c\"]", "[\"upstream-secret-1\", \"upstream-secret-2\"]")
    })
    .await;
    for secret in ["upstream-secret-1", "upstream-secret-2"] {
        world.sim.push(secret, "status=429,retry-after=30".parse().unwrap());
    }
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 429);
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 429, "the other secret was asked");
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 503, "both rest");
    let asked: Vec<String> = world.sim.log().iter().map(|served| served.secret.clone()).collect();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0], asked[1]);
    world.close().await;
}

#[tokio::test]
async fn the_last_real_error_is_told_in_the_callers_dialect() {
    for dialect in DIALECTS {
        let world = World::start(|sim| {
            channel("first", dialect, &sim.scripted("status=429"), "sim")
                + "priority = 3\n"
                + &channel("second", dialect, &sim.scripted("status=500"), "sim")
                + "priority = 2\n"
                + &channel("third", dialect, &sim.scripted("close"), "sim")
        })
        .await;
        let answer = world.ask(&stream(dialect)).await;
        assert_eq!(answer.status, 500, "{dialect}: {answer:?}");
        assert_error(dialect, &answer.json(), 500);
        assert!(contains(&answer.body, "The server had an error"), "{answer:?}");
        let line = world.settlement(&answer).await;
        assert_eq!((&line["ending"], &line["status"]), (&"failed".into(), &500.into()), "{line}");
        let faults: Vec<&str> = (0..3).map(|at| line["attempts"][at]["fault"].as_str().unwrap()).collect();
        assert!(faults[0].contains("429 (RateLimit)"), "{faults:?}");
        assert!(faults[1].contains("500 (Server)"), "{faults:?}");
        assert!(faults[2].contains("connection broke"), "{faults:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn only_anthropics_clients_know_529() {
    for dialect in DIALECTS {
        let script = "status=529,error=overloaded";
        let world = World::start(|sim| channel("c", dialect, &sim.scripted(script), "sim")).await;
        let answer = world.ask(&plain(dialect)).await;
        let wanted = if dialect == "anthropic_messages" { 529 } else { 503 };
        assert_eq!(answer.status, wanted, "{dialect}: {answer:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn nobody_reads_about_our_account_or_where_the_provider_lives() {
    let scripts = [
        "status=401",
        "status=402",
        "status=403",
        "error=invalid_key",
        "error=insufficient_quota",
        "error=model_missing",
    ];
    for script in scripts {
        for dialect in DIALECTS {
            if (script, dialect) == ("error=insufficient_quota", "gemini_generate") {
                continue; // Its words are those of a rate limit.
            }
            let world = World::start(|sim| channel("c", dialect, &sim.scripted(script), "sim")).await;
            for request in [plain(dialect), stream(dialect)] {
                // The first is asked; the second finds the channel at rest.
                let answer = world.ask(&request).await;
                assert_eq!(answer.status, 503, "{script}, {dialect}: {answer:?}");
                assert_error(dialect, &answer.json(), 503);
                let said = answer.text().to_lowercase();
                for word in
                    ["quota", "billing", "api key", "balance", "sim-project", "****", "127.0.0.1", "http"]
                {
                    assert!(!said.contains(word), "{script}, {dialect}: says {word}: {answer:?}");
                }
            }
            let line = &world.settlements(2).await[0];
            let cause = line["cause"].as_str().unwrap();
            assert!(cause.starts_with("upstream: 4"), "the operator reads the cause: {line}");
            world.close().await;
        }
    }
}

/// A provider that tells in its errors what it should not.
async fn gossip(status: u16) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let _ = stream.read(&mut request).await;
            let body = format!(
                r#"{{"type":"error","error":{{"type":"invalid_request_error","code":"x","message":"key upstream-secret-c of http://{address}/v1/x?key=upstream-secret-c at {address} ([2001:db8::1]:443) says sk-ant-api03-abcdefgh1234 is AIzaSyA1234567890abc"}}}}"#
            );
            let head = format!(
                "HTTP/1.1 {status} Bad\r\nserver: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (address, serving)
}

#[tokio::test]
async fn what_a_provider_blurts_out_is_taken_out() {
    for status in [400, 429, 500] {
        let (address, serving) = gossip(status).await;
        let world =
            World::start(|_| channel("c", "anthropic_messages", &format!("http://{address}"), "sim")).await;
        let answer = world.ask(&post(MESSAGES, r#"{"model":"sim"}"#)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        for word in ["upstream-secret", "127.0.0.1", "http:", "2001:", "sk-ant", "AIza"] {
            assert!(!format!("{answer:?}").contains(word), "{word}: {answer:?}");
        }
        assert!(contains(&answer.body, "[key]") && contains(&answer.body, "[url]"), "{answer:?}");
        world.close().await;
        serving.abort();
    }
}

#[tokio::test]
async fn channels_are_tried_by_priority_and_share_by_weight() {
    let world = World::start(|sim| {
        channel("heavy", "openai_chat", &sim.url(), "sim")
            + "weight = 9\n"
            + &channel("light", "openai_chat", &sim.url(), "sim")
            + "weight = 1\n"
            + &channel("spare", "openai_chat", &sim.url(), "sim")
            + "priority = -1\n"
    })
    .await;
    let mut client = world.client().await;
    for _ in 0..200 {
        assert_eq!(client.ask(&plain("openai_chat")).await.status, 200);
    }
    let count = |name: &str| world.sim.log().iter().filter(|served| served.secret.ends_with(name)).count();
    assert_eq!(count("-spare"), 0);
    // 20 expected; beyond these bounds one time in a million.
    assert!((2..=50).contains(&count("-light")), "{}", count("-light"));
    world.close().await;
}

#[tokio::test]
async fn a_channel_that_keeps_failing_is_tried_last_but_tried() {
    let world = World::start(|sim| two("openai_chat", &sim.scripted("close"), &sim.url())).await;
    for _ in 0..8 {
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 200);
    }
    let bad = world.sim.log().iter().filter(|served| served.secret.ends_with("-bad")).count();
    assert_eq!(bad, 3, "three failures in a row make it suspect");
    world.close().await;
    let world = World::start(|sim| channel("only", "openai_chat", &sim.scripted("close"), "sim")).await;
    for _ in 0..5 {
        let answer = world.ask(&plain("openai_chat")).await;
        assert_eq!(answer.status, 502, "{answer:?}");
    }
    assert_eq!(world.sim.log().len(), 5, "the only channel is never locked out by failures");
    world.close().await;
}

#[tokio::test]
async fn a_connection_that_went_stale_costs_nothing_where_there_is_another_channel() {
    let world = World::start(|sim| two("openai_chat", &sim.scripted("stale"), &sim.url())).await;
    for channel in ["bad", "good", "bad"] {
        let answer = world.ask(&plain("openai_chat")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(world.settlement(&answer).await["channel"], channel);
    }
    world.close().await;
}

#[tokio::test]
async fn silence_is_measured_from_the_sending_of_the_request() {
    // The connect clock stands at its ten seconds: connecting took no time, and buys the upstream none.
    let clocks = "[timeouts]\nfirst_event = \"300ms\"\nfirst_byte = \"300ms\"\n";
    let world = World::start(|sim| clocks.to_owned() + &crate::harness::four(&sim.scripted("silence"))).await;
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let started = Instant::now();
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 504, "{dialect}: {answer:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{dialect}: {:?}", started.elapsed());
            assert_eq!(world.settlement(&answer).await["ending"], "timed_out");
        }
    }
    world.close().await;
}

const JSON: &str = "content-type: application/json\r\n";
const SSE: &str = "content-type: text/event-stream\r\n";

/// Ways in which an error reaches us.
#[derive(Clone, Copy, Debug)]
enum Way {
    Whole(u16),
    /// The end of the body never comes.
    Hanging(u16),
    /// A plain 200 that is an error.
    Document,
    FirstEvent,
    InBand,
}

impl Way {
    const ALL: [Way; 9] = [
        Way::Whole(400),
        Way::Whole(429),
        Way::Whole(500),
        Way::Hanging(400),
        Way::Hanging(429),
        Way::Hanging(500),
        Way::Document,
        Way::FirstEvent,
        Way::InBand,
    ];

    fn say(self, dialect: &str, error: &Value) -> Vec<u8> {
        let mut own_event = error.clone();
        if dialect == "openai_responses" {
            // Its events have the error's fields at the top.
            own_event = error["error"].clone();
            (own_event["type"], own_event["sequence_number"]) = ("error".into(), 2.into());
        }
        // As some write it: a slash may be escaped.
        let escaped = |text: String| text.replace("http://10.", "http:\\/\\/10.");
        let (body, own_event) = (escaped(error.to_string()), escaped(event(&own_event.to_string())));
        match self {
            Way::Whole(status) => said(status, JSON, &body, 0),
            Way::Hanging(status) => said(status, JSON, &body, 99),
            Way::Document => said(200, JSON, &body, 0),
            Way::FirstEvent => said(200, SSE, &own_event, 0),
            Way::InBand => said(200, SSE, &(first_words(dialect) + &own_event), 0),
        }
    }

    fn ask(self, dialect: &str) -> Request {
        match self {
            Way::FirstEvent | Way::InBand => stream(dialect),
            _ => plain(dialect),
        }
    }
}

/// The errors of an answer, whole or in its events.
fn errors(dialect: &str, answer: &Answer) -> Vec<Value> {
    match serde_json::from_slice(&answer.body) {
        Ok(error) => vec![error],
        Err(_) => events(&answer.body).iter().filter_map(|data| error_event(dialect, data)).collect(),
    }
}

async fn blurt(dialect: &'static str, way: Way) {
    // Which field blurts it out; the last is a code that is none.
    for field in ["type", "code", "message", "long code"] {
        let told = |address: std::net::SocketAddr| {
            let blurted = format!(
                "{SECRET}-c of http://{address}/v1?key={SECRET}-c, http://10.1.2.3/x at {address}, 10.1.2.3, [2001:db8::1]:443"
            );
            let long = "x".repeat(300);
            let pick =
                |name: &str, other: &str| if name == field { blurted.clone() } else { other.to_owned() };
            let code = if field == "long code" { long } else { pick("code", "odd") };
            let status = if matches!(way, Way::Whole(429) | Way::Hanging(429)) { 429 } else { 500 };
            let error =
                worded(dialect, status, &pick("type", "server_error"), &code, &pick("message", "No."));
            way.say(dialect, &error)
        };
        let parrot = Parrot::start(told, matches!(way, Way::Hanging(_))).await;
        let world = World::start(|_| channel("c", dialect, &parrot.url(), "sim")).await;
        let answer = world.ask(&way.ask(dialect)).await;
        let context = format!("{dialect}, {way:?}, {field}: {answer:?}");
        for word in [SECRET, "127.0.0.1", "http:", "10.1.2.3", "2001:"] {
            assert!(!format!("{answer:?}").contains(word), "{word}: {context}");
        }
        let wanted = match way {
            Way::Whole(status) | Way::Hanging(status) => status..=status,
            Way::Document | Way::FirstEvent => 400..=599,
            Way::InBand => 200..=200,
        };
        assert!(wanted.contains(&answer.status), "{context}");
        let errors = errors(dialect, &answer);
        assert_eq!(errors.len(), 1, "{context}");
        // A whole error is the upstream's own; elsewhere the words are ours.
        if !matches!(way, Way::Whole(_) | Way::Document | Way::InBand) {
            for code in
                [&errors[0]["error"]["code"], &errors[0]["code"], &errors[0]["response"]["error"]["code"]]
            {
                assert!(code.as_str().is_none_or(|code| code.len() <= 64), "{context}");
            }
        }
        world.close().await;
        assert_eq!(parrot.calls(), 1, "{context}");
    }
}

#[tokio::test]
async fn no_part_of_an_error_blurts_out_keys_and_addresses() {
    side_by_side(DIALECTS.map(|dialect| async move {
        // Side by side, too: an error that hangs is waited for.
        Box::pin(side_by_side(Way::ALL.map(|way| blurt(dialect, way)))).await;
    }))
    .await;
}

/// Whether an error with this message is told as it is, and the channel is asked again for the next request.
async fn callers_fault(dialect: &str, message: &str) {
    let kind = if dialect == "gemini_generate" { "INVALID_ARGUMENT" } else { "invalid_request_error" };
    let error = worded(dialect, 400, kind, "invalid_value", message).to_string();
    let parrot = Parrot::start(|_| said(400, JSON, &error, 0), false).await;
    let world = World::start(|sim| two(dialect, &parrot.url(), &sim.url())).await;
    for (at, request) in [plain(dialect), stream(dialect), plain(dialect)].iter().enumerate() {
        let answer = world.ask(request).await;
        assert_eq!(answer.status, 400, "{dialect}, {message}: {answer:?}");
        assert_error(dialect, &answer.json(), 400);
        let line = world.settlement(&answer).await;
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "{dialect}, {message}: {line}");
        assert_eq!(parrot.calls(), at + 1, "{dialect}, {message}: the channel rests");
    }
    assert!(world.sim.log().is_empty(), "{dialect}, {message}: another channel was asked");
    world.close().await;
}

#[tokio::test]
async fn an_error_that_quotes_the_caller_is_the_callers_fault_and_rests_nothing() {
    let messages = [
        "Invalid value: 'insufficient_quota'. Supported values are: 'low' and 'high'.",
        "Input should be a number: \"incorrect api key\"",
        "Unknown parameter: 'invalid model'.",
        "Unsupported value: model_not_found",
        "Invalid value: `invalid_api_key`",
        "Unknown name “exceeded your current quota”: Cannot find field.",
    ];
    let pairs = messages.into_iter().flat_map(|message| DIALECTS.map(|dialect| (message, dialect)));
    side_by_side(pairs.map(|(message, dialect)| callers_fault(dialect, message))).await;
}

#[tokio::test]
async fn nor_does_a_caller_with_quotes_in_his_words_rest_anything() {
    let messages = [
        "Invalid value: 'x' insufficient quota'. Supported values are: 'low'.",
        "Invalid value: 'it's an invalid api key'.",
        "Invalid value: \"x\" incorrect api key\".",
        "Invalid value: \"x\\\" incorrect api key\".",
    ];
    let pairs = messages.into_iter().flat_map(|message| DIALECTS.map(|dialect| (message, dialect)));
    side_by_side(pairs.map(|(message, dialect)| callers_fault(dialect, message))).await;
}

#[tokio::test]
async fn a_body_made_to_be_slow_to_read_is_answered_soon() {
    const BYTES: usize = 60_000;
    for unit in ["[", "]f", "]:", "f.", "sk-", "http:/", "projects-", "Bearer ", "\\u005b", "a.1:"] {
        let text = unit.repeat(BYTES / unit.len());
        for (status, body) in [
            (500, text.clone()),
            (400, format!(r#"{{"error":{{"message":"{text}","type":"x"}}}}"#)),
            (500, format!(r#"{{"error":{{"message":"no","type":"x","param":"{text}"}}}}"#)),
        ] {
            let parrot = Parrot::start(|_| said(status, JSON, &body, 0), false).await;
            let world = World::start(|_| channel("c", "openai_chat", &parrot.url(), "sim")).await;
            let started = Instant::now();
            let answer = world.ask(&plain("openai_chat")).await;
            // Not a clock of the test's own: it would stand still for as long as the gateway computes.
            let took = started.elapsed();
            assert!(took < Duration::from_secs(3), "60 KB of {unit}, {status}: {took:?}");
            assert_eq!(answer.status, status, "{unit}: {answer:?}");
            world.close().await;
        }
    }
}

#[tokio::test]
async fn many_refusals_at_once_are_one_refusal() {
    let script = "delay=300,status=429";
    let world = World::start(|sim| channel("c", "openai_chat", &sim.scripted(script), "sim")).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = world.client().await;
        client.send(&plain("openai_chat").bytes()).await;
        clients.push(client);
    }
    for mut client in clients {
        let answer = client.answer().await;
        assert!(matches!(answer.status, 429 | 503), "{answer:?}");
    }
    let calls = world.sim.log().len();
    assert!(calls > 20, "{calls} of 40 were under way together");
    let answer = world.ask(&plain("openai_chat")).await;
    let wait: u64 = answer.header("retry-after").map_or(0, |wait| wait.parse().unwrap());
    assert!(wait <= 2, "{answer:?}");
    sleep(Duration::from_millis(2100)).await;
    let calls = world.sim.log().len();
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 429);
    assert_eq!(world.sim.log().len(), calls + 1, "the channel is back");
    world.close().await;
}

#[tokio::test]
async fn an_error_in_an_unknown_encoding_keeps_its_status() {
    const BR: &str = "content-type: application/json\r\ncontent-encoding: br\r\nretry-after: 7\r\n";
    for (status, calls_good) in [(429, 1), (400, 0), (503, 1), (401, 1)] {
        for dialect in DIALECTS {
            for missing in [0, 20] {
                let words = |_| said(status, BR, "\u{1}\u{2} not for us", missing);
                let parrot = Parrot::start(words, false).await;
                let world = World::start(|_| channel("c", dialect, &parrot.url(), "sim")).await;
                let answer = world.ask(&stream(dialect)).await;
                let told = if status == 401 { 503 } else { status };
                assert_eq!(answer.status, told, "{dialect}: {answer:?}");
                assert_error(dialect, &answer.json(), told);
                assert_eq!(world.settlement(&answer).await["attempts"][0]["status"], status);
                if status == 429 || status == 503 {
                    assert_eq!(answer.header("retry-after"), Some("7"), "{dialect}: {answer:?}");
                }
                world.close().await;

                let parrot = Parrot::start(words, false).await;
                let world = World::start(|sim| two(dialect, &parrot.url(), &sim.url())).await;
                let answer = world.ask(&plain(dialect)).await;
                assert_eq!(answer.status, if status == 400 { 400 } else { 200 }, "{dialect}: {answer:?}");
                assert_eq!((parrot.calls(), world.sim.log().len()), (1, calls_good), "{status}, {dialect}");
                world.close().await;
            }
        }
    }
}

#[tokio::test]
async fn a_firewalls_page_is_helped_elsewhere_and_does_not_rest_the_channel() {
    for dialect in DIALECTS {
        let script = "status=403,body=html";
        let world = World::start(|sim| two(dialect, &sim.scripted(script), &sim.url())).await;
        for round in 1..=2 {
            let answer = world.ask(&plain(dialect)).await;
            assert_eq!(answer.status, 200, "{dialect}: {answer:?}");
            let bad = world.sim.log().iter().filter(|served| served.secret.ends_with("-bad")).count();
            assert_eq!(bad, round, "{dialect}: one page put the channel to rest");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn no_upstream_makes_us_wait_longer_than_ten_minutes() {
    let info = |delay: &str| {
        format!(
            r#"{{"error":{{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Slow down.","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}"#
        )
    };
    let empty = r#"{"error":{"message":"Slow down.","type":"rate_limit"}}"#;
    let cases = [
        ("openai_chat", 429, "retry-after: 1e300\r\n", empty.to_owned()),
        ("openai_chat", 429, "retry-after: 1e308\r\n", empty.to_owned()),
        ("openai_chat", 503, "retry-after: 99999999999999999999\r\n", empty.to_owned()),
        ("openai_responses", 429, "retry-after-ms: 1e300\r\n", empty.to_owned()),
        ("anthropic_messages", 429, "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n", empty.to_owned()),
        ("gemini_generate", 429, "", info("86000s")),
        // The same as an error in a 200.
        ("gemini_generate", 200, "", info("86000s")),
    ];
    for (dialect, status, headers, body) in cases {
        let words = |_| said(status, &format!("{JSON}{headers}"), &body, 0);
        let parrot = Parrot::start(words, false).await;
        let world = World::start(|_| channel("c", dialect, &parrot.url(), "sim")).await;
        for _ in 0..2 {
            let answer = world.ask(&plain(dialect)).await;
            let wait: u64 =
                answer.header("retry-after").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap();
            assert!((500..=600).contains(&wait), "{dialect}, {status}, {headers}: {answer:?}");
        }
        assert_eq!(parrot.calls(), 1, "{headers}: asked while it rests");
        world.close().await;
    }
}

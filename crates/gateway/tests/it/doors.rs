//! Every door, streamed and not: what the provider sent is what the caller gets, and the end is written down.

use serde_json::Value;
use upstream_sim::Sim;

use crate::{
    harness::{
        CHAT, DIALECTS, GEMINI, GEMINI_ARRAY, GEMINI_SSE, KEY, MESSAGES, RESPONSES, World, assert_error,
        channel, events, eventually, four, get, plain, post, stream,
    },
    wire::{Answer, Client, End, Request, contains},
};

const MODEL: &str = r#"{"model":"sim","input":["a","b"]}"#;
const STREAMED: &str = r#"{"model":"sim","messages":[],"input":"x","max_tokens":9,"stream":true}"#;
/// What a chat stream's body becomes, so that its usage is told.
const COUNTED: &str = r#"{"model":"sim","messages":[],"input":"x","max_tokens":9,"stream":true,"stream_options":{"include_usage":true}}"#;

/// Path, body, and what the settlement calls the door.
const PLAIN: [(&str, &str, &str, &str); 15] = [
    (CHAT, MODEL, "openai_chat", "chat"),
    ("/v1/completions", MODEL, "openai_chat", "completions"),
    ("/v1/embeddings", MODEL, "openai_chat", "embeddings"),
    ("/v1/moderations", MODEL, "openai_chat", "moderations"),
    (RESPONSES, MODEL, "openai_responses", "chat"),
    ("/v1/responses/compact", MODEL, "openai_responses", "compact"),
    ("/v1/responses/input_tokens", MODEL, "openai_responses", "count_tokens"),
    (MESSAGES, MODEL, "anthropic_messages", "chat"),
    ("/v1/messages/count_tokens", MODEL, "anthropic_messages", "count_tokens"),
    (GEMINI, "{}", "gemini_generate", "chat"),
    ("/v1/models/sim:generateContent", "{}", "gemini_generate", "chat"),
    ("/v1alpha/models/sim:generateContent", "{}", "gemini_generate", "chat"),
    ("/v1beta/models/sim:countTokens", "{}", "gemini_generate", "count_tokens"),
    ("/v1beta/models/sim:embedContent", "{}", "gemini_generate", "embeddings"),
    (
        "/v1beta/models/sim:batchEmbedContents",
        r#"{"requests":[{},{}]}"#,
        "gemini_generate",
        "batch_embeddings",
    ),
];

const STREAMS: [(&str, &str, &str, &str); 6] = [
    (CHAT, STREAMED, "openai_chat", "chat"),
    ("/v1/completions", STREAMED, "openai_chat", "completions"),
    (RESPONSES, STREAMED, "openai_responses", "chat"),
    (MESSAGES, STREAMED, "anthropic_messages", "chat"),
    (GEMINI_SSE, "{}", "gemini_generate", "chat"),
    (GEMINI_ARRAY, "{}", "gemini_generate", "chat"),
];

/// Asks a provider without a gateway in between.
async fn direct(sim: &Sim, path: &str, body: &str) -> Answer {
    Client::connect(sim.addr, Default::default()).await.ask(&post(path, body)).await
}

/// The clock of the answer's making taken out: two providers may see different seconds.
fn timeless(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for name in ["\"created\":", "\"created_at\":", "\"completed_at\":"] {
        let mut from = 0;
        while let Some(found) = text[from..].find(name) {
            let start = from + found + name.len();
            let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
            text.replace_range(start..start + digits, "T");
            from = start;
        }
    }
    text
}

fn assert_usage(line: &Value, sim: &Sim, at: usize) {
    let served = &sim.log()[at];
    match served.usage {
        Some(usage) => {
            // A bucket without tokens is left out.
            let count = |name: &str| line["usage"].get(name).map_or(Some(0), Value::as_u64);
            let total = usage.input + usage.output;
            assert_eq!(
                [count("input"), count("output"), count("total")],
                [Some(usage.input), Some(usage.output), Some(total)],
                "{line}"
            );
        }
        // What nobody told is estimated, and says so.
        None => assert!(line["usage"].is_null() || line["estimated"] == true, "{line}"),
    }
}

#[tokio::test]
async fn plain_answers_are_relayed_byte_for_byte() {
    let (world, other) = (World::start(|sim| four(&sim.url())).await, Sim::start().await);
    let mut client = world.client().await;
    for (at, (path, body, dialect, operation)) in PLAIN.into_iter().enumerate() {
        let wanted = direct(&other, path, body).await;
        let answer = client.ask(&post(path, body)).await;
        assert_eq!((wanted.status, answer.status), (200, 200), "{path}: {answer:?}");
        assert_eq!(timeless(&answer.body), timeless(&wanted.body), "{path}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{path}");
        assert_eq!(world.sim.log()[at].body, body, "{path}: the body on its way");
        assert_eq!(world.asked()[at], path);

        let line = world.settlement(&answer).await;
        assert_eq!(
            (line["dialect"].as_str(), line["operation"].as_str(), line["ending"].as_str()),
            (Some(dialect), Some(operation), Some("completed")),
            "{path}: {line}"
        );
        assert_eq!(line["status"], 200);
        assert_eq!(line["key"], "app");
        assert_eq!(line["model"], "sim");
        assert_eq!(line["stream"], false);
        assert_eq!(line["bytes_in"], body.len());
        assert_eq!(line["bytes_out"], answer.body.len());
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1);
        assert_usage(&line, &world.sim, at);
    }
    world.close().await;
}

#[tokio::test]
async fn streams_are_relayed_byte_for_byte() {
    let (world, other) = (World::start(|sim| four(&sim.url())).await, Sim::start().await);
    let mut client = world.client().await;
    for (at, (path, body, dialect, operation)) in STREAMS.into_iter().enumerate() {
        let asks_usage = dialect == "openai_chat";
        let sent = if asks_usage { COUNTED } else { body };
        let wanted = direct(&other, path, sent).await;
        let answer = client.ask(&post(path, body)).await;
        assert_eq!((wanted.status, answer.status, answer.end), (200, 200, End::Whole), "{path}: {answer:?}");
        let mut expected = timeless(&wanted.body);
        if asks_usage {
            // The caller did not ask for the usage: its chunk is taken out, and nothing else.
            let chunk = events(&wanted.body).into_iter().rev().nth(1).unwrap();
            assert!(chunk.contains("\"choices\":[]"), "{chunk}");
            expected = expected.replace(&format!("data: {}\n\n", timeless(chunk.as_bytes())), "");
        }
        assert_eq!(timeless(&answer.body), expected, "{path}");
        assert_eq!(world.sim.log()[at].body, sent, "{path}: the body on its way");
        let kind = if path == GEMINI_ARRAY { "application/json" } else { "text/event-stream" };
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"));

        let line = world.settlement(&answer).await;
        assert_eq!(
            (line["dialect"].as_str(), line["operation"].as_str(), line["ending"].as_str()),
            (Some(dialect), Some(operation), Some("completed")),
            "{path}: {line}"
        );
        assert_eq!(line["stream"], true);
        assert_eq!(line["bytes_out"], answer.body.len(), "{path}");
        assert!(line["usage"]["output"].as_u64().unwrap() > 0, "{path}: {line}");
        assert_usage(&line, &world.sim, at);
    }
    world.close().await;
}

#[tokio::test]
async fn usage_that_the_client_asked_for_stays_in() {
    let world = World::start(|sim| four(&sim.url())).await;
    let answer = world.ask(&post(CHAT, COUNTED)).await;
    let told = events(&answer.body);
    assert!(told[told.len() - 2].contains("\"choices\":[],\"usage\":{"), "{told:?}");
    assert_eq!(told.last().unwrap(), "[DONE]");
    assert_eq!(world.sim.log()[0].body, COUNTED, "nothing to edit");
    // A client that says no is not told, and the usage is known here all the same.
    let refused = COUNTED.replace("true}}", "false}}");
    let answer = world.ask(&post(CHAT, refused)).await;
    assert!(!events(&answer.body).iter().any(|event| event.contains("\"choices\":[]")));
    assert_eq!(world.sim.log()[1].body, COUNTED);
    assert!(world.settlement(&answer).await["usage"]["output"].as_u64().unwrap() > 0);
    world.close().await;
}

#[tokio::test]
async fn keys_come_in_every_form() {
    let world = World::start(|sim| four(&sim.url())).await;
    let bare = KEY.strip_prefix("sk-").unwrap();
    let request = |dialect| {
        let mut request = plain(dialect);
        request.headers.retain(|(name, _)| name != "authorization");
        request
    };
    let chat = || request("openai_chat");
    let gemini = |query: &str| Request { path: format!("{GEMINI}?{query}"), ..request("gemini_generate") };
    let forms = [
        chat().header("authorization", format!("Bearer {KEY}")),
        chat().header("Authorization", format!("bearer {bare}")),
        request("anthropic_messages").header("x-api-key", KEY),
        request("anthropic_messages").header("x-api-key", bare),
        request("gemini_generate").header("x-goog-api-key", KEY),
        gemini(&format!("key={KEY}")),
        gemini(&format!("alt=json&key={bare}")),
        // Two keys, one of them a placeholder.
        chat().header("authorization", "Bearer placeholder").header("x-api-key", KEY),
    ];
    for form in &forms {
        let answer = world.ask(form).await;
        assert_eq!(answer.status, 200, "{form:?}: {answer:?}");
    }
    for served in world.sim.log() {
        assert!(served.secret.starts_with("upstream-secret"), "{served:?}");
        assert!(!format!("{served:?}").contains(bare), "the caller's key went on: {served:?}");
    }
    assert_eq!(world.sim.log()[6].query, "alt=json");
    world.close().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_the_provider_sees_few_connections() {
    let world = World::start(|sim| four(&sim.url())).await;
    let mut client = world.client().await;
    for _ in 0..5 {
        for dialect in DIALECTS {
            assert_eq!(client.ask(&plain(dialect)).await.status, 200);
            assert_eq!(client.ask(&stream(dialect)).await.end, End::Whole);
        }
    }
    // A connection for each channel, and sometimes another where the next request was faster than the pool.
    assert!(world.sim.connections_total() < 12, "{}", world.sim.connections_total());
    world.close().await;
}

#[tokio::test]
async fn a_large_plain_answer_passes_with_its_length() {
    let world = World::start(|sim| four(&sim.scripted("large-reply=3000000"))).await;
    for dialect in DIALECTS {
        let answer = world.ask(&plain(dialect)).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole), "{dialect}");
        assert!(answer.body.len() > 3_000_000);
        assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()), "{dialect}");
        answer.json();
        let line = world.settlement(&answer).await;
        assert_eq!(line["ending"], "completed");
        assert!(line["usage"]["output"].as_u64().unwrap() > 0, "{line}");
    }
    world.close().await;
}

#[tokio::test]
async fn stored_responses_go_back_to_the_channel_that_made_them() {
    let other_key = "sk-another-caller";
    let world = World::start(|sim| {
        let mut text = format!("[[key]]\nname = \"other\"\nsecret = \"{other_key}\"\n");
        for name in ["one", "two", "three"] {
            text += &channel(name, "openai_responses", &sim.url(), "sim");
        }
        text
    })
    .await;
    for round in 0..6 {
        let made = world.ask(&[plain, stream][round % 2]("openai_responses")).await;
        let id = match round % 2 {
            0 => made.json()["id"].as_str().unwrap().to_owned(),
            _ => serde_json::from_str::<Value>(&events(&made.body)[0]).unwrap()["response"]["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        };
        let maker = world.sim.log().last().unwrap().secret.clone();
        let next = format!(r#"{{"model":"sim","input":"more","previous_response_id":"{id}"}}"#);
        let below = [
            get(format!("/v1/responses/{id}")),
            get(format!("/v1/responses/{id}/input_items?limit=2")),
            Request { method: "POST", ..get(format!("/v1/responses/{id}/cancel")) },
            post(RESPONSES, next),
            Request { method: "DELETE", ..get(format!("/v1/responses/{id}")) },
        ];
        for request in below {
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 200, "{request:?}: {answer:?}");
            let served = world.sim.log().last().unwrap().clone();
            assert_eq!(served.secret, maker, "{request:?}");
            assert_eq!(served.method, request.method);
            assert!(request.path.starts_with(&served.path), "{request:?}: {served:?}");
        }
        let calls = world.sim.log().len();
        let mut stranger = get(format!("/v1/responses/{id}"));
        stranger.headers[0].1 = format!("Bearer {other_key}");
        let answer = world.ask(&stranger).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "stored_object_not_found");
        assert_eq!(world.sim.log().len(), calls, "nothing reaches an upstream");
    }
    world.close().await;
}

#[tokio::test]
async fn a_client_of_http_1_0_is_served_too() {
    let world = World::start(|sim| four(&sim.url())).await;
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            // What a proxy in front sends that was not told to speak 1.1.
            let bytes = String::from_utf8(request.bytes()).unwrap().replace("HTTP/1.1", "HTTP/1.0");
            let mut client = world.client().await;
            client.send(bytes.as_bytes()).await;
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.end), (200, End::Whole), "{dialect}: {answer:?}");
            assert_eq!(answer.header("transfer-encoding"), None);
            assert_eq!(client.closed().await, End::Fin);
            assert_eq!(world.settlement(&answer).await["ending"], "completed", "{dialect}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn a_stored_responses_id_leads_nowhere_else() {
    let world = World::start(|sim| channel("c", "openai_responses", &sim.url(), "sim")).await;
    let made = world.ask(&plain("openai_responses")).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let bad = [
        "resp_x%2F..%2Fother".to_owned(),
        "..".to_owned(),
        ".".to_owned(),
        "%2e%2e".to_owned(),
        format!("{id}%2F..%2Fother"),
        format!("{id}/../other"),
        format!("{id}/.."),
        format!("{id}/%2e%2e/other"),
        format!("{id}%2Finput_items"),
        format!("{id}/input_items/.."),
        format!("{id}%5C..%5Cother"),
        format!("{id}\\..\\other"),
        format!("{id}.json"),
        format!("{id}%3Fx=1"),
        format!("{id}%23"),
        format!("{id}%00"),
        format!("/{id}"),
        format!("resp_{}", "x".repeat(252)),
    ];
    for path in &bad {
        for (method, below) in [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")] {
            let request = Request { method, ..get(format!("/v1/responses/{path}{below}")) };
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 404, "{request:?}: {answer:?}");
            assert_error("openai_responses", &answer.json(), 404);
        }
    }
    assert_eq!(world.sim.log().len(), 1, "nothing reaches the upstream: {:?}", world.asked());
    for (method, below) in [("GET", ""), ("POST", "/cancel"), ("GET", "/input_items?limit=2"), ("DELETE", "")]
    {
        let request = Request { method, ..get(format!("/v1/responses/{id}{below}")) };
        assert_eq!(world.ask(&request).await.status, 200, "{request:?}");
    }
    let wanted = ["", "/cancel", "/input_items", ""].map(|below| format!("/v1/responses/{id}{below}"));
    assert_eq!(world.asked()[1..], wanted);
    world.close().await;
}

#[tokio::test]
async fn a_response_whose_client_left_is_found_again() {
    let world = World::start(|sim| {
        let url = sim.scripted("every=50,events=100000");
        ["one", "two", "three"].map(|name| channel(name, "openai_responses", &url, "sim")).concat()
    })
    .await;
    for _ in 0..6 {
        let mut client = world.client().await;
        client.send(&stream("openai_responses").bytes()).await;
        let part = client.until(|body| contains(body, "response.output_text.delta")).await;
        let created: Value = serde_json::from_str(&events(&part.body)[0]).unwrap();
        let id = created["response"]["id"].as_str().unwrap();
        let maker = world.sim.log().last().unwrap().secret.clone();
        client.leave();
        eventually("it left", || world.app.flow.in_flight() == 0).await;
        let answer = world.ask(&get(format!("/v1/responses/{id}"))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(world.sim.log().last().unwrap().secret, maker);
    }
    world.close().await;
}

//! Requests that cannot be served: the right status, an error in the caller's dialect, and nothing upstream.

use crate::{
    harness::{DIALECTS, GEMINI, KEY, MESSAGES, World, assert_error, channel, four, plain, post},
    wire::{End, Request, contains},
};

const FEW: &str = "sk-a-key-that-may-little";

async fn world() -> World {
    World::start(|sim| {
        format!("[[key]]\nname = \"few\"\nsecret = \"{FEW}\"\nmodels = [\"else\"]\n") + &four(&sim.url())
    })
    .await
}

fn without_key(dialect: &str) -> Request {
    let mut request = plain(dialect);
    request.headers.retain(|(name, _)| name != "authorization");
    request
}

fn with_type(dialect: &str, content_type: &str) -> Request {
    let mut request = plain(dialect);
    request.headers.retain(|(name, _)| name != "content-type");
    request.header("content-type", content_type)
}

fn model_in_path(dialect: &str, model: &str) -> Request {
    let request = plain(dialect);
    if dialect == "gemini_generate" {
        return Request { path: request.path.replace("sim", model), ..request };
    }
    let body = String::from_utf8(request.body.clone()).unwrap().replace("sim", model);
    request.body(body)
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_its_dialect() {
    let world = world().await;
    for dialect in DIALECTS {
        let path = plain(dialect).path;
        let of = |body: &str| post(&*path, body);
        let mut cases = vec![
            ("not JSON", 400, of("{\"model\":\"sim\",")),
            ("text behind", 400, of("{\"model\":\"sim\"} x")),
            ("not UTF-8", 400, post(&*path, b"{\"model\":\"sim\xff\"}".to_vec())),
            ("not an object", 400, of("[1]")),
            ("a string", 400, of("\"model\"")),
            ("empty", 400, of("")),
            ("blank", 400, of("  \n")),
            ("unknown model", 404, model_in_path(dialect, "nothing-like-it")),
            ("no key", 401, without_key(dialect)),
            ("wrong key", 401, without_key(dialect).header("authorization", "Bearer sk-wrong")),
            ("empty key", 401, without_key(dialect).header("authorization", "Bearer ")),
            ("model not allowed", 403, without_key(dialect).header("x-api-key", FEW)),
            ("wrong content type", 415, with_type(dialect, "text/plain")),
            ("a form", 415, with_type(dialect, "multipart/form-data; boundary=x")),
        ];
        if dialect != "gemini_generate" {
            cases.push(("no model", 400, of("{}")));
            cases.push(("null model", 400, of("{\"model\":null}")));
            cases.push(("empty model", 400, of("{\"model\":\"\"}")));
            cases.push(("model of a wrong type", 400, of("{\"model\":7}")));
            cases.push(("duplicate model", 400, of("{\"model\":\"sim\",\"model\":\"sim\"}")));
            cases.push(("stream of a wrong type", 400, of("{\"model\":\"sim\",\"stream\":\"yes\"}")));
        }
        let mut client = world.client().await;
        for (what, status, request) in cases {
            let answer = client.ask(&request).await;
            if answer.header("connection") == Some("close") {
                client = world.client().await; // Refused before its body was read.
            }
            assert_eq!(answer.status, status, "{dialect}, {what}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{dialect}, {what}");
            assert_error(dialect, &answer.json(), status);
            assert!(!contains(&answer.body, "sk-wrong"), "{dialect}, {what}: repeats a key");
            let id = answer.header("x-request-id").unwrap();
            assert!(contains(&answer.body, id), "{dialect}, {what}: no request id in the body");
            let line = world.settlement(&answer).await;
            assert_eq!((&line["ending"], &line["status"]), (&"refused".into(), &status.into()), "{what}");
            assert_eq!(line["attempts"].as_array().unwrap().len(), 0);
        }
        // JSON without a word about it is JSON.
        let mut bare = plain(dialect);
        bare.headers.retain(|(name, _)| name != "content-type");
        assert_eq!(client.ask(&bare).await.status, 200, "{dialect}");
    }
    assert_eq!(world.sim.log().len(), DIALECTS.len(), "nothing of it reached an upstream");
    world.close().await;
}

#[tokio::test]
async fn wrong_methods_and_paths_are_told_apart() {
    let world = world().await;
    let mut client = world.client().await;
    for (method, path, allow, dialect) in [
        ("GET", "/v1/chat/completions", "POST", "openai_chat"),
        ("PUT", "/v1/responses", "POST", "openai_responses"),
        ("DELETE", "/v1/messages", "POST", "anthropic_messages"),
        ("GET", "/v1beta/models/sim:generateContent", "POST", "gemini_generate"),
        ("PATCH", "/v1/responses/resp_1", "GET, DELETE", "openai_responses"),
        ("GET", "/v1/responses/resp_1/cancel", "POST", "openai_responses"),
        ("DELETE", "/v1/models", "GET", "openai_chat"),
        ("OPTIONS", "/v1/chat/completions", "POST", "openai_chat"),
    ] {
        let answer = client.ask(&Request { method, ..post(path, "") }).await;
        assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_error(dialect, &answer.json(), 405);
    }
    for (path, dialect) in [
        ("/", "openai_chat"),
        ("/v1/chat", "openai_chat"),
        ("/chat/completions", "openai_chat"),
        ("/v1/v1/messages", "openai_chat"),
        ("/v1/messages/batches", "anthropic_messages"),
        ("/v1/responses/resp_1/else", "openai_responses"),
        ("/v1beta/models/sim:explode", "gemini_generate"),
        ("/v1/chat/completions/", "openai_chat"),
    ] {
        let answer = client.ask(&post(path, "")).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_error(dialect, &answer.json(), 404);
        assert!(contains(&answer.body, "base URL"), "it does not say what to do: {answer:?}");
    }
    assert!(world.sim.log().is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_body_with_two_lengths_is_refused() {
    let world = world().await;
    for dialect in DIALECTS {
        let body = plain(dialect).body;
        let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        let (one, two) = (format!("content-length: {}\r\n", body.len()), "transfer-encoding: chunked\r\n");
        for lengths in [format!("{one}{two}"), format!("{two}{one}")] {
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n{lengths}\r\n",
                plain(dialect).path
            );
            let mut client = world.client().await;
            client.send(&[head.as_bytes(), &chunked].concat()).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 400, "{dialect}: {answer:?}");
            assert_error(dialect, &answer.json(), 400);
            assert_eq!(client.closed().await, End::Fin, "what follows could be read in two ways");
        }
    }
    assert!(world.sim.log().is_empty(), "{:?}", world.sim.log());
    world.close().await;
}

#[tokio::test]
async fn nonsense_on_the_wire_is_answered_or_closed_and_leaves_nothing() {
    let world = world().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = world.client().await;
        client.send(bytes).await;
        let answer = client.answer().await;
        assert!(matches!(answer.status, 0 | 400), "{answer:?}");
        client.closed().await;
    }
    world.close().await;
}

#[tokio::test]
async fn what_is_not_translated_is_refused_with_directions() {
    let world = World::start(|sim| channel("claude", "anthropic_messages", &sim.url(), "sim")).await;
    let body = r#"{"model":"sim","input":"x","prompt":"x"}"#;
    for path in ["/v1/embeddings", "/v1/completions", "/v1/moderations", "/v1/responses/compact"] {
        let answer = world.ask(&post(path, body)).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "dialect_not_supported", "{answer:?}");
        assert!(contains(&answer.body, "POST /v1/messages"), "{answer:?}");
    }
    assert_eq!(world.sim.log().len(), 0);
    assert_eq!(world.ask(&plain("anthropic_messages")).await.status, 200);
    world.close().await;
}

#[tokio::test]
async fn a_name_longer_than_any_models_is_refused_and_not_written_down() {
    let channels = |sim: &upstream_sim::Sim| DIALECTS.map(|d| channel(d, d, &sim.url(), "*")).concat();
    let world = World::start(channels).await;
    for dialect in DIALECTS {
        for (length, status) in [(256, 200), (257, 400), (60_000, 400)] {
            let name = "m".repeat(length);
            let answer = world.ask(&model_in_path(dialect, &name)).await;
            assert_eq!(answer.status, status, "{dialect}, {length}: {answer:?}");
            let line = world.settlement(&answer).await;
            if status == 400 {
                assert_error(dialect, &answer.json(), 400);
                assert!(answer.body.len() < 1000, "{dialect}, {length}: {answer:?}");
                assert!(line.to_string().len() < 1000, "{dialect}, {length}: {line}");
            }
        }
    }
    assert_eq!(world.sim.log().len(), DIALECTS.len());
    assert!(!crate::harness::log().contains(&"m".repeat(300)), "it is in the log");
    world.close().await;
}

#[tokio::test]
async fn a_key_held_to_some_models_must_name_one() {
    let world = world().await;
    let request = |key: &str| {
        let mut request = post("/v1/moderations", r#"{"input":"x"}"#);
        request.headers[0].1 = format!("Bearer {key}");
        request
    };
    let answer = world.ask(&request(FEW)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_error("openai_chat", &answer.json(), 400);
    assert_eq!(answer.json()["error"]["code"], "missing_model");
    assert!(world.sim.log().is_empty());
    assert_eq!(world.ask(&request(KEY)).await.status, 200, "any other key may leave it to the provider");
    world.close().await;
}

#[tokio::test]
async fn refused_before_the_body_is_read_closes_the_connection() {
    let world = world().await;
    let to = |method, path: &str| Request { method, ..post(path, "{}") };
    let mut cases = vec![
        (404, to("POST", "/v1/chat")),
        (404, to("POST", "/nowhere")),
        (404, to("POST", "/v1/messages/batches")),
        (405, to("PUT", "/v1/responses")),
        (405, to("GET", "/v1/chat/completions")),
        (405, to("PATCH", MESSAGES)),
        (405, to("DELETE", GEMINI)),
    ];
    for dialect in DIALECTS {
        cases.push((401, without_key(dialect)));
        cases.push((401, without_key(dialect).header("x-api-key", "sk-wrong")));
        cases.push((415, with_type(dialect, "text/plain")));
    }
    for (status, request) in cases {
        // All of the body there, a part of it, and in chunks.
        let chunked = String::from_utf8(request.head()).unwrap();
        let length = format!("content-length: {}", request.body.len());
        let chunked = chunked.replace(&length, "transfer-encoding: chunked") + "5\r\n{\"a\":";
        let half = request.bytes()[..request.bytes().len() - 1].to_vec();
        for bytes in [request.bytes(), half, chunked.into_bytes()] {
            let mut client = world.client().await;
            client.send(&bytes).await;
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.end), (status, End::Whole), "{request:?}: {answer:?}");
            assert_eq!(answer.header("connection"), Some("close"), "{request:?}: {answer:?}");
            client.closed().await;
        }
    }
    // Where there was no body, nothing is closed.
    let mut client = world.client().await;
    for (status, path) in [(404, "/nowhere"), (405, "/v1/messages")] {
        let answer = client.ask(&Request { method: "GET", ..post(path, "") }).await;
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{answer:?}");
    }
    assert!(world.sim.log().is_empty());
    world.close().await;
}

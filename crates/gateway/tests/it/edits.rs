//! The named edits, and that there are no others.

use crate::harness::{CHAT, DIALECTS, GEMINI, KEY, SECRET, World, channel, get, plain, post, stream};

/// What a re-encoding would spoil: the order of keys, large numbers, spaces, nought, null, escapes, unknown fields.
const ODD: &str = "{ \"zeta\" : 12345678901234567890123, \"model\"  :\"sim\",\"a\":0,\"b\":null,\"c\":1.0e400,\
                   \"d\":-0.0, \"messages\":[ ],\"input\":\"\\u00e9\\/\\ud83d\\ude00 \u{fc}\",\"max_tokens\":1,\
                   \"e\":{\"y\":1,\"x\":[1 , 2]},\"\":false\n}";

#[tokio::test]
async fn bodies_go_on_as_they_came() {
    let world = World::start(|sim| crate::harness::four(&sim.url())).await;
    for dialect in DIALECTS {
        let answer = world.ask(&post(plain(dialect).path, ODD)).await;
        assert_eq!(answer.status, 200, "{dialect}: {answer:?}");
        assert_eq!(world.sim.log().last().unwrap().body, ODD, "{dialect}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_rename_changes_the_model_and_nothing_else() {
    let world = World::start(|sim| {
        DIALECTS
            .iter()
            .map(|dialect| {
                channel(dialect, dialect, &sim.url(), "sim") + "rename = { sim = \"vendor/sim \\\"9\\\"\" }\n"
            })
            .collect::<String>()
            .replace("vendor/sim \\\"9\\\"", "vendor/sim-9")
    })
    .await;
    for dialect in DIALECTS {
        let answer = world.ask(&post(plain(dialect).path, ODD)).await;
        assert_eq!(answer.status, 200, "{dialect}: {answer:?}");
        let served = world.sim.log().last().unwrap().clone();
        if dialect == "gemini_generate" {
            assert_eq!(served.body, ODD);
            assert_eq!(served.path, "/v1beta/models/vendor%2Fsim-9:generateContent");
        } else {
            assert_eq!(served.body, ODD.replace("\"sim\"", "\"vendor/sim-9\""), "{dialect}");
        }
        assert_eq!(world.settlement(&answer).await["model"], "sim", "as the caller named it");
    }
    // Both edits at once.
    let answer = world.ask(&stream("openai_chat")).await;
    assert_eq!(answer.status, 200);
    let wanted =
        r#"{"model":"vendor/sim-9","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(world.sim.log().last().unwrap().body, wanted);
    world.close().await;
}

#[tokio::test]
async fn an_answer_that_repeats_the_request_comes_back_unchanged() {
    let world = World::start(|sim| crate::harness::four(&sim.scripted("echo"))).await;
    let body = r#"{"model":"sim","messages":[{"role":"user","content":"größer 🦀 \u0000"}],"n":18446744073709551616}"#;
    let answer = world.ask(&post(CHAT, body)).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], body);
    world.close().await;
}

#[tokio::test]
async fn only_headers_that_are_the_providers_business_travel() {
    let world = World::start(|sim| {
        DIALECTS
            .iter()
            .map(|dialect| {
                channel(dialect, dialect, &sim.url(), "sim")
                    + "headers = { \"x-team\" = \"blue\", \"User-Agent\" = \"the operator's\" }\n"
            })
            .collect()
    })
    .await;
    let stays = [
        ("cookie", "session=abc"),
        ("x-api-key", KEY),
        ("x-goog-api-key", KEY),
        ("api-key", KEY),
        ("proxy-authorization", "Basic abc"),
        ("te", "trailers"),
        ("keep-alive", "timeout=5"),
        ("x-forwarded-for", "10.9.8.7"),
        ("forwarded", "for=10.9.8.7"),
        ("x-real-ip", "10.9.8.7"),
        ("openai-organization", "org-mine"),
        ("openai-project", "proj-mine"),
        ("origin", "https://app.test"),
        ("referer", "https://app.test/x"),
        ("x-only-here", "1"),
        ("x-second-hop", "1"),
        ("x-auth-token", "abc"),
        ("x-original-forwarded-for", "10.9.8.7"),
        ("fly-client-ip", "10.9.8.7"),
        ("cdn-loop", "cloudflare"),
        ("x-amz-security-token", "abc"),
        ("accept-encoding", "gzip, br"),
        ("x-sluice-anything", "1"),
    ];
    let travels = [
        ("anthropic-beta", "files-api"),
        ("openai-beta", "responses=v1"),
        ("idempotency-key", "k-1"),
        ("x-stainless-lang", "python"),
        ("accept", "text/event-stream"),
    ];
    for dialect in DIALECTS {
        let mut request = plain(dialect)
            .header("connection", "keep-alive, X-Only-Here")
            .header("connection", "X-Second-Hop")
            .header("user-agent", "client/1")
            .header("x-team", "red");
        for (name, value) in stays.into_iter().chain(travels) {
            request = request.header(name, value);
        }
        let answer = world.ask(&request).await;
        assert_eq!(answer.status, 200, "{dialect}: {answer:?}");
        let served = world.sim.log().last().unwrap().clone();
        let secret = format!("{SECRET}-{dialect}");
        let (name, value) = match dialect {
            "anthropic_messages" => ("x-api-key", secret.clone()),
            "gemini_generate" => ("x-goog-api-key", secret.clone()),
            _ => ("authorization", format!("Bearer {secret}")),
        };
        assert_eq!(served.header(name), Some(&*value));
        for (name, value) in stays {
            assert_ne!(served.header(name), Some(value), "{dialect}: {name} travels");
        }
        for (name, value) in travels {
            assert_eq!(served.header(name), Some(value), "{dialect}: {name} is lost");
        }
        assert_eq!(served.header("host"), Some(&*world.sim.addr.to_string()));
        assert_eq!(served.header("x-team"), Some("blue"));
        assert_eq!(served.header("user-agent"), Some("the operator's"));
        assert_eq!(served.header("content-length"), Some(&*served.body.len().to_string()));
        assert_eq!(served.header("transfer-encoding"), None);
        let version = (dialect == "anthropic_messages").then_some("2023-06-01");
        assert_eq!(served.header("anthropic-version"), version);
        let names = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
        let signed = served.headers.iter().filter(|(key, _)| names.contains(&&*key.to_ascii_lowercase()));
        assert_eq!(signed.count(), 1, "{dialect}: one credential: {:?}", served.headers);
    }
    let answer = world.ask(&plain("anthropic_messages").header("anthropic-version", "2024-10-22")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.sim.log().last().unwrap().header("anthropic-version"), Some("2024-10-22"));
    world.close().await;
}

#[tokio::test]
async fn of_the_providers_headers_only_harmless_ones_come_back() {
    let world = World::start(|sim| crate::harness::four(&sim.url())).await;
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            let answer = world.ask(&request).await;
            let id = answer.header("x-request-id").unwrap();
            // Where each SDK looks for it.
            assert_eq!(answer.header("request-id"), (dialect == "anthropic_messages").then_some(id));
            assert!(!id.contains("sim"), "the upstream's own id: {id}");
            for (name, _) in &answer.headers {
                let known = [
                    "content-type",
                    "content-length",
                    "transfer-encoding",
                    "cache-control",
                    "x-accel-buffering",
                    "x-request-id",
                    "request-id",
                    "date",
                    "openai-processing-ms",
                    "openai-version",
                ];
                assert!(known.contains(&&*name.to_ascii_lowercase()), "{dialect}: {name} comes back");
            }
            let line = world.settlement(&answer).await;
            if dialect != "gemini_generate" {
                assert!(line["upstream_request_id"].as_str().unwrap().starts_with("req_sim"), "{line}");
            }
        }
    }
    world.close().await;
}

#[tokio::test]
async fn the_query_travels_without_the_key() {
    let world = World::start(|sim| crate::harness::four(&sim.url())).await;
    for (path, query) in [
        (format!("{CHAT}?api-version=2024-10-21&key={KEY}"), "api-version=2024-10-21"),
        (format!("{GEMINI}?key={KEY}&%24alt=json&keyboard=1"), "%24alt=json&keyboard=1"),
        (format!("{GEMINI}?key={KEY}"), ""),
        (format!("{GEMINI}?k%65y={KEY}"), ""),
        (format!("{CHAT}?a=1&%6B%65%79={KEY}&b=2"), "a=1&b=2"),
        (format!("/v1beta/models/sim:streamGenerateContent?key={KEY}&alt=sse"), "alt=sse"),
    ] {
        let answer = world.ask(&post(&*path, r#"{"model":"sim","messages":[]}"#)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(world.sim.log().last().unwrap().query, query, "{path}");
    }
    world.close().await;
}

#[tokio::test]
async fn providers_are_asked_where_they_live() {
    // provider, the base URL's path, door, where it is asked, in which header the secret goes
    let cases = [
        ("azure", "", CHAT, "/openai/v1/chat/completions", "api-key"),
        ("azure", "/openai/v1", "/v1/responses", "/openai/v1/responses", "api-key"),
        ("deepseek", "", CHAT, "/chat/completions", "authorization"),
        ("deepseek", "", "/v1/messages", "/anthropic/v1/messages", "x-api-key"),
        ("zhipu", "/api/paas/v4", CHAT, "/api/paas/v4/chat/completions", "authorization"),
        ("gemini", "", CHAT, "/v1beta/openai/chat/completions", "authorization"),
        (
            "gemini",
            "/v1beta",
            "/v1/models/sim:generateContent",
            "/v1/models/sim:generateContent",
            "x-goog-api-key",
        ),
        ("xai", "/v1", "/v1/messages", "/v1/messages", "authorization"),
        ("ollama", "", "/v1/embeddings", "/v1/embeddings", "authorization"),
    ];
    for (provider, base, door, path, header) in cases {
        let world = World::start(|sim| {
            format!(
                "[[channel]]\nname = \"c\"\nprovider = \"{provider}\"\nbase_url = \"{}{base}\"\n\
                 secrets = [\"{SECRET}-c\"]\nmodels = [\"sim\"]\n",
                sim.url()
            )
        })
        .await;
        let answer = world.ask(&post(door, r#"{"model":"sim","messages":[],"input":"x"}"#)).await;
        assert_eq!(answer.status, 200, "{provider}{base} {door}: {answer:?}");
        let served = world.sim.log().remove(0);
        assert_eq!(served.path, path, "{provider}{base} {door}");
        assert!(served.header(header).unwrap().ends_with("upstream-secret-c"), "{provider}");
        world.close().await;
    }
}

#[tokio::test]
async fn a_models_name_is_one_segment_of_the_path() {
    let world = World::start(|sim| channel("g", "gemini_generate", &sim.url(), "*")).await;
    for (asked, sent) in [
        ("tuned%2Fmine", "tuned%2Fmine"),
        ("a%20b%3Fc%23d", "a%20b%3Fc%23d"),
        ("..%2f..%2fadmin", "..%2F..%2Fadmin"),
        ("{method}", "%7Bmethod%7D"),
    ] {
        let answer = world.ask(&post(format!("/v1beta/models/{asked}:generateContent"), "{}")).await;
        assert_eq!(answer.status, 200, "{asked}: {answer:?}");
        let path = world.asked().pop().unwrap();
        assert_eq!(path, format!("/v1beta/models/{sent}:generateContent"));
    }
    assert_eq!(world.ask(&get("/v1beta/models/any-model")).await.status, 200);
    world.close().await;
}

#[tokio::test]
async fn a_body_in_chunks_or_after_a_question_arrives_whole() {
    let world = World::start(|sim| crate::harness::four(&sim.url())).await;
    let head = |extra: &str| {
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{extra}\r\n")
    };
    let mut client = world.client().await;
    client.send(head("transfer-encoding: chunked\r\n").as_bytes()).await;
    for piece in ODD.as_bytes().chunks(7) {
        client.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await;
    }
    client.send(b"0\r\nx-trailer: 1\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);

    let length = format!("content-length: {}\r\nexpect: 100-continue\r\n", ODD.len());
    client.send(head(&length).as_bytes()).await;
    client.go_on().await;
    client.send(ODD.as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    for served in world.sim.log() {
        assert_eq!(served.body, ODD);
        assert_eq!(served.header("transfer-encoding"), None);
        assert_eq!(served.header("expect"), None);
    }
    world.close().await;
}

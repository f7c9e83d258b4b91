//! How many tokens a request has: by the provider where it counts in whatever dialect, else by an estimate.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use upstream_sim::Sim;

use crate::{
    harness::{
        CHAT, DIALECTS, KEY, OWN_ONLY, RESPONSES, SECRET, World, assert_error, channel, eventually, post,
    },
    wire::{Answer, Request},
};

/// A dialect whose door counts: its path, and where the answer says how many.
struct Counts {
    dialect: &'static str,
    path: &'static str,
    field: &'static str,
    says: &'static str,
}

const COUNTS: [Counts; 3] = [
    Counts {
        dialect: "anthropic_messages",
        path: "/v1/messages/count_tokens",
        field: "messages",
        says: r#"{"input_tokens":N}"#,
    },
    Counts {
        dialect: "openai_responses",
        path: "/v1/responses/input_tokens",
        field: "input",
        says: r#"{"object":"response.input_tokens","input_tokens":N}"#,
    },
    Counts {
        dialect: "gemini_generate",
        path: "/v1beta/models/sim:countTokens",
        field: "contents",
        says: r#"{"totalTokens":N}"#,
    },
];

const FOX: &str = "The quick brown fox jumps over the lazy dog.\n";
/// Of the fox, in one message.
const ESTIMATE: u64 = 14;

impl Counts {
    fn ask(&self, text: &str) -> Request {
        self.ask_of("sim", text)
    }

    fn ask_of(&self, model: &str, text: &str) -> Request {
        let path = self.path.replace("sim", model);
        if self.field == "contents" {
            return post(
                path,
                json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}).to_string(),
            );
        }
        let turn = json!({"role": "user", "content": text});
        post(path, json!({"model": model, self.field: [turn]}).to_string())
    }

    fn said(&self, tokens: u64) -> String {
        self.says.replace('N', &tokens.to_string())
    }
}

/// What the provider counted of the request that came last.
fn counted(world: &World) -> u64 {
    world.sim.log().last().unwrap().body_len / 4
}

async fn assert_estimated(world: &World, door: &Counts, answer: &Answer, attempts: usize) {
    let case = format!("{}: {answer:?}", door.dialect);
    assert_eq!((answer.status, answer.text()), (200, door.said(ESTIMATE)), "{case}");
    assert_eq!(answer.header("x-sluice-estimated"), Some("true"), "{case}");
    let line = world.settlement(answer).await;
    assert_eq!((&line["ending"], &line["estimated"]), (&json!("completed"), &json!(true)), "{line}");
    assert_eq!((&line["charge"], &line["status"]), (&json!("0"), &json!(200)), "{line}");
    assert_eq!(line["attempts"].as_array().map_or(0, Vec::len), attempts, "{line}");
}

#[tokio::test]
async fn tokens_are_counted_for_models_of_every_dialect_and_never_charged() {
    for to in DIALECTS {
        let sim = Sim::start().await;
        let text = format!(
            "[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 1\ntokens_per_minute = 1000\n"
        ) + "[[price]]\nmodel = \"sim\"\ninput = 1000\noutput = 1000\n"
            + &channel("c", to, &sim.url(), "sim")
            + "rename = { sim = \"theirs\" }\n";
        let world = World::with(sim, &text);
        for door in &COUNTS {
            let (few, many) = (door.ask(FOX), door.ask(&FOX.repeat(1_000)));
            if to == "openai_chat" {
                // Nobody of that dialect counts.
                assert_estimated(&world, door, &world.ask(&few).await, 0).await;
                let many = world.ask(&many).await.json();
                let tokens = many.get("input_tokens").or(many.get("totalTokens")).and_then(Value::as_u64);
                assert!((9_000..11_000).contains(&tokens.unwrap()), "{many:?}");
                continue;
            }
            for request in [few, many] {
                let answer = world.ask(&request).await;
                assert_eq!(answer.status, 200, "{} to {to}: {answer:?}", door.dialect);
                assert_eq!(answer.text(), door.said(counted(&world)), "{} to {to}", door.dialect);
                assert_eq!(answer.header("x-sluice-estimated"), None, "{} to {to}", door.dialect);
                assert_eq!(answer.header("x-sluice-losses"), None, "{} to {to}", door.dialect);
                let line = world.settlement(&answer).await;
                assert_eq!((&line["ending"], &line["charge"]), (&json!("completed"), &json!("0")), "{line}");
                assert_eq!((&line["estimated"], &line["channel"]), (&json!(false), &json!("c")), "{line}");
                let translated = (to != door.dialect).then(|| json!(to));
                assert_eq!(line["attempts"][0].get("translated"), translated.as_ref(), "{line}");
                let served = world.sim.log().last().unwrap().clone();
                let path = COUNTS.iter().find(|door| door.dialect == to).unwrap().path;
                assert_eq!(served.path, path.replace("sim", "theirs"));
                assert_eq!(served.model, "theirs");
                assert!(String::from_utf8_lossy(&served.body).contains("The quick brown fox"));
            }
        }
        // A model that nobody serves has no tokens either.
        let unknown = post("/v1/messages/count_tokens", r#"{"model":"nothing","messages":[]}"#);
        assert_eq!(world.ask(&unknown).await.status, 404);
        world.close().await;
    }
}

/// Another model's tokens are others: of a list the first counts, and the list stays here.
#[tokio::test]
async fn a_list_of_models_is_counted_for_its_first_and_does_not_travel() {
    let world = World::start(|sim| {
        let each = |dialect: &&str| channel(dialect, dialect, &sim.url(), dialect);
        DIALECTS[1..].iter().map(each).collect::<String>()
            + &channel("other", "openai_chat", &sim.url(), "other")
    })
    .await;
    for to in &DIALECTS[1..] {
        for door in &COUNTS {
            let ask = |first: bool| {
                let mut request = door.ask_of(to, FOX);
                let mut body: Value = serde_json::from_slice(&request.body).unwrap();
                let listed = if first { json!(["nobody's", to, "other"]) } else { json!(["other"]) };
                body["models"] = listed;
                if first {
                    body.as_object_mut().unwrap().remove("model");
                }
                request.body = body.to_string().into_bytes();
                request
            };
            let plain = world.ask(&door.ask_of(to, FOX)).await;
            let sent = world.sim.log().last().unwrap().body.clone();
            for request in [ask(true), ask(false)] {
                let answer = world.ask(&request).await;
                let case = format!("{} to {to}: {answer:?}", door.dialect);
                assert_eq!((answer.status, answer.text()), (200, plain.text()), "{case}");
                assert_eq!(answer.header("x-sluice-estimated"), None, "{case}");
                let log = world.sim.log();
                let [read, plain] = [&log.last().unwrap().body, &sent]
                    .map(|body| serde_json::from_slice::<Value>(body).unwrap());
                assert_eq!(read, plain, "{case}");
            }
        }
    }
    world.close().await;
}

#[tokio::test]
async fn gemini_is_told_the_model_inside_the_request_that_it_counts() {
    let world = World::start(|sim| {
        channel("g", "gemini_generate", &sim.url(), "sim") + "rename = { sim = \"theirs\" }\n"
    })
    .await;
    let sent =
        |world: &World| -> Value { serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap() };
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    let whole = json!({"generateContentRequest": {"model": "models/sim", "contents": contents}});
    assert_eq!(world.ask(&post(COUNTS[2].path, whole.to_string())).await.status, 200);
    let relayed = json!({"generateContentRequest": {"model": "models/theirs", "contents": contents}});
    assert_eq!(sent(&world), relayed);
    assert_eq!(world.ask(&COUNTS[0].ask("hi")).await.status, 200);
    assert_eq!(sent(&world), relayed, "as it is translated");
    world.close().await;
}

#[tokio::test]
async fn a_provider_that_cannot_count_is_replaced_by_an_estimate_and_goes_on_answering() {
    let failures = [
        "status=500",
        "status=429,retry-after=60",
        "status=404",
        "status=404,error=model_missing",
        "status=404,body=html",
        "status=403",
        "status=405",
        "status=200,error=overloaded",
        "body=html",
        "body=empty",
        "body=reset",
        "close",
    ];
    let world = World::start(|sim| {
        let one =
            |door: &Counts| channel(door.dialect, door.dialect, &sim.url(), door.dialect) + "priority = 1\n";
        // Asked for chats if the others are in disrepute; nobody counts here.
        COUNTS.iter().map(one).collect::<String>() + &channel("spare", "openai_chat", &sim.url(), "*")
    })
    .await;
    for door in &COUNTS {
        for to in COUNTS.map(|door| door.dialect) {
            for failure in failures {
                world.sim.push(&format!("{SECRET}-{to}"), failure.parse().unwrap());
                assert_estimated(&world, door, &world.ask(&door.ask_of(to, FOX)).await, 1).await;
            }
            let chat = json!({"model": to, "messages": [{"role": "user", "content": "hi"}]});
            let line = world.settlement(&world.ask(&post(CHAT, chat.to_string())).await).await;
            assert_eq!((&line["status"], &line["channel"]), (&json!(200), &json!(to)), "{line}");
        }
    }
    // What is wrong with the key is wrong with chats, too.
    for door in &COUNTS {
        world.sim.push(&format!("{SECRET}-{}", door.dialect), "status=401".parse().unwrap());
        assert_estimated(&world, door, &world.ask(&door.ask_of(door.dialect, FOX)).await, 1).await;
        let asked = world.asked().len();
        assert_estimated(&world, door, &world.ask(&door.ask_of(door.dialect, FOX)).await, 0).await;
        assert_eq!(world.asked().len(), asked, "it rests");
    }
    world.close().await;
}

#[tokio::test]
async fn another_channel_counts_before_anything_is_estimated() {
    for failure in ["status=500", "status=404", "body=html"] {
        for first in COUNTS.map(|door| door.dialect) {
            let world = World::start(|sim| {
                channel("bad", first, &sim.scripted(failure), "sim")
                    + "priority = 1\n"
                    + &channel("good", "gemini_generate", &sim.url(), "sim")
            })
            .await;
            for door in &COUNTS {
                let answer = world.ask(&door.ask(FOX)).await;
                assert_eq!((answer.status, answer.text()), (200, door.said(counted(&world))));
                assert_eq!(answer.header("x-sluice-estimated"), None);
                let line = world.settlement(&answer).await;
                assert_eq!(
                    (line["attempts"].as_array().unwrap().len(), &line["channel"]),
                    (2, &json!("good"))
                );
            }
            world.close().await;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_at_fault_itself_is_not_estimated() {
    for status in [400, 413] {
        let world = World::start(|sim| {
            let script = sim.scripted(&format!("status={status}"));
            COUNTS.iter().map(|door| channel(door.dialect, door.dialect, &script, door.dialect)).collect()
        })
        .await;
        for door in &COUNTS {
            for to in COUNTS.map(|door| door.dialect) {
                let answer = world.ask(&door.ask_of(to, FOX)).await;
                assert_eq!(answer.status, status, "{} to {to}: {answer:?}", door.dialect);
                assert_error(door.dialect, &answer.json(), status);
                let line = world.settlement(&answer).await;
                assert_eq!(
                    (&line["ending"], &line["estimated"]),
                    (&json!("refused"), &json!(false)),
                    "{line}"
                );
            }
        }
        world.close().await;
    }
    let world = World::start(|sim| channel("c", "anthropic_messages", &sim.url(), "sim")).await;
    // What is not the dialect, wherever it had to be read.
    let answer = world.ask(&post("/v1/responses/input_tokens", r#"{"model":"sim","input":7}"#)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("`input`"), "{answer:?}");
    // Of what another provider keeps nobody here knows how long it is.
    let stored = r#"{"model":"sim","input":"hi","previous_response_id":"resp_1"}"#;
    let answer = world.ask(&post("/v1/responses/input_tokens", stored)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("`previous_response_id`"), "{answer:?}");
    assert_eq!(world.sim.log().len(), 0);
    world.close().await;
}

#[tokio::test]
async fn what_cannot_be_told_or_asked_is_estimated() {
    const CAREFUL: &str = "sk-a-key-that-loses-nothing";
    let world = World::start(|sim| {
        format!("[[key]]\nname = \"careful\"\nsecret = \"{CAREFUL}\"\nlosses = \"refuse\"\n")
            + &channel("o", "openai_responses", &sim.url(), "sim")
            + "max_in_flight = 1\n"
            + &channel("own", "gemini_generate", &sim.url(), "alone")
            + OWN_ONLY
    })
    .await;
    let count = |extra: Value| {
        let mut body = json!({"model": "sim", "messages": [{"role": "user", "content": FOX}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        post(COUNTS[0].path, body.to_string())
    };
    let tools = json!({"tools": [{"type": "memory_20250818", "name": "memory"}]});
    let answer = world.ask(&count(tools)).await;
    assert_eq!((answer.status, answer.header("x-sluice-estimated")), (200, Some("true")), "{answer:?}");
    let mut careful = count(json!({"top_k": 5}));
    assert_eq!(world.ask(&careful).await.header("x-sluice-losses"), Some("top_k=openai_responses"));
    careful.headers[0].1 = format!("Bearer {CAREFUL}");
    assert_estimated(&world, &COUNTS[0], &world.ask(&careful).await, 0).await;
    assert_estimated(&world, &COUNTS[0], &world.ask(&count(json!({"model": "alone"}))).await, 0).await;
    assert_eq!(world.sim.log().len(), 1, "{:?}", world.asked());

    world.sim.push(&format!("{SECRET}-o"), "silence".parse().unwrap());
    let mut held = world.client().await;
    held.send(&post(RESPONSES, r#"{"model":"sim","input":"hi"}"#).bytes()).await;
    eventually("it is asked", || world.sim.open_requests() == 1).await;
    assert_estimated(&world, &COUNTS[0], &world.ask(&count(json!({}))).await, 0).await;
    held.leave();
    eventually("it left", || world.app.flow.in_flight() == 0).await;
    assert_eq!(world.ask(&count(json!({}))).await.header("x-sluice-estimated"), None, "the place came free");
    world.close().await;
}

#[tokio::test]
async fn an_answer_without_a_count_and_one_that_does_not_come_are_estimated() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let odd = tokio::spawn(async move {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"ok\":true}";
        loop {
            let (mut peer, _) = socket.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(peer.read_buf(&mut request).await.unwrap(), 0);
            }
            peer.write_all(answer).await.unwrap();
        }
    });
    let world = World::start(|sim| {
        channel("odd", "anthropic_messages", &url, "sim")
            + &channel("mute", "anthropic_messages", &sim.scripted("silence"), "mute")
            + "timeouts = { first_byte = \"100ms\" }\n"
            + &channel("long", "anthropic_messages", &sim.scripted("body=big:100000"), "long")
    })
    .await;
    for door in &COUNTS {
        assert_estimated(&world, door, &world.ask(&door.ask(FOX)).await, 1).await;
        assert_estimated(&world, door, &world.ask(&door.ask_of("mute", FOX)).await, 1).await;
    }
    // A count is not that long.
    assert_estimated(&world, &COUNTS[0], &world.ask(&COUNTS[0].ask_of("long", FOX)).await, 1).await;
    odd.abort();
    world.close().await;
}

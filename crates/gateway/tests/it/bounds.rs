//! What is bounded, and what is said when a bound is reached.

use gateway::pipeline::inbound::HELD_BODIES;
use serde_json::{Value, json};

use crate::{
    harness::{
        CHAT, DIALECTS, KEY, RESPONSES, SECRET, World, assert_error, channel, eventually, four, plain, post,
        stream,
    },
    wire::{Client, End, Request, contains},
};

/// A client whose request the channel with this secret leaves without an answer.
async fn held(world: &World, request: &Request, secret: &str) -> Client {
    world.sim.push(secret, "silence".parse().unwrap());
    let before = world.sim.log().len();
    let mut client = world.client().await;
    client.send(&request.bytes()).await;
    world.sim.wait_until(|log| log.len() > before).await;
    client
}

#[tokio::test]
async fn requests_beyond_in_flight_queue_and_beyond_the_queue_are_refused() {
    let world = World::start(|sim| format!("[bounds]\nin_flight = 1\nqueue = 1\n{}", four(&sim.url()))).await;
    for dialect in DIALECTS {
        let first = held(&world, &stream(dialect), &format!("{SECRET}-{dialect}")).await;
        let mut second = world.client().await;
        second.send(&plain(dialect).bytes()).await;
        eventually("one waits", || world.app.admission.waiting() == 1).await;
        let third = world.ask(&plain(dialect)).await;
        assert_eq!(third.status, 503, "{dialect}: {third:?}");
        assert_error(dialect, &third.json(), 503);
        assert!(contains(&third.body, "Too many requests are waiting"), "{third:?}");
        assert_eq!(third.header("retry-after"), Some("1"));
        let line = world.settlement(&third).await;
        assert_eq!((&line["ending"], &line["status"]), (&"rejected".into(), &503.into()), "{line}");

        first.leave();
        let second = second.answer().await;
        assert_eq!(second.status, 200, "{dialect}: the queued one goes in: {second:?}");
        assert!(world.settlement(&second).await["queued_ms"].as_u64().unwrap() > 0);
        eventually("the place is free", || world.app.admission.free() == 1).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_key_has_no_more_in_flight_than_its_own() {
    let world = World::start(|sim| {
        let other = "[[key]]\nname = \"small\"\nsecret = \"sk-small\"\nmax_in_flight = 1\n";
        other.to_owned() + &four(&sim.url())
    })
    .await;
    let with_small = |mut request: Request| {
        request.headers[0].1 = "Bearer sk-small".to_owned();
        request
    };
    for dialect in DIALECTS {
        let first = held(&world, &with_small(plain(dialect)), &format!("{SECRET}-{dialect}")).await;
        let second = world.ask(&with_small(stream(dialect))).await;
        assert_eq!(second.status, 429, "{dialect}: {second:?}");
        assert_error(dialect, &second.json(), 429);
        assert_eq!(second.header("retry-after"), Some("1"));
        assert_eq!(world.settlement(&second).await["ending"], "rejected");
        assert_eq!(world.ask(&plain(dialect)).await.status, 200, "another key is not touched by it");
        first.leave();
        eventually("it left", || world.app.flow.in_flight() == 0).await;
        assert_eq!(world.ask(&with_small(plain(dialect))).await.status, 200, "the place came free");
    }
    world.close().await;
}

#[tokio::test]
async fn a_full_channel_is_passed_over_and_all_full_is_said() {
    let world = World::start(|sim| {
        channel("one", "openai_chat", &sim.url(), "sim")
            + "max_in_flight = 1\npriority = 1\n"
            + &channel("two", "openai_chat", &sim.url(), "sim")
            + "max_in_flight = 1\n"
    })
    .await;
    let request = plain("openai_chat");
    let first = held(&world, &request, &format!("{SECRET}-one")).await;
    let second = held(&world, &request, &format!("{SECRET}-two")).await;
    let third = world.ask(&request).await;
    assert_eq!(third.status, 503, "{third:?}");
    assert!(contains(&third.body, "channels_busy"), "{third:?}");
    assert_eq!(world.settlement(&third).await["ending"], "rejected");
    first.leave();
    second.leave();
    eventually("they left", || world.app.flow.in_flight() == 0).await;
    let asked: Vec<String> = world.sim.log().iter().map(|served| served.secret.clone()).collect();
    assert_eq!(asked, [format!("{SECRET}-one"), format!("{SECRET}-two")]);
    assert_eq!(world.ask(&request).await.status, 200, "the places came free");
    world.close().await;
}

#[tokio::test]
async fn bodies_over_the_limit_are_answered_while_they_are_still_being_sent() {
    const LIMIT: usize = 4096;
    let world = World::start(|sim| format!("[bounds]\nbody_bytes = {LIMIT}\n{}", four(&sim.url()))).await;
    let cases = ["content-length: 3000000", "transfer-encoding: chunked"];
    for dialect in DIALECTS {
        let path = plain(dialect).path;
        for (lengths, key, status) in
            cases.into_iter().flat_map(|lengths| [(lengths, KEY, 413), (lengths, "sk-wrong", 401)])
        {
            let mut client = world.client().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n{lengths}\r\n\r\n");
            client.send(head.as_bytes()).await;
            let piece = [b"400\r\n".to_vec(), vec![b' '; 1024], b"\r\n".to_vec()].concat();
            for _ in 0..1000 {
                // The gateway may close before all of it is written: then the answer must be there to be read.
                if !client.try_send(&piece).await {
                    break;
                }
            }
            let answer = client.answer().await;
            assert_eq!((answer.status, answer.end), (status, End::Whole), "{dialect}, {lengths}: {answer:?}");
            assert_error(dialect, &answer.json(), status);
            if status == 413 {
                assert_eq!(answer.header("connection"), Some("close"));
            }
            client.closed().await;
            let line = world.settlement(&answer).await;
            assert_eq!(line["ending"], "refused", "{line}");
        }
        // What just fits, fits.
        let mut body = plain(dialect).body;
        body.resize(LIMIT, b' ');
        assert_eq!(world.ask(&post(&*path, body)).await.status, 200, "{dialect}");
    }
    assert_eq!(world.sim.log().len(), DIALECTS.len());
    world.close().await;
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let world = World::start(|sim| channel("c", "openai_chat", &sim.url(), "sim")).await;
    for megabytes in [1, 20] {
        let text = "x".repeat(megabytes << 20);
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"sim"}}"#);
        let answer = world.ask(&post(CHAT, body.clone())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(world.sim.log().last().unwrap().body_len, body.len() as u64);
        assert_eq!(world.settlement(&answer).await["bytes_in"], body.len());
    }
    world.close().await;
}

#[tokio::test]
async fn heads_over_the_limit_are_refused() {
    let world = World::start(|sim| four(&sim.url())).await;
    let mut client = world.client().await;
    let request = plain("openai_chat").header("x-long", "y".repeat(70_000));
    client.try_send(&request.bytes()).await;
    let answer = client.answer().await;
    assert!(matches!(answer.status, 431 | 0), "{answer:?}");
    client.closed().await;
    // What a browser or an agent may well send passes.
    let request = plain("openai_chat").header("x-long", "y".repeat(30_000));
    assert_eq!(world.ask(&request).await.status, 200);
    assert_eq!(world.sim.log().len(), 1);
    world.close().await;
}

#[tokio::test]
async fn hundreds_of_requests_at_once_all_end() {
    let world =
        World::start(|sim| format!("[bounds]\nin_flight = 50\nqueue = 2000\n{}", four(&sim.url()))).await;
    let mut clients = Vec::new();
    for at in 0..400 {
        let mut client = world.client().await;
        let request = [plain, stream][at % 2](DIALECTS[at % 4]);
        client.send(&request.bytes()).await;
        clients.push(client);
    }
    for mut client in clients {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.end), (200, End::Whole));
    }
    world.close().await;
}

#[tokio::test]
async fn what_is_made_of_a_large_body_is_counted_beside_it() {
    const MIB: usize = 1024 * 1024;
    let world = World::start(|sim| {
        channel("chat", "openai_chat", &sim.url(), "chat")
            + &channel("claude", "anthropic_messages", &sim.scripted("events=1,size=40000"), "claude")
    })
    .await;
    // As if others held all but this much.
    let with_left = async |left: usize, request: &Request| {
        let mut others = world.app.held_bodies.share();
        others.grow(HELD_BODIES - left).unwrap();
        let answer = world.ask(request).await;
        if answer.status != 200 {
            let said = (answer.status, answer.json()["error"]["code"].clone());
            assert_eq!(said, (503, "memory_full".into()), "{answer:?}");
            assert_eq!(world.settlement(&answer).await["ending"], "rejected");
        }
        answer
    };
    let large = |model: &str| {
        let messages = json!([{"role": "user", "content": "x".repeat(MIB)}]);
        post(CHAT, json!({"model": model, "messages": messages}).to_string())
    };
    // Relayed it is there once; translated as it came, opened, and as it goes out.
    assert_eq!(with_left(MIB / 2, &large("chat")).await.status, 503);
    assert_eq!(with_left(2 * MIB, &large("chat")).await.status, 200);
    assert_eq!(with_left(5 * MIB / 2, &large("claude")).await.status, 503);
    assert_eq!(with_left(4 * MIB, &large("claude")).await.status, 200);

    // A small one that names long texts is as large as they are.
    let ask = |input: Value| post(RESPONSES, json!({"model": "claude", "input": input}).to_string());
    let first = world.ask(&ask(json!("hi"))).await;
    let name = json!({"type": "item_reference", "id": first.json()["output"][0]["id"]});
    let mut input = vec![name; 50];
    input.push(json!({"role": "user", "content": "hi"}));
    assert_eq!(with_left(3 * MIB, &ask(json!(input))).await.status, 503);
    assert_eq!(with_left(5 * MIB, &ask(json!(input))).await.status, 200);

    // All of it is given back.
    world.app.held_bodies.share().grow(HELD_BODIES).unwrap();
    world.close().await;
}

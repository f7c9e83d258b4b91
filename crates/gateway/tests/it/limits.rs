//! Requests and tokens a minute, places in flight: what is let in, what is told, who waits.

use std::time::Duration;

use gateway::{flow::Phase, limits::Whose};
use upstream_sim::Sim;

use crate::{
    harness::{
        CHAT, DIALECTS, KEY, MESSAGES, Parrot, SECRET, World, assert_error, channel, eventually, four, get,
        plain, post, stream,
    },
    wire::{Answer, Client, Request},
};

/// The caller's key with more to it, another one of the same user, and `rest`.
async fn world(more: &str, rest: &str) -> World {
    let sim = Sim::start().await;
    let text = format!(
        "[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n{more}\n[[key]]\nname = \"other\"\nsecret = \"sk-other\"\n{rest}\n{}",
        four(&sim.url())
    );
    World::with(sim, &text)
}

fn with_key(mut request: Request, key: &str) -> Request {
    request.headers[0].1 = format!("Bearer {key}");
    request
}

/// A request that the provider leaves without an answer.
async fn held(world: &World, request: &Request, dialect: &str) -> Client {
    world.sim.push(&format!("{SECRET}-{dialect}"), "silence".parse().unwrap());
    let before = world.sim.log().len();
    let mut client = world.client().await;
    client.send(&request.bytes()).await;
    world.sim.wait_until(|log| log.len() > before).await;
    client
}

/// A request that is in the queue when this returns, with `waiting` others.
async fn queued(world: &World, request: &Request, waiting: usize) -> Client {
    let mut client = world.client().await;
    client.send(&request.bytes()).await;
    eventually("it waits", || world.app.admission.waiting() == waiting + 1).await;
    client
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
}

/// Limit and what remains, of requests or tokens, in the words of a dialect; and that there is a reset.
fn level(dialect: &str, answer: &Answer, what: &str) -> (u64, u64) {
    let name = |part: &str| match dialect {
        "anthropic_messages" => format!("anthropic-ratelimit-{what}-{part}"),
        _ => format!("x-ratelimit-{part}-{what}"),
    };
    let reset = answer.header(&name("reset")).unwrap_or_else(|| panic!("no reset of {what}: {answer:?}"));
    match dialect {
        "anthropic_messages" => {
            assert!(humantime::parse_rfc3339(reset).unwrap() >= std::time::SystemTime::now(), "{reset}");
        }
        _ => assert!(reset.ends_with('s'), "{reset}"),
    }
    (number(answer, &name("limit")), number(answer, &name("remaining")))
}

#[tokio::test]
async fn so_many_requests_a_minute_and_then_429_in_the_dialects_form() {
    for dialect in DIALECTS {
        let world = world("requests_per_minute = 2", "").await;
        for (request, left) in [(plain(dialect), 1), (stream(dialect), 0)] {
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 200, "{dialect}: {answer:?}");
            assert_eq!(level(dialect, &answer, "requests"), (2, left));
            let other = if dialect == "anthropic_messages" { "x-ratelimit" } else { "anthropic-" };
            assert!(!answer.headers.iter().any(|(name, _)| name.starts_with(other)), "{answer:?}");
            assert!(answer.headers.iter().all(|(name, _)| !name.ends_with("tokens")), "{answer:?}");
        }
        let asked = world.sim.log().len();
        for request in [plain(dialect), stream(dialect)] {
            let refused = world.ask(&request).await;
            assert_eq!(refused.status, 429, "{dialect}: {refused:?}");
            assert_error(dialect, &refused.json(), 429);
            assert!(refused.text().contains("Your key may make 2 requests a minute"), "{refused:?}");
            assert!((1..=30).contains(&number(&refused, "retry-after")), "{refused:?}");
            assert_eq!(level(dialect, &refused, "requests"), (2, 0));
            let line = world.settlement(&refused).await;
            assert_eq!((&line["ending"], &line["status"]), (&"rejected".into(), &429.into()), "{line}");
        }
        let text = world.ask(&plain(dialect)).await.text();
        assert_eq!(text.contains("RetryInfo"), dialect == "gemini_generate", "{text}");
        let word = match dialect {
            "anthropic_messages" => "rate_limit_error",
            "gemini_generate" => "RESOURCE_EXHAUSTED",
            _ => "rate_limit_exceeded",
        };
        assert!(text.contains(word), "{text}");
        assert_eq!(world.sim.log().len(), asked, "nothing went out");
        // The other key is not touched, and hears nothing of limits.
        let other = world.ask(&with_key(plain(dialect), "sk-other")).await;
        assert_eq!(other.status, 200, "{other:?}");
        assert!(!other.headers.iter().any(|(name, _)| name.contains("ratelimit")), "{other:?}");
        // Nor does asking for the models cost anything.
        assert_eq!(world.ask(&get("/v1/models")).await.status, 200);
        world.close().await;
    }
}

#[tokio::test]
async fn tokens_are_reserved_then_corrected_by_what_was_used() {
    const LIMIT: u64 = 10_000;
    let world = world(&format!("tokens_per_minute = {LIMIT}"), "").await;
    for dialect in DIALECTS {
        // 4,096 are assumed, 99 are named at Anthropic's door. Answers use less than a hundred.
        let most = if dialect == "anthropic_messages" { 99 } else { 4_096 };
        let reserved_only = |answer: &Answer| {
            let (limit, left) = level(dialect, answer, "tokens");
            assert_eq!(limit, LIMIT);
            assert!(left < LIMIT - most && left > LIMIT - most - 2_000, "{dialect}: {left}");
        };
        reserved_only(&world.ask(&plain(dialect)).await);
        reserved_only(&world.ask(&stream(dialect)).await);
        // A failure gives everything back.
        world.sim.push(&format!("{SECRET}-{dialect}"), "status=500".parse().unwrap());
        assert_eq!(world.ask(&plain(dialect)).await.status, 500);
        reserved_only(&world.ask(&plain(dialect)).await);
    }
    let catalog = world.app.catalog.load_full();
    let key = &catalog.key(KEY).unwrap().limits;
    let level_now = key.take(0, world.app.flow.clock).unwrap().levels().tokens.unwrap();
    assert!(level_now.remaining < LIMIT - 100, "what was used counts: {level_now:?}");
    // Two are open, and a third would be too much.
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(held(&world, &plain("openai_chat"), "openai_chat").await);
    }
    let refused = world.ask(&plain("openai_chat")).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.text().contains("Your key may use 10000 tokens a minute"), "{refused:?}");
    // A request that needs less is let in.
    assert_eq!(world.ask(&plain("anthropic_messages")).await.status, 200);
    open.into_iter().for_each(Client::leave);
    eventually("they left", || world.app.flow.in_flight() == 0).await;
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 200, "what they had reserved is back");
    world.close().await;
}

#[tokio::test]
async fn a_user_has_so_many_in_flight_with_all_his_keys() {
    let world = world("", "[limits]\nmax_in_flight = 1").await;
    for dialect in DIALECTS {
        let first = held(&world, &plain(dialect), dialect).await;
        let second = world.ask(&with_key(stream(dialect), "sk-other")).await;
        assert_eq!(second.status, 429, "{dialect}: {second:?}");
        assert_error(dialect, &second.json(), 429);
        assert!(
            second.text().contains("Your account, with all its keys, has 1 requests in flight"),
            "{second:?}"
        );
        assert_eq!(second.header("retry-after"), Some("1"));
        first.leave();
        eventually("it left", || world.app.flow.in_flight() == 0).await;
        assert_eq!(world.ask(&with_key(plain(dialect), "sk-other")).await.status, 200);
    }
    world.close().await;
}

#[tokio::test]
async fn who_waits_is_served_in_turn_and_shows_as_queued() {
    let world = world("max_in_flight = 1", "[limits]\nwait = \"10s\"\nqueue = 2").await;
    for dialect in DIALECTS {
        let first = held(&world, &plain(dialect), dialect).await;
        let second = queued(&world, &stream(dialect), 0).await;
        let mut third = queued(&world, &plain(dialect), 1).await;
        assert_eq!(world.app.flow.census().by_phase[Phase::Queued as usize], 2);
        let fourth = world.ask(&plain(dialect)).await;
        assert_eq!(fourth.status, 429, "the queue is full: {fourth:?}");
        assert!(fourth.text().contains("1 requests in flight"), "{fourth:?}");
        // The other key does not wait for this one.
        assert_eq!(world.ask(&with_key(plain(dialect), "sk-other")).await.status, 200);
        let asked = world.sim.log().len();
        world.sim.push(&format!("{SECRET}-{dialect}"), "silence".parse().unwrap());
        first.leave();
        // The second is in, and is held by the provider; the third still waits.
        world.sim.wait_until(|log| log.len() == asked + 1).await;
        assert_eq!(world.app.admission.waiting(), 1);
        second.leave();
        let third = third.answer().await;
        assert_eq!(third.status, 200, "{dialect}: {third:?}");
        let line = world.settlement(&third).await;
        assert!(line["queued_ms"].as_u64().unwrap() > 0, "{line}");
        eventually("all is over", || world.app.flow.in_flight() == 0).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_is_waited_for_no_longer() {
    let world = world("max_in_flight = 1", "[limits]\nwait = \"10s\"").await;
    let first = held(&world, &plain("openai_chat"), "openai_chat").await;
    let second = queued(&world, &plain("openai_chat"), 0).await;
    let mut third = queued(&world, &stream("openai_chat"), 1).await;
    second.leave();
    eventually("it has gone", || world.app.admission.waiting() == 1).await;
    let catalog = world.app.catalog.load_full();
    assert_eq!(catalog.key(KEY).unwrap().limits.of(Whose::Key).waiting(), 1);
    first.leave();
    assert_eq!(third.answer().await.status, 200);
    let mut endings: Vec<String> = Vec::new();
    for line in world.settlements(3).await {
        endings.push(line["ending"].as_str().unwrap().to_owned());
    }
    endings.sort_unstable();
    assert_eq!(endings, ["client_left", "client_left", "completed"]);
    world.close().await;
}

#[tokio::test]
async fn who_has_waited_long_enough_is_told_429_and_a_stop_ends_the_wait() {
    let mut world =
        world("max_in_flight = 1", "[limits]\nwait = \"200ms\"\n[shutdown]\ndrain = \"100ms\"").await;
    let first = held(&world, &plain("openai_chat"), "openai_chat").await;
    for dialect in DIALECTS {
        let second = world.ask(&plain(dialect)).await;
        assert_eq!(second.status, 429, "{dialect}: {second:?}");
        assert_error(dialect, &second.json(), 429);
        assert!(world.settlement(&second).await["queued_ms"].as_u64().unwrap() >= 200);
    }
    first.leave();
    eventually("it left", || world.app.flow.in_flight() == 0).await;

    // The same with a wait that the stop does not wait for.
    let text = format!(
        "[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nmax_in_flight = 1\n[limits]\nwait = \"1h\"\n[shutdown]\ndrain = \"100ms\"\n{}",
        four(&world.sim.url())
    );
    world.app.apply(gateway::config::parse(&text, &|_: &str| None).unwrap()).unwrap();
    let _first = held(&world, &plain("openai_chat"), "openai_chat").await;
    let mut second = queued(&world, &plain("anthropic_messages"), 0).await;
    let stopped = world.stop();
    let answer = second.answer().await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(world.settlement(&answer).await["ending"], "rejected");
    stopped.await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn limits_outlive_a_reload_and_change_with_it() {
    let world = world("requests_per_minute = 2", "").await;
    let request = plain("openai_chat");
    for _ in 0..2 {
        assert_eq!(world.ask(&request).await.status, 200);
    }
    let apply = |limit: &str| {
        let text =
            format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n{limit}\n{}", four(&world.sim.url()));
        world.app.apply(gateway::config::parse(&text, &|_: &str| None).unwrap()).unwrap();
    };
    apply("requests_per_minute = 2");
    assert_eq!(world.ask(&request).await.status, 429, "a reload gives nothing back");
    apply("");
    assert_eq!(world.ask(&request).await.status, 200, "no limit any more");
    apply("requests_per_minute = 1");
    assert_eq!(world.ask(&request).await.status, 200, "a new one begins full");
    assert_eq!(world.ask(&request).await.status, 429);
    world.close().await;
}

#[tokio::test]
async fn the_providers_own_limits_are_not_the_callers() {
    let words = |_| {
        let body = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
        let headers = "x-ratelimit-limit-requests: 777\r\nx-ratelimit-remaining-tokens: 777\r\nanthropic-ratelimit-requests-limit: 777\r\nretry-after: 777\r\nx-ratelimit-reset: 777";
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    };
    let parrot = Parrot::start(words, false).await;
    let world = World::start(|_| channel("openai_chat", "openai_chat", &parrot.url(), "sim")).await;
    let answer = world.ask(&post(CHAT, r#"{"model":"sim","messages":[]}"#)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.headers.iter().any(|(_, value)| value.contains("777")), "{answer:?}");
    assert_eq!(parrot.calls(), 1);
    assert!(world.ask(&post(MESSAGES, "{}")).await.header("anthropic-ratelimit-requests-limit").is_none());
    world.close().await;
}

#[tokio::test]
async fn a_turn_comes_with_time_alone() {
    // Ten a second.
    let world = world("requests_per_minute = 600", "[limits]\nwait = \"5s\"").await;
    let catalog = world.app.catalog.load_full();
    let limits = &catalog.key(KEY).unwrap().limits;
    let mut taken = 0;
    while let Ok(one) = limits.take(0, world.app.flow.clock) {
        one.settle(None);
        taken += 1;
    }
    assert!(taken >= 600, "{taken}");
    let began = tokio::time::Instant::now();
    let answer = world.ask(&plain("openai_chat")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    world.close().await;
}

//! A configuration that changes while requests run, and browsers.

use std::{path::PathBuf, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use upstream_sim::Sim;

use crate::{
    harness::{CHAT, KEY, World, channel, eventually, four, log, plain, post, stream},
    wire::{Request, contains},
};

/// A file of this test alone, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("sluice-it-{}-{name}.toml", std::process::id()));
        let file = File(path);
        file.write(text);
        file
    }

    /// Replaces the file in one step, as careful editors do.
    fn write(&self, text: &str) {
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, &self.0).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_changed_file_is_put_in_force_and_a_bad_one_is_not() {
    let sim = Sim::start().await;
    let key = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n");
    let first = key.clone() + &channel("old", "openai_chat", &sim.scripted("every=200,events=14"), "sim");
    let second = key.clone()
        + "[[key]]\nname = \"new\"\nsecret = \"sk-new-key\"\n"
        + &channel("new", "openai_chat", &sim.url(), "sim");
    let file = File::new("reload", &first);
    let world = World::with(sim, &first);
    let hangups = signal(SignalKind::hangup()).unwrap();
    let watching = tokio::spawn(gateway::reload::watch(world.app.clone(), file.0.clone(), first, hangups));

    let mut running = world.client().await;
    running.send(&stream("openai_chat").bytes()).await;
    running.until(|body| !body.is_empty()).await;

    file.write(&second);
    let has_new = || world.app.catalog.load().channel("new").is_some();
    eventually("the new file", has_new).await;
    let mut request = plain("openai_chat");
    request.headers[0].1 = "Bearer sk-new-key".to_owned();
    let answer = world.ask(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(world.settlement(&answer).await["channel"], "new");

    file.write(&(key + "[[channel]]\nname = \"broken\"\nprovder = \"openai\"\n\n[bounds]\nqueue = -1\n"));
    let path = file.0.display().to_string();
    eventually("the complaint", || log().contains(&format!("{path}:")) && log().contains("stays in force"))
        .await;
    assert!(log().contains("provder") && log().contains("queue"), "all problems at once");
    assert!(has_new());
    assert_eq!(world.ask(&request).await.status, 200);

    let answer = running.answer().await;
    assert!(contains(&answer.body, "[DONE]"), "{answer:?}");
    let line = world.settlement(&answer).await;
    assert_eq!((&line["ending"], &line["channel"]), (&"completed".into(), &"old".into()), "{line}");

    // A file that is away for a moment changes nothing.
    std::fs::remove_file(&file.0).unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(world.ask(&request).await.status, 200);
    watching.abort();
    world.close().await;
}

#[tokio::test]
async fn what_is_known_of_a_channel_outlives_a_reload() {
    let sim = Sim::start().await;
    let text = |weight: u32, sim: &Sim| {
        format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n")
            + &channel("c", "openai_chat", &sim.url(), "sim")
            + &format!("weight = {weight}\n")
    };
    sim.push("upstream-secret-c", "status=429,retry-after=60".parse().unwrap());
    let (before, after) = (text(1, &sim), text(2, &sim));
    let world = World::with(sim, &before);
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 429);
    world.app.apply(gateway::config::parse(&after, &|_: &str| None).unwrap()).unwrap();
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 503, "it still rests");
    assert_eq!(world.sim.log().len(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_channel_that_is_taken_out_takes_its_idle_connections_with_it() {
    let sim = Sim::start().await;
    let key = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n");
    let text = key.clone() + &channel("c", "openai_chat", &sim.url(), "sim");
    let world = World::with(sim, &text);
    for _ in 0..2 {
        let answer = world.ask(&plain("openai_chat")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        world.settlement(&answer).await;
        world.app.apply(gateway::config::parse(&text, &|_: &str| None).unwrap()).unwrap();
    }
    let metrics = world.app.telemetry.render(&gateway::monitor::read(&world.app));
    let counted = metrics.lines().find(|line| line.starts_with("sluice_attempts_total{"));
    assert!(counted.unwrap().ends_with(" 2"), "one series before and after a reload: {counted:?}");
    assert_eq!(world.app.sockets().1, 1, "the connection is kept for the next request");
    world.app.apply(gateway::config::parse(&key, &|_: &str| None).unwrap()).unwrap();
    // Far sooner than the pool would give up an idle connection.
    eventually("no socket to an upstream", || world.app.sockets().1 == 0).await;
    world.close().await;
}

#[tokio::test]
async fn browsers_of_listed_origins_are_let_in() {
    let world = World::start(|sim| {
        format!("[cors]\norigins = [\"https://app.test\", \"http://localhost:5173\"]\n{}", four(&sim.url()))
    })
    .await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS", CHAT)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,x-stainless-os")
    };
    let answer = world.ask(&preflight("https://app.test")).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.test"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,x-stainless-os"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let answer = world.ask(&preflight("https://evil.test")).await;
    assert_eq!(answer.status, 405, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), None);

    for request in [
        plain("openai_chat"),
        stream("anthropic_messages"),
        post("/v1/chat/completions", ""),
        post("/nowhere", ""),
        Request::new("GET", "/v1/models"),
    ] {
        let answer = world.ask(&request.clone().header("origin", "http://localhost:5173")).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:5173"), "{answer:?}");
        assert!(answer.header("vary").unwrap().contains("origin"));
        let answer = world.ask(&request.header("origin", "https://evil.test")).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
    }
    world.close().await;

    let world = World::start(|sim| format!("[cors]\norigins = [\"*\"]\n{}", four(&sim.url()))).await;
    let answer = world.ask(&preflight("https://anyone.test")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("*")));
    world.close().await;

    let world = World::start(|sim| four(&sim.url())).await;
    let answer = world.ask(&preflight("https://app.test")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None));
    world.close().await;
}

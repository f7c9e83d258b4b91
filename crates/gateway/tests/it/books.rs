//! The books while things around them go wrong: a database that refuses, a reader that stands still, keys that come and go.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use store::report;
use upstream_sim::Sim;

use crate::{
    harness::{CHAT, KEY, World, channel, eventually, four, get, plain, post, stream},
    wire::Request,
};

const PRICED: &str = "[[price]]\nmodel = \"sim\"\ninput = 2.5\noutput = 10\n";

/// A database file of one test, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> File {
        File(std::env::temp_dir().join(format!("sluice-it-{}-{name}.db", std::process::id())))
    }

    fn section(&self) -> String {
        format!("[store]\nurl = \"sqlite:{}\"\n", self.0.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

fn key(limit: &str) -> String {
    format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = {limit}\n")
}

fn books(file: &File) -> report::Books {
    report::books(&mut store::database::reader(&file.0).unwrap()).unwrap()
}

#[tokio::test]
async fn a_database_that_refuses_holds_up_nobody_and_loses_nothing() {
    let sim = Sim::start().await;
    let file = File::new("refuses");
    let text = file.section() + &key("100") + PRICED + &four(&sim.url());
    let world = World::with(sim, &text);
    // Somebody else writes, for longer than anybody waits for him.
    let other = rusqlite::Connection::open(&file.0).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..20 {
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 200);
    }
    assert_eq!(books(&file).requests, 0);
    assert!(world.app.settlements_open() > 0, "they wait, and are counted");
    other.execute_batch("ROLLBACK").unwrap();
    world.settlements(20).await;
    let after = books(&file);
    assert_eq!((after.requests, after.entries, after.violations), (20, 20, Vec::new()));
    assert_eq!(after.keys[0].spent, world.app.catalog.load().key(KEY).unwrap().purse.state().spent);
    world.close().await;
}

/// A sink that takes nothing until it is told to.
#[expect(clippy::disallowed_types, reason = "a blocked thread is what is wanted")]
#[derive(Clone, Default)]
struct Stuck(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl std::io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let (open, changed) = &*self.0;
        let _open = changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_of_the_lines_that_stands_still_does_not_hold_up_the_books() {
    let sim = Sim::start().await;
    let file = File::new("stuck");
    let text = file.section()
        + &key("100")
        + PRICED
        + &channel("c", "openai_chat", &sim.url(), "sim")
        + &channel("s", "anthropic_messages", &sim.scripted("every=50,events=1000"), "sim");
    let sink = Stuck::default();
    let world = World::with_sink(sim, &text, Box::new(sink.clone()));
    for _ in 0..10 {
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 200);
    }
    let mut running = world.client().await;
    running.send(&stream("anthropic_messages").bytes()).await;
    eventually("the requests, and the one that runs", || {
        let books = books(&file);
        (books.requests, books.open_requests) == (10, 1)
    })
    .await;
    assert!(books(&file).keys[0].held > store::Nanos::ZERO);
    drop(running);
    eventually("the one that has ended", || books(&file).open_requests == 0).await;
    *sink.0.0.lock().unwrap() = true;
    sink.0.1.notify_all();
    world.app.shutdown.advance(gateway::shutdown::Stage::Draining);
    eventually("nothing in flight", || world.app.flow.in_flight() == 0).await;
}

#[tokio::test]
async fn a_key_that_is_taken_out_and_put_back_goes_on_where_it_was() {
    let sim = Sim::start().await;
    let (with, without) = (key("100") + PRICED + &four(&sim.url()), PRICED.to_owned() + &four(&sim.url()));
    let world = World::with(sim, &with);
    world.sim.push("upstream-secret-openai_chat", "delay=400".parse().unwrap());
    let mut client = world.client().await;
    client.send(&plain("openai_chat").bytes()).await;
    eventually("it is admitted", || world.asked().len() == 1).await;
    let apply = |text: &str| world.app.apply(gateway::config::parse(text, &|_: &str| None).unwrap()).unwrap();
    let held = || world.app.catalog.load().key(KEY).unwrap().purse.state().held;
    let before = held();
    assert!(before > store::Nanos::ZERO);
    apply(&without);
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 401);
    apply(&with);
    assert_eq!(held(), before, "the request that runs still holds");
    assert_eq!(client.answer().await.status, 200);
    world.check().await;
    assert!(world.app.catalog.load().key(KEY).unwrap().purse.state().spent > store::Nanos::ZERO);
    world.close().await;
}

#[tokio::test]
async fn no_words_of_another_dialect_make_a_hold_small() {
    let sim = Sim::start().await;
    // Enough for one answer of 1,000 tokens, not for 4,096 nor for two.
    let world = World::with(
        sim,
        &(key("0.015") + PRICED + &channel("c", "openai_chat", "http://127.0.0.1:9", "sim")),
    );
    let ask = |more: &str| -> Request {
        let body = format!(r#"{{"model":"sim",{more},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        post(CHAT, body).header("authorization", format!("Bearer {KEY}"))
    };
    for refused in [
        r#""max_output_tokens":1"#,
        r#""generationConfig":{"maxOutputTokens":1}"#,
        r#""max_tokens":0"#,
        r#""max_tokens":1,"max_completion_tokens":1500"#,
        r#""max_tokens":1000,"n":2"#,
    ] {
        let answer = world.ask(&ask(refused)).await;
        assert_eq!(answer.status, 402, "{refused}: {answer:?}");
        assert_eq!(answer.json()["error"]["code"], "spend_limit_reached");
    }
    // Admitted; that nobody is there to answer costs nothing.
    let answer = world.ask(&ask(r#""max_tokens":1000"#)).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(world.settlement(&answer).await["charge"], "0");
    world.close().await;
}

#[tokio::test]
async fn counting_tokens_is_free_and_needs_no_price() {
    let sim = Sim::start().await;
    let text = key("0") + &four(&sim.url());
    let world = World::with(sim, &text);
    let body = r#"{"model":"sim","messages":[{"role":"user","content":"hi"}]}"#;
    let request = post("/v1/messages/count_tokens", body).header("x-api-key", KEY);
    let answer = world.ask(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = world.settlement(&answer).await;
    assert_eq!((&line["charge"], &line["unpriced"]), (&"0".into(), &false.into()), "{line}");
    world.close().await;
}

#[tokio::test]
async fn books_that_were_tampered_with_are_found_out_while_they_are_written() {
    let file = File::new("tampered");
    for tampered in [false, true] {
        let sim = Sim::start().await;
        let text = file.section() + &key("100") + PRICED + &four(&sim.url());
        if tampered {
            let raw = rusqlite::Connection::open(&file.0).unwrap();
            raw.execute("UPDATE accounts SET balance_nanos = balance_nanos + 1", []).unwrap();
        }
        let world = World::with(sim, &text);
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 200);
        if tampered {
            eventually("the sweep finds it", || !world.app.findings.all().is_empty()).await;
            let found = world.app.findings.all();
            assert!(found[0].contains("its entries sum to"), "{found:?}");
            let health = world.ask(&get("/api/monitor/health")).await.json();
            assert_eq!(health["status"], "books", "{health}");
            assert_eq!(health["books"]["violations"], 1, "{health}");
            let metrics = world.app.telemetry.render(&gateway::monitor::read(&world.app));
            assert!(metrics.contains("sluice_books_violations 1"), "{metrics}");
        }
        world.close().await;
    }
}

//! kill -9 at any moment, under load: what the books say afterwards, held against what the provider says it served.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use gateway::settler::WINDOW;
use serde_json::Value;
use store::Nanos;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep},
};
use upstream_sim::{Outcome, Served, Sim};

use crate::{
    harness::{CHAT, KEY, channel, post},
    program::serve,
};

const ROUNDS: u64 = 50;
const CLIENTS: u64 = 6;
/// Nanodollars per token of the prices below.
const INPUT: u64 = 2_500;
const OUTPUT: u64 = 10_000;

/// A directory of this test alone, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("sluice-it-crash-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Answers at once, answers in pieces, and never answers.
fn configured(directory: &Path, sim: &Sim) -> PathBuf {
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite:{}\"\n\
         [[price]]\nmodel = \"*\"\ninput = 2.5\noutput = 10\n\
         [[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 1000000\n",
        directory.join("sluice.db").display()
    ) + &channel("fast", "openai_chat", &sim.url(), "fast-*")
        + &channel("slow", "openai_chat", &sim.scripted("every=30,events=12"), "slow-*")
        + &channel("mute", "openai_chat", &sim.scripted("silence"), "mute-*");
    let path = directory.join("sluice.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// One request on a connection of its own; whatever comes of it.
async fn ask(address: std::net::SocketAddr, model: String) {
    let stream = model.starts_with("slow");
    let body =
        format!(r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    let request =
        post(CHAT, body).header("authorization", format!("Bearer {KEY}")).header("connection", "close");
    let Ok(mut socket) = TcpStream::connect(address).await else { return };
    if socket.write_all(&request.bytes()).await.is_ok() {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
}

/// Sends for as long as it is let.
async fn client(address: std::net::SocketAddr, round: u64, number: u64) {
    for count in 0.. {
        let kind = match (number, count % 4) {
            (0, 3) => "mute",
            (_, 1) => "slow",
            _ => "fast",
        };
        ask(address, format!("{kind}-{round}-{number}-{count}")).await;
        sleep(Duration::from_millis(number)).await;
    }
}

fn books(config: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["books", "--json", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let books: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(books["balanced"], true, "{books:#}");
    assert!(output.status.success());
    books
}

fn requests(config: &Path) -> HashMap<String, Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["requests", "--json", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found = HashMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let before = found.insert(line["model"].as_str().unwrap().to_owned(), line);
        assert!(before.is_none(), "a request stands twice in the books: {before:?}");
    }
    found
}

/// What the provider would charge for what it served.
fn cost(served: &Served) -> Option<String> {
    let usage = served.usage.filter(|_| served.outcome == Outcome::Answered)?;
    Some(Nanos((usage.input * INPUT + usage.output * OUTPUT) as i64).to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_it_is_killed_its_books_balance_and_miss_a_moment_at_most() {
    let directory = Directory::new();
    let rng = gateway::rng::Rng::from_entropy();
    let mut kills = Vec::new();
    for round in 0..ROUNDS {
        let sim = Sim::start().await;
        let config = configured(&directory.0, &sim);
        let (mut program, address) = serve(&config).await;
        let after_start = books(&config);
        assert_eq!(after_start["open_requests"], 0, "no hold outlives the process: {after_start:#}");
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(client(address, round, number));
        }
        sleep(Duration::from_millis(100 + rng.next() % 700)).await;
        // Before the signal: what happens on its way only makes the window longer.
        let killed = Instant::now();
        program.signal("KILL");
        program.exits().await;
        clients.shutdown().await;
        kills.push((killed, sim.log()));
    }

    let sim = Sim::start().await;
    let config = configured(&directory.0, &sim);
    let (mut program, address) = serve(&config).await;
    ask(address, "fast-last".to_owned()).await;
    program.signal("TERM");
    assert_eq!(program.exits().await.code(), Some(0), "{}", program.said());

    let (books, rows) = (books(&config), requests(&config));
    let mut charged = Nanos::ZERO;
    for row in rows.values() {
        charged = charged.plus(Nanos::from_usd(row["charge"].as_str().unwrap()).unwrap());
    }
    assert_eq!(books["keys"][0]["spent"], charged.to_string(), "{books:#}");
    assert_eq!(books["keys"][0]["held"], "0");
    assert_eq!(books["accounts"][0]["balance"], Nanos(-charged.0).to_string());
    assert_eq!((&books["open_requests"], &rows["fast-last"]["ending"]), (&0.into(), &"completed".into()));

    let (mut sure, mut lost, mut missing) = (0, 0, 0);
    for (killed, served) in &kills {
        for served in served {
            let ended = served.ended.filter(|ended| ended < killed && served.outcome == Outcome::Answered);
            match (rows.get(&served.model), ended) {
                // Long over: it stands there with its charge.
                (Some(row), Some(ended)) if ended + WINDOW < *killed => {
                    assert_eq!(
                        (row["ending"].as_str(), row["status"].as_u64()),
                        (Some("completed"), Some(200)),
                        "{row}"
                    );
                    assert_eq!(row["charge"].as_str(), cost(served).as_deref(), "{row} {served:?}");
                    sure += 1;
                }
                // It ended, or began, within the window.
                (None, _)
                    if ended.unwrap_or(*killed).max(served.arrived) + WINDOW >= *killed
                        && (ended.is_some() || served.arrived + WINDOW >= *killed) =>
                {
                    missing += 1
                }
                (None, _) => panic!(
                    "not in the books: {served:?}, killed {:?} after it came",
                    *killed - served.arrived
                ),
                (Some(row), _) => match row["ending"].as_str() {
                    Some("lost") => {
                        assert_eq!(row["charge"], "0", "{row}");
                        lost += 1;
                    }
                    Some("completed") => assert_eq!(row["charge"].as_str(), cost(served).as_deref(), "{row}"),
                    _ => panic!("{row}"),
                },
            }
        }
    }
    assert!(sure > 100 && lost > 10, "{sure} sure, {lost} lost, {missing} missing: too little happened");
}

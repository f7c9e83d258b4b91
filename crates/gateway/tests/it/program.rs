//! The program itself: its commands, its signals, its exit codes.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use upstream_sim::Sim;

use crate::{
    harness::{KEY, SECRET, channel, events, eventually, get, plain, post, stream},
    wire::{Client, End, contains},
};

/// The program running; killed if the test forgets it.
pub struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Program {
    pub fn start(arguments: &[&str]) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(arguments)
            .env("SLUICE_IT_SECRET", format!("{SECRET}-from-the-environment"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let listen = |from: Box<dyn std::io::Read + Send>| {
            let said = said.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(from).lines().map_while(Result::ok) {
                    said.lock().unwrap().push_str(&(line + "\n"));
                }
            });
        };
        listen(Box::new(out));
        listen(Box::new(err));
        Program { child, said }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said something, and returns what follows.
    pub async fn says(&self, what: &str) -> String {
        eventually(&format!("`{what}`"), || self.said().contains(what)).await;
        let said = self.said();
        said[said.find(what).unwrap() + what.len()..].to_owned()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    pub async fn exits(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the program's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("sluice-it-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn configured(sim: &Sim, script: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\n[store]\nurl = \"memory\"\n[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n"
    ) + &channel("c", "openai_chat", &sim.scripted(script), "sim")
        .replace(&format!("{SECRET}-c"), "env:SLUICE_IT_SECRET")
}

pub async fn serve(path: &std::path::Path) -> (Program, SocketAddr) {
    let program = Program::start(&["serve", "--config", path.to_str().unwrap()]);
    let after = program.says("listening address=").await;
    (program, after.lines().next().unwrap().parse().unwrap())
}

async fn connect(address: SocketAddr) -> Client {
    Client::connect(address, Arc::default()).await
}

#[tokio::test]
async fn check_tells_all_problems_with_their_lines() {
    let bad = file(
        "bad",
        "[[key]]\nname = \"app\"\n\n[[channel]]\nname = \"c\"\nprovder = \"openai\"\nweight = 0\nmodels = []\n\n[bounds]\nqueue = \"many\"\n",
    );
    let mut program = Program::start(&["check", "--config", bad.to_str().unwrap()]);
    assert_eq!(program.exits().await.code(), Some(1));
    let said = program.says("queue").await;
    let all = program.said();
    for (line, what) in [(1, "secret"), (6, "provder"), (7, "weight"), (8, "models"), (11, "queue")] {
        let told = |text: &str| text.contains(&format!(":{line}")) || text.contains(&format!("line {line}"));
        assert!(
            all.lines().any(|text| told(text) && text.contains(what)),
            "{what} in line {line}:\n{all}{said}"
        );
    }
    std::fs::remove_file(bad).unwrap();

    let sim = Sim::start().await;
    let good = file("good", &configured(&sim, "healthy"));
    let mut program = Program::start(&["check", "--config", good.to_str().unwrap()]);
    assert_eq!(program.exits().await.code(), Some(0));
    program.says("good: 1 keys, 1 channels").await;
    std::fs::remove_file(good).unwrap();

    let mut program = Program::start(&["check", "--config", "/nowhere/at-all.toml"]);
    assert_eq!(program.exits().await.code(), Some(1));
    let mut program = Program::start(&["explode"]);
    assert_eq!(program.exits().await.code(), Some(2));
}

#[tokio::test]
async fn s3_each_first_start_prints_a_setup_link_that_is_no_password() {
    let sim = Sim::start().await;
    let path = file("setup", &configured(&sim, "healthy"));
    let (program, address) = serve(&path).await;
    let link = program.says("it is good once, for a day:").await;
    assert!(link.contains(&format!("http://{address}/setup#token=slu_")), "{link}");
    let token = link.split("#token=").nth(1).unwrap().split_whitespace().next().unwrap();
    let setup = format!(r#"{{"token":"{token}","name":"root","password":"correct horse battery"}}"#);
    let request = crate::wire::Request::new("POST", "/api/v1/setup")
        .header("content-type", "application/json")
        .body(setup);
    assert_eq!(connect(address).await.ask(&request).await.status, 201);
    assert_eq!(connect(address).await.ask(&request).await.status, 409);
    std::fs::remove_file(path).unwrap();

    let demo = Program::start(&["demo", "--listen", "127.0.0.1:0"]);
    demo.says("/setup#token=slu_").await;
}

#[tokio::test]
async fn on_sigterm_it_ends_its_streams_and_then_itself() {
    let sim = Sim::start().await;
    let path = file("term", &configured(&sim, "every=150,events=6"));
    let (mut program, address) = serve(&path).await;
    let mut client = connect(address).await;
    client.send(&stream("openai_chat").bytes()).await;
    client.until(|body| !body.is_empty()).await;
    program.signal("TERM");
    program.says("stopping").await;
    let answer = client.answer().await;
    assert_eq!(answer.end, End::Whole);
    assert!(contains(&answer.body, "[DONE]"), "{answer:?}");
    assert_eq!(program.exits().await.code(), Some(0), "{}", program.said());
    eventually("the request's line", || program.said().contains("\"ending\":\"completed\"")).await;
    assert!(!program.said().contains(SECRET), "{}", program.said());
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let sim = Sim::start().await;
    let path = file("twice", &configured(&sim, "silence"));
    let (mut program, address) = serve(&path).await;
    let mut client = connect(address).await;
    client.send(&plain("openai_chat").bytes()).await;
    sim.wait_until(|log| log.len() == 1).await;
    program.signal("INT");
    program.says("stopping").await;
    program.signal("TERM");
    assert_ne!(program.exits().await.code(), Some(0));
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn on_sighup_it_reads_its_file_again() {
    let sim = Sim::start().await;
    let path = file("hup", &configured(&sim, "healthy"));
    let (mut program, address) = serve(&path).await;
    let mut client = connect(address).await;
    assert_eq!(client.ask(&plain("openai_chat")).await.status, 200);
    program.signal("HUP");
    program.says("configuration reloaded").await;
    assert_eq!(client.ask(&plain("openai_chat")).await.status, 200, "the connection is kept");
    program.signal("TERM");
    assert_eq!(program.exits().await.code(), Some(0));
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn the_demo_works_as_printed() {
    let mut program = Program::start(&["demo", "--listen", "127.0.0.1:0"]);
    let after = program.says("Sluice is running on http://").await;
    program.says("Stop with Ctrl-C").await;
    let address: SocketAddr = after.split_whitespace().next().unwrap().parse().unwrap();
    let said = program.said();
    // The curl line, taken apart as a shell would.
    let between = |start: &str, end: &str| {
        let rest = &said[said.find(start).unwrap() + start.len()..];
        rest[..rest.find(end).unwrap()].to_owned()
    };
    let (key, body) = (between("Authorization: Bearer ", "\""), between("-d '", "'"));
    assert!(said.contains(&format!("http://{address}/v1/chat/completions")), "{said}");
    let signed = |mut request: crate::wire::Request| {
        request.headers[0].1 = format!("Bearer {key}");
        request
    };
    let mut client = connect(address).await;
    let answer = client.ask(&signed(post("/v1/chat/completions", body))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(events(&answer.body).last().unwrap(), "[DONE]");
    let message =
        r#"{"model":"demo-claude","max_tokens":256,"messages":[{"role":"user","content":"Hello!"}]}"#;
    let answer = client.ask(&signed(post("/v1/messages", message))).await;
    assert!(answer.json()["content"][0]["text"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    let listed = client.ask(&signed(get("/v1/models"))).await.text();
    for model in between("models   ", "\n")
        .split(", ")
        .filter(|model| !model.contains("claude") && !model.contains("gemini"))
    {
        assert!(listed.contains(model), "{model}: {listed}");
    }
    for path in ["/api/monitor/health", "/metrics"] {
        assert!(said.contains(&format!("http://{address}{path}")));
        assert_eq!(client.ask(&crate::wire::Request::new("GET", path)).await.status, 200);
    }
    program.signal("INT");
    assert_eq!(program.exits().await.code(), Some(0));
    assert_eq!(program.said().matches("\"ending\":\"completed\"").count(), 2, "{}", program.said());
}

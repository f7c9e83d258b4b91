//! The operator at the machine: requests over the socket beside the database.

use std::path::PathBuf;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};
use upstream_sim::Sim;

pub use crate::wire::contains;
use crate::{
    harness::{KEY, World},
    wire::{Answer, End, LIMIT, Request},
};

/// A gateway with a database file of its own, and its operator.
pub async fn operated(name: &str, text: &str) -> (World, Operator) {
    operated_with(Sim::start().await, name, text)
}

/// The same, with channels at a provider that is there already.
pub fn operated_with(sim: Sim, name: &str, text: &str) -> (World, Operator) {
    let file = std::env::temp_dir().join(format!("sluice-it-{}-admin-{name}.db", std::process::id()));
    let text = format!(
        "[store]\nurl = \"sqlite:{}\"\n[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n{text}",
        file.display()
    );
    (World::with(sim, &text), Operator { file })
}

/// His database is gone with him.
pub struct Operator {
    pub file: PathBuf,
}

impl Operator {
    /// Where his socket is.
    pub fn path(&self) -> PathBuf {
        gateway::admin::local::path(&self.file)
    }

    pub async fn ask(&mut self, method: &'static str, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::new(method, path).header("connection", "close");
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.send(&request).await
    }

    pub async fn send(&mut self, request: &Request) -> Answer {
        let asking = async {
            let mut stream = UnixStream::connect(self.path()).await.unwrap();
            stream.write_all(&request.bytes()).await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            heard
        };
        read(&timeout(LIMIT, asking).await.expect("the socket does not answer"))
    }

    /// The body of an answer that must be good.
    #[track_caller]
    pub fn good(
        &mut self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = Value> {
        let asked = format!("{method} {path} {body:?}");
        async move {
            let answer = self.ask(method, path, body).await;
            assert!((200..300).contains(&answer.status), "{asked}: {answer:?}");
            if answer.body.is_empty() { Value::Null } else { answer.json() }
        }
    }

    /// The problem of an answer that must be one.
    pub async fn refused(
        &mut self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        status: u16,
        code: &str,
    ) -> Value {
        let asked = format!("{method} {path} {body:?}");
        let answer = self.ask(method, path, body).await;
        let problem = answer.json();
        assert_eq!((answer.status, problem["code"].as_str()), (status, Some(code)), "{asked}: {answer:?}");
        problem
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", ".lock", ".sock", ".key"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.file.display()));
        }
    }
}

fn read(heard: &[u8]) -> Answer {
    let end = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let head = std::str::from_utf8(&heard[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    Answer { status, headers: lines.filter_map(header).collect(), body: heard[end..].to_vec(), end: End::Fin }
}

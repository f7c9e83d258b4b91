//! A client that knows nothing but bytes.

use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use upstream_sim::{Served, Sim};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const GEMINI: &str = "/v1beta/models/sim-large:generateContent";
pub(crate) const GEMINI_SSE: &str = "/v1beta/models/sim-large:streamGenerateContent?alt=sse";
pub(crate) const GEMINI_ARRAY: &str = "/v1beta/models/sim-large:streamGenerateContent";

pub(crate) const PLAIN: &str = r#"{"model":"sim-large","messages":[]}"#;
pub(crate) const STREAM: &str =
    r#"{"model":"sim-large","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;

/// The streams of all dialects: path and request body.
pub(crate) const STREAMS: [(&str, &str); 4] =
    [(CHAT, STREAM), (RESPONSES, STREAM), (MESSAGES, STREAM), (GEMINI_SSE, "{}")];
/// The plain answers of all dialects.
pub(crate) const PLAINS: [(&str, &str); 4] =
    [(CHAT, PLAIN), (RESPONSES, PLAIN), (MESSAGES, PLAIN), (GEMINI, "{}")];

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing says.
    Whole,
    Fin,
    Rst,
}

pub(crate) struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Bytes received in all.
    pub(crate) received: u64,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The chunks of a chunked body.
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        events(&self.text())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|_| panic!("not JSON: {}", self.data))
    }
}

/// The complete events of an event stream; comments are left out.
pub(crate) fn events(text: &str) -> Vec<Event> {
    let text = text.replace("\r\n", "\n");
    let complete = text.rfind("\n\n").map_or("", |end| &text[..end]);
    let field = |block: &str, name: &str| {
        let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or("").to_owned()
    };
    let event = |block: &str| Event { name: field(block, "event"), data: field(block, "data") };
    complete.split("\n\n").map(event).filter(|event| !event.data.is_empty()).collect()
}

impl Wire {
    pub(crate) async fn open(sim: &Sim) -> Wire {
        let stream = TcpStream::connect(sim.addr).await.unwrap();
        Wire { stream, inbox: Vec::new(), received: 0 }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) {
        self.send(request("POST", path, "", body).as_bytes()).await;
    }

    /// Reads some bytes; how it ended if there are no more.
    async fn fill(&mut self) -> Result<(), End> {
        let mut block = vec![0; 64 * 1024];
        match tokio::time::timeout(PATIENCE, self.stream.read(&mut block)).await.expect("nothing came") {
            Ok(0) => Err(End::Fin),
            Ok(length) => {
                self.received += length as u64;
                self.inbox.extend_from_slice(&block[..length]);
                Ok(())
            }
            Err(_) => Err(End::Rst),
        }
    }

    /// Reads until the bytes contain `mark`; returns what was read so far.
    pub(crate) async fn read_until(&mut self, mark: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.inbox);
            if text.contains(mark) {
                return text.into_owned();
            }
            if let Err(end) = self.fill().await {
                panic!("{end:?} before {mark}: {text}", text = String::from_utf8_lossy(&self.inbox));
            }
        }
    }

    pub(crate) async fn read_at_least(&mut self, bytes: u64) {
        while self.received < bytes {
            self.fill().await.unwrap();
        }
    }

    /// How the connection ends, if nothing more comes.
    pub(crate) async fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.fill().await {
                return end;
            }
        }
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer =
            Answer { status: 0, head: String::new(), body: Vec::new(), chunks: Vec::new(), end: End::Whole };
        let head_end = loop {
            if let Some(at) = find(&self.inbox, b"\r\n\r\n") {
                break at + 4;
            }
            if let Err(end) = self.fill().await {
                answer.end = end;
                return answer;
            }
        };
        answer.head = String::from_utf8(self.inbox.drain(..head_end).collect()).unwrap();
        answer.status = answer.head[9..12].parse().unwrap();
        let result = if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            self.take(length, &mut answer.body).await
        } else if answer.header("transfer-encoding").is_some() {
            self.take_chunks(&mut answer).await
        } else {
            self.take(usize::MAX, &mut answer.body).await
        };
        answer.end = result.err().unwrap_or(End::Whole);
        answer
    }

    async fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), End> {
        loop {
            let part = self.inbox.len().min(length - body.len());
            body.extend(self.inbox.drain(..part));
            if body.len() == length {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn take_chunks(&mut self, answer: &mut Answer) -> Result<(), End> {
        loop {
            let line = loop {
                match find(&self.inbox, b"\r\n") {
                    Some(at) => break at,
                    None => self.fill().await?,
                }
            };
            let line: Vec<u8> = self.inbox.drain(..line + 2).collect();
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = Vec::new();
            let taken = self.take(size + 2, &mut chunk).await;
            chunk.truncate(size);
            answer.body.extend_from_slice(&chunk);
            taken?;
            if size == 0 {
                return Ok(());
            }
            answer.chunks.push(chunk);
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// The path under a script.
pub(crate) fn scripted(sim: &Sim, script: &str, path: &str) -> String {
    format!("{}{path}", sim.scripted(script).strip_prefix(&sim.url()).unwrap())
}

/// One request on a connection of its own.
pub(crate) async fn ask(sim: &Sim, script: &str, path: &str, body: &str) -> Answer {
    let mut wire = Wire::open(sim).await;
    wire.post(&scripted(sim, script, path), body).await;
    wire.answer().await
}

/// The only entry of the record, once it has ended.
pub(crate) async fn ended(sim: &Sim) -> Served {
    let all_ended = |log: &[Served]| !log.is_empty() && log.iter().all(|served| served.ended.is_some());
    tokio::time::timeout(PATIENCE, sim.wait_until(all_ended)).await.expect("the request did not end");
    let mut log = sim.log();
    assert_eq!(log.len(), 1);
    log.remove(0)
}

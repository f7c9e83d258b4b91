//! A client that knows nothing but bytes.
//!
//! In: bytes to write. Out: what came back, with how it ended. It must never repair what is wrong on the wire.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Whoever waits longer than this waits for ever.
pub const LIMIT: Duration = Duration::from_secs(15);
/// Of what a client hears this much is kept for the search for secrets.
const KEPT_BYTES: usize = 1 << 20;

/// A request before it is written.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &'static str, path: impl Into<String>) -> Request {
        Request { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Request {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// The head alone, with the length of the body.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: gateway.test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method != "GET" || !self.body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing says.
    Whole,
    /// The connection was closed before that.
    Fin,
    Reset,
}

#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: End,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.body[..self.body.len().min(2000)];
        write!(f, "{} {:?} {:?} ({:?})", self.status, self.headers, String::from_utf8_lossy(start), self.end)
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Where the bytes of a body stand.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    /// Bytes left of the chunk under way; `None`: a size line comes next.
    Chunked(Option<usize>),
    UntilClosed,
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    framing: Framing,
}

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Received, not yet understood.
    inbox: Vec<u8>,
    /// Everything that any client of this test heard.
    heard: Arc<Mutex<Vec<u8>>>,
    kept: usize,
    head: Option<Head>,
    /// Of the body under way.
    pub body: Vec<u8>,
    end: Option<End>,
}

impl Client {
    pub async fn connect(address: SocketAddr, heard: Arc<Mutex<Vec<u8>>>) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            buffer: vec![0; 64 * 1024],
            inbox: Vec::new(),
            heard,
            kept: 0,
            head: None,
            body: Vec::new(),
            end: None,
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(LIMIT, self.stream.write_all(bytes)).await.expect("the peer does not read").unwrap();
    }

    /// Writes; a peer that has closed is no failure of the test.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        timeout(LIMIT, self.stream.write_all(bytes)).await.expect("the peer does not read").is_ok()
    }

    /// Sends a request and reads its whole answer.
    pub async fn ask(&mut self, request: &Request) -> Answer {
        self.send(&request.bytes()).await;
        self.answer().await
    }

    /// Reads until the answer's body has ended, whichever way.
    pub async fn answer(&mut self) -> Answer {
        self.until(|_| false).await
    }

    /// Waits to be told to go on sending (100).
    pub async fn go_on(&mut self) {
        let wanted = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut told = vec![0; wanted.len()];
        timeout(LIMIT, self.stream.read_exact(&mut told)).await.expect("no 100").unwrap();
        assert_eq!(told, wanted);
    }

    /// Reads until the body satisfies `what`, or ends.
    pub async fn until(&mut self, what: impl Fn(&[u8]) -> bool) -> Answer {
        loop {
            if self.end.is_some() {
                let answer = self.so_far();
                (self.head, self.end) = (None, None);
                self.body.clear();
                return answer;
            }
            if self.head.is_some() && what(&self.body) {
                return self.so_far();
            }
            self.receive().await;
        }
    }

    fn so_far(&self) -> Answer {
        let (status, headers) =
            self.head.as_ref().map_or((0, Vec::new()), |head| (head.status, head.headers.clone()));
        Answer { status, headers, body: self.body.clone(), end: self.end.unwrap_or(End::Whole) }
    }

    /// Whether the peer closes the connection, with nothing more said.
    pub async fn closed(&mut self) -> End {
        while self.end.is_none() {
            self.receive().await;
        }
        self.end.unwrap()
    }

    async fn receive(&mut self) {
        let before = self.inbox.len();
        if before == 0 || !self.understand() {
            let read = timeout(LIMIT, self.stream.read(&mut self.buffer)).await;
            match read.unwrap_or_else(|_| panic!("nothing came for {LIMIT:?}; so far: {:?}", self.so_far())) {
                Ok(0) => {
                    let until_closed = matches!(&self.head, Some(Head { framing: Framing::UntilClosed, .. }));
                    self.end = Some(if until_closed { End::Whole } else { End::Fin });
                }
                Ok(count) => {
                    if self.kept < KEPT_BYTES {
                        self.heard.lock().unwrap().extend_from_slice(&self.buffer[..count]);
                        self.kept += count;
                    }
                    self.inbox.extend_from_slice(&self.buffer[..count]);
                    self.understand();
                }
                Err(_) => self.end = Some(End::Reset),
            }
        }
    }

    /// Takes what is whole out of the inbox; false when there was nothing.
    fn understand(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let Some(head) = &mut self.head else { return self.understand_head() };
        let before = self.inbox.len();
        let mut at = 0;
        loop {
            let inbox = &self.inbox[at..];
            match &mut head.framing {
                Framing::Length(left) => {
                    let count = inbox.len().min(*left);
                    self.body.extend_from_slice(&inbox[..count]);
                    (at, *left) = (at + count, *left - count);
                    if *left == 0 {
                        self.end = Some(End::Whole);
                    }
                    break;
                }
                Framing::UntilClosed => {
                    self.body.extend_from_slice(inbox);
                    at += inbox.len();
                    break;
                }
                Framing::Chunked(None) => {
                    let Some(end) = find(inbox, b"\r\n") else { break };
                    let line = std::str::from_utf8(&inbox[..end]).unwrap();
                    let size = usize::from_str_radix(line, 16)
                        .unwrap_or_else(|error| panic!("the chunk size {line:?}: {error}"));
                    if size == 0 {
                        // The blank line behind the last chunk.
                        if inbox.len() < end + 4 {
                            break;
                        }
                        assert_eq!(&inbox[end + 2..end + 4], b"\r\n");
                        at += end + 4;
                        self.end = Some(End::Whole);
                        break;
                    }
                    at += end + 2;
                    head.framing = Framing::Chunked(Some(size + 2));
                }
                Framing::Chunked(Some(left)) => {
                    if inbox.is_empty() {
                        break;
                    }
                    // The last two of them are the line end.
                    let count = inbox.len().min(*left);
                    let content = count.min(left.saturating_sub(2));
                    self.body.extend_from_slice(&inbox[..content]);
                    (at, *left) = (at + count, *left - count);
                    if *left == 0 {
                        head.framing = Framing::Chunked(None);
                    }
                }
            }
        }
        self.inbox.drain(..at);
        self.inbox.len() < before || self.end.is_some()
    }

    fn understand_head(&mut self) -> bool {
        let Some(end) = find(&self.inbox, b"\r\n\r\n") else { return false };
        let text = String::from_utf8(self.inbox.drain(..end + 4).collect()).unwrap();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap();
        let status: u16 = first.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            return true;
        }
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("the header {line:?}"));
            (name.to_owned(), value.trim().to_owned())
        };
        let headers: Vec<_> = lines.filter(|line| !line.is_empty()).map(pair).collect();
        let value = |name: &str| {
            headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let framing = match (value("transfer-encoding"), value("content-length")) {
            (Some("chunked"), None) => Framing::Chunked(None),
            (None, Some(length)) => Framing::Length(length.parse().unwrap()),
            (None, None) if status == 204 => Framing::Length(0),
            (None, None) => Framing::UntilClosed,
            both => panic!("both framings: {both:?}"),
        };
        if matches!(framing, Framing::Length(0)) {
            self.end = Some(End::Whole);
        }
        self.head = Some(Head { status, headers, framing });
        true
    }

    /// Says that no more will come, and keeps listening.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Leaves with a RST.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Leaves with a FIN.
    pub fn leave(self) {}
}

pub fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

pub fn contains(text: &[u8], what: &str) -> bool {
    find(text, what.as_bytes()).is_some()
}

//! A gateway, a provider and what both did.
//!
//! In: the channels of a test. Out: clients for it, and at the end the check that everything that came in went out.

use std::{
    collections::HashSet,
    io::Write,
    net::SocketAddr,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gateway::{
    app::App,
    config::{StoreConfig, parse},
    ending::Ending,
    limits::Whose,
    listener,
    server::Server,
    settler::Sink,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use upstream_sim::Sim;

use crate::wire::{Answer, Client, LIMIT, Request, contains};

/// The caller's key in every test.
pub const KEY: &str = "sk-caller-key-of-the-test";
/// How every upstream secret begins, so that it can be searched for.
pub const SECRET: &str = "upstream-secret";

pub const CHAT: &str = "/v1/chat/completions";
pub const RESPONSES: &str = "/v1/responses";
pub const MESSAGES: &str = "/v1/messages";
pub const GEMINI: &str = "/v1beta/models/sim:generateContent";
pub const GEMINI_SSE: &str = "/v1beta/models/sim:streamGenerateContent?alt=sse";
pub const GEMINI_ARRAY: &str = "/v1beta/models/sim:streamGenerateContent";

pub const DIALECTS: [&str; 4] = ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"];

/// What all logs of the process wrote; the search for secrets looks here too.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A running gateway with its provider.
pub struct World {
    pub sim: Sim,
    pub app: Arc<App>,
    pub address: SocketAddr,
    server: Option<Server>,
    lines: Lines,
    heard: Arc<Mutex<Vec<u8>>>,
}

/// Settlement lines, as they were written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn listen_to_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().with_writer(|| LogWriter).with_ansi(false).init();
    });
}

/// One `[[channel]]` of the custom provider; more keys can follow it.
pub fn channel(name: &str, dialect: &str, base_url: &str, model: &str) -> String {
    format!(
        "\n[[channel]]\nname = \"{name}\"\nprovider = \"custom\"\ndialect = \"{dialect}\"\nbase_url = \"{base_url}\"\n\
         secrets = [\"{SECRET}-{name}\"]\nmodels = [\"{model}\"]\n"
    )
}

/// Added to a [`channel`]: only for callers of its own dialect.
pub const OWN_ONLY: &str = "translate = false\n";

/// A channel for each dialect, all at the same URL, for the model `sim`; each for callers of its own dialect alone.
pub fn four(base_url: &str) -> String {
    let own = |dialect: &&str| channel(dialect, dialect, base_url, "sim") + OWN_ONLY;
    DIALECTS.iter().map(own).collect()
}

impl World {
    /// Starts a provider, and a gateway with the configuration made for it. The caller's key is there already.
    pub async fn start(configure: impl FnOnce(&Sim) -> String) -> World {
        let sim = Sim::start().await;
        let text = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\n{}", configure(&sim));
        World::with(sim, &text)
    }

    pub fn with(sim: Sim, text: &str) -> World {
        let lines = Lines::default();
        World { lines: lines.clone(), ..World::with_sink(sim, text, Box::new(lines)) }
    }

    /// With request lines that go elsewhere.
    pub fn with_sink(sim: Sim, text: &str, sink: Sink) -> World {
        listen_to_logs();
        let mut config = parse(text, &|_: &str| None).unwrap_or_else(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", problems.join("\n"))
        });
        if !text.contains("[store]") {
            config.store = StoreConfig::Memory;
        }
        let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = Server::start(config, socket, sink).unwrap();
        World {
            sim,
            app: server.app.clone(),
            address: server.address,
            server: Some(server),
            lines: Lines::default(),
            heard: Arc::default(),
        }
    }

    /// Of the link that makes the first user.
    pub fn setup_token(&self) -> Option<String> {
        let server = self.server.as_ref().unwrap();
        server.setup_token.as_ref().map(|token| token.reveal().to_owned())
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address, self.heard.clone()).await
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &Request) -> Answer {
        self.client().await.ask(request).await
    }

    /// The settlement line of a request.
    pub async fn settlement(&self, answer: &Answer) -> Value {
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("no request id: {answer:?}"));
        let line = || self.lines.read().into_iter().find(|line| line["request_id"] == id);
        eventually(&format!("the settlement of {id}"), || line().is_some()).await;
        line().unwrap()
    }

    /// The settlement lines as soon as there are `count`.
    pub async fn settlements(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} settlements"), || self.lines.read().len() >= count).await;
        self.lines.read()
    }

    /// Paths that the provider was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.sim.log().iter().map(|served| served.path.clone()).collect()
    }

    /// Begins to stop, as a signal would; resolves when the server has stopped by itself.
    pub fn stop(&mut self) -> JoinHandle<()> {
        let server = self.server.take().unwrap();
        tokio::spawn(async move { server.stop().await.unwrap() })
    }

    /// Waits until nothing is in flight, stops, and checks that what came in went out.
    pub async fn close(mut self) {
        self.check().await;
        if self.server.is_some() {
            timeout(LIMIT, self.stop()).await.expect("the server does not stop").unwrap();
        }
        let World { sim, app, lines, heard, .. } = self;
        after(&sim, &app, &lines.read());
        unseen("what clients heard", &heard.lock().unwrap());
        let address = sim.addr.to_string();
        assert!(!contains(&heard.lock().unwrap(), &address), "a client was told where the provider lives");
        unseen("the request lines", &lines.0.lock().unwrap());
        unseen("the metrics", app.telemetry.render(&gateway::monitor::read(&app)).as_bytes());
        unseen("the log", log().as_bytes());
    }

    /// What must hold whenever no client waits for anything.
    pub async fn check(&self) {
        let (app, sim) = (&self.app, &self.sim);
        eventually("nothing in flight", || app.flow.in_flight() == 0).await;
        eventually("no request open at the provider", || sim.open_requests() == 0).await;
        let catalog = app.catalog.load_full();
        assert_eq!(app.admission.free(), catalog.config.bounds.in_flight, "admission slots");
        assert_eq!(app.admission.waiting(), 0, "waiting for admission");
        for channel in catalog.channels() {
            assert_eq!(channel.occupancy.inside(), 0, "places of channel {}", channel.name);
        }
        if let Some(key) = catalog.key(KEY) {
            for whose in Whose::ALL {
                let meter = key.limits.of(whose);
                let left = (meter.inside(), meter.waiting(), meter.reserved());
                assert_eq!(left, (0, 0, 0), "in, waiting, tokens: {whose:?}");
            }
        }
        assert!(app.flow.census().unaccounted.is_empty(), "unaccounted");
        eventually("every settlement written", || app.settlements_open() == 0).await;
        if let Some(key) = catalog.key(KEY) {
            // What nobody told the usage of is held until it is estimated.
            let held = |purse: &store::purse::Purse| purse.state().held != store::Nanos::ZERO;
            eventually("no money held", || !held(&key.purse) && !held(&key.account)).await;
        }
    }
}

/// What must hold after the stop.
fn after(sim: &Sim, app: &App, lines: &[Value]) {
    let flow = &app.flow;
    assert_eq!(flow.in_flight(), 0);
    let finished: u64 = Ending::ALL.iter().map(|ending| flow.finished(*ending)).sum();
    assert_eq!(flow.started(), finished, "started and finished");
    assert_eq!(lines.len() as u64, finished, "settlement lines");
    let ids: HashSet<&str> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), lines.len(), "a request was settled twice");
    for ending in Ending::ALL {
        let written = lines.iter().filter(|line| line["ending"] == ending.name()).count();
        assert_eq!(written as u64, flow.finished(ending), "endings {}", ending.name());
    }
    assert_eq!(sim.open_requests(), 0);
    assert_eq!(app.sockets().0, 0, "client sockets");
}

fn unseen(place: &str, bytes: &[u8]) {
    assert!(!contains(bytes, SECRET), "an upstream's secret is in {place}");
}

/// What the whole process has logged so far.
pub fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

/// Waits, within a bound, until something is so.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "never came: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Runs cases side by side: most of their time is waiting.
pub async fn side_by_side<F>(cases: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running: JoinSet<()> = cases.into_iter().collect();
    while let Some(result) = running.join_next().await {
        if let Err(error) = result {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// A request with the caller's key and a JSON body.
pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json")
        .body(body)
}

pub fn get(path: impl Into<String>) -> Request {
    Request::new("GET", path).header("authorization", format!("Bearer {KEY}"))
}

/// The least that a dialect's main door takes, for the model `sim`: path and body.
pub fn plain(dialect: &str) -> Request {
    match dialect {
        "openai_chat" => post(CHAT, r#"{"model":"sim","messages":[]}"#),
        "openai_responses" => post(RESPONSES, r#"{"model":"sim","input":"hi"}"#),
        "anthropic_messages" => post(MESSAGES, r#"{"model":"sim","max_tokens":99,"messages":[]}"#),
        "gemini_generate" => post(GEMINI, r#"{"contents":[]}"#),
        other => unreachable!("{other}"),
    }
}

/// The same, streamed.
pub fn stream(dialect: &str) -> Request {
    match dialect {
        "openai_chat" => post(CHAT, r#"{"model":"sim","messages":[],"stream":true}"#),
        "openai_responses" => post(RESPONSES, r#"{"model":"sim","input":"hi","stream":true}"#),
        "anthropic_messages" => {
            post(MESSAGES, r#"{"model":"sim","max_tokens":99,"messages":[],"stream":true}"#)
        }
        "gemini_generate" => post(GEMINI_SSE, r#"{"contents":[]}"#),
        other => unreachable!("{other}"),
    }
}

/// The data of each event of a stream.
pub fn events(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    let data = |event: &str| {
        let lines: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    text.split("\n\n").filter_map(data).collect()
}

/// Whether `value` is an error in the words of `dialect`, outside of a stream.
#[track_caller]
pub fn assert_error(dialect: &str, value: &Value, status: u16) {
    let error = &value["error"];
    let told = |part: &Value| part.as_str().is_some_and(|text| !text.is_empty());
    assert!(told(&error["message"]), "no message: {value}");
    match dialect {
        "openai_chat" | "openai_responses" => {
            assert!(told(&error["type"]), "no type: {value}");
            assert!(error.get("param").is_some() && error.get("code").is_some(), "no param or code: {value}");
        }
        "anthropic_messages" => {
            assert_eq!(value["type"], "error", "{value}");
            assert!(told(&error["type"]), "no type: {value}");
        }
        "gemini_generate" => {
            assert_eq!(error["code"], status, "{value}");
            assert!(told(&error["status"]), "no status: {value}");
        }
        other => unreachable!("{other}"),
    }
}

/// The error event of a dialect, from the data of an event; none if it is another one.
pub fn error_event(dialect: &str, data: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(data).ok()?;
    let is_error = match dialect {
        "openai_responses" => value["type"] == "error" || value["type"] == "response.failed",
        "anthropic_messages" => value["type"] == "error",
        _ => value.get("error").is_some(),
    };
    is_error.then_some(value)
}

/// A provider of made-up words: it gives every request the same bytes, however they look.
pub struct Parrot {
    pub address: SocketAddr,
    calls: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Parrot {
    /// `words` gets the address, to tell it. With `hangs` the connection stays open behind them.
    pub async fn start(words: impl FnOnce(SocketAddr) -> Vec<u8>, hangs: bool) -> Parrot {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (words, calls) = (Arc::new(words(address)), Arc::new(AtomicUsize::new(0)));
        let counted = calls.clone();
        let serving = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (words, counted) = (words.clone(), counted.clone());
                open.spawn(async move {
                    let mut request = vec![0; 64 * 1024];
                    if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    let _ = stream.write_all(&words).await;
                    if !hangs {
                        let _ = stream.shutdown().await;
                    }
                    while stream.read(&mut request).await.is_ok_and(|count| count > 0) {}
                });
            }
        });
        Parrot { address, calls, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An HTTP answer as bytes; `missing` bytes of the body are promised and do not come.
pub fn said(status: u16, headers: &str, body: &str, missing: usize) -> Vec<u8> {
    let length = body.len() + missing;
    format!(
        "HTTP/1.1 {status} Made-Up\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An error in the words of `dialect`, as providers write it.
pub fn worded(dialect: &str, status: u16, kind: &str, code: &str, message: &str) -> Value {
    match dialect {
        "openai_chat" | "openai_responses" => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        }
        "anthropic_messages" => {
            json!({"type": "error", "error": {"type": kind, "message": message, "code": code}})
        }
        "gemini_generate" => {
            let details = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code}]);
            json!({"error": {"code": status, "status": kind, "message": message, "details": details}})
        }
        other => unreachable!("{other}"),
    }
}

/// Events of a stream of `dialect` up to its first content.
pub fn first_words(dialect: &str) -> String {
    let events: &[&str] = match dialect {
        "openai_chat" => {
            &[r#"{"id":"c","choices":[{"index":0,"delta":{"content":"one"},"finish_reason":null}]}"#]
        }
        "openai_responses" => &[
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress"}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":1,"item_id":"m","output_index":0,"content_index":0,"delta":"one"}"#,
        ],
        "anthropic_messages" => &[
            r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one"}}"#,
        ],
        "gemini_generate" => &[r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"one"}]}}]}"#],
        other => unreachable!("{other}"),
    };
    events.iter().map(|data| event(data)).collect()
}

/// One event of a stream, with the name that its data has.
pub fn event(data: &str) -> String {
    let value: Value = serde_json::from_str(data).unwrap();
    match value["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

//! What monitors ask: health, readiness, metrics; and the watch that speaks up by itself.
//!
//! `/healthz` and `/readyz` say yes or no to anybody. `/api/monitor/health` and `/metrics` say more, and say it to
//! loopback or to the bearer of `monitor.token` only.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::{
    runtime::Handle,
    time::{Duration, MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use crate::{
    app::App,
    catalog::digest,
    connection::Connection,
    ending::Ending,
    flow::Phase,
    pipeline::reply::ReplyBody,
    reading::{Reading, memory},
};

/// How often the watch reads.
const WATCH_EVERY: Duration = Duration::from_secs(1);

pub fn read(app: &App) -> Reading {
    let (client_sockets, upstream_sockets) = app.sockets();
    Reading {
        census: app.flow.census(),
        tasks: Handle::current().metrics().num_alive_tasks(),
        started: app.flow.started(),
        client_sockets,
        upstream_sockets,
        memory: memory(),
    }
}

/// Whether this caller may read what is going on: from loopback without a proxy in between, or with the token.
pub fn may_read(app: &App, connection: &Connection, headers: &HeaderMap) -> bool {
    let catalog = app.catalog.load();
    let token = catalog.config.monitor.token.as_ref();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if let (Some(token), Some(bearer)) = (token, bearer) {
        return digest(token.reveal()) == digest(bearer.trim());
    }
    // A reverse proxy on this machine speaks from loopback for everybody behind it.
    let proxied =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    connection.peer.ip().to_canonical().is_loopback() && !proxied
}

pub fn not_allowed() -> Response<ReplyBody> {
    let text = "This needs the monitor's token: send `Authorization: Bearer TOKEN` with the value of monitor.token.\n";
    let mut response = plain(StatusCode::UNAUTHORIZED, text.into());
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

pub fn healthz() -> Response<ReplyBody> {
    plain(StatusCode::OK, "yes\n".into())
}

pub fn readyz(app: &App) -> Response<ReplyBody> {
    if app.shutdown.draining() {
        plain(StatusCode::SERVICE_UNAVAILABLE, "no\n".into())
    } else {
        plain(StatusCode::OK, "yes\n".into())
    }
}

pub fn metrics(app: &App) -> Response<ReplyBody> {
    let mut response = plain(StatusCode::OK, app.telemetry.render(&read(app)).into());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

pub fn health(app: &App) -> Response<ReplyBody> {
    let reading = read(app);
    let violations = app.findings.all();
    let status = if app.shutdown.draining() {
        "stopping"
    } else if !reading.census.unaccounted.is_empty() {
        "unaccounted"
    } else if !violations.is_empty() {
        "books"
    } else {
        "ok"
    };
    let phases: Map<String, Value> = Phase::ALL
        .iter()
        .map(|phase| (phase.name().to_owned(), json!(reading.census.by_phase[*phase as usize])))
        .collect();
    let endings: Map<String, Value> = Ending::ALL
        .iter()
        .map(|ending| (ending.name().to_owned(), json!(app.flow.finished(*ending))))
        .collect();
    const MB: f64 = 1024.0 * 1024.0;
    let megabytes = |bytes: u64| (bytes as f64 / MB * 10.0).round() / 10.0;
    let body = json!({
        "status": status,
        "tasks": reading.tasks,
        "goroutines": reading.tasks,
        "in_flight": phases,
        "oldest_ms": reading.census.oldest_ms,
        "started": reading.started,
        "finished": endings,
        "unaccounted": reading.census.unaccounted.len(),
        "unaccounted_ids": reading.census.unaccounted.iter().take(20).map(ToString::to_string).collect::<Vec<_>>(),
        "waiting_for_admission": app.admission.waiting(),
        "settlements_open": app.settlements_open(),
        "books": { "violations": violations.len(), "first": violations.first() },
        "sockets": { "clients": reading.client_sockets, "upstreams": reading.upstream_sockets },
        "memory": {
            "alloc_mb": megabytes(reading.memory.anonymous_bytes),
            "sys_mb": megabytes(reading.memory.resident_bytes),
        },
    });
    let mut response = plain(StatusCode::OK, body.to_string().into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, body: Bytes) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(body, None));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Where a count stands against its two limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Calm,
    Warn,
    Alarm,
}

impl Level {
    pub fn of(count: usize, warn: usize, alarm: usize) -> Level {
        match count {
            count if count >= alarm => Level::Alarm,
            count if count >= warn => Level::Warn,
            _ => Level::Calm,
        }
    }
}

/// Logs each crossing of a limit once, in both directions, not once per look.
pub async fn watch(app: Arc<App>) {
    let mut ticks = interval(WATCH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut tasks, mut in_flight, mut unaccounted) = (Level::Calm, Level::Calm, 0);
    loop {
        ticks.tick().await;
        let limits = app.catalog.load().config.flow.clone();
        let reading = read(&app);
        let present = app.flow.in_flight();
        cross("tasks", &mut tasks, reading.tasks, Level::of(reading.tasks, limits.warn, limits.alarm));
        cross("requests in flight", &mut in_flight, present, Level::of(present, limits.warn, limits.alarm));
        if reading.census.unaccounted.len() > unaccounted {
            let ids = &reading.census.unaccounted;
            warn!(count = ids.len(), first = ?ids.first(), "requests that outlived their connection or deadlines");
        }
        unaccounted = reading.census.unaccounted.len();
    }
}

fn cross(what: &str, level: &mut Level, count: usize, now: Level) {
    if now == *level {
        return;
    }
    match now {
        Level::Calm => info!(count, "{what}: back to normal"),
        Level::Warn => warn!(count, "{what}: past flow.warn"),
        Level::Alarm => error!(count, "{what}: past flow.alarm"),
    }
    *level = now;
}

//! The sim's record over HTTP, for tests that run in another process.
//!
//! In: a path; out: JSON. It must never show a whole secret.

use crate::record::Record;
use crate::served::{Outcome, Served};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// The answer to `/~log` and `/~stats`; `None` for other paths.
pub(crate) fn answer(path: &str, record: &Record) -> Option<String> {
    match path {
        "/~log" => Some(Value::from_iter(record.log().iter().map(line)).to_string()),
        "/~stats" => Some(stats(record).to_string()),
        _ => None,
    }
}

fn stats(record: &Record) -> Value {
    json!({
        "open_requests": record.open_requests.load(Ordering::Relaxed),
        "open_connections": record.open_connections.load(Ordering::Relaxed),
        "connections_total": record.connections_total.load(Ordering::Relaxed),
        "served": record.served.load(Ordering::Relaxed),
        "peer_closed": record.peer_closed.load(Ordering::Relaxed),
    })
}

fn line(served: &Served) -> Value {
    let secret_end = served.secret.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    let outcome = match served.outcome {
        Outcome::Open => "open",
        Outcome::Answered => "answered",
        Outcome::Cut => "cut",
        Outcome::PeerClosed { .. } => "peer_closed",
        Outcome::Refused => "refused",
    };
    let ended_ms = served.ended.map(|at| at.duration_since(served.arrived).as_millis() as u64);
    json!({
        "id": served.id,
        "method": served.method,
        "path": served.path,
        "model": served.model,
        "secret_end": &served.secret[secret_end..],
        "outcome": outcome,
        "body_len": served.body_len,
        "bytes_sent": served.bytes_sent,
        "ended_after_ms": ended_ms,
        "usage": served.usage.map(|usage| json!({"input": usage.input, "output": usage.output})),
    })
}

//! The settler: one task that writes down how every request ended.
//!
//! In: settlements from the bounded queue, in which every running request has its place reserved. Out: one JSON line each,
//! and the metrics. If the line cannot be written away the queue fills and new requests are refused with 503: nothing
//! is dropped and nothing grows.

use std::{io::Write, sync::Arc};

use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Duration, sleep},
};
use tracing::error;

use crate::{app::App, settlement::Settlement, shutdown::Stage};

/// Settlements taken at once.
const BATCH: usize = 1024;
/// Pause between batches: many requests share one wake-up and one write.
const GATHER: Duration = Duration::from_millis(20);

/// Where the lines go.
pub type Sink = Box<dyn Write + Send>;

/// Writes until the stop is over and the queue is empty.
pub async fn run(app: Arc<App>, mut queue: mpsc::Receiver<Box<Settlement>>, mut sink: Sink) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut lines = Vec::new();
    loop {
        tokio::select! {
            count = queue.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            () = app.shutdown.reached(Stage::Over), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        }
        let catalog = app.catalog.load_full();
        for settlement in batch.drain(..) {
            let named = catalog.names(&settlement.model);
            app.telemetry.observe(&settlement, named.then_some(settlement.model.as_str()), &catalog);
            write_line(&mut lines, &settlement);
        }
        // A stalled sink must not hold up the threads that serve requests.
        let written = tokio::task::spawn_blocking(move || {
            let result = sink.write_all(&lines).and_then(|()| sink.flush());
            lines.clear();
            (sink, lines, result)
        })
        .await;
        match written {
            Ok((same_sink, same_lines, result)) => {
                (sink, lines) = (same_sink, same_lines);
                if let Err(error) = result {
                    error!(%error, "request lines cannot be written");
                }
            }
            Err(_) => return, // The runtime is going down.
        }
        if !queue.is_closed() {
            sleep(GATHER).await;
        }
    }
}

/// One request as one line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    request_id: uuid::Uuid,
    dialect: &'static str,
    operation: &'static str,
    key: Option<&'a str>,
    model: &'a str,
    stream: bool,
    channel: Option<&'a str>,
    attempts: Vec<AttemptLine<'a>>,
    ending: &'static str,
    status: u16,
    cause: Option<&'a str>,
    usage: Option<UsageLine>,
    bytes_in: u64,
    bytes_out: u64,
    queued_ms: u64,
    first_byte_ms: Option<u64>,
    total_ms: u64,
    upstream_request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AttemptLine<'a> {
    channel: &'a str,
    started_ms: u64,
    took_ms: u64,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
}

#[derive(Serialize)]
struct UsageLine {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    audio_input: u64,
    image_input: u64,
    output: u64,
    reasoning: u64,
    audio_output: u64,
    image_output: u64,
    total: u64,
}

fn write_line(out: &mut Vec<u8>, settlement: &Settlement) {
    let attempts = settlement.attempts.iter().map(|attempt| AttemptLine {
        channel: &attempt.channel,
        started_ms: attempt.started_ms,
        took_ms: attempt.took_ms,
        status: attempt.status,
        fault: attempt.fault.as_deref(),
    });
    let line = Line {
        at: humantime::format_rfc3339_millis(settlement.at).to_string(),
        request_id: settlement.request_id,
        dialect: settlement.door.dialect.name(),
        operation: settlement.door.operation.name(),
        key: settlement.key.as_deref(),
        model: &settlement.model,
        stream: settlement.stream,
        channel: settlement.channel().map(|channel| &**channel),
        attempts: attempts.collect(),
        ending: settlement.ending.name(),
        status: settlement.status,
        cause: settlement.cause.as_deref(),
        usage: settlement.usage.map(|usage| UsageLine {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            cache_write_1h: usage.cache_write_1h,
            audio_input: usage.audio_input,
            image_input: usage.image_input,
            output: usage.output,
            reasoning: usage.reasoning,
            audio_output: usage.audio_output,
            image_output: usage.image_output,
            total: usage.total(),
        }),
        bytes_in: settlement.bytes_in,
        bytes_out: settlement.bytes_out,
        queued_ms: settlement.queued_ms,
        first_byte_ms: settlement.first_byte_ms,
        total_ms: settlement.total_ms,
        upstream_request_id: settlement.upstream_request_id.as_deref(),
    };
    // Writing into memory and plain structs cannot fail.
    let _ = serde_json::to_writer(&mut *out, &line);
    out.push(b'\n');
}

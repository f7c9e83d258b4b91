//! The settler: one task that writes down how every request ended.
//!
//! In: settlements from the bounded queue, in which every running request has its place reserved. Out: one JSON line each,
//! and the metrics. While lines cannot be written away the queue fills and new requests are refused with 503: nothing
//! is dropped and nothing grows.

mod line;

use std::{
    io::{ErrorKind, Write},
    sync::Arc,
};

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

/// Pause before a sink that refused is tried again.
const WRITE_PAUSE: Duration = Duration::from_millis(200);

/// Where the lines go.
pub type Sink = Box<dyn Write + Send>;

/// Writes until the stop is over and the queue is empty.
pub async fn run(app: Arc<App>, mut queue: mpsc::Receiver<Box<Settlement>>, mut sink: Sink) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut lines = Vec::new();
    let mut observer = app.telemetry.observer();
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
        observer.observe(batch.iter().map(|settlement| &**settlement), &app.catalog.load());
        for settlement in batch.drain(..) {
            line::write(&mut lines, &settlement);
        }
        // A stalled sink must not hold up the threads that serve requests.
        let away = tokio::task::spawn_blocking(move || {
            write_away(&mut *sink, &mut lines);
            (sink, lines)
        });
        match away.await {
            Ok(back) => (sink, lines) = back,
            Err(_) => return, // The runtime is going down.
        }
        if !queue.is_closed() {
            sleep(GATHER).await;
        }
    }
}

/// Writes all lines, however long the sink refuses them (a full disk): meanwhile the queue fills, and new requests are
/// refused. Only a reader that has gone for good is given up.
fn write_away(sink: &mut dyn Write, lines: &mut Vec<u8>) {
    let mut complained = false;
    while !lines.is_empty() {
        match sink.write(lines) {
            Ok(0) => {}
            Ok(count) => {
                lines.drain(..count);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                error!("nobody reads the request lines any more: they are lost");
                lines.clear();
                return;
            }
            Err(error) if !complained => {
                complained = true;
                error!(%error, "request lines cannot be written; trying again until they can");
            }
            Err(_) => {}
        }
        std::thread::park_timeout(WRITE_PAUSE);
    }
    // What a flush cannot do, the next write says.
    let _ = sink.flush();
}

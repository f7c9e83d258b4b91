//! The settler: one task that writes down how every request ended.
//!
//! In: settlements from the bounded queue, in which every running request has its place reserved. Out: one JSON line each,
//! and the metrics. If the line cannot be written away the queue fills and new requests are refused with 503: nothing
//! is dropped and nothing grows.

mod line;

use std::{io::Write, sync::Arc};

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
            app.telemetry.observe(&settlement, &catalog);
            line::write(&mut lines, &settlement);
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

//! The settler: one task that writes down how every request ended.
//!
//! In: settlements from the bounded queue, in which every running request has its place reserved, and the requests in
//! flight. Out: rows in the books, one JSON line each, and the metrics. While the database or the sink refuses, the queue
//! fills and new requests are refused with 503: nothing is dropped and nothing grows.

pub(crate) mod line;

use std::{
    io::{ErrorKind, Write},
    sync::{Arc, atomic::AtomicU64},
};

use prometheus_client::metrics::counter::Counter;
use rustix::time::{ClockId, clock_gettime};
use store::{
    Database,
    ledger::{self, Batch},
};
use tokio::{
    sync::mpsc,
    time::{Duration, MissedTickBehavior, interval, sleep},
};
use tracing::{error, info};

use crate::{
    app::App,
    charge::{self, LOOK_EVERY, Open},
    settlement::Settlement,
    shutdown::Stage,
};

/// Settlements taken at once.
const BATCH: usize = 1024;
/// Pause between batches: many requests share one wake-up and one write.
const GATHER: Duration = Duration::from_millis(20);

/// Pause before a sink that refused is tried again.
const WRITE_PAUSE: Duration = Duration::from_millis(200);

/// Where the lines go.
pub type Sink = Box<dyn Write + Send>;

/// Writes until the stop is over and the queue is empty.
pub async fn run(app: Arc<App>, mut queue: mpsc::Receiver<Box<Settlement>>, sink: Sink) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut writer = Writer {
        sink,
        lines: Vec::new(),
        rows: Batch::default(),
        database: app.database.clone(),
        cpu: app.telemetry.books_cpu.clone(),
    };
    let (mut observer, mut open) = (app.telemetry.observer(), Open::default());
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            count = queue.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            _ = looks.tick() => writer.rows.opened = open.find(&app.flow),
            () = app.shutdown.reached(Stage::Over), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        }
        observer.observe(batch.iter().map(|settlement| &**settlement), &app.catalog.load());
        for mut settlement in batch.drain(..) {
            let charge = charge::settle(&mut settlement);
            line::write(&mut writer.lines, &settlement, charge);
            writer.rows.ended.extend(open.end(&settlement, charge));
        }
        if writer.rows.is_empty() && writer.lines.is_empty() {
            continue;
        }
        // A stalled disk must not hold up the threads that serve requests.
        match tokio::task::spawn_blocking(move || writer.write_away()).await {
            Ok(back) => writer = back,
            Err(_) => return, // The runtime is going down.
        }
        if !queue.is_closed() {
            sleep(GATHER).await;
        }
    }
}

/// What is to be written, and where.
struct Writer {
    sink: Sink,
    lines: Vec<u8>,
    rows: Batch,
    database: Arc<Database>,
    cpu: Counter<f64, AtomicU64>,
}

impl Writer {
    /// The books first: a line that was read must stand in them.
    fn write_away(mut self) -> Writer {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        enter(&self.database, &mut self.rows);
        let spent = clock_gettime(ClockId::ThreadCPUTime) - before;
        self.cpu.inc_by(Duration::try_from(spent).unwrap_or_default().as_secs_f64());
        write_away(&mut *self.sink, &mut self.lines);
        self
    }
}

/// Commits the rows, however long the database refuses them: meanwhile the queue fills, and new requests are refused.
fn enter(database: &Database, rows: &mut Batch) {
    let mut complained = false;
    while let Err(error) = ledger::commit(database, rows) {
        if !complained {
            error!(%error, "settlements cannot be written into the books; trying again until they can");
        }
        complained = true;
        std::thread::park_timeout(WRITE_PAUSE);
    }
    if complained {
        info!("settlements are written into the books again");
    }
    rows.opened.clear();
    rows.ended.clear();
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

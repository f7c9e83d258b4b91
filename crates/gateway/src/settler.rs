//! The settler: one task that writes down how every request ended.
//!
//! In: settlements from the bounded queue, in which every running request has its place reserved, and the requests in
//! flight. Out: rows in the books, one JSON line each, and the metrics. While the database or the sink refuses, the queue
//! fills and new requests are refused with 503: nothing is dropped and nothing grows.

pub(crate) mod line;
mod measure;
mod open;

use std::{
    io::{ErrorKind, Write},
    panic::resume_unwind,
    sync::Arc,
};

use store::{
    Database,
    ledger::{self, Batch},
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
    time::{Duration, MissedTickBehavior, interval, sleep},
};
use tracing::{error, info};

use self::{
    measure::Measuring,
    open::{LOOK_EVERY, Open},
};
use crate::{
    app::App,
    settlement::Settled,
    shutdown::Stage,
    telemetry::{Observer, thread_cpu},
};

/// Settlements taken at once.
const BATCH: usize = 1024;
/// Pause between batches: many requests share one wake-up, one write, and the pages of the indexes that they change.
const GATHER: Duration = Duration::from_millis(40);

/// Pause before a sink that refused is tried again.
const WRITE_PAUSE: Duration = Duration::from_millis(200);

/// Where the lines go.
pub type Sink = Box<dyn Write + Send>;

/// Lines that wait for a slow reader before settlements are left in their queue.
const LINES_WAITING: usize = 4 * 1024 * 1024;

/// The room for lines that is kept between two batches: what a batch of a busy second needs.
const LINES_KEPT: usize = 1024 * 1024;

/// The batch window. A process that is killed may leave out of its books what happened within it: settlements, and requests
/// that had just been admitted. Everything older is there, unless the disk was slower than the window.
pub const WINDOW: Duration = Duration::from_millis(200);

/// Starts the settler. Without it nothing is charged and nothing written: a process whose settler panicked must not go on.
pub fn start(app: Arc<App>, queue: mpsc::Receiver<Settled>, sink: Sink) -> JoinHandle<()> {
    tokio::spawn(async move {
        let ended = tokio::spawn(run(app, queue, sink)).await;
        if ended.is_err_and(|error| error.is_panic()) {
            error!("the settler panicked: the process ends, and what ran is found as lost at the next start");
            #[expect(
                clippy::disallowed_methods,
                reason = "nothing can be settled any more: to go on would serve for nothing"
            )]
            std::process::abort();
        }
    })
}

/// Writes until the stop is over and the queue is empty.
async fn run(app: Arc<App>, mut queue: mpsc::Receiver<Settled>, sink: Sink) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut desk = Desk::new(&app, sink);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            // First: however much there is to settle, what runs is written down in time.
            _ = looks.tick(), if !queue.is_closed() => desk.rows.opened = desk.open.find(&app.flow),
            () = desk.lines.written() => {}
            measured = desk.measuring.measured() => batch = measured,
            count = queue.recv_many(&mut batch, BATCH), if desk.has_room() => {
                if count == 0 {
                    break;
                }
            }
            () = app.shutdown.reached(Stage::Over), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        }
        // Under such a load that a batch waits already, there is nothing to gather.
        if desk.write(&app, &mut batch).await && !queue.is_closed() && queue.len() < BATCH {
            sleep(GATHER).await;
        }
    }
    while !desk.measuring.is_empty() {
        desk.measuring.begin();
        batch = desk.measuring.measured().await;
        desk.write(&app, &mut batch).await;
    }
    while !desk.lines.waiting.is_empty() || desk.lines.under_way.is_some() {
        desk.lines.begin();
        desk.lines.written().await;
    }
}

/// What the settler has in hand.
struct Desk {
    rows: Batch,
    open: Open,
    lines: Lines,
    measuring: Measuring,
    observer: Observer,
}

impl Desk {
    fn new(app: &App, sink: Sink) -> Desk {
        Desk {
            rows: Batch::default(),
            open: Open::default(),
            lines: Lines { sink: Some(sink), waiting: Vec::new(), under_way: None },
            measuring: Measuring::default(),
            observer: app.telemetry.observer(),
        }
    }

    fn has_room(&self) -> bool {
        self.lines.waiting.len() < LINES_WAITING && self.measuring.has_room()
    }

    /// Writes down what has ended, and what runs; whether anything had ended.
    async fn write(&mut self, app: &App, batch: &mut Vec<Settled>) -> bool {
        for settlement in batch.extract_if(.., |settlement| settlement.owed.is_some()) {
            let hold = settlement.owed.as_ref().map(|owed| owed.terms.hold.amount()).unwrap_or_default();
            self.rows.opened.extend(self.open.wait(&settlement, hold));
            self.measuring.put(settlement);
        }
        self.measuring.begin();
        if let Some(tokenizer) = app.counter.idle() {
            // Hundreds of thousands of small pieces: not on a thread that serves.
            tokio::task::spawn_blocking(move || drop(tokenizer));
        }
        self.observer.observe(batch.iter().map(|settlement| &**settlement), &app.catalog.load());
        for settlement in batch.drain(..) {
            let parts = line::write(&mut self.lines.waiting, &settlement);
            self.rows.ended.extend(self.open.end(settlement, &parts));
        }
        let gathered = !self.rows.ended.is_empty();
        if !self.rows.is_empty() {
            self.rows = entered(app, std::mem::take(&mut self.rows)).await;
        }
        // The books first: a line that was read stands in them.
        self.lines.begin();
        gathered
    }
}

/// Enters the rows into the books, on a thread that may block; the emptied batch comes back.
async fn entered(app: &App, mut rows: Batch) -> Batch {
    let (database, cpu) = (app.database.clone(), app.telemetry.books_cpu.clone());
    let entering = tokio::task::spawn_blocking(move || {
        let ((), spent) = thread_cpu(|| enter(&database, &mut rows));
        cpu.inc_by(spent.as_secs_f64());
        rows
    });
    done(entering).await.unwrap_or_default()
}

/// The result of a blocking task; `None`: the runtime is going down. Its panic is this task's.
async fn done<T>(task: impl Future<Output = Result<T, JoinError>>) -> Option<T> {
    match task.await {
        Ok(result) => Some(result),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

/// The request lines on their way out: one write at a time, on a thread that may block.
struct Lines {
    /// Here while nothing is under way.
    sink: Option<Sink>,
    waiting: Vec<u8>,
    under_way: Option<JoinHandle<(Sink, Vec<u8>)>>,
}

impl Lines {
    /// Begins to write what waits, unless a write is under way.
    fn begin(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if let Some(mut sink) = self.sink.take() {
            let mut lines = std::mem::take(&mut self.waiting);
            self.under_way = Some(tokio::task::spawn_blocking(move || {
                write_away(&mut *sink, &mut lines);
                (sink, lines)
            }));
        }
    }

    /// Resolves when the write under way is done; never, when there is none.
    async fn written(&mut self) {
        let Some(writing) = &mut self.under_way else { return std::future::pending().await };
        let written = done(writing).await;
        self.under_way = None;
        let Some((sink, room)) = written else { return };
        self.sink = Some(sink);
        if self.waiting.is_empty() && room.capacity() <= LINES_KEPT {
            self.waiting = room;
        }
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

//! Sluice with its books on, for a minute or for ten: how many requests it settles, that each of them stands in the books, and
//! whether it grows.
//!
//! In: a length. Out: figures. The load stops asking and waits for its last answers, Sluice is stopped in order, and then the
//! books are counted: a request that was answered and is not there fails the run, and so does one too many.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use store::{database::reader, report};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    bench::ways::{Case, Upstreams, Way, channels},
    load::connection::Connection,
    procfs,
    scratch::Scratch,
    servers::{
        answerer::Answerer,
        sim::Sim,
        sluice::{Sluice, books_cost},
    },
};

const CONNECTIONS: usize = 64;
/// Between two readings of memory.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// For Sluice to write down what is left.
const STOP: Duration = Duration::from_secs(60);
const BODY_BYTES: usize = 1024;

/// What came of it.
#[derive(Debug)]
pub struct Settled {
    pub answered: u64,
    pub rows: u64,
    pub elapsed: Duration,
    /// Processor time of Sluice, and of its books, for each request.
    pub cpu_micros: f64,
    pub books_micros: f64,
    /// Resident memory with the time at which it was read.
    pub memory: Vec<(Duration, u64)>,
    pub database_bytes: u64,
    pub violations: Vec<String>,
}

impl Settled {
    pub fn per_second(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64()
    }

    /// Median of the readings from one time to another.
    pub fn memory_between(&self, from: Duration, to: Duration) -> Option<f64> {
        let within = self.memory.iter().filter(|(at, _)| (from..to).contains(at));
        crate::bench::table::median(within.map(|(_, bytes)| *bytes as f64).collect())
    }
}

/// Runs for as long as `length`. Nothing is bound to a core: Sluice, the upstream and the load share what there is.
pub async fn run(length: Duration) -> Result<Settled, String> {
    let scratch = Scratch::make("settled")?;
    let sim = Sim::start(scratch.path(), None).await?;
    let answerer = Answerer::start(scratch.path(), None).await?;
    let blocks = channels(Upstreams { answerer: answerer.address, sim: sim.address });
    let mut sluice = Sluice::start(&scratch.path().join("sluice.toml"), &blocks, None, Stdio::null()).await?;
    let pid = sluice.process.pid;
    let (began, cpu_before) = (Instant::now(), procfs::cpu(pid)?);
    let (answered, memory) = load(sluice.address, length, pid).await?;
    let elapsed = began.elapsed();
    let cpu = procfs::cpu(pid)?.saturating_sub(cpu_before);
    let cost = books_cost(sluice.address).await?;
    sluice.process.terminate()?;
    if sluice.process.ended_within(STOP).await?.is_none() {
        return Err(format!("sluice does not stop: {}", sluice.process.last_words()));
    }
    let database = database(scratch.path())?;
    let books = reader(&database).and_then(|mut reader| report::books(&mut reader));
    let books = books.map_err(|error| error.to_string())?;
    let settled = Settled {
        answered,
        rows: books.requests,
        elapsed,
        cpu_micros: cpu.as_secs_f64() * 1e6 / answered as f64,
        books_micros: cost.seconds * 1e6 / cost.requests,
        memory,
        database_bytes: std::fs::metadata(&database).map_err(|error| error.to_string())?.len(),
        violations: books.violations,
    };
    if settled.rows != answered || !settled.violations.is_empty() {
        return Err(format!(
            "{answered} requests were answered and {} stand in the books; {:?}",
            settled.rows, settled.violations
        ));
    }
    Ok(settled)
}

fn database(directory: &Path) -> Result<std::path::PathBuf, String> {
    let files = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    let found = files.find(|file| file.extension().is_some_and(|end| end == "db"));
    found.ok_or_else(|| "sluice made no database".to_owned())
}

/// Asks over all connections until the time is up, and lets every request that was sent come to its end.
async fn load(
    address: SocketAddr,
    length: Duration,
    pid: u32,
) -> Result<(u64, Vec<(Duration, u64)>), String> {
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let request = Case::Lean.request(Way::Sluice, false, BODY_BYTES);
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        workers.spawn(work(address, request.clone(), stop.clone(), answered.clone()));
    }
    let (began, mut memory) = (Instant::now(), Vec::new());
    while began.elapsed() < length && workers.try_join_next().is_none() {
        sleep(SAMPLE_EVERY.min(length.saturating_sub(began.elapsed()))).await;
        memory.push((began.elapsed(), procfs::resident(pid)?));
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok((answered.load(Ordering::Relaxed), memory))
}

async fn work(
    address: SocketAddr,
    request: Bytes,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> Result<(), String> {
    let mut connection = Connection::open(address).await.map_err(|error| format!("{address}: {error}"))?;
    while !stop.load(Ordering::Relaxed) {
        let answer =
            connection.exchange(&request, |_| {}).await.map_err(|why| format!("{address}: {why}"))?;
        if answer.status != 200 || answer.closes {
            return Err(format!("{address} answered {}, closing: {}", answer.status, answer.closes));
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

//! The books under full load for minutes: how much is settled, whether all of it stands in them, and whether memory stays.
//!
//! In: a time. Out: what was seen, and its section of docs/BENCHMARKS.md. Every request that was sent is looked for in the
//! database after the gateway has ended: a row too many or too few is an error, not a number.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use store::{database, report};

use crate::{
    bench::ways::{Case, Way},
    load::steady::Steady,
    machine::Machine,
    procfs,
    scratch::Scratch,
    servers::{
        answerer::Answerer,
        sluice::{self, Sluice},
    },
};

/// Clients that each send their next request when they have their answer.
const CONNECTIONS: usize = 64;
/// How often the memory is read.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Until the gateway has written its last settlement.
const ENDING: Duration = Duration::from_secs(60);
/// Settled requests a second that are to be reached.
const TARGET: f64 = 5_000.0;
/// Processor time that the books may take of a settled request, in microseconds.
const BOOKS: f64 = 30.0;
/// The share by which memory may grow after the first tenth of the time.
const FLAT: f64 = 0.10;

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    pub sent: u64,
    pub took: Duration,
    /// The slowest interval between two looks, in requests a second.
    pub slowest: f64,
    pub cpu: Duration,
    pub books_cpu: Duration,
    /// Resident memory in bytes, look by look.
    pub resident: Vec<u64>,
    pub database_bytes: u64,
}

/// Runs it. The gateway has no core to itself: it shares them with the clients and the upstream.
pub async fn run(time: Duration) -> Result<Seen, String> {
    let scratch = Scratch::make("bench-settled")?;
    let answerer = Answerer::start(scratch.path(), None).await?;
    let file = scratch.path().join("sluice.toml");
    let price = "[[price]]\nmodel = \"*\"\ninput = 2.5\noutput = 10\n";
    let channel = sluice::channel("lean", "openai_chat", answerer.address, "healthy", "bench-lean", price);
    let mut sluice = Sluice::start(&file, &channel, None, Stdio::null()).await?;
    let books = sluice::books(&file, sluice.address);

    let request = Case::Lean.request(Way::Sluice, false, 1024);
    let began = Instant::now();
    let mut steady = Steady::start(sluice.address, &request, CONNECTIONS);
    let (mut resident, mut slowest, mut before) = (Vec::new(), f64::INFINITY, 0);
    while began.elapsed() < time {
        let look = Instant::now();
        steady.go_on(LOOK_EVERY.min(time)).await?;
        let answered = steady.answered();
        slowest = slowest.min((answered - before) as f64 / look.elapsed().as_secs_f64());
        before = answered;
        resident.push(procfs::resident(sluice.process.pid)?);
    }
    let sent = steady.stop().await?;
    let took = began.elapsed();
    let cpu = procfs::cpu(sluice.process.pid)?;
    let books_cpu = Duration::from_secs_f64(sluice::books_cost(sluice.address).await?.seconds);
    sluice.process.terminate()?;
    match sluice.process.ended_within(ENDING).await? {
        Some(status) if status.success() => {}
        Some(status) => return Err(format!("sluice ended with {status}: {}", sluice.process.last_words())),
        None => return Err(format!("sluice did not end within {ENDING:?}")),
    }
    let database_bytes = std::fs::metadata(&books).map_err(|error| error.to_string())?.len();
    check(&books, sent)?;
    Ok(Seen { sent, took, slowest, cpu, books_cpu, resident, database_bytes })
}

/// What stands in the database is what was sent, settled, and every rule of the books holds.
fn check(books: &Path, sent: u64) -> Result<(), String> {
    let found = database::reader(books).and_then(|mut reader| report::books(&mut reader));
    let found = found.map_err(|error| error.to_string())?;
    if !found.violations.is_empty() {
        return Err(format!("the books do not balance: {:?}", found.violations));
    }
    if (found.requests, found.open_requests) != (sent, 0) {
        let (rows, open) = (found.requests, found.open_requests);
        return Err(format!("{sent} requests were sent; {rows} stand in the books, and {open} as open"));
    }
    Ok(())
}

impl Seen {
    fn per_second(&self) -> f64 {
        self.sent as f64 / self.took.as_secs_f64()
    }

    /// Memory at the end of the first tenth, the most after it, and at the end.
    fn memory(&self) -> (u64, u64, u64) {
        let tenth = self.resident.len() / 10;
        let after = self.resident.get(tenth..).unwrap_or_default();
        let at = |index: Option<&u64>| index.copied().unwrap_or_default();
        (at(after.first()), at(after.iter().max()), at(after.last()))
    }

    pub fn section(&self, machine: &Machine, profile: &str) -> String {
        let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / self.sent as f64;
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let verdict = |reached: bool| if reached { "reached" } else { "**missed**" };
        let (first, most, last) = self.memory();
        let growth = last as f64 / first as f64 - 1.0;
        format!(
            "\
## Settled, for minutes

Written by `make bench-settled` on {date}: {cpu}, {cores} cores, {memory:.0} GB, {busy:.0} % busy before the run, profile {profile}.
{CONNECTIONS} clients, each sending a 1 KB request when it has its answer, for {seconds:.0} s; clients, upstream and gateway share all
cores. Every request is priced, held, settled and logged, in SQLite with all indexes.

| | | target | |
|---|---|---|---|
| requests sent, and settled | {sent} | | |
| rows in the books after the end | {sent} | as many | reached |
| settled a second | {rate:.0} | ≥ {TARGET:.0} | {rate_verdict} |
| settled a second, the slowest {every:.0} s | {slowest:.0} | ≥ {TARGET:.0} | {slow_verdict} |
| CPU of the gateway per request | {all:.1} µs | | |
| of that, the books | {books:.1} µs | ≤ {BOOKS:.0} µs | {books_verdict} |
| memory after the first tenth, most, at the end | {first:.1}, {most:.1}, {last:.1} MB | within {flat:.0} % | {flat_verdict} ({growth:+.1} %) |
| the database at the end | {database:.0} MB | | |
",
            date = machine.date,
            cpu = machine.cpu,
            cores = machine.cores,
            memory = machine.memory_gb,
            busy = machine.busy * 100.0,
            seconds = self.took.as_secs_f64(),
            sent = self.sent,
            rate = self.per_second(),
            rate_verdict = verdict(self.per_second() >= TARGET),
            every = LOOK_EVERY.as_secs_f64(),
            slowest = self.slowest,
            slow_verdict = verdict(self.slowest >= TARGET),
            all = micros(self.cpu),
            books = micros(self.books_cpu),
            books_verdict = verdict(micros(self.books_cpu) <= BOOKS),
            first = mb(first),
            most = mb(most),
            last = mb(last),
            flat_verdict = verdict(growth <= FLAT),
            flat = FLAT * 100.0,
            growth = growth * 100.0,
            database = mb(self.database_bytes),
        )
    }
}

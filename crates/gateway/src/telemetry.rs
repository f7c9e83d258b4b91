//! Metrics, in Prometheus' text format; names after the OpenTelemetry GenAI conventions where these have one.
//!
//! In: settlements, and a reading of the flow at each scrape. Out: text. Labels come from configuration or from closed
//! lists, never from a request: a caller cannot make new series.

mod observer;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Duration;

pub use self::observer::Observer;
use self::observer::{AttemptLabels, Durations, EndingLabels, Families, TokenLabels};
use crate::{flow::Phase, reading::Reading};

/// Seconds; the upper half is for reasoning models.
const SECONDS: [f64; 14] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SideLabels {
    side: &'static str,
}

fn durations() -> Durations {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    requests: Family<EndingLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    duration: Durations,
    first_token: Durations,
    tokens: Family<TokenLabels, Counter>,
    in_flight: Family<PhaseLabels, Gauge>,
    sockets: Family<SideLabels, Gauge>,
    tasks: Gauge,
    unaccounted: Gauge,
    memory: Gauge,
    estimated: Counter,
    overruns: Counter,
    overrun_nanos: Counter,
    /// Rules of the books that do not hold; the sweep's to set.
    pub books_violations: Gauge,
    started: Counter<u64, AtomicU64>,
    /// Processor time that the books took: the settler's and the checkpoints' to move.
    pub books_cpu: Counter<f64, AtomicU64>,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry::new()
    }
}

impl Telemetry {
    pub fn new() -> Telemetry {
        let mut registry = Registry::default();
        let telemetry = Telemetry {
            requests: Family::default(),
            attempts: Family::default(),
            duration: durations(),
            first_token: durations(),
            tokens: Family::default(),
            in_flight: Family::default(),
            sockets: Family::default(),
            tasks: Gauge::default(),
            unaccounted: Gauge::default(),
            memory: Gauge::default(),
            estimated: Counter::default(),
            overruns: Counter::default(),
            overrun_nanos: Counter::default(),
            books_violations: Gauge::default(),
            started: Counter::default(),
            books_cpu: Counter::default(),
            registry: Registry::default(),
        };
        let r = &mut registry;
        r.register("sluice_requests", "Requests that ended, by ending", telemetry.requests.clone());
        r.register("sluice_requests_started", "Requests that came in", telemetry.started.clone());
        r.register("sluice_attempts", "Attempts at channels, by outcome", telemetry.attempts.clone());
        r.register(
            "gen_ai_server_request_duration_seconds",
            "From the request's arrival to the end of its answer",
            telemetry.duration.clone(),
        );
        r.register(
            "gen_ai_server_time_to_first_token_seconds",
            "From the request's arrival to the first meaningful byte",
            telemetry.first_token.clone(),
        );
        r.register("gen_ai_client_token_usage", "Tokens used, in disjoint buckets", telemetry.tokens.clone());
        r.register("sluice_in_flight", "Requests in flight, by phase", telemetry.in_flight.clone());
        r.register("sluice_sockets", "Open sockets, by side", telemetry.sockets.clone());
        r.register("sluice_tasks", "Live runtime tasks", telemetry.tasks.clone());
        r.register(
            "sluice_unaccounted",
            "Requests that outlived their connection or all their deadlines",
            telemetry.unaccounted.clone(),
        );
        r.register(
            "sluice_memory_resident_bytes",
            "Resident memory of the process",
            telemetry.memory.clone(),
        );
        r.register(
            "sluice_books_cpu_seconds",
            "Processor time spent on writing the books",
            telemetry.books_cpu.clone(),
        );
        r.register(
            "sluice_estimated",
            "Requests whose usage no provider told, and that were charged by an estimate",
            telemetry.estimated.clone(),
        );
        r.register(
            "sluice_overruns",
            "Requests that were charged more than had been set aside for them",
            telemetry.overruns.clone(),
        );
        r.register(
            "sluice_overrun_nanodollars",
            "What was charged beyond what had been set aside",
            telemetry.overrun_nanos.clone(),
        );
        r.register(
            "sluice_books_violations",
            "Rules of the books that do not hold, found by the last round of the sweep",
            telemetry.books_violations.clone(),
        );
        Telemetry { registry, ..telemetry }
    }

    /// The settler's hands on the counters.
    pub fn observer(&self) -> Observer {
        let families = Families {
            requests: self.requests.clone(),
            attempts: self.attempts.clone(),
            duration: self.duration.clone(),
            first_token: self.first_token.clone(),
            tokens: self.tokens.clone(),
            estimated: self.estimated.clone(),
            overruns: self.overruns.clone(),
            overrun_nanos: self.overrun_nanos.clone(),
        };
        Observer::new(families)
    }

    /// The text of a scrape.
    pub fn render(&self, reading: &Reading) -> String {
        for phase in Phase::ALL {
            let count = reading.census.by_phase[phase as usize] as i64;
            self.in_flight.get_or_create(&PhaseLabels { phase: phase.name() }).set(count);
        }
        self.sockets.get_or_create(&SideLabels { side: "clients" }).set(reading.client_sockets);
        self.sockets.get_or_create(&SideLabels { side: "upstreams" }).set(reading.upstream_sockets);
        self.tasks.set(reading.tasks as i64);
        self.unaccounted.set(reading.census.unaccounted.len() as i64);
        self.memory.set(reading.memory.resident_bytes as i64);
        self.started.inner().store(reading.started, std::sync::atomic::Ordering::Relaxed);
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Does something, and tells the processor time that it took on this thread.
pub fn thread_cpu<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = clock_gettime(ClockId::ThreadCPUTime);
    let done = work();
    let spent = clock_gettime(ClockId::ThreadCPUTime) - before;
    (done, Duration::try_from(spent).unwrap_or_default())
}

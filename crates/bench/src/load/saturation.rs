//! Closed loop: every connection sends its next request as soon as it has the answer to the last one.
//!
//! In: an address, a request, a number of connections; out: requests answered in the measured window, the processor
//! time that somebody spent on them, and latencies. The warm-up is outside of the window. It must fail rather than count
//! anything but a 200.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{task::JoinSet, time::sleep};

use super::{Meter, connection::Connection, histogram::Histogram};

/// How hard and how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub connections: usize,
    pub warm_up: Duration,
    pub window: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct Saturation {
    pub requests: u64,
    pub elapsed: Duration,
    pub cpu: Duration,
    pub latencies: Histogram,
}

impl Saturation {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    pub fn cpu_micros_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Share of one core that the measured process used: near 1 it was the bottleneck.
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

#[derive(Default)]
struct Shared {
    counting: AtomicBool,
    requests: AtomicU64,
    latencies: Mutex<Histogram>,
}

pub async fn run(
    address: SocketAddr,
    request: &Bytes,
    plan: Plan,
    meter: Meter,
) -> Result<Saturation, String> {
    let shared = Arc::new(Shared::default());
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections {
        workers.spawn(work(address, request.clone(), shared.clone()));
    }
    window(&mut workers, plan.warm_up).await?;
    shared.counting.store(true, Ordering::Relaxed);
    let (began, cpu_before) = (Instant::now(), meter.read()?);
    let before = shared.requests.load(Ordering::Relaxed);
    window(&mut workers, plan.window).await?;
    let (elapsed, cpu_after) = (began.elapsed(), meter.read()?);
    let requests = shared.requests.load(Ordering::Relaxed) - before;
    workers.shutdown().await;
    if requests == 0 {
        return Err(format!("{address} answered nothing in {elapsed:?}"));
    }
    let latencies = std::mem::take(&mut *shared.latencies.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Saturation { requests, elapsed, cpu: cpu_after.saturating_sub(cpu_before), latencies })
}

/// Lets the workers work for a while; they only return to complain.
pub(super) async fn window(workers: &mut JoinSet<Result<(), String>>, time: Duration) -> Result<(), String> {
    tokio::select! {
        () = sleep(time) => Ok(()),
        Some(ended) = workers.join_next() => match ended {
            Ok(Ok(())) => Err("a connection ended too soon".to_owned()),
            Ok(Err(why)) => Err(why),
            Err(error) => Err(error.to_string()),
        },
    }
}

async fn work(address: SocketAddr, request: Bytes, shared: Arc<Shared>) -> Result<(), String> {
    let mut connection = Connection::open(address).await.map_err(|error| format!("{address}: {error}"))?;
    loop {
        let began = Instant::now();
        let answer =
            connection.exchange(&request, |_| {}).await.map_err(|why| format!("{address}: {why}"))?;
        if answer.status != 200 || answer.closes {
            return Err(format!("{address} answered {}, closing: {}", answer.status, answer.closes));
        }
        shared.requests.fetch_add(1, Ordering::Relaxed);
        if shared.counting.load(Ordering::Relaxed) {
            shared.latencies.lock().unwrap_or_else(PoisonError::into_inner).record(began.elapsed());
        }
    }
}

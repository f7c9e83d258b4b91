//! What the gateway says about itself, and what the kernel says about it.
//!
//! In: its address and process id; out: readings. Each is made over a connection of its own that is closed after it, so
//! that every reading counts itself once, as one task and one client socket.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    load::{connection::Connection, request},
    procfs,
};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Memory is at rest when it has not fallen for so long, or after all of [`MEMORY_LIMIT`].
const MEMORY_REST: Duration = Duration::from_secs(2);
const MEMORY_LIMIT: Duration = Duration::from_secs(20);

/// `GET /api/monitor/health`.
#[derive(Clone, Debug, Deserialize)]
struct Health {
    tasks: u64,
    in_flight: BTreeMap<String, u64>,
    started: u64,
    finished: BTreeMap<String, u64>,
    unaccounted: u64,
    waiting_for_admission: u64,
    settlements_open: u64,
    sockets: Sockets,
}

#[derive(Clone, Debug, Deserialize)]
struct Sockets {
    clients: i64,
    upstreams: i64,
}

/// One look at the gateway.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub tasks: u64,
    pub clients: i64,
    pub upstreams: i64,
    pub in_flight: u64,
    pub unaccounted: u64,
    /// Requests that wait for admission, and settlements that are not written.
    pub waiting: u64,
    pub open_settlements: u64,
    pub started: u64,
    pub finished: BTreeMap<String, u64>,
    pub resident: u64,
}

impl Reading {
    pub fn finished_sum(&self) -> u64 {
        self.finished.values().sum()
    }
}

/// Where to look.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    pub address: SocketAddr,
    pub pid: u32,
}

impl Watched {
    pub async fn read(&self) -> Result<Reading, String> {
        let health = self.health().await?;
        Ok(Reading {
            tasks: health.tasks,
            clients: health.sockets.clients,
            upstreams: health.sockets.upstreams,
            in_flight: health.in_flight.values().sum(),
            unaccounted: health.unaccounted,
            waiting: health.waiting_for_admission,
            open_settlements: health.settlements_open,
            started: health.started,
            finished: health.finished,
            resident: procfs::resident(self.pid)?,
        })
    }

    async fn health(&self) -> Result<Health, String> {
        let body = self.get("/api/monitor/health").await?;
        serde_json::from_slice(&body).map_err(|error| format!("the gateway's health: {error}"))
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        timeout(PATIENCE, self.ask(path))
            .await
            .map_err(|_| format!("GET {path}: no answer within {PATIENCE:?}"))?
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>, String> {
        let failed = |why: &dyn std::fmt::Display| format!("GET {path}: {why}");
        let mut connection = Connection::open(self.address).await.map_err(|error| failed(&error))?;
        let mut body = Vec::new();
        let answer = connection.exchange(&request::get(path), |piece| body.extend_from_slice(piece)).await;
        answer.map_err(|why| failed(&why))?;
        Ok(body)
    }

    /// Waits until the gateway has models to serve.
    pub async fn until_serving(&self, key: &str, limit: Duration) -> Result<(), String> {
        let end = Instant::now() + limit;
        loop {
            let listed = self.get(&format!("/v1/models?key={key}")).await?;
            let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap_or_default();
            if listed["data"].as_array().is_some_and(|models| !models.is_empty()) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("no models {limit:?} after the reload"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The reading with the least memory: the allocator gives back what is free in its own time, and is waited for until
    /// it has given back nothing for a while.
    pub async fn at_rest(&self) -> Result<Reading, String> {
        let mut least = self.read().await?;
        let (mut since, end) = (Instant::now(), Instant::now() + MEMORY_LIMIT);
        while since.elapsed() < MEMORY_REST && Instant::now() < end {
            sleep(LOOK_EVERY).await;
            let reading = self.read().await?;
            if reading.resident < least.resident {
                (least, since) = (reading, Instant::now());
            }
        }
        Ok(least)
    }

    /// Reads until `what` holds, for at most `limit`; the last reading either way.
    pub async fn until(&self, limit: Duration, what: impl Fn(&Reading) -> bool) -> Result<Reading, String> {
        let end = Instant::now() + limit;
        loop {
            let reading = self.read().await?;
            if what(&reading) || Instant::now() > end {
                return Ok(reading);
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// The largest values seen.
#[derive(Clone, Debug, Default)]
pub struct Highest(pub Reading);

impl Highest {
    pub fn add(&mut self, reading: &Reading) {
        let highest = &mut self.0;
        highest.tasks = highest.tasks.max(reading.tasks);
        highest.clients = highest.clients.max(reading.clients);
        highest.upstreams = highest.upstreams.max(reading.upstreams);
        highest.in_flight = highest.in_flight.max(reading.in_flight);
        highest.unaccounted = highest.unaccounted.max(reading.unaccounted);
        highest.waiting = highest.waiting.max(reading.waiting);
        highest.open_settlements = highest.open_settlements.max(reading.open_settlements);
        highest.resident = highest.resident.max(reading.resident);
    }
}

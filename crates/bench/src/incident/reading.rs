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
        let health = timeout(PATIENCE, self.health());
        let health =
            health.await.map_err(|_| format!("no word of the gateway's health within {PATIENCE:?}"))??;
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
        let failed = |why: &dyn std::fmt::Display| format!("the gateway's health: {why}");
        let mut connection = Connection::open(self.address).await.map_err(|error| failed(&error))?;
        let mut body = Vec::new();
        let ask = request::get("/api/monitor/health");
        let answer = connection.exchange(&ask, |piece| body.extend_from_slice(piece)).await;
        answer.map_err(|why| failed(&why))?;
        serde_json::from_slice(&body).map_err(|error| failed(&error))
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

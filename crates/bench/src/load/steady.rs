//! Closed loop until it is told to stop: then every connection waits for its last answer, and no request is left half sent.
//!
//! In: an address, a request, a number of connections. Out: requests sent, which is answers had. Anything but a 200 ends it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::connection::Connection;

/// Connections at work.
#[derive(Debug)]
pub struct Steady {
    shared: Arc<Shared>,
    workers: JoinSet<Result<(), String>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    answered: AtomicU64,
}

impl Steady {
    pub fn start(address: SocketAddr, request: &Bytes, connections: usize) -> Steady {
        let shared = Arc::new(Shared::default());
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            workers.spawn(work(address, request.clone(), shared.clone()));
        }
        Steady { shared, workers }
    }

    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Lets them work for a while; they only return to complain.
    pub async fn go_on(&mut self, time: std::time::Duration) -> Result<(), String> {
        super::saturation::window(&mut self.workers, time).await
    }

    /// All requests that were ever sent; each has its answer.
    pub async fn stop(mut self) -> Result<u64, String> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.workers.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(self.answered())
    }
}

async fn work(address: SocketAddr, request: Bytes, shared: Arc<Shared>) -> Result<(), String> {
    let mut connection = Connection::open(address).await.map_err(|error| format!("{address}: {error}"))?;
    while !shared.stopping.load(Ordering::Relaxed) {
        let answer =
            connection.exchange(&request, |_| {}).await.map_err(|why| format!("{address}: {why}"))?;
        if answer.status != 200 || answer.closes {
            return Err(format!("{address} answered {}, closing: {}", answer.status, answer.closes));
        }
        shared.answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

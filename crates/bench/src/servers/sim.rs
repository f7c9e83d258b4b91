//! upstream-sim as a process.

use std::{net::SocketAddr, path::Path, process::Stdio};

use crate::{
    load::{connection::Connection, request},
    process::{Process, Start, free_address, sibling},
};

/// The running sim.
#[derive(Debug)]
pub struct Sim {
    pub process: Process,
    pub address: SocketAddr,
}

/// Its own counters, `GET /~stats`.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
pub struct Stats {
    pub open_requests: u64,
    pub open_connections: u64,
    pub connections_total: u64,
    pub served: u64,
    pub peer_closed: u64,
}

impl Sim {
    pub async fn start(logs: &Path, core: Option<usize>) -> Result<Sim, String> {
        let address = free_address()?;
        let start = Start {
            name: "upstream-sim",
            program: &sibling("upstream-sim")?,
            arguments: vec!["--listen".to_owned(), address.to_string()],
            core,
            output: Stdio::null(),
            logs,
        };
        let mut process = start.run()?;
        process.listening(address).await?;
        Ok(Sim { process, address })
    }

    pub async fn stats(&self) -> Result<Stats, String> {
        let failed = |why: &dyn std::fmt::Display| format!("upstream-sim's counters: {why}");
        let mut connection = Connection::open(self.address).await.map_err(|error| failed(&error))?;
        let mut body = Vec::new();
        let asked =
            connection.exchange(&request::get("/~stats"), |piece| body.extend_from_slice(piece)).await;
        asked.map_err(|why| failed(&why))?;
        serde_json::from_slice(&body).map_err(|error| failed(&error))
    }
}

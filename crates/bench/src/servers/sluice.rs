//! `sluice serve` as a process.
//!
//! Its request lines go where the caller says: settlement is on in every run.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    load::{connection::Connection, request},
    process::{Process, Start, free_address, sibling},
};

/// The caller's key in every configuration made here.
pub const KEY: &str = "sk-bench-0123456789abcdef";

/// Running Sluice.
#[derive(Debug)]
pub struct Sluice {
    pub process: Process,
    pub address: SocketAddr,
}

impl Sluice {
    /// Starts it with `blocks` behind the address and the key. `file` is where the configuration is written.
    pub async fn start(
        file: &Path,
        blocks: &str,
        core: Option<usize>,
        output: Stdio,
    ) -> Result<Sluice, String> {
        let address = free_address()?;
        write(file, address, blocks)?;
        let logs = file.parent().unwrap_or(Path::new("."));
        let start = Start {
            name: "sluice",
            program: &sibling("sluice")?,
            arguments: vec!["serve".to_owned(), "--config".to_owned(), file.display().to_string()],
            core,
            output,
            logs,
        };
        let mut process = start.run()?;
        process.listening(address).await?;
        Ok(Sluice { process, address })
    }
}

/// Writes a configuration with the one key.
pub fn write(file: &Path, address: SocketAddr, blocks: &str) -> Result<(), String> {
    let books = books(file, address);
    let text = format!(
        "listen = \"{address}\"\n[store]\nurl = \"sqlite:{}\"\n{blocks}\n[[key]]\nname = \"bench\"\nsecret = \"{KEY}\"\n",
        books.display()
    );
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Where its books are. One process owns them: the one that is still running when its successor starts has others.
pub fn books(file: &Path, address: SocketAddr) -> PathBuf {
    file.with_extension(format!("{}.db", address.port()))
}

/// What writing the books has taken so far, by Sluice's own metrics.
#[derive(Clone, Copy, Debug)]
pub struct BooksCost {
    pub seconds: f64,
    /// Requests that have ended.
    pub requests: f64,
}

pub async fn books_cost(address: SocketAddr) -> Result<BooksCost, String> {
    let mut connection = Connection::open(address).await.map_err(|error| format!("metrics: {error}"))?;
    let mut body = Vec::new();
    let answer = connection.exchange(&request::get("/metrics"), |piece| body.extend_from_slice(piece)).await;
    answer.map_err(|why| format!("metrics: {why}"))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let sum = |name: &str| -> f64 {
        let values =
            text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    };
    Ok(BooksCost { seconds: sum("sluice_books_cpu_seconds_total"), requests: sum("sluice_requests_total{") })
}

/// A channel to upstream-sim under a script.
pub fn channel(
    name: &str,
    dialect: &str,
    upstream: SocketAddr,
    script: &str,
    model: &str,
    more: &str,
) -> String {
    format!(
        "[[channel]]\nname = \"{name}\"\nprovider = \"custom\"\ndialect = \"{dialect}\"\n\
         base_url = \"http://{upstream}/~{script}\"\nsecrets = [\"sk-upstream-{name}\"]\nmodels = [\"{model}\"]\n{more}\n"
    )
}

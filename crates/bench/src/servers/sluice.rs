//! `sluice serve` as a process.
//!
//! Its request lines go where the caller says: settlement is on in every run.

use std::{net::SocketAddr, path::Path, process::Stdio};

use crate::process::{Process, Start, free_address, sibling};

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
    let books = file.with_extension("db");
    let text = format!(
        "listen = \"{address}\"\n[store]\nurl = \"sqlite:{}\"\n{blocks}\n[[key]]\nname = \"bench\"\nsecret = \"{KEY}\"\n",
        books.display()
    );
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
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

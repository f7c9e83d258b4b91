//! The lean upstream (`load::answerer`) as a process: this program once more, with `--answer ADDRESS`.

use std::{net::SocketAddr, path::Path, process::Stdio};

use crate::process::{Process, Start, free_address};

/// The running answerer.
#[derive(Debug)]
pub struct Answerer {
    pub process: Process,
    pub address: SocketAddr,
}

impl Answerer {
    pub async fn start(logs: &Path, core: Option<usize>) -> Result<Answerer, String> {
        let address = free_address()?;
        let start = Start {
            name: "answerer",
            program: &std::env::current_exe().map_err(|error| format!("who am I? {error}"))?,
            arguments: vec!["--answer".to_owned(), address.to_string()],
            core,
            output: Stdio::null(),
            logs,
        };
        let mut process = start.run()?;
        process.listening(address).await?;
        Ok(Answerer { process, address })
    }
}

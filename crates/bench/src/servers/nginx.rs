//! The yardstick: nginx of the distribution as a plain reverse proxy, one worker.
//!
//! It is set up as its own documentation advises for speed: no access log, connections to the upstream kept, answers
//! not buffered. Request bodies are read whole before they are passed on, as Sluice does it (both could send them
//! again); they stay in memory.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    bench::ways::Upstreams,
    process::{Process, Start, free_address, which},
    scratch::Scratch,
};

/// Running nginx, without a master process: its one process does all the work.
#[derive(Debug)]
pub struct Nginx {
    pub process: Process,
    pub address: SocketAddr,
}

pub fn find() -> Option<PathBuf> {
    which("nginx")
}

impl Nginx {
    pub async fn start(
        program: &Path,
        scratch: &Scratch,
        core: Option<usize>,
        upstreams: Upstreams,
    ) -> Result<Nginx, String> {
        let address = free_address()?;
        let file = scratch.write("nginx.conf", &config(scratch.path(), address, upstreams))?;
        let prefix = scratch.path().display().to_string();
        let arguments = ["-p", &prefix, "-e", "stderr", "-c", &file.display().to_string()];
        let start = Start {
            name: "nginx",
            program,
            arguments: arguments.map(str::to_owned).into(),
            core,
            output: Stdio::null(),
            logs: scratch.path(),
        };
        let mut process = start.run()?;
        process.listening(address).await?;
        Ok(Nginx { process, address })
    }
}

fn config(directory: &Path, address: SocketAddr, upstreams: Upstreams) -> String {
    let upstream = |name: &str, address: SocketAddr| {
        format!(
            "  upstream {name} {{\n    server {address};\n    keepalive 256;\n    keepalive_requests 1000000000;\n    keepalive_time 24h;\n  }}\n"
        )
    };
    let pools = upstream("sim", upstreams.sim) + &upstream("lean", upstreams.answerer);
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("  {what}_temp_path {}/{what};\n", directory.display()))
        .concat();
    format!(
        "\
worker_processes 1;
master_process off;
daemon off;
error_log stderr warn;
pid {directory}/nginx.pid;
events {{ worker_connections 20000; }}
http {{
{temporary}  access_log off;
  client_max_body_size 64m;
  client_body_buffer_size 4m;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
{pools}  server {{
    listen {address} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_buffering off;
    proxy_request_buffering on;
    proxy_read_timeout 1h;
    location / {{ proxy_pass http://sim; }}
    location /lean/ {{ proxy_pass http://lean; }}
  }}
}}
",
        directory = directory.display(),
    )
}

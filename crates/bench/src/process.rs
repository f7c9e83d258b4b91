//! Processes beside this one: started, pinned to a core, and surely ended.
//!
//! In: a program and its arguments; out: a handle whose drop ends the process. It must only ever end what it started.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use tokio::{
    net::TcpStream,
    time::{Duration, Instant, sleep},
};

/// Until a started process must listen.
const START: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
    pub pid: u32,
}

/// How to start one.
#[derive(Debug)]
pub struct Start<'a> {
    /// For messages and for the name of its log.
    pub name: &'static str,
    pub program: &'a Path,
    pub arguments: Vec<String>,
    /// The core it is to stay on, where that can be had.
    pub core: Option<usize>,
    /// Where its standard output goes.
    pub output: Stdio,
    /// The directory of its log (standard error).
    pub logs: &'a Path,
}

impl Start<'_> {
    pub fn run(self) -> Result<Process, String> {
        let failed = |error: std::io::Error| format!("cannot start {}: {error}", self.program.display());
        let log = self.logs.join(format!("{}.log", self.name));
        let mut command = match self.core {
            // taskset becomes the program, so the process id stays.
            Some(core) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(core.to_string()).arg(self.program);
                command
            }
            None => Command::new(self.program),
        };
        command.args(&self.arguments).stdin(Stdio::null()).stdout(self.output);
        command.stderr(File::options().create(true).append(true).open(&log).map_err(failed)?);
        let child = command.spawn().map_err(failed)?;
        let pid = child.id();
        Ok(Process { child, name: self.name, log, pid })
    }
}

impl Process {
    /// Waits until somebody listens at `address`, or says why the process ended instead.
    pub async fn listening(&mut self, address: SocketAddr) -> Result<(), String> {
        let until = Instant::now() + START;
        loop {
            if TcpStream::connect(address).await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended with {status}: {}", self.name, self.last_words()));
            }
            if Instant::now() > until {
                return Err(format!("{} does not listen on {address}: {}", self.name, self.last_words()));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) -> Result<(), String> {
        self.signal("TERM")
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) -> Result<(), String> {
        self.signal("HUP")
    }

    fn signal(&self, name: &str) -> Result<(), String> {
        let script = format!("kill -{name} {}", self.pid);
        match Command::new("sh").arg("-c").arg(script).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("cannot send {name} to {}: {status}", self.name)),
            Err(error) => Err(format!("cannot send {name} to {}: {error}", self.name)),
        }
    }

    /// Waits for it to end by itself; `None`: it did not.
    pub async fn ended_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>, String> {
        let until = Instant::now() + limit;
        loop {
            let ended = self.child.try_wait().map_err(|error| format!("{}: {error}", self.name))?;
            if ended.is_some() || Instant::now() > until {
                return Ok(ended);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
pub fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
    listener.local_addr().map_err(|error| format!("no free port: {error}"))
}

/// A program of this name, from the search path or where daemons live.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(daemons).map(|place| place.join(name)).find(|file| file.is_file())
}

/// A program that was built together with this one.
pub fn sibling(name: &str) -> Result<PathBuf, String> {
    let own = own()?;
    let file = own.with_file_name(name);
    if file.is_file() {
        return Ok(file);
    }
    Err(format!(
        "{name} is not beside {}: build it with the same profile (`cargo build -p gateway -p upstream-sim -p bench`)",
        own.display()
    ))
}

/// Builds the siblings where this program was started through cargo: `cargo run -p bench` builds no program but its own, and
/// a stale gateway would be measured in the place of the present one.
pub fn build_siblings() -> Result<(), String> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let profile = profile()?;
    let profile = if profile == "debug" { "dev".to_owned() } else { profile };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--profile", &profile]);
    command.args(["-p", "gateway", "-p", "upstream-sim", "--bins"]);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo build of sluice and upstream-sim: {status}")),
        Err(error) => Err(format!("cargo build of sluice and upstream-sim: {error}")),
    }
}

/// The profile that this program was built with, by the directory it lies in.
pub fn profile() -> Result<String, String> {
    let own = own()?;
    let directory = own.parent().and_then(Path::file_name).unwrap_or_default();
    Ok(directory.to_string_lossy().into_owned())
}

fn own() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("who am I? {error}"))
}

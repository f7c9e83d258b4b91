//! The machine: what it is, and the two things asked of it (a core, and many open files).
//!
//! In: nothing; out: facts for the report, and whether a wish was granted. A wish that is not granted is said, and never an error.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

/// What a reader of the numbers has to know.
#[derive(Debug)]
pub struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub kernel: String,
    pub memory_gb: f64,
    pub date: String,
    /// Share of all cores that others used in the second before anything was measured, 0 to 1.
    pub busy: f64,
}

impl Machine {
    pub async fn look() -> Machine {
        let of = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or("");
            line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let kilobytes: f64 =
            of("/proc/meminfo", "MemTotal").trim_end_matches("kB").trim().parse().unwrap_or(0.0);
        let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Machine {
            cores: cores(),
            cpu: of("/proc/cpuinfo", "model name"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            memory_gb: kilobytes / 1e6,
            busy: busy().await,
            date: date.split('T').next().unwrap_or("").to_owned(),
        }
    }
}

/// Looks for a second how much of the cores is in use.
async fn busy() -> f64 {
    let (before, idle_before) = ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (after, idle_after) = ticks();
    let all = (after - before).max(1);
    1.0 - (idle_after - idle_before).min(all) as f64 / all as f64
}

/// Ticks of all cores since the start, and those among them with nothing to do.
fn ticks() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or("");
    let fields: Vec<u64> =
        line.split_ascii_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    (fields.iter().take(8).sum(), fields.iter().skip(3).take(2).sum())
}

/// Cores there are, whatever this process is pinned to.
fn cores() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

/// Where each process goes.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Of the process that is measured.
    pub measured: Option<usize>,
    /// Of the load generator and the upstream.
    pub around: Option<usize>,
}

/// Pins this process and what it will start to the last core, and leaves the first one to what is measured.
pub fn split_cores() -> (Cores, Option<String>) {
    let last = cores() - 1;
    if last == 0 {
        let only = Cores { measured: Some(0), around: Some(0) };
        return (only, Some("one core: everything shares it, so only CPU time means anything".to_owned()));
    }
    let (list, pid) = (last.to_string(), std::process::id().to_string());
    if ran("taskset", &["-a", "-p", "-c", &list, &pid]) {
        return (Cores { measured: Some(0), around: Some(last) }, None);
    }
    let none = Cores { measured: None, around: None };
    (none, Some("taskset (util-linux) is missing or not allowed: nothing is pinned to a core".to_owned()))
}

/// Raises the limit of open files of this process and of those it will start. Returns the limit in force.
pub fn open_files(wanted: u64) -> u64 {
    let pid = std::process::id().to_string();
    let set = |limit: u64| ran("prlimit", &["--pid", &pid, &format!("--nofile={limit}:{limit}")]);
    let (soft, hard) = limits();
    if soft < wanted && !(hard < wanted && set(wanted)) {
        // Up to the hard limit everybody may.
        let reach = wanted.min(hard);
        ran("prlimit", &["--pid", &pid, &format!("--nofile={reach}:{hard}")]);
    }
    limits().0
}

fn limits() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or("");
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(u64::MAX));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn ran(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// What a program says its version is, in one line.
pub fn version(program: &std::path::Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output() else { return "unknown".to_owned() };
    // nginx says it on standard error.
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or("unknown")
        .trim()
        .trim_start_matches("nginx version: ")
        .to_owned()
}

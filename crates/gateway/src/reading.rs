//! One look at everything that is alive: what the health answer, the metrics and the watch are made of.

use crate::flow::Census;

/// One reading of everything that is alive.
#[derive(Debug)]
pub struct Reading {
    pub census: Census,
    pub tasks: usize,
    pub started: u64,
    pub client_sockets: i64,
    pub upstream_sockets: i64,
    pub memory: Memory,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Anonymous memory in use: heap and stacks.
    pub anonymous_bytes: u64,
    /// All of the process that is in memory.
    pub resident_bytes: u64,
}

/// From the kernel's own account; zero where there is none.
pub fn memory() -> Memory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    };
    Memory { anonymous_bytes: bytes("RssAnon"), resident_bytes: bytes("VmRSS") }
}

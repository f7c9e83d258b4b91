//! What the kernel says about a process.
//!
//! In: a process id; out: processor time and memory. It must never guess: what cannot be read is an error.

use std::{fs, time::Duration};

/// Clock ticks a second in /proc, on every Linux architecture that Rust's tier 1 has (`getconf CLK_TCK`).
const TICKS_A_SECOND: u64 = 100;

/// User and system time of all threads, those that have ended among them.
pub fn cpu(pid: u32) -> Result<Duration, String> {
    let stat = read(pid, "stat")?;
    cpu_of(&stat).ok_or_else(|| format!("/proc/{pid}/stat reads strange: {stat}"))
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold anything; utime and stime are the 14th and 15th field of the line.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * (1000 / TICKS_A_SECOND)))
}

/// Resident memory in bytes.
pub fn resident(pid: u32) -> Result<u64, String> {
    let status = read(pid, "status")?;
    resident_of(&status).ok_or_else(|| format!("/proc/{pid}/status has no VmRSS"))
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn read(pid: u32, what: &str) -> Result<String, String> {
    fs::read_to_string(format!("/proc/{pid}/{what}")).map_err(|error| format!("/proc/{pid}/{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu_of("nonsense"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t   12 kB\nThreads:\t1\n"), Some(12 * 1024));
        assert_eq!(resident_of("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_both() {
        let pid = std::process::id();
        assert!(resident(pid).expect("memory") > 100_000);
        cpu(pid).expect("time");
    }
}

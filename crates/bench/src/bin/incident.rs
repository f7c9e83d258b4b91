//! `incident`: replays the incident, and fails unless everything that came in went out.
//!
//! In: two binaries beside this one. Out: a table and a verdict on standard output; the exit status says the same. What
//! the processes wrote is kept where a check has failed.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

use std::{process::ExitCode, time::Instant};

use bench::{
    incident::{
        replay::{self, Plan},
        verdict::{self, Evidence},
    },
    machine,
    process::build_siblings,
    program,
    scratch::Scratch,
    servers::sim::Stats,
};
use lexopt::prelude::{Long, Short, ValueExt};

const USAGE: &str = "\
usage: incident [--scale N] [--seed N] [--keep]

  --scale N  N times fewer requests, and √N times fewer at once (default 1: 169,000 requests, 2,000 at once)
  --seed N   repeat the run that printed this seed
  --keep     keep logs and request lines, also where all is well
";

/// Both ends of 2,000 requests and of their attempts, with the pools' connections.
const OPEN_FILES: u64 = 20_000;

fn options() -> Result<Option<(Plan, bool)>, lexopt::Error> {
    let (mut scale, mut seed, mut keep) = (1, None, false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("scale") => scale = arguments.value()?.parse::<u64>()?.max(1),
            Long("keep") => keep = true,
            Long("seed") => seed = Some(arguments.value()?.parse::<u64>()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some((Plan::scaled(scale, seed.unwrap_or_else(clock_seed)), keep)))
}

fn clock_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_millis() as u64 % 1_000_000_000)
}

fn main() -> ExitCode {
    program::run("incident", USAGE, options(), |(plan, keep)| run(plan, keep))
}

fn run(plan: Plan, keep: bool) -> Result<bool, String> {
    build_siblings()?;
    let began = Instant::now();
    let limit = machine::open_files(OPEN_FILES);
    if limit < plan.at_once * 3 {
        return Err(format!(
            "only {limit} files may be open, {} are needed: raise `ulimit -n`",
            plan.at_once * 3
        ));
    }
    println!("incident: {} requests, {} at once, seed {}", plan.requests, plan.at_once, plan.seed);
    let mut scratch = Scratch::make("incident")?;
    let runtime = program::runtime()?;
    let say = |what: &str| println!("{:6.1} s  {what}", began.elapsed().as_secs_f64());
    let replayed = runtime.block_on(replay::run(plan, scratch.path(), say));
    let (evidence, stats) = replayed.inspect_err(|_| {
        eprintln!("logs are in {}", scratch.keep().display());
    })?;
    println!("\n{}\n", verdict::table(&evidence));
    tell(&evidence, stats);
    let checks = verdict::checks(&evidence);
    for check in &checks {
        println!("{}  {}", if check.held { "ok    " } else { "FAILED" }, check.what);
    }
    let failed = checks.iter().filter(|check| !check.held).count();
    println!("\n{:.0} s", began.elapsed().as_secs_f64());
    if failed > 0 {
        println!("{failed} checks failed (seed {})", plan.seed);
    }
    if keep || failed > 0 {
        println!("logs and request lines are in {}", scratch.keep().display());
    }
    Ok(failed == 0)
}

fn tell(seen: &Evidence, stats: Stats) {
    let tally = &seen.tally;
    let statuses: Vec<String> =
        tally.statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    println!("clients   {} sent: {}", tally.sent, statuses.join(", "));
    println!(
        "          {} broke off, {} left ({} before a word), {} crossed with a closing connection",
        tally.broken,
        tally.left_heard + tally.left_unheard,
        tally.left_unheard,
        tally.crossed
    );
    let endings: Vec<String> =
        seen.lines.endings.iter().map(|(ending, count)| format!("{count} {ending}")).collect();
    println!("gateway   {} started: {}", seen.after.started, endings.join(", "));
    println!(
        "upstream  {} requests reached it ({} attempts made) over {} connections, {} were left by the gateway\n",
        stats.served, seen.lines.attempts, stats.connections_total, stats.peer_closed
    );
}

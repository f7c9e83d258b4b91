//! `settled`: Sluice under load with its books on, for a minute, or for ten with `--soak`.
//!
//! In: two binaries beside this one. Out: figures on standard output and, after a full run, a section of docs/BENCHMARKS.md. It
//! fails where the books do not hold exactly what was answered, never because of another number.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bench::{
    document,
    load::answerer,
    machine::Machine,
    process::{build_siblings, profile},
    settled::{Settled, run},
};
use lexopt::prelude::{Long, Short, ValueExt};

const USAGE: &str = "\
usage: settled [--soak] [--seconds N] [--write FILE]

  --soak        ten minutes instead of one, and whether memory grows
  --seconds N   another length; writes nothing unless told where
  --write FILE  where the section goes (default docs/BENCHMARKS.md)
";

const MINUTE: Duration = Duration::from_secs(60);
const SUSTAINED: f64 = 5_000.0;
const BOOKS_MICROS: f64 = 30.0;
/// The last minute's memory to the first one's.
const FLAT: f64 = 1.1;

fn main() -> ExitCode {
    match program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("settled: {why}");
            ExitCode::FAILURE
        }
    }
}

fn program() -> Result<(), String> {
    let (mut soak, mut seconds, mut write) = (false, None, None);
    let mut arguments = lexopt::Parser::from_env();
    let wrong = |error: lexopt::Error| format!("{error}\n\n{USAGE}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    while let Some(argument) = arguments.next().map_err(wrong)? {
        match argument {
            Short('h') | Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            Long("soak") => soak = true,
            Long("seconds") => {
                seconds = Some(arguments.value().and_then(|value| value.parse()).map_err(wrong)?);
            }
            Long("write") => {
                write = Some(PathBuf::from(arguments.value().map_err(wrong)?));
            }
            // Be the upstream instead.
            Long("answer") => {
                let address = arguments.value().and_then(|value| value.parse()).map_err(wrong)?;
                return runtime.block_on(answerer::serve(address)).map_err(|error| error.to_string());
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    build_siblings()?;
    if seconds.is_none() {
        write = write.or_else(|| Some(PathBuf::from("docs/BENCHMARKS.md")));
    }
    let length = seconds.map_or(if soak { 10 * MINUTE } else { MINUTE }, Duration::from_secs);
    let machine = runtime.block_on(Machine::look());
    let settled = runtime.block_on(run(length))?;
    let text = section(&settled, soak, &machine, &profile()?);
    println!("{text}");
    if let Some(file) = write {
        document::write_part(&file, if soak { "soak" } else { "settled" }, &text)?;
        println!("written to {}", file.display());
    }
    Ok(())
}

fn section(settled: &Settled, soak: bool, machine: &Machine, profile: &str) -> String {
    let seconds = settled.elapsed.as_secs_f64();
    let verdict = |reached: bool| if reached { "reached" } else { "**missed**" };
    let (title, command) = if soak {
        ("Ten minutes under load", "make soak")
    } else {
        ("Settled requests, sustained", "make bench-settled")
    };
    let mut text = format!(
        "\
## {title}

Written by `{command}` on {}: {}, {} cores, {:.0} GB, {:.0} % busy before the run, profile {profile}; {seconds:.0} s.

| | | target | |
|---|---|---|---|
| requests answered | {} | | |
| of them in the books afterwards | {} | all, and no other | {} |
| settled requests/s over the whole run | {:.0} | ≥ {SUSTAINED:.0} | {} |
| of Sluice's CPU, the books: per settled request, µs | {:.2} | ≤ {BOOKS_MICROS} | {} |
| Sluice's CPU per request in all, µs | {:.1} | | |
| bytes of the database per request | {:.0} | | |
",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.memory_gb,
        machine.busy * 100.0,
        settled.answered,
        settled.rows,
        verdict(settled.rows == settled.answered),
        settled.per_second(),
        verdict(settled.per_second() >= SUSTAINED),
        settled.books_micros,
        verdict(settled.books_micros <= BOOKS_MICROS),
        settled.cpu_micros,
        settled.database_bytes as f64 / settled.rows.max(1) as f64,
    );
    let last = settled.elapsed.saturating_sub(MINUTE);
    let first = settled.memory_between(Duration::ZERO, MINUTE);
    if let (true, Some(first), Some(last)) = (soak, first, settled.memory_between(last, Duration::MAX)) {
        text += &format!(
            "| resident memory in the first minute, MB | {:.1} | | |\n| in the last minute, MB | {:.1} | ≤ {FLAT} × the first | {} |\n",
            first / 1e6,
            last / 1e6,
            verdict(last <= first * FLAT),
        );
    }
    text += "
- Closed loop over 64 connections, requests of 1 KB, answers of 1.2 KB, one key, one model. Sluice, the upstream (`load::answerer`) and
  the load generator are three processes that share all cores of the machine; none is bound to one. What they need is taken from what
  Sluice could do alone.
- The load stops asking, waits for its last answers, and stops Sluice in order; then the rows of the books are counted and
  every rule of the books is checked. The run fails unless there is exactly one row for each answer.
- Memory is VmRSS of Sluice, read every five seconds; the medians of the first and the last minute are compared.
";
    text
}

//! `bench-settled`: full load on the books for ten minutes.
//!
//! In: room on the disk (about a kilobyte a request) and `sluice` beside this one. Out: a table on standard output and, after a
//! full run, a section of docs/BENCHMARKS.md. It fails where a request is missing from the books, never because of a number.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use bench::{
    document,
    load::answerer,
    machine::Machine,
    process::{build_siblings, profile},
    program, settled,
};
use lexopt::prelude::{Long, Short, ValueExt};

const USAGE: &str = "\
usage: bench-settled [--seconds N] [--write FILE]

  --seconds N   how long (default 600); with another number nothing is written unless told where
  --write FILE  where the section goes (default docs/BENCHMARKS.md)
";

const FULL: u64 = 600;

struct Options {
    seconds: u64,
    write: Option<PathBuf>,
    /// Be the upstream instead.
    answer: Option<SocketAddr>,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { seconds: FULL, write: None, answer: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("seconds") => options.seconds = arguments.value()?.parse()?,
            Long("write") => options.write = Some(PathBuf::from(arguments.value()?.string()?)),
            Long("answer") => options.answer = Some(arguments.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    if options.seconds == FULL {
        options.write = options.write.or_else(|| Some(PathBuf::from("docs/BENCHMARKS.md")));
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    program::run("bench-settled", USAGE, options(), |options| {
        match options.answer {
            Some(address) => answerer::be(address),
            None => run(&options),
        }
        .map(|()| true)
    })
}

fn run(options: &Options) -> Result<(), String> {
    build_siblings()?;
    let runtime = program::runtime()?;
    let machine = runtime.block_on(Machine::look());
    let seen = runtime.block_on(settled::run(Duration::from_secs(options.seconds)))?;
    let text = seen.section(&machine, &profile()?);
    println!("{text}");
    if let Some(file) = &options.write {
        document::write_part(file, "settled", &text)?;
        println!("written to {}", file.display());
    }
    Ok(())
}

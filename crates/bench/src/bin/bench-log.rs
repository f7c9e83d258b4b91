//! `bench-log`: the request log with ten million requests in it.
//!
//! In: nothing but room on the disk (about a kilobyte a request). Out: a table on standard output and, after a full run, a
//! section of docs/BENCHMARKS.md. The database is removed at the end. It fails where something goes wrong, never because of a
//! number.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bench::{
    document,
    log::{
        fill::{self, PAYERS, Rows},
        measure, questions,
        told::Told,
    },
    machine::Machine,
    process::profile,
    program,
    scratch::Scratch,
};
use lexopt::prelude::{Long, Short, ValueExt};
use store::{Database, ledger, sample};

const USAGE: &str = "\
usage: bench-log [--rows N] [--write FILE] [--keep] [--reuse FILE]

  --rows N      requests in the log (default 10000000, which takes about 10 GB in the temporary directory);
                with another number nothing is written unless told where
  --write FILE  where the section goes (default docs/BENCHMARKS.md)
  --keep        leaves the database where it is
  --reuse FILE  asks a log that was kept, and does not fill one
";

const FULL: u64 = 10_000_000;
/// Rows of one transaction while the log is filled.
const BATCH: u64 = 5_000;
/// What is written and removed to see what that costs.
const MORE: u64 = 200_000;
const REMOVED: u32 = 500;
const REMOVALS: usize = 100;

struct Options {
    rows: u64,
    write: Option<PathBuf>,
    keep: bool,
    reuse: Option<PathBuf>,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { rows: FULL, write: None, keep: false, reuse: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("rows") => options.rows = arguments.value()?.parse()?,
            Long("write") => options.write = Some(PathBuf::from(arguments.value()?.string()?)),
            Long("keep") => options.keep = true,
            Long("reuse") => options.reuse = Some(PathBuf::from(arguments.value()?.string()?)),
            other => return Err(other.unexpected()),
        }
    }
    if options.rows == FULL {
        options.write = options.write.or_else(|| Some(PathBuf::from("docs/BENCHMARKS.md")));
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    program::run("bench-log", USAGE, options(), |options| run(&options).map(|()| true))
}

fn run(options: &Options) -> Result<(), String> {
    let mut scratch = Scratch::make("bench-log")?;
    if options.keep {
        println!("the database stays in {}", scratch.keep().display());
    }
    let path = options.reuse.clone().unwrap_or_else(|| scratch.path().join("log.db"));
    let machine = program::runtime()?.block_on(Machine::look());
    let text = measured(options, &path, &machine, &profile()?)?;
    println!("{text}");
    if let Some(file) = &options.write {
        document::write_part(file, "request-log", &text)?;
        println!("written to {}", file.display());
    }
    Ok(())
}

fn measured(options: &Options, path: &Path, machine: &Machine, profile: &str) -> Result<String, String> {
    let failed = |error: store::StoreError| error.to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let database = Database::open(path).map_err(failed)?;
    let (payers, mut left) = match options.reuse {
        Some(_) => (measure::payers(path).map_err(failed)?, 0),
        None => (sample::payers(&database, PAYERS).map_err(failed)?, options.rows),
    };
    let mut rows = Rows::new(payers.clone(), options.rows, now);
    let began = Instant::now();
    while left > 0 {
        let some = left.min(options.rows.div_ceil(20));
        fill::fill(&database, &mut rows, some, BATCH).map_err(failed)?;
        left -= some;
        println!(
            "{} of {} requests, {:.0} s",
            options.rows - left,
            options.rows,
            began.elapsed().as_secs_f64()
        );
    }
    let filled_in = options.reuse.is_none().then(|| began.elapsed());
    let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    let middle = measure::sample(path, now - 45 * 24 * 3_600_000).map_err(failed)?;
    let mut answers = Vec::new();
    for question in questions::all(&payers, &middle) {
        let answer = measure::question(path, &question, middle.id).map_err(failed)?;
        print!("{}", answer.line());
        answers.push(answer);
    }
    answers.extend(measure::sums(path, payers[0].account, now).map_err(failed)?);
    // As if they came in from now on.
    let mut rows = Rows::from(payers.clone(), options.rows, now);
    let writing = measure::writing(&database, &mut rows, MORE.min(options.rows))?;
    let removing = measure::removing(&database, now, REMOVED, REMOVALS).map_err(failed)?;
    let violations = database.read(ledger::sweep::violations).map_err(failed)?;
    if !violations.is_empty() {
        return Err(format!("the books do not balance: {violations:?}"));
    }
    let (rows, answers, writing, removing) = (options.rows, &answers, &writing, &removing);
    Ok(Told { machine, profile, rows, bytes, filled_in, answers, writing, removing }.section())
}

//! `bench`: Sluice beside nginx on one core; see docs/BENCHMARKS.md for what it measures and how.
//!
//! In: nginx (if there is one) and two binaries beside this one. Out: a table on standard output and, after a full run,
//! docs/BENCHMARKS.md. It fails where something cannot be started or answers wrongly, never because of a number.

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Instant};

use bench::{
    bench::{
        measure, memory,
        report::{self, Versions},
        setup::Setup,
        sizes::Sizes,
        table::Row,
    },
    document,
    load::answerer,
    machine::{self, Cores, Machine},
    process::{build_siblings, profile, sibling},
    program,
    servers::nginx,
};
use lexopt::prelude::{Long, Short, ValueExt};

const USAGE: &str = "\
usage: bench [--quick] [--write FILE]

  --quick       a short run, to see that it works; writes nothing unless told where
  --write FILE  where the result goes (default docs/BENCHMARKS.md)
";

/// A machine that is busier than this before the run is not fit for measuring.
const QUIET: f64 = 0.05;

struct Options {
    sizes: Sizes,
    write: Option<PathBuf>,
    /// Be the upstream instead.
    answer: Option<SocketAddr>,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let (mut quick, mut write, mut answer) = (false, None, None);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("quick") => quick = true,
            Long("write") => write = Some(PathBuf::from(arguments.value()?.string()?)),
            Long("answer") => answer = Some(arguments.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    if !quick {
        write = write.or_else(|| Some(PathBuf::from("docs/BENCHMARKS.md")));
    }
    Ok(Some(Options { sizes: if quick { Sizes::QUICK } else { Sizes::FULL }, write, answer }))
}

fn main() -> ExitCode {
    program::run("bench", USAGE, options(), |options| {
        match options.answer {
            Some(address) => answerer::be(address),
            None => run(options),
        }
        .map(|()| true)
    })
}

fn run(Options { mut sizes, write, .. }: Options) -> Result<(), String> {
    build_siblings()?;
    let began = Instant::now();
    let machine = program::runtime()?.block_on(Machine::look());
    let mut notes = Vec::new();
    if machine.busy > QUIET {
        let percent = machine.busy * 100.0;
        notes.push(format!(
            "the machine was not quiet: others used {percent:.0} % of it; do not trust the numbers"
        ));
    }
    let (cores, unpinned) = machine::split_cores();
    notes.extend(unpinned);
    fit_open_files(&mut sizes, &mut notes);
    let profile = profile()?;
    if profile != "dist" {
        notes.push(format!("built with profile {profile}; what is shipped is built with profile dist"));
    }
    let nginx = nginx::find();
    if nginx.is_none() {
        notes.push(
            "nginx is not installed (apt-get install nginx-light): only Sluice against direct".to_owned(),
        );
    }
    let versions = Versions {
        sluice: format!("{}, profile {profile}", machine::version(&sibling("sluice")?, "--version")),
        nginx: nginx.as_deref().map(|nginx| machine::version(nginx, "-v")),
    };
    for note in &notes {
        println!("note: {note}");
    }
    let rows = program::runtime()?.block_on(measure_all(&sizes, nginx, cores))?;
    println!("\n{}", report::table(&rows));
    println!("cells: best / median of the rounds; took {:.0} s", began.elapsed().as_secs_f64());
    if let Some(file) = write {
        let text = report::document(&rows, &sizes, &machine, &versions, &notes);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, document::keeping_parts(&text, &before))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        println!("written to {}", file.display());
    }
    Ok(())
}

/// Holds fewer streams where so many files may not be open.
fn fit_open_files(sizes: &mut Sizes, notes: &mut Vec<String>) {
    let limit = machine::open_files(sizes.open_files());
    if limit < sizes.open_files() {
        sizes.held = (limit.saturating_sub(500) / 2) as usize;
        sizes.held_large = sizes.held_large.min(sizes.held);
        sizes.held_long = sizes.held_long.min(sizes.held);
        notes
            .push(format!("only {limit} files may be open: {} streams are held instead of more", sizes.held));
    }
}

async fn measure_all(sizes: &Sizes, nginx: Option<PathBuf>, cores: Cores) -> Result<Vec<Row>, String> {
    let mut setup = Setup::start(nginx, cores).await?;
    let mut rows = Vec::new();
    println!("measuring: bodies of 1 KB, 100 KB and 1 MB at saturation");
    rows.extend(measure::all_bodies(&setup, sizes).await?);
    println!("measuring: latency at a fixed rate");
    rows.extend(measure::latency(&setup, sizes).await?);
    println!("measuring: time to the first byte of a stream");
    rows.extend(measure::first_byte(&setup, sizes).await?);
    println!("measuring: events");
    rows.extend(measure::events(&setup, sizes).await?);
    println!("measuring: memory");
    rows.extend(memory::rows(&mut setup, sizes).await?);
    rows.extend(memory::lengths(&mut setup, sizes).await?);
    Ok(rows)
}

//! What the programs of this crate have in common: options in, an exit code out.
//!
//! In: options, or what is wrong with them. Out: 0 where the work was done and found good, 1 where not, 2 for bad options. Results go
//! to standard output, what went wrong to standard error.

#![allow(clippy::print_stdout, reason = "the usage is what was asked for")]

use std::process::ExitCode;

use tokio::runtime::Runtime;

/// Runs the program of this name; `options` is `None` where only its usage was asked for.
pub fn run<O>(
    name: &str,
    usage: &str,
    options: Result<Option<O>, lexopt::Error>,
    work: impl FnOnce(O) -> Result<bool, String>,
) -> ExitCode {
    let options = match options {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{usage}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("{name}: {error}\n\n{usage}");
            return ExitCode::from(2);
        }
    };
    match work(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: the load generator shares its core with the upstream anyway.
pub fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))
}

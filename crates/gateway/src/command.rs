//! `sluice user list`, `sluice key add name=app` and so on: the API from the command line.
//!
//! In: words. Out: a request to the API under `/api/v1`, and its answer as text or JSON. It goes through the process that owns the
//! database where one runs, over the socket beside the file; where none runs, the same routes are asked in this process. It knows
//! nothing that the API does not: what is allowed and what is wrong is said there.

mod show;
mod way;
mod words;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::Value;

use self::{way::Way, words::Step};

pub use words::{OBJECTS, VERBS};

/// What was typed.
#[derive(Debug, Default)]
pub struct Typed {
    /// Object, verb, which one, `field=value` …
    pub words: Vec<String>,
    pub json: bool,
    pub limit: Option<u32>,
    /// A table of prices.
    pub from: Option<PathBuf>,
}

/// Whether a first word is one of these commands.
pub fn is_object(word: &str) -> bool {
    words::named(word).is_some()
}

/// Does what was typed, and writes what came of it.
pub fn run(config: &Path, typed: &Typed, out: &mut dyn Write) -> Result<(), String> {
    let step = Step::read(typed)?;
    let way = Way::open(config)?;
    let step = step.resolved(|path| way.ask("GET", path, None))?;
    let answer = way.ask(step.method, &step.path, step.body.as_ref())?;
    let text = match (&answer, typed.json) {
        (Value::Null, _) => "done\n".to_owned(),
        (answer, true) => format!("{answer:#}\n"),
        (answer, false) => show::text(step.columns, answer),
    };
    // A closed pipe is nobody's error.
    let _ = out.write_all(text.as_bytes());
    Ok(())
}

//! The gateway's own request lines: one JSON object a request.
//!
//! In: the file that its standard output went to; out: how many lines, how many different requests, and how they ended.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use serde::Deserialize;

#[derive(Deserialize)]
struct Line<'a> {
    request_id: &'a str,
    ending: &'a str,
    model: &'a str,
    attempts: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default)]
pub struct Lines {
    pub lines: u64,
    pub requests: u64,
    /// Attempts at channels, over all requests.
    pub attempts: u64,
    pub endings: BTreeMap<String, u64>,
    /// Models of requests that were completed.
    pub completed: BTreeSet<String>,
}

pub fn read(file: &Path) -> Result<Lines, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut reader = BufReader::new(File::open(file).map_err(failed)?);
    let (mut found, mut ids, mut text) = (Lines::default(), HashSet::new(), String::new());
    loop {
        text.clear();
        if reader.read_line(&mut text).map_err(failed)? == 0 {
            found.requests = ids.len() as u64;
            return Ok(found);
        }
        let line: Line<'_> =
            serde_json::from_str(&text).map_err(|error| format!("line {}: {error}", found.lines + 1))?;
        found.lines += 1;
        found.attempts += line.attempts.len() as u64;
        if line.ending == "completed" && !found.completed.contains(line.model) {
            found.completed.insert(line.model.to_owned());
        }
        ids.insert(line.request_id.to_owned());
        match found.endings.get_mut(line.ending) {
            Some(count) => *count += 1,
            None => {
                found.endings.insert(line.ending.to_owned(), 1);
            }
        }
    }
}

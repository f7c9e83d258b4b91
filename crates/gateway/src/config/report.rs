//! Every problem of one file, with its line.
//!
//! In: what is wrong, at which byte. Out: the list, by line. A problem must never carry the value of a secret.

use std::{error, fmt, ops::Range};

use super::read::Environment;

/// One thing wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 1-based line in the file.
    pub line: usize,
    /// Dotted key, `channel[0].base_url`; empty for a syntax error.
    pub key: String,
    /// What was found and what was expected. Never the value of a secret.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "line {}: {}", self.line, self.message)
        } else {
            write!(f, "line {}: {}: {}", self.line, self.key, self.message)
        }
    }
}

impl error::Error for Problem {}

/// Collects the problems of one file while it is read.
pub(super) struct Report<'e> {
    /// Where `env:NAME` is looked up.
    pub(super) environment: &'e dyn Environment,
    /// Offsets of the line feeds, in order: an offset's line is one more than those before it.
    line_feeds: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'e> Report<'e> {
    pub(super) fn new(text: &str, environment: &'e dyn Environment) -> Report<'e> {
        let line_feeds = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        Report { environment, line_feeds, problems: Vec::new() }
    }

    /// The 1-based line where `span` starts.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        1 + self.line_feeds.partition_point(|feed| *feed < span.start)
    }

    pub(super) fn problem(&mut self, line: usize, key: &str, message: String) {
        self.problems.push(Problem { line, key: key.to_owned(), message });
    }

    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Everything reported, by line.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        // The TOML parser may meet one slip twice.
        self.problems.dedup();
        self.problems
    }
}

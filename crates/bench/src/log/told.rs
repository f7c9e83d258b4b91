//! The answers in words.
//!
//! In: times. Out: Markdown, for the terminal and for docs/BENCHMARKS.md.

use std::time::Duration;

use super::measure::Writing;
use crate::machine::Machine;

/// What is to be reached by the answers to the usual questions.
pub const TARGET: Duration = Duration::from_millis(100);

/// One question, asked often.
#[derive(Debug, Default)]
pub struct Answer {
    pub what: &'static str,
    pub times: Vec<Duration>,
    /// At most, of one page.
    pub rows: usize,
    /// A page ended because enough rows were looked at.
    pub cut_short: bool,
}

impl Answer {
    pub fn p50(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    pub fn max(&self) -> Duration {
        self.times.iter().max().copied().unwrap_or_default()
    }

    /// As a row of a table.
    pub fn line(&self) -> String {
        let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
        let found = if self.cut_short { format!("{}, bounded", self.rows) } else { self.rows.to_string() };
        let verdict = if self.max() < TARGET { "reached" } else { "**missed**" };
        format!("| {} | {found} | {} | {} | {verdict} |\n", self.what, ms(self.p50()), ms(self.max()))
    }
}

/// What was measured.
#[derive(Debug)]
pub struct Told<'a> {
    pub machine: &'a Machine,
    pub profile: &'a str,
    pub rows: u64,
    pub bytes: u64,
    /// `None`: it was filled by an earlier run.
    pub filled_in: Option<Duration>,
    pub answers: &'a [Answer],
    pub writing: &'a Writing,
    pub removing: &'a Answer,
}

impl Told<'_> {
    /// The section.
    pub fn section(&self) -> String {
        let Told { machine, profile, rows, bytes, filled_in, answers, writing, removing } = self;
        let table: String = answers.iter().map(|answer| answer.line()).collect();
        format!(
            "\
## The request log

Written by `make bench-log` on {date}: {cpu}, {cores} cores, {memory:.0} GB, {busy:.0} % busy before the run, profile {profile}.
{rows} requests of ninety days, {gigabytes:.1} GB with all indexes, filled {filled}.

| question | rows of a page | p50, ms | max, ms | < {target} ms |
|---|---|---|---|---|
{table}
| writing and removing, at that size | |
|---|---|
| CPU per settled request written, batches of 200 | {micros:.1} µs (≤ 30 µs) |
| requests written one batch after the other | {per_second:.0}/s |
| removing {batch} requests, for which the writer waits | p50 {p50:.1} ms, max {max:.1} ms |

- Each question is asked for its first three pages of 50, for three from the middle of the log on, and for one from its old end,
  fifteen times over, each time over a new connection, as the gateway does it. The pages of the file are in the system's cache:
  the log is read just after it was written. From a cold disk the first answer takes as long as the disk needs for the pages.
- *Bounded*: what is asked for was so rare that the page stopped after the rows that one page may look at (3,000 by an index,
  50,000 of the log in its own order) and said how far it came; the next page goes on from there.
- The rows are made up: 2,000 users with one key each, in sessions of forty requests on average; half of the requests are by
  a hundredth of the users; 40 models, 12 channels, 2 % do not end well.
",
            date = machine.date,
            cpu = machine.cpu,
            cores = machine.cores,
            memory = machine.memory_gb,
            busy = machine.busy * 100.0,
            gigabytes = *bytes as f64 / 1e9,
            filled = filled_in
                .map_or_else(|| "by an earlier run".to_owned(), |time| format!("in {:.0} s", time.as_secs_f64())),
            target = TARGET.as_millis(),
            micros = writing.cpu.as_secs_f64() * 1e6,
            per_second = writing.per_second,
            batch = removing.rows,
            p50 = removing.p50().as_secs_f64() * 1e3,
            max = removing.max().as_secs_f64() * 1e3,
        )
    }
}

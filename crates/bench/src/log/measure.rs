//! How long the log takes.
//!
//! In: a filled database. Out: times. Each answer is read as the gateway reads it: over a connection of its own, opened for
//! it.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use store::{
    Database, StoreError,
    database::reader,
    ledger::RequestId,
    request_log::{self, Filter, Order, Page},
    retention,
    sample::Payer,
    usage::{self, Asked, By},
};

use super::{
    fill::{self, Rows},
    questions::{Question, Sample},
};
use crate::{load::Meter, log::told::Answer};

/// Rows of a page, as the console asks for them.
const PAGE: usize = 50;
const ROUNDS: usize = 15;
/// Pages that are read one after the other, from the newest on.
const PAGES: usize = 3;

/// The payers of a log that was filled before.
pub fn payers(path: &Path) -> Result<Vec<Payer>, StoreError> {
    let books = reader(path)?;
    let of = |number: usize| {
        let name = format!("sample-{number}");
        let account = request_log::account_of(&books, &name)?.unwrap_or_default();
        let key = request_log::keys_named(&books, &name)?.first().copied().unwrap_or_default();
        Ok(Payer { account, key })
    };
    (0..fill::PAYERS).map(of).collect()
}

/// A row to ask for by its ids: one that has both.
pub fn sample(path: &Path, at_ms: i64) -> Result<Sample, StoreError> {
    let filter = Filter { since_ms: Some(at_ms), status: Some((200, 200)), ..Filter::default() };
    let page = request_log::page(&reader(path)?, &filter, Order::OldestFirst, None, PAGE)?;
    let line = page.lines.into_iter().find(|line| line.upstream_request_id.is_some());
    let line = line.ok_or_else(|| StoreError::Statement("the log has no row in the middle".to_owned()))?;
    Ok(Sample { id: line.id, at_ms: line.at_ms, upstream_id: line.upstream_request_id.unwrap_or_default() })
}

/// The first pages, some in the middle of the log, and one from its old end: again and again.
pub fn question(path: &Path, question: &Question, middle: RequestId) -> Result<Answer, StoreError> {
    let mut answer = Answer { what: question.what, ..Answer::default() };
    let mut timed = |order, after| -> Result<Page, StoreError> {
        let began = Instant::now();
        let page = request_log::page(&reader(path)?, &question.filter, order, after, PAGE)?;
        answer.times.push(began.elapsed());
        answer.cut_short |= page.cut_short;
        answer.rows = answer.rows.max(page.lines.len());
        Ok(page)
    };
    for _ in 0..ROUNDS {
        for start in [None, Some(middle)] {
            let mut after = start;
            for _ in 0..PAGES {
                after = timed(Order::NewestFirst, after)?.next;
                if after.is_none() {
                    break;
                }
            }
        }
        timed(Order::OldestFirst, None)?;
    }
    Ok(answer)
}

/// Sums for the usage page.
pub fn sums(path: &Path, account: i64, now_ms: i64) -> Result<Vec<Answer>, StoreError> {
    let days = |count: i64| Some(now_ms - count * 24 * 3_600_000);
    let by = |by: &[By]| Asked { by: by.to_vec(), ..Asked::default() };
    let asked = [
        ("usage of one day by hour and model", Asked { since_ms: days(1), ..by(&[By::Hour, By::Model]) }),
        ("usage of 30 days by day and model", Asked { since_ms: days(30), ..by(&[By::Day, By::Model]) }),
        ("usage of 30 days by key", Asked { since_ms: days(30), ..by(&[By::Key]) }),
        ("usage of 90 days by day", by(&[By::Day])),
        (
            "usage of one user, 90 days by day and model",
            Asked { account: Some(account), ..by(&[By::Day, By::Model]) },
        ),
    ];
    let mut answers = Vec::new();
    for (what, asked) in asked {
        let mut answer = Answer { what, ..Answer::default() };
        for _ in 0..ROUNDS {
            let began = Instant::now();
            answer.rows = usage::sums(&reader(path)?, &asked)?.groups.len();
            answer.times.push(began.elapsed());
        }
        answers.push(answer);
    }
    Ok(answers)
}

/// What writing costs while the log is that long.
#[derive(Debug)]
pub struct Writing {
    /// Processor time of a request, the making of the row apart.
    pub cpu: Duration,
    pub per_second: f64,
}

/// Writes more rows in batches as a busy gateway does.
pub fn writing(database: &Database, rows: &mut Rows, count: u64) -> Result<Writing, String> {
    let meter = Meter(Some(std::process::id()));
    let before = meter.read()?;
    let began = Instant::now();
    for _ in 0..count {
        std::hint::black_box(rows.next_row());
    }
    let (making, made_in) = (meter.read()?.saturating_sub(before), began.elapsed());
    let before = meter.read()?;
    let began = Instant::now();
    fill::fill(database, rows, count, BUSY_BATCH).map_err(|error| error.to_string())?;
    let cpu = meter.read()?.saturating_sub(before).saturating_sub(making);
    let elapsed = began.elapsed().saturating_sub(made_in);
    Ok(Writing {
        cpu: cpu / u32::try_from(count).unwrap_or(u32::MAX),
        per_second: count as f64 / elapsed.as_secs_f64(),
    })
}

/// What the settler gathers at 5,000 requests a second.
const BUSY_BATCH: u64 = 200;

/// Removes the oldest rows in batches of `batch`, and times each: for so long a writer waits.
pub fn removing(
    database: &Database,
    before_ms: i64,
    batch: u32,
    batches: usize,
) -> Result<Answer, StoreError> {
    let mut answer = Answer { what: "retention: one batch removed", ..Answer::default() };
    for _ in 0..batches {
        let began = Instant::now();
        answer.rows = answer.rows.max(retention::remove(database, before_ms, batch)? as usize);
        answer.times.push(began.elapsed());
    }
    Ok(answer)
}

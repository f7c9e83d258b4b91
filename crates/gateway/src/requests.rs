//! `sluice requests`: the request log, for people and for machines.
//!
//! In: the database file, beside whoever owns it, and what is wanted. Out: a line for each request, in the order in which they came
//! in, and then those that are open; money as decimal strings of dollars. It must not change anything.

use std::{
    collections::VecDeque,
    io::Write,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::{Value, json};
use store::{
    Nanos, StoreError,
    database::{self, Connection},
    request_log::{self, Filter, Order, RequestLine},
};

use crate::selection::Selection;

/// Requests read at once.
const PAGE: usize = 500;

/// Writes the requests that are wanted, the latest `limit` of them. Returns what there is to say beside them.
pub fn requests(
    path: &Path,
    as_json: bool,
    limit: Option<usize>,
    selection: Selection,
    out: &mut dyn Write,
) -> Result<Option<String>, String> {
    let mut tell = |line: &RequestLine| {
        let text = if as_json { format!("{}\n", as_value(line)) } else { as_text(line) };
        // A closed pipe is nobody's error.
        let _ = out.write_all(text.as_bytes());
    };
    let told = |error: StoreError| error.to_string();
    let books = database::reader(path).map_err(told)?;
    let filter = selection.resolved(&books).map_err(told)?;
    let count = match limit {
        Some(limit) => latest(&books, &filter, limit, &mut tell),
        None => all(&books, &filter, &mut tell),
    };
    let count = count.map_err(told)?;
    for line in request_log::open(&books).map_err(told)? {
        if filter.lets_open_through(&line) {
            tell(&line);
        }
    }
    let kept_from_ms = request_log::kept_from_ms(&books).map_err(told)?;
    let whole = kept_from_ms == 0
        || filter.since_ms.is_some_and(|since| since >= kept_from_ms)
        || limit.is_some_and(|limit| count >= limit);
    Ok((!whole).then(|| {
        format!("requests that came in before {} have been removed: retention.requests", at(kept_from_ms))
    }))
}

fn all(books: &Connection, filter: &Filter, tell: &mut dyn FnMut(&RequestLine)) -> Result<usize, StoreError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = request_log::page(books, filter, Order::OldestFirst, after, PAGE)?;
        page.lines.iter().for_each(&mut *tell);
        count += page.lines.len();
        if page.next.is_none() {
            return Ok(count);
        }
        after = page.next;
    }
}

fn latest(
    books: &Connection,
    filter: &Filter,
    limit: usize,
    tell: &mut dyn FnMut(&RequestLine),
) -> Result<usize, StoreError> {
    let (mut after, mut lines) = (None, VecDeque::new());
    while lines.len() < limit {
        let most = PAGE.min(limit - lines.len());
        let page = request_log::page(books, filter, Order::NewestFirst, after, most)?;
        page.lines.into_iter().for_each(|line| lines.push_front(line));
        if page.next.is_none() {
            break;
        }
        after = page.next;
    }
    lines.iter().for_each(tell);
    Ok(lines.len())
}

fn as_value(line: &RequestLine) -> Value {
    json!({
        "request_id": id(line),
        "at": at(line.at_ms),
        "user": line.user,
        "key": line.key,
        "dialect": line.dialect,
        "operation": line.operation,
        "model": line.model,
        "stream": line.stream,
        "channel": line.channel,
        "attempts": parsed(&line.attempts),
        "ending": line.ending,
        "status": line.status,
        "cause": line.cause,
        "losses": line.losses.as_deref().map(parsed),
        "usage": line.usage.as_deref().map(parsed),
        "estimated": line.estimated,
        "unpriced": line.unpriced,
        "hold": line.hold.to_string(),
        "charge": line.charge.to_string(),
        "overrun": line.overrun().to_string(),
        "bytes_in": line.bytes_in,
        "bytes_out": line.bytes_out,
        "queued_ms": line.queued_ms,
        "first_byte_ms": line.first_byte_ms,
        "total_ms": line.total_ms,
        "upstream_request_id": line.upstream_request_id,
    })
}

/// What the settler wrote as JSON.
pub(crate) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn as_text(line: &RequestLine) -> String {
    // An estimate has a ~ before it, an overrun is told behind it.
    let charge = format!("{}{}", if line.estimated { "~" } else { "" }, line.charge);
    let overrun = match line.overrun() {
        Nanos::ZERO => String::new(),
        overrun => format!(" (overrun {overrun})"),
    };
    format!(
        "{} {} {:<11} {:>3} {charge:>14}{overrun} {} {} {}\n",
        at(line.at_ms),
        id(line),
        line.ending,
        line.status,
        line.key.as_deref().unwrap_or("-"),
        line.model,
        line.channel.as_deref().unwrap_or("-"),
    )
}

pub(crate) fn id(line: &RequestLine) -> String {
    uuid::Uuid::from_bytes(line.id).hyphenated().to_string()
}

pub(crate) fn at(ms: i64) -> String {
    let since = Duration::from_millis(ms.max(0) as u64);
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

//! `sluice books` and `sluice requests`: what the books say, for people and for machines.
//!
//! In: the database file, beside whoever owns it. Out: text, or JSON with money as decimal strings of dollars. It must not
//! change anything.

use std::{
    io::Write,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::{Value, json};
use store::{
    Nanos, StoreError, database,
    report::{self, Books},
    request_log::{self, Filter, Order, RequestLine},
};

/// Writes the books; whether every rule holds.
pub fn books(path: &Path, as_json: bool, out: &mut dyn Write) -> Result<bool, String> {
    let books = database::reader(path).and_then(|mut reader| report::books(&mut reader)).map_err(told)?;
    let text = if as_json { format!("{}\n", books_json(&books)) } else { books_text(&books) };
    // A closed pipe is nobody's error.
    let _ = out.write_all(text.as_bytes());
    Ok(books.violations.is_empty())
}

/// Requests read at once.
const PAGE: usize = 500;

/// Writes requests in the order in which they came in, the latest `limit` of them, and then those that are open.
pub fn requests(path: &Path, as_json: bool, limit: Option<u32>, out: &mut dyn Write) -> Result<(), String> {
    let reader = database::reader(path).map_err(told)?;
    let mut tell = |line: &RequestLine| {
        let text = if as_json { format!("{}\n", request_json(line)) } else { request_text(line) };
        let _ = out.write_all(text.as_bytes());
    };
    let page = |order, after, limit| {
        request_log::page(&reader, &Filter::default(), order, after, limit).map_err(told)
    };
    match limit {
        Some(limit) => page(Order::NewestFirst, None, limit as usize)?.lines.iter().rev().for_each(&mut tell),
        None => {
            let mut after = None;
            loop {
                let found = page(Order::OldestFirst, after, PAGE)?;
                found.lines.iter().for_each(&mut tell);
                after = found.next;
                if after.is_none() {
                    break;
                }
            }
        }
    }
    request_log::open(&reader).map_err(told)?.iter().for_each(tell);
    Ok(())
}

fn told(error: StoreError) -> String {
    error.to_string()
}

fn books_json(books: &Books) -> Value {
    let accounts: Vec<Value> = books
        .accounts
        .iter()
        .map(|account| {
            json!({
                "id": account.id,
                "user": account.user,
                "unlimited": account.unlimited,
                "balance": account.balance.to_string(),
                "held": account.held.to_string(),
            })
        })
        .collect();
    let keys: Vec<Value> = books
        .keys
        .iter()
        .map(|key| {
            let left = key.spend_limit.map(|limit| limit.minus(key.spent).minus(key.held).to_string());
            json!({
                "id": key.id,
                "name": key.name,
                "status": key.status,
                "spend_limit": key.spend_limit.map(|limit| limit.to_string()),
                "spent": key.spent.to_string(),
                "held": key.held.to_string(),
                "balance": left,
                "requests": key.requests,
                "overrun": key.overrun.to_string(),
            })
        })
        .collect();
    json!({
        "accounts": accounts,
        "keys": keys,
        "entries": books.entries,
        "requests": books.requests,
        "open_requests": books.open_requests,
        "balanced": books.violations.is_empty(),
        "violations": books.violations,
    })
}

fn books_text(books: &Books) -> String {
    let mut text = format!("{:<24} {:>10} {:>18} {:>18}\n", "account", "", "balance $", "held $");
    for account in &books.accounts {
        let unlimited = if account.unlimited { "unlimited" } else { "" };
        let (balance, held) = (account.balance.to_string(), account.held.to_string());
        text += &format!("{:<24} {unlimited:>10} {balance:>18} {held:>18}\n", account.user);
    }
    text += &format!(
        "\n{:<24} {:>10} {:>18} {:>18} {:>12} {:>12}\n",
        "key", "requests", "spent $", "held $", "limit $", "overrun $"
    );
    for key in &books.keys {
        let (spent, held) = (key.spent.to_string(), key.held.to_string());
        let limit = key.spend_limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
        let overrun = key.overrun.to_string();
        text += &format!(
            "{:<24} {:>10} {spent:>18} {held:>18} {limit:>12} {overrun:>12}\n",
            key.name, key.requests
        );
    }
    text += &format!(
        "\n{} requests, {} of them open; {} entries\n",
        books.requests + books.open_requests,
        books.open_requests,
        books.entries
    );
    if books.violations.is_empty() {
        text += "the books balance\n";
    }
    for violation in &books.violations {
        text += &format!("WRONG: {violation}\n");
    }
    text
}

fn request_json(line: &RequestLine) -> Value {
    // Written by the settler, as JSON.
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    json!({
        "request_id": id(line),
        "at": at(line),
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
        "usage": line.usage.as_deref().map(parsed),
        "estimated": line.estimated,
        "unpriced": line.unpriced,
        "hold": line.hold.to_string(),
        "charge": line.charge.to_string(),
        "overrun": line.overrun().to_string(),
        "total_ms": line.total_ms,
    })
}

fn request_text(line: &RequestLine) -> String {
    // An estimate has a ~ before it, an overrun is told behind it.
    let charge = format!("{}{}", if line.estimated { "~" } else { "" }, line.charge);
    let overrun = match line.overrun() {
        Nanos::ZERO => String::new(),
        overrun => format!(" (overrun {overrun})"),
    };
    format!(
        "{} {} {:<11} {:>3} {:>14}{overrun} {} {} {}\n",
        at(line),
        id(line),
        line.ending,
        line.status,
        charge,
        line.key.as_deref().unwrap_or("-"),
        line.model,
        line.channel.as_deref().unwrap_or("-"),
    )
}

fn id(line: &RequestLine) -> String {
    uuid::Uuid::from_bytes(line.id).hyphenated().to_string()
}

fn at(line: &RequestLine) -> String {
    let since = Duration::from_millis(line.at_ms.max(0) as u64);
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

//! `sluice books`: what the books say, for people and for machines.
//!
//! In: the database file, beside whoever owns it. Out: text, or JSON with money as decimal strings of dollars. It must not
//! change anything.

use std::{io::Write, path::Path};

use serde_json::{Value, json};
use store::{
    StoreError, database,
    report::{self, Books},
};

/// Writes the books; whether every rule holds.
pub fn books(path: &Path, as_json: bool, out: &mut dyn Write) -> Result<bool, String> {
    let books = database::reader(path).and_then(|mut reader| report::books(&mut reader)).map_err(told)?;
    let text = if as_json { format!("{}\n", books_json(&books)) } else { books_text(&books) };
    // A closed pipe is nobody's error.
    let _ = out.write_all(text.as_bytes());
    Ok(books.violations.is_empty())
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

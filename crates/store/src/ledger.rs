//! The books on disk: what was opened, what ended, what was paid.
//!
//! In: batches of requests that opened and ended, and entries. Out: rows. A batch is one transaction, and doing it twice is
//! doing it once: a request's row, its entry and the sums that they change stand or fall together.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::{
    database::Database,
    error::StoreError,
    money::Nanos,
    usage::{self, Tokens},
};

/// A request's id: a UUID of version 7.
pub type RequestId = [u8; 16];

/// A request that was admitted and has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub id: RequestId,
    pub at_ms: i64,
    pub account: i64,
    pub key: i64,
    pub dialect: &'static str,
    pub operation: &'static str,
    pub model: String,
    pub stream: bool,
    pub hold: Nanos,
    pub bytes_in: u64,
}

/// A request that has ended: one row, and one entry if it cost anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub id: RequestId,
    pub at_ms: i64,
    /// Who pays; `None`: the request was refused before that was known.
    pub account: Option<i64>,
    pub key: Option<i64>,
    pub dialect: &'static str,
    pub operation: &'static str,
    pub model: String,
    pub stream: bool,
    pub channel: Option<Arc<str>>,
    /// JSON, as the request log shows it.
    pub attempts: String,
    pub ending: &'static str,
    /// HTTP status that the caller got; 0: none.
    pub status: u16,
    pub cause: Option<String>,
    /// JSON object of buckets; `None`: not known.
    pub usage: Option<String>,
    /// The same in the buckets that are summed up.
    pub tokens: Tokens,
    /// The usage is our estimate, not the provider's word.
    pub estimated: bool,
    /// There was no price for the model: served, and charged nothing.
    pub unpriced: bool,
    pub hold: Nanos,
    pub charge: Nanos,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub queued_ms: u64,
    pub first_byte_ms: Option<u64>,
    pub total_ms: u64,
    pub upstream_request_id: Option<String>,
    /// It stands among the open ones.
    pub was_opened: bool,
}

/// What is written at once.
#[derive(Debug, Default)]
pub struct Batch {
    pub opened: Vec<Opened>,
    pub ended: Vec<Ended>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.ended.is_empty()
    }
}

/// Why money moves other than by a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    TopUp,
    Refund,
    Redemption,
    Adjustment,
}

impl EntryKind {
    pub const fn name(self) -> &'static str {
        match self {
            EntryKind::TopUp => "top_up",
            EntryKind::Refund => "refund",
            EntryKind::Redemption => "redemption",
            EntryKind::Adjustment => "adjustment",
        }
    }
}

/// Writes a batch, all of it or nothing. Requests that stand in the books already are passed over.
pub fn commit(database: &Database, batch: &Batch) -> Result<(), StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write_opened(&transaction, &batch.opened)?;
    write_ended(&transaction, &batch.ended)?;
    transaction.commit()?;
    Ok(())
}

fn write_opened(transaction: &Transaction<'_>, opened: &[Opened]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO open_requests (id, at_ms, account_id, key_id, dialect, operation, model, stream,
             hold_nanos, bytes_in)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
         WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = ?1)
         ON CONFLICT (id) DO NOTHING",
    )?;
    for row in opened {
        insert.execute(params![
            row.id,
            row.at_ms,
            row.account,
            row.key,
            row.dialect,
            row.operation,
            row.model,
            row.stream,
            row.hold.0,
            row.bytes_in as i64,
        ])?;
    }
    Ok(())
}

fn write_ended(transaction: &Transaction<'_>, ended: &[Ended]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO requests (id, at_ms, account_id, key_id, dialect, operation, model, stream, channel, attempts,
             ending, status, cause, usage, estimated, unpriced, hold_nanos, charge_nanos, bytes_in, bytes_out,
             queued_ms, first_byte_ms, total_ms, upstream_request_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24)
         ON CONFLICT (id) DO NOTHING",
    )?;
    let mut close = transaction.prepare_cached("DELETE FROM open_requests WHERE id = ?1")?;
    let mut enter = transaction.prepare_cached(
        "INSERT INTO entries (account_id, key_id, kind, amount_nanos, operation, at_ms)
         VALUES (?1, ?2, 'settlement', ?3, ?4, ?5)",
    )?;
    let (mut accounts, mut keys) = (BTreeMap::<i64, Nanos>::new(), BTreeMap::<i64, Nanos>::new());
    let mut usage = usage::Batch::default();
    for row in ended {
        let written = insert.execute(params![
            row.id,
            row.at_ms,
            row.account,
            row.key,
            row.dialect,
            row.operation,
            row.model,
            row.stream,
            row.channel.as_deref(),
            row.attempts,
            row.ending,
            row.status,
            row.cause,
            row.usage,
            row.estimated,
            row.unpriced,
            row.hold.0,
            row.charge.0,
            row.bytes_in as i64,
            row.bytes_out as i64,
            row.queued_ms as i64,
            row.first_byte_ms.map(|ms| ms as i64),
            row.total_ms as i64,
            row.upstream_request_id,
        ])?;
        if row.was_opened {
            close.execute([row.id])?;
        }
        if written == 1 {
            usage.add(row);
        }
        let (Some(account), true, true) = (row.account, row.charge != Nanos::ZERO, written == 1) else {
            continue;
        };
        enter.execute(params![
            account,
            row.key,
            -row.charge.0,
            row.id,
            row.at_ms.saturating_add(row.total_ms as i64)
        ])?;
        let sum = accounts.entry(account).or_default();
        *sum = sum.plus(row.charge);
        if let Some(key) = row.key {
            let sum = keys.entry(key).or_default();
            *sum = sum.plus(row.charge);
        }
    }
    // One step an account and a key, however many requests they had.
    let mut pay =
        transaction.prepare_cached("UPDATE accounts SET balance_nanos = balance_nanos - ?2 WHERE id = ?1")?;
    for (account, charged) in accounts {
        pay.execute(params![account, charged.0])?;
    }
    let mut spend =
        transaction.prepare_cached("UPDATE api_keys SET spent_nanos = spent_nanos + ?2 WHERE id = ?1")?;
    for (key, charged) in keys {
        spend.execute(params![key, charged.0])?;
    }
    usage.write(transaction)
}

/// Enters an amount into an account, once for each `operation`; whether it was entered now.
pub fn enter(
    database: &Database,
    account: i64,
    kind: EntryKind,
    amount: Nanos,
    operation: &[u8],
    at_ms: i64,
    note: &str,
) -> Result<bool, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let entered = transaction.execute(
        "INSERT INTO entries (account_id, kind, amount_nanos, operation, at_ms, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, operation) DO NOTHING",
        params![account, kind.name(), amount.0, operation, at_ms, note],
    )? == 1;
    if entered {
        transaction.execute(
            "UPDATE accounts SET balance_nanos = balance_nanos + ?2, paid_nanos = paid_nanos + ?2 WHERE id = ?1",
            params![account, amount.0],
        )?;
    }
    transaction.commit()?;
    Ok(entered)
}

/// After a crash: requests that were open are over, as lost and not charged. Returns how many there were.
pub fn recover(database: &Database, now_ms: i64) -> Result<usize, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    usage::add_lost(&transaction)?;
    let lost = transaction.execute(
        "INSERT INTO requests (id, at_ms, account_id, key_id, dialect, operation, model, stream, attempts, ending,
             status, cause, hold_nanos, bytes_in, bytes_out, queued_ms, total_ms)
         SELECT id, at_ms, account_id, key_id, dialect, operation, model, stream, '[]', 'lost',
             0, 'the process died while this request ran', hold_nanos, bytes_in, 0, 0, max(0, ?1 - at_ms)
         FROM open_requests WHERE true
         ON CONFLICT (id) DO NOTHING",
        [now_ms],
    )?;
    transaction.execute("DELETE FROM open_requests", [])?;
    transaction.commit()?;
    Ok(lost)
}

/// The rule that the books keep, and where they do not.
pub fn violations(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut look = |query: &str, tell: &dyn Fn(i64, i64, i64) -> String| -> Result<(), StoreError> {
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.push(tell(row.get(0)?, row.get(1)?, row.get(2)?));
        }
        Ok(())
    };
    look(
        "SELECT a.id, a.balance_nanos, coalesce(sum(e.amount_nanos), 0) AS entered
         FROM accounts a LEFT JOIN entries e ON e.account_id = a.id
         GROUP BY a.id, a.balance_nanos HAVING entered <> a.balance_nanos",
        &|account, balance, entered| {
            format!(
                "account {account}: the balance is {}, its entries sum to {}",
                Nanos(balance),
                Nanos(entered)
            )
        },
    )?;
    look(
        "SELECT k.id, k.spent_nanos, coalesce(e.charged, 0)
         FROM api_keys k LEFT JOIN (
             SELECT key_id, -sum(amount_nanos) AS charged FROM entries GROUP BY key_id) e ON e.key_id = k.id
         WHERE coalesce(e.charged, 0) <> k.spent_nanos",
        &|key, spent, charged| {
            format!("key {key}: {} is spent, its entries sum to {}", Nanos(spent), Nanos(charged))
        },
    )?;
    look(
        "SELECT r.account_id, r.charge_nanos, coalesce(-e.amount_nanos, 0)
         FROM requests r LEFT JOIN entries e ON e.kind = 'settlement' AND e.operation = r.id
         WHERE r.account_id IS NOT NULL AND r.charge_nanos <> coalesce(-e.amount_nanos, 0)",
        &|account, charged, entered| {
            format!(
                "account {account}: a request was charged {}, its entry says {}",
                Nanos(charged),
                Nanos(entered)
            )
        },
    )?;
    look(
        "SELECT key_id, sum(charged), sum(entered) FROM (
             SELECT account_id, key_id, charge_nanos AS charged, 0 AS entered FROM usage_hours
             UNION ALL
             SELECT account_id, coalesce(key_id, 0), 0, -amount_nanos FROM entries WHERE kind = 'settlement')
         GROUP BY account_id, key_id HAVING sum(charged) <> sum(entered)",
        &|key, summed, entered| {
            format!(
                "key {key}: its usage by the hour sums to {}, its entries to {}",
                Nanos(summed),
                Nanos(entered)
            )
        },
    )?;
    look(
        "SELECT coalesce(o.account_id, 0), o.hold_nanos, 0 FROM open_requests o
         WHERE o.hold_nanos < 0 OR EXISTS (SELECT 1 FROM requests r WHERE r.id = o.id)",
        &|account, hold, _| {
            format!("account {account}: a request that has ended still holds {}", Nanos(hold))
        },
    )?;
    Ok(found)
}

//! The books on disk: what was opened, what ended, what was paid.
//!
//! In: batches of requests that opened and ended, and entries. Out: rows. A batch is one transaction, and doing it twice is
//! doing it once: a request's row, its entry and the sums that they change stand or fall together.

mod enter;
pub mod sweep;

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Transaction, TransactionBehavior, params};

use crate::{
    database::Database,
    error::StoreError,
    money::Nanos,
    usage::{self, Tokens},
};

/// A request's id: a UUID of version 7.
pub type RequestId = [u8; 16];

pub use enter::{Entered, EntryKind, Refused, enter, refund};
pub(crate) use enter::{refund_in, refundable};

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
    pub account: i64,
    pub key: i64,
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
    /// JSON list of what a translation could not carry; `None`: nothing, or there was none.
    pub losses: Option<String>,
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

/// Writes a batch, all of it or nothing. Requests that stand in the books already are passed over.
pub fn commit(database: &Database, batch: &Batch) -> Result<(), StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    write_opened(&transaction, &batch.opened)?;
    write_ended(&transaction, &batch.ended)?;
    transaction.commit()?;
    database.wrote(batch.opened.len() + batch.ended.len());
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
             queued_ms, first_byte_ms, total_ms, upstream_request_id, losses)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24, ?25)
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
            row.losses,
        ])?;
        if row.was_opened {
            close.execute([row.id])?;
        }
        if written == 0 {
            continue;
        }
        usage.add(row);
        if row.charge == Nanos::ZERO {
            continue;
        }
        enter.execute(params![
            row.account,
            row.key,
            -row.charge.0,
            row.id,
            row.at_ms.saturating_add(row.total_ms as i64)
        ])?;
        for (sums, payer) in [(&mut accounts, row.account), (&mut keys, row.key)] {
            let sum = sums.entry(payer).or_default();
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

/// What is charged for a request that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostCharge {
    Nothing,
    /// Its hold, marked as an estimate.
    Hold,
}

/// After a crash: requests that were open are over, as lost. Returns how many there were.
pub fn recover(database: &Database, now_ms: i64, charge: LostCharge) -> Result<usize, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let charged = charge == LostCharge::Hold;
    usage::add_lost(&transaction, charged)?;
    let lost = transaction.execute(
        "INSERT INTO requests (id, at_ms, account_id, key_id, dialect, operation, model, stream, attempts, ending,
             status, cause, hold_nanos, charge_nanos, estimated, bytes_in, bytes_out, queued_ms, total_ms)
         SELECT id, at_ms, account_id, key_id, dialect, operation, model, stream, '[]', 'lost',
             0, 'the process died while this request ran', hold_nanos, iif(?2, hold_nanos, 0), ?2 AND hold_nanos > 0,
             bytes_in, 0, 0, max(0, ?1 - at_ms)
         FROM open_requests WHERE true
         ON CONFLICT (id) DO NOTHING",
        params![now_ms, charged],
    )?;
    if charged {
        // One that ended in the same breath stands among the requests with another ending, and has paid.
        let charged_now = "FROM open_requests o JOIN requests r ON r.id = o.id AND r.ending = 'lost' AND r.charge_nanos > 0";
        transaction.execute_batch(&format!(
            "UPDATE accounts SET balance_nanos = balance_nanos -
                 (SELECT coalesce(sum(r.charge_nanos), 0) {charged_now} WHERE o.account_id = accounts.id);
             UPDATE api_keys SET spent_nanos = spent_nanos +
                 (SELECT coalesce(sum(r.charge_nanos), 0) {charged_now} WHERE o.key_id = api_keys.id);
             INSERT INTO entries (account_id, key_id, kind, amount_nanos, operation, at_ms)
                 SELECT o.account_id, o.key_id, 'settlement', -r.charge_nanos, o.id, {now_ms} {charged_now} WHERE true"
        ))?;
    }
    transaction.execute("DELETE FROM open_requests", [])?;
    transaction.commit()?;
    Ok(lost)
}

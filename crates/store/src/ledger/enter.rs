//! Money that moves other than by a request: top-ups, refunds, redemptions, adjustments.
//!
//! In: an amount and an id of the operation, the asker's own. Out: one entry, and the sums that it changes, in one transaction;
//! asking twice is asking once. The purses in memory follow what stands in the books, and nothing else.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::RequestId;
use crate::{database::Database, error::StoreError, money::Nanos, purse::Purse};

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

/// An entry that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered {
    pub account: i64,
    /// Whose request it was about.
    pub key: Option<i64>,
    pub amount: Nanos,
}

impl Entered {
    /// Lets the key's purse follow the books; to be called once, by who made the entry. The account's follows by its row, as it
    /// does after every entry.
    pub fn follow(&self, key: &Purse) {
        key.unspend(self.amount);
    }
}

/// Why a refund was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request is not in the books, or cost nothing.
    NothingCharged,
    /// No more than this is left of what it was charged, or of what its account was charged in all.
    MoreThanCharged { left: Nanos },
    /// Nothing, or less.
    NotPositive,
}

struct Entry<'a> {
    account: i64,
    key: Option<i64>,
    kind: EntryKind,
    amount: Nanos,
    operation: &'a [u8],
    request: Option<&'a RequestId>,
    at_ms: i64,
    note: &'a str,
}

/// Enters an amount into an account, once for each `operation`; whether it was entered now. The same operation with another
/// amount or account is an error.
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
    let entry = Entry { account, key: None, kind, amount, operation, request: None, at_ms, note };
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let entered = write(&transaction, &entry)?;
    commit(transaction, &entry, entered, &mut || database.sibling())?;
    Ok(entered)
}

/// Gives back of what a request was charged: never more than all of it, however many refunds there are. `Ok(Ok(None))`: this
/// operation was entered before.
pub fn refund(
    database: &Database,
    request: &RequestId,
    amount: Nanos,
    operation: &[u8],
    at_ms: i64,
    note: &str,
) -> Result<Result<Option<Entered>, Refused>, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (entered, fresh) = match refund_in(&transaction, request, amount, operation, at_ms, note)? {
        Ok(entered) => entered,
        Err(refused) => return Ok(Err(refused)),
    };
    let Entered { account, key, amount } = entered;
    let kind = EntryKind::Refund;
    let entry = Entry { account, key, kind, amount, operation, request: Some(request), at_ms, note };
    commit(transaction, &entry, fresh, &mut || database.sibling())?;
    Ok(Ok(fresh.then_some(entered)))
}

/// The same within a larger change: the entry, and whether it was entered now.
pub(crate) fn refund_in(
    transaction: &Transaction<'_>,
    request: &RequestId,
    amount: Nanos,
    operation: &[u8],
    at_ms: i64,
    note: &str,
) -> Result<Result<(Entered, bool), Refused>, StoreError> {
    if amount <= Nanos::ZERO {
        return Ok(Err(Refused::NotPositive));
    }
    // The entry outlives the request's row.
    let settled: Option<(i64, Option<i64>, i64)> = transaction
        .query_row(
            "SELECT account_id, key_id, amount_nanos FROM entries WHERE kind = 'settlement' AND operation = ?1",
            [request],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((account, key, charged)) = settled else { return Ok(Err(Refused::NothingCharged)) };
    let kind = EntryKind::Refund;
    let entry = Entry { account, key, kind, amount, operation, request: Some(request), at_ms, note };
    if !known(transaction, &entry)? {
        let refunded: i64 = transaction.query_row(
            "SELECT coalesce(sum(amount_nanos), 0) FROM entries WHERE request_id = ?1",
            [request],
            |row| row.get(0),
        )?;
        let of_request = Nanos(0).minus(Nanos(charged)).minus(Nanos(refunded));
        let left = of_request.min(refundable(transaction, account)?);
        if amount > left {
            return Ok(Err(Refused::MoreThanCharged { left }));
        }
    }
    let fresh = write(transaction, &entry)?;
    Ok(Ok((Entered { account, key, amount }, fresh)))
}

/// What an account was charged in all and was not given back yet: a refund that is about no request ends there, and so do all
/// of them together.
pub(crate) fn refundable(transaction: &Transaction<'_>, account: i64) -> Result<Nanos, StoreError> {
    // Refunds are few, and are found by their kind: not among all entries of the account.
    let left = transaction.query_row(
        "SELECT paid_nanos - balance_nanos - (
             SELECT coalesce(sum(e.amount_nanos), 0) FROM entries e WHERE e.kind = 'refund' AND +e.account_id = a.id)
         FROM accounts a WHERE id = ?1",
        [account],
        |row| row.get(0),
    )?;
    Ok(Nanos(left))
}

/// Whether the operation was entered before; as something else, it is an error.
fn known(connection: &Connection, entry: &Entry<'_>) -> Result<bool, StoreError> {
    let found: Option<(i64, i64, Option<RequestId>)> = connection
        .query_row(
            "SELECT account_id, amount_nanos, request_id FROM entries WHERE kind = ?1 AND operation = ?2",
            params![entry.kind.name(), entry.operation],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    match found {
        None => Ok(false),
        Some(found) if found == (entry.account, entry.amount.0, entry.request.copied()) => Ok(true),
        Some(_) => Err(StoreError::OtherOperation),
    }
}

fn write(transaction: &Transaction<'_>, entry: &Entry<'_>) -> Result<bool, StoreError> {
    if known(transaction, entry)? {
        return Ok(false);
    }
    let Entry { account, key, kind, amount, operation, request, at_ms, note } = *entry;
    transaction.execute(
        "INSERT INTO entries (account_id, key_id, kind, amount_nanos, operation, request_id, at_ms, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![account, key, kind.name(), amount.0, operation, request, at_ms, note],
    )?;
    let add =
        "UPDATE accounts SET balance_nanos = balance_nanos + ?2, paid_nanos = paid_nanos + ?2 WHERE id = ?1";
    transaction.execute(add, params![account, amount.0])?;
    // What was spent before the limit's period began lifts no limit of the period.
    let unspend = "UPDATE api_keys SET spent_nanos = spent_nanos - ?2, spent_before_nanos = spent_before_nanos - iif(
             (SELECT s.at_ms FROM entries s WHERE s.kind = 'settlement' AND s.operation = ?3) < period_start_ms, ?2, 0)
         WHERE id = ?1";
    transaction.execute(unspend, params![key, amount.0, request])?;
    Ok(true)
}

/// Commits. A commit that reports a failure may have been one all the same: then what is on disk counts, or the purses would
/// not follow.
fn commit(
    transaction: Transaction<'_>,
    entry: &Entry<'_>,
    entered: bool,
    look: &mut dyn FnMut() -> Result<Option<Connection>, StoreError>,
) -> Result<(), StoreError> {
    let Err(error) = transaction.commit() else { return Ok(()) };
    match look() {
        Ok(Some(connection)) if entered && known(&connection, entry)? => Ok(()),
        _ => Err(error.into()),
    }
}

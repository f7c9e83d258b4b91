//! Accounts: what a user has, what came and went, and the amounts that people move by hand.
//!
//! In: an amount, why, and the operation's own name. Out: an entry, the new balance and a row in the audit trail, in one
//! transaction; the same operation twice is once.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{
    audit::{self, By},
    change::{ChangeError, transact},
    database::Database,
    error::StoreError,
    keys::KeyHash,
    ledger::{self, EntryKind, Refused, RequestId, refund_in, refundable},
    money::Nanos,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user_id: i64,
    pub user: String,
    pub unlimited: bool,
    pub balance: Nanos,
    /// Sum of what was paid in.
    pub paid: Nanos,
    /// Sum of all charges.
    pub spent: Nanos,
    /// Of requests that run.
    pub held: Nanos,
}

/// Of a user who is there, the built-in one of the configuration file's keys among them.
pub fn find(database: &Database, user: i64) -> Result<Account, ChangeError> {
    let found = database.read(|connection| {
        Ok(connection.query_row(
            "SELECT u.id, u.name, a.unlimited, a.balance_nanos, a.paid_nanos,
                 (SELECT coalesce(sum(o.hold_nanos), 0) FROM open_requests o WHERE o.account_id = a.id)
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE u.id = ?1 AND u.status <> 'gone'",
            [user],
            |row| {
                let (balance, paid) = (Nanos(row.get(3)?), Nanos(row.get(4)?));
                Ok(Account {
                    user_id: row.get(0)?,
                    user: row.get(1)?,
                    unlimited: row.get(2)?,
                    balance,
                    paid,
                    spent: paid.minus(balance),
                    held: Nanos(row.get(5)?),
                })
            },
        ))
    })?;
    found.map_err(ChangeError::from)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    pub id: i64,
    pub kind: String,
    pub amount: Nanos,
    pub key_id: Option<i64>,
    pub key: Option<String>,
    /// Of a settlement, and of a refund that is about one: its request.
    pub request_id: Option<[u8; 16]>,
    pub at_ms: i64,
    pub note: Option<String>,
}

/// Newest first, those before `after`.
pub fn entries(
    database: &Database,
    user: i64,
    kind: Option<&str>,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<EntryRow>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare(
            "SELECT e.id, e.kind, e.amount_nanos, e.key_id, k.name,
                 CASE WHEN e.kind = 'settlement' THEN e.operation ELSE e.request_id END, e.at_ms, e.note
             FROM entries e JOIN accounts a ON a.id = e.account_id LEFT JOIN api_keys k ON k.id = e.key_id
             WHERE a.user_id = ?1 AND (?2 IS NULL OR e.kind = ?2) AND (?3 IS NULL OR e.id < ?3)
             ORDER BY e.id DESC LIMIT ?4",
        )?;
        let read = |row: &Row<'_>| {
            Ok(EntryRow {
                id: row.get(0)?,
                kind: row.get(1)?,
                amount: Nanos(row.get(2)?),
                key_id: row.get(3)?,
                key: row.get(4)?,
                request_id: row.get(5)?,
                at_ms: row.get(6)?,
                note: row.get(7)?,
            })
        };
        let rows = statement.query_map(params![user, kind, after, limit], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// An amount that is entered by hand.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'e> {
    pub kind: EntryKind,
    pub amount: Nanos,
    pub operation: &'e KeyHash,
    pub note: &'e str,
}

/// What entering came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    pub entry_id: i64,
    pub balance: Nanos,
    /// It had been done before, by the same operation.
    pub repeated: bool,
}

/// Enters an amount into a user's account. A refund is never more than the account was charged and was not given back.
pub fn enter(database: &Database, by: &By, user: i64, entry: &Entry<'_>) -> Result<Entered, ChangeError> {
    transact(database, |transaction| {
        let account = account_in(transaction, user)?;
        let known: Option<(i64, i64, i64)> = transaction
            .query_row(
                "SELECT id, account_id, amount_nanos FROM entries WHERE kind = ?1 AND operation = ?2",
                params![entry.kind.name(), entry.operation],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        if let Some((entry_id, of, amount)) = known {
            if (of, amount) != (account, entry.amount.0) {
                return Err(ChangeError::conflict(
                    "Another amount, or another account's, was entered under this operation already.",
                ));
            }
            return Ok(Entered { entry_id, balance: balance_in(transaction, user)?, repeated: true });
        }
        if entry.kind == EntryKind::Refund {
            let left = refundable(transaction, account)?;
            if entry.amount > left {
                let reason = format!("is more than {left}, which is left of what the account was charged");
                return Err(ChangeError::refused("amount", reason));
            }
        }
        let before = picture(transaction, user)?;
        let entry_id = enter_in(transaction, user, entry, by.at_ms)?;
        let after = moved(transaction, user, entry)?;
        let action = entry.kind.name();
        audit::write(transaction, by, action, "account", &user.to_string(), Some(&before), Some(&after))?;
        Ok(Entered { entry_id, balance: balance_in(transaction, user)?, repeated: false })
    })
}

/// Gives back of what one request was charged, never more than that. Beside what came of it: what the key's purse has to follow,
/// if it was entered now.
pub fn refund(
    database: &Database,
    by: &By,
    user: i64,
    request: &RequestId,
    entry: &Entry<'_>,
) -> Result<(Entered, Option<ledger::Entered>), ChangeError> {
    transact(database, |transaction| {
        let account = account_in(transaction, user)?;
        let before = picture(transaction, user)?;
        let Entry { amount, operation, note, .. } = *entry;
        let (entered, fresh) = match refund_in(transaction, request, amount, operation, by.at_ms, note)? {
            // Of another's request nobody is told here.
            Ok((entered, _)) if entered.account != account => return Err(ChangeError::Missing),
            Ok(entered) => entered,
            Err(Refused::NothingCharged) => {
                return Err(ChangeError::refused(
                    "request_id",
                    "was charged nothing, or is not in the books",
                ));
            }
            Err(Refused::MoreThanCharged { left }) => {
                let reason = format!("is more than {left}, which is left of what was charged");
                return Err(ChangeError::refused("amount", reason));
            }
            Err(Refused::NotPositive) => return Err(ChangeError::refused("amount", "expected more than 0")),
        };
        let entry_id = transaction.query_row(
            "SELECT id FROM entries WHERE kind = 'refund' AND operation = ?1",
            [operation],
            |row| row.get(0),
        )?;
        let balance = balance_in(transaction, user)?;
        if fresh {
            let after = moved(transaction, user, entry)?;
            audit::write(
                transaction,
                by,
                "refund",
                "account",
                &user.to_string(),
                Some(&before),
                Some(&after),
            )?;
        }
        Ok((Entered { entry_id, balance, repeated: !fresh }, fresh.then_some(entered)))
    })
}

/// The account as the audit trail keeps it after an amount was moved.
fn moved(transaction: &Transaction<'_>, user: i64, entry: &Entry<'_>) -> Result<String, ChangeError> {
    Ok(transaction.query_row(
        "SELECT json_object('balance_nanos', balance_nanos, 'amount_nanos', ?2, 'note', ?3)
         FROM accounts WHERE user_id = ?1",
        params![user, entry.amount.0, entry.note],
        |row| row.get(0),
    )?)
}

fn picture(transaction: &Transaction<'_>, user: i64) -> Result<String, ChangeError> {
    Ok(transaction.query_row(
        "SELECT json_object('balance_nanos', balance_nanos) FROM accounts WHERE user_id = ?1",
        [user],
        |row| row.get(0),
    )?)
}

fn account_in(transaction: &Transaction<'_>, user: i64) -> Result<i64, ChangeError> {
    Ok(transaction.query_row(
        "SELECT a.id FROM accounts a JOIN users u ON u.id = a.user_id WHERE u.id = ?1 AND u.status <> 'gone'",
        [user],
        |row| row.get(0),
    )?)
}

pub(crate) fn balance_in(transaction: &Transaction<'_>, user: i64) -> Result<Nanos, ChangeError> {
    Ok(transaction.query_row("SELECT balance_nanos FROM accounts WHERE user_id = ?1", [user], |row| {
        row.get(0).map(Nanos)
    })?)
}

/// Enters an amount within a larger change. The balance moves with it or not at all.
pub(crate) fn enter_in(
    transaction: &Transaction<'_>,
    user: i64,
    entry: &Entry<'_>,
    at_ms: i64,
) -> Result<i64, ChangeError> {
    let account = account_in(transaction, user)?;
    let balance: i64 =
        transaction
            .query_row("SELECT balance_nanos FROM accounts WHERE id = ?1", [account], |row| row.get(0))?;
    if balance.checked_add(entry.amount.0).is_none() {
        return Err(ChangeError::refused("amount", "is more than a balance can hold"));
    }
    transaction.execute(
        "INSERT INTO entries (account_id, kind, amount_nanos, operation, at_ms, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![account, entry.kind.name(), entry.amount.0, entry.operation, at_ms, entry.note],
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute(
        "UPDATE accounts SET balance_nanos = balance_nanos + ?2, paid_nanos = paid_nanos + ?2 WHERE id = ?1",
        params![account, entry.amount.0],
    )?;
    Ok(id)
}

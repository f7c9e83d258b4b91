//! What the books say: for people and for machines that check them.
//!
//! In: a connection that reads. Out: sums and rows, as they stand.

use rusqlite::Connection;

use crate::{error::StoreError, ledger::sweep, money::Nanos};

/// The books at one moment.
#[derive(Debug)]
pub struct Books {
    pub accounts: Vec<AccountLine>,
    pub keys: Vec<KeyLine>,
    pub entries: u64,
    pub requests: u64,
    pub open_requests: u64,
    /// Rules that do not hold, in words; empty: the books balance.
    pub violations: Vec<String>,
}

#[derive(Debug)]
pub struct AccountLine {
    pub id: i64,
    pub user: String,
    pub unlimited: bool,
    pub balance: Nanos,
    /// Of requests that were open when the last batch was written.
    pub held: Nanos,
}

#[derive(Debug)]
pub struct KeyLine {
    pub id: i64,
    pub name: String,
    pub status: String,
    pub spend_limit: Option<Nanos>,
    pub spent: Nanos,
    pub held: Nanos,
    pub requests: u64,
    /// Sum of what its requests were charged beyond what had been set aside.
    pub overrun: Nanos,
}

/// Reads the books in one transaction: sums and rules are of the same moment.
pub fn books(connection: &mut Connection) -> Result<Books, StoreError> {
    let transaction = connection.transaction()?;
    books_of(&transaction)
}

/// The same without a transaction of its own.
pub fn books_of(transaction: &Connection) -> Result<Books, StoreError> {
    let mut statement = transaction.prepare(
        "SELECT a.id, u.name, a.unlimited, a.balance_nanos,
             coalesce((SELECT sum(hold_nanos) FROM open_requests o WHERE o.account_id = a.id), 0)
         FROM accounts a JOIN users u ON u.id = a.user_id ORDER BY a.id",
    )?;
    let accounts = statement
        .query_map([], |row| {
            Ok(AccountLine {
                id: row.get(0)?,
                user: row.get(1)?,
                unlimited: row.get(2)?,
                balance: Nanos(row.get(3)?),
                held: Nanos(row.get(4)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    drop(statement);
    let mut statement = transaction.prepare(
        "SELECT k.id, k.name, k.status, k.spend_limit_nanos, k.spent_nanos,
             coalesce((SELECT sum(hold_nanos) FROM open_requests o WHERE o.key_id = k.id), 0),
             (SELECT count(*) FROM requests r WHERE r.key_id = k.id),
             (SELECT coalesce(sum(charge_nanos - hold_nanos), 0) FROM requests r
              WHERE r.key_id = k.id AND charge_nanos > hold_nanos)
         FROM api_keys k ORDER BY k.id",
    )?;
    let keys = statement
        .query_map([], |row| {
            Ok(KeyLine {
                id: row.get(0)?,
                name: row.get(1)?,
                status: row.get(2)?,
                spend_limit: row.get::<_, Option<i64>>(3)?.map(Nanos),
                spent: Nanos(row.get(4)?),
                held: Nanos(row.get(5)?),
                requests: row.get::<_, i64>(6)? as u64,
                overrun: Nanos(row.get(7)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    drop(statement);
    let count = |table: &str| -> Result<u64, StoreError> {
        let count: i64 =
            transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(count as u64)
    };
    Ok(Books {
        accounts,
        keys,
        entries: count("entries")?,
        requests: count("requests")?,
        open_requests: count("open_requests")?,
        violations: sweep::violations(transaction)?,
    })
}

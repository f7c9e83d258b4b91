//! What the books say: for people and for machines that check them.
//!
//! In: a connection that reads. Out: sums and rows, as they stand.

use rusqlite::Connection;

use crate::{
    error::StoreError,
    ledger::{RequestId, sweep},
    money::Nanos,
};

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

/// One request as the books have it; one that is open has the ending `open` and no charge yet.
#[derive(Debug)]
pub struct RequestLine {
    pub id: RequestId,
    pub at_ms: i64,
    pub key: Option<String>,
    pub dialect: String,
    pub operation: String,
    pub model: String,
    pub stream: bool,
    pub channel: Option<String>,
    /// JSON.
    pub attempts: String,
    pub ending: String,
    pub status: u16,
    pub cause: Option<String>,
    /// JSON.
    pub usage: Option<String>,
    pub estimated: bool,
    pub unpriced: bool,
    pub hold: Nanos,
    pub charge: Nanos,
    pub total_ms: i64,
}

impl RequestLine {
    /// What was charged beyond what had been set aside.
    pub fn overrun(&self) -> Nanos {
        self.charge.minus(self.hold).max(Nanos::ZERO)
    }
}

/// Tells the requests in the order in which they came in, the latest `limit` of them if there is one, and then those that
/// are open.
pub fn requests(
    connection: &Connection,
    limit: Option<u32>,
    mut tell: impl FnMut(RequestLine),
) -> Result<(), StoreError> {
    const ENDED: &str = "SELECT r.id, r.at_ms, k.name, r.dialect, r.operation, r.model, r.stream, r.channel, r.attempts,
             r.ending, r.status, r.cause, r.usage, r.estimated, r.unpriced, r.hold_nanos, r.charge_nanos, r.total_ms
         FROM requests r LEFT JOIN api_keys k ON k.id = r.key_id";
    const OPEN: &str = "SELECT o.id, o.at_ms, k.name, o.dialect, o.operation, o.model, o.stream, NULL, '[]',
             'open', 0, NULL, NULL, 0, 0, o.hold_nanos, 0, 0
         FROM open_requests o LEFT JOIN api_keys k ON k.id = o.key_id ORDER BY o.id";
    match limit {
        // In the order of the key: nothing is sorted, however many there are.
        None => each(connection, &format!("{ENDED} ORDER BY r.id"), &mut tell)?,
        Some(limit) => {
            let latest = format!("SELECT * FROM ({ENDED} ORDER BY r.id DESC LIMIT {limit}) ORDER BY 1");
            each(connection, &latest, &mut tell)?;
        }
    }
    each(connection, OPEN, &mut tell)
}

fn each(connection: &Connection, query: &str, tell: &mut dyn FnMut(RequestLine)) -> Result<(), StoreError> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        tell(RequestLine {
            id: row.get(0)?,
            at_ms: row.get(1)?,
            key: row.get(2)?,
            dialect: row.get(3)?,
            operation: row.get(4)?,
            model: row.get(5)?,
            stream: row.get(6)?,
            channel: row.get(7)?,
            attempts: row.get(8)?,
            ending: row.get(9)?,
            status: row.get(10)?,
            cause: row.get(11)?,
            usage: row.get(12)?,
            estimated: row.get(13)?,
            unpriced: row.get(14)?,
            hold: Nanos(row.get(15)?),
            charge: Nanos(row.get(16)?),
            total_ms: row.get(17)?,
        });
    }
    Ok(())
}

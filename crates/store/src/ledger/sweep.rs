//! The rules that the books keep, and where they do not.
//!
//! In: a connection that reads. Out: in words, what does not hold. [`violations`] looks at everything at once, for people who
//! ask; a [`Sweep`] goes through the books in small steps while they are written, and must hold up nobody.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};

use super::RequestId;
use crate::{error::StoreError, money::Nanos};

/// Rows that one step looks at: some milliseconds.
const ROWS: i64 = 5_000;

const OPEN: &str = "SELECT coalesce(o.account_id, 0), o.hold_nanos FROM open_requests o
     WHERE o.hold_nanos < 0 OR EXISTS (SELECT 1 FROM requests r WHERE r.id = o.id)";
const REFUNDED: &str =
    "SELECT r.account_id, sum(r.amount_nanos), coalesce(-max(s.amount_nanos), 0) AS charged
     FROM entries r LEFT JOIN entries s ON s.kind = 'settlement' AND s.operation = r.request_id
     WHERE r.request_id IS NOT NULL GROUP BY r.request_id HAVING sum(r.amount_nanos) > charged";

/// Everything at once: long on large books.
pub fn violations(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let balances = "SELECT a.id, a.balance_nanos, coalesce(sum(e.amount_nanos), 0) AS entered
         FROM accounts a LEFT JOIN entries e ON e.account_id = a.id
         GROUP BY a.id, a.balance_nanos HAVING entered <> a.balance_nanos";
    look(connection, balances, &mut found, |[account, balance, entered]| {
        of_account(account, balance, entered)
    })?;
    let spent = "SELECT k.id, k.spent_nanos, coalesce(e.charged, 0)
         FROM api_keys k LEFT JOIN (
             SELECT key_id, -sum(amount_nanos) AS charged FROM entries GROUP BY key_id) e ON e.key_id = k.id
         WHERE coalesce(e.charged, 0) <> k.spent_nanos";
    look(connection, spent, &mut found, |[key, spent, charged]| of_key(key, spent, charged))?;
    let charges = "SELECT r.account_id, r.charge_nanos, coalesce(-e.amount_nanos, 0)
         FROM requests r LEFT JOIN entries e ON e.kind = 'settlement' AND e.operation = r.id
         WHERE r.account_id IS NOT NULL AND r.charge_nanos <> coalesce(-e.amount_nanos, 0)";
    look(connection, charges, &mut found, |[account, charged, entered]| {
        of_request(account, charged, entered)
    })?;
    let paid = "SELECT a.id, a.paid_nanos, coalesce(sum(e.amount_nanos), 0) AS entered
         FROM accounts a LEFT JOIN entries e ON e.account_id = a.id AND e.kind <> 'settlement'
         GROUP BY a.id, a.paid_nanos HAVING entered <> a.paid_nanos";
    look(connection, paid, &mut found, |[account, paid, entered]| of_paid(account, paid, entered))?;
    let hours = "SELECT key_id, sum(charged), sum(entered) FROM (
             SELECT account_id, key_id, charge_nanos AS charged, 0 AS entered FROM usage_hours
             UNION ALL
             SELECT account_id, coalesce(key_id, 0), 0, -amount_nanos FROM entries WHERE kind = 'settlement')
         GROUP BY account_id, key_id HAVING sum(charged) <> sum(entered)";
    look(connection, hours, &mut found, |[key, summed, entered]| of_hours(key, summed, entered))?;
    small(connection, &mut found)?;
    Ok(found)
}

/// The rules that are about few rows, however large the books are.
fn small(connection: &Connection, found: &mut Vec<String>) -> Result<(), StoreError> {
    look(connection, OPEN, found, |[account, hold]| {
        format!("account {account}: a request that has ended still holds {}", Nanos(hold))
    })?;
    look(connection, REFUNDED, found, |[account, refunded, charged]| {
        format!(
            "account {account}: {} was refunded of a request that was charged {}",
            Nanos(refunded),
            Nanos(charged)
        )
    })
}

fn of_account(account: i64, balance: i64, entered: i64) -> String {
    format!("account {account}: the balance is {}, its entries sum to {}", Nanos(balance), Nanos(entered))
}

fn of_key(key: i64, spent: i64, charged: i64) -> String {
    format!("key {key}: {} is spent, its entries sum to {}", Nanos(spent), Nanos(charged))
}

fn of_paid(account: i64, paid: i64, entered: i64) -> String {
    format!("account {account}: {} was paid in, its entries sum to {}", Nanos(paid), Nanos(entered))
}

fn of_hours(key: i64, summed: i64, entered: i64) -> String {
    format!("key {key}: its usage by the hour sums to {}, its entries to {}", Nanos(summed), Nanos(entered))
}

fn of_request(account: i64, charged: i64, entered: i64) -> String {
    format!("account {account}: a request was charged {}, its entry says {}", Nanos(charged), Nanos(entered))
}

fn look<const N: usize>(
    connection: &Connection,
    query: &str,
    found: &mut Vec<String>,
    tell: impl Fn([i64; N]) -> String,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut values = [0; N];
        for (at, value) in values.iter_mut().enumerate() {
            *value = row.get(at)?;
        }
        found.push(tell(values));
    }
    Ok(())
}

fn add(sums: &mut HashMap<i64, i64>, whose: i64, amount: i64) {
    let sum = sums.entry(whose).or_default();
    *sum = sum.saturating_add(amount);
}

/// Goes through the books again and again, a few thousand rows at a time.
#[derive(Debug, Default)]
pub struct Sweep {
    stage: Stage,
    /// Entries up to this number are in the sums: they are never changed.
    entry: i64,
    sums: Sums,
    /// Requests up to this one were looked at; `None`: none yet.
    request: Option<RequestId>,
    found: Vec<String>,
}

/// By account, and by key.
#[derive(Debug, Default)]
struct Sums {
    balances: HashMap<i64, i64>,
    paid: HashMap<i64, i64>,
    spent: HashMap<i64, i64>,
    settled: HashMap<i64, i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Entries,
    Requests,
}

impl Sweep {
    /// A step. `Some`: a round is over, and this is all that was found in it.
    pub fn step(&mut self, connection: &Connection) -> Result<Option<Vec<String>>, StoreError> {
        // What is compared is of one moment.
        let transaction = connection.unchecked_transaction()?;
        match self.stage {
            Stage::Entries => {
                if self.add_up(&transaction)? < ROWS {
                    self.compare(&transaction)?;
                    self.stage = Stage::Requests;
                }
                Ok(None)
            }
            Stage::Requests => {
                if self.look_at_requests(&transaction)? == ROWS {
                    return Ok(None);
                }
                small(&transaction, &mut self.found)?;
                Ok(Some(std::mem::take(self).found))
            }
        }
    }

    /// What was found so far in this round.
    pub fn found(&self) -> &[String] {
        &self.found
    }

    fn add_up(&mut self, transaction: &Transaction<'_>) -> Result<i64, StoreError> {
        let mut statement = transaction.prepare_cached(
            "SELECT id, account_id, key_id, amount_nanos, kind = 'settlement' FROM entries
             WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query([self.entry, ROWS])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            self.entry = row.get(0)?;
            let (account, key): (i64, Option<i64>) = (row.get(1)?, row.get(2)?);
            let (amount, settlement): (i64, bool) = (row.get(3)?, row.get(4)?);
            let Sums { balances, paid, spent, settled } = &mut self.sums;
            add(balances, account, amount);
            if settlement {
                add(settled, key.unwrap_or_default(), -amount);
            } else {
                add(paid, account, amount);
            }
            if let Some(key) = key {
                add(spent, key, -amount);
            }
            count += 1;
        }
        Ok(count)
    }

    fn compare(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let Sweep { sums, found, .. } = self;
        let mut unequal = |query: &str, sums: &HashMap<i64, i64>, tell: fn(i64, i64, i64) -> String| {
            let mut statement = transaction.prepare_cached(query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (id, said): (i64, i64) = (row.get(0)?, row.get(1)?);
                let summed = sums.get(&id).copied().unwrap_or_default();
                if said != summed {
                    found.push(tell(id, said, summed));
                }
            }
            Ok::<(), StoreError>(())
        };
        unequal("SELECT id, balance_nanos FROM accounts", &sums.balances, of_account)?;
        unequal("SELECT id, paid_nanos FROM accounts", &sums.paid, of_paid)?;
        unequal("SELECT id, spent_nanos FROM api_keys", &sums.spent, of_key)?;
        let hours = "SELECT key_id, sum(charge_nanos) FROM usage_hours GROUP BY key_id";
        unequal(hours, &sums.settled, of_hours)
    }

    fn look_at_requests(&mut self, transaction: &Transaction<'_>) -> Result<i64, StoreError> {
        let first: RequestId = [0; 16];
        let after = self.request.unwrap_or(first);
        let mut statement = transaction.prepare_cached(
            "SELECT r.id, r.account_id, r.charge_nanos, coalesce(-e.amount_nanos, 0)
             FROM requests r LEFT JOIN entries e ON e.kind = 'settlement' AND e.operation = r.id
             WHERE r.id > ?1 AND r.account_id IS NOT NULL ORDER BY r.id LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after, ROWS])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            self.request = Some(row.get(0)?);
            let (account, charged, entered): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
            if charged != entered {
                self.found.push(of_request(account, charged, entered));
            }
            count += 1;
        }
        Ok(count)
    }
}

//! Made-up payers, for benchmarks and tests that need more of them than one.
//!
//! In: a number. Out: that many users, each with an account and a key that nobody knows the secret of.

use rusqlite::{TransactionBehavior, params};

use crate::{database::Database, error::StoreError};

/// A user's account and his key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    pub account: i64,
    pub key: i64,
}

pub fn payers(database: &Database, count: usize) -> Result<Vec<Payer>, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut payers = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("sample-{number}");
        transaction.execute("INSERT INTO users (name, role, created_ms) VALUES (?1, 'user', 0)", [&name])?;
        let user = transaction.last_insert_rowid();
        transaction.execute("INSERT INTO accounts (user_id, unlimited) VALUES (?1, 1)", [user])?;
        let account = transaction.last_insert_rowid();
        transaction.execute(
            "INSERT INTO api_keys (user_id, source, name, hash, created_ms) VALUES (?1, 'sample', ?2, ?3, 0)",
            params![user, name, format!("sample:{number}").into_bytes()],
        )?;
        payers.push(Payer { account, key: transaction.last_insert_rowid() });
    }
    transaction.commit()?;
    Ok(payers)
}

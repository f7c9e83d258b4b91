//! Keys and the accounts that pay for them.
//!
//! In: the keys of the configuration file. Out: their rows, with what they have spent. They belong to the built-in user
//! `config`, whose account is unlimited.

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use crate::{database::Database, error::StoreError, money::Nanos};

/// SHA-256 of a secret.
pub type KeyHash = [u8; 32];

/// A key of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigKey {
    pub name: String,
    pub hash: KeyHash,
    pub spend_limit: Option<Nanos>,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub id: i64,
    pub spend_limit: Option<Nanos>,
    pub spent: Nanos,
}

/// Makes the keys of the file the keys of the database; one that is not in the file any more stays as *gone*, with what
/// it has spent. Returns the `config` user's account, and the rows in the order of `keys`.
pub fn sync_config_keys(
    database: &Database,
    keys: &[ConfigKey],
    now_ms: i64,
) -> Result<(i64, Vec<KeyRow>), StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO users (name, role, created_ms) VALUES ('config', 'config', ?1) ON CONFLICT (name) DO NOTHING",
        [now_ms],
    )?;
    let user: i64 =
        transaction.query_row("SELECT id FROM users WHERE name = 'config'", [], |row| row.get(0))?;
    transaction.execute(
        "INSERT INTO accounts (user_id, unlimited) VALUES (?1, 1) ON CONFLICT (user_id) DO NOTHING",
        [user],
    )?;
    let account: i64 =
        transaction.query_row("SELECT id FROM accounts WHERE user_id = ?1", [user], |row| row.get(0))?;
    // Secrets may have changed places: no hash stands in the way of another key's.
    transaction.execute(
        "UPDATE api_keys SET status = 'gone', hash = CAST('gone:' || id AS BLOB) WHERE source = 'config'",
        [],
    )?;
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let limit = key.spend_limit.map(|limit| limit.0);
        let known: Option<(i64, i64)> = transaction
            .query_row(
                "SELECT id, spent_nanos FROM api_keys WHERE source = 'config' AND user_id = ?1 AND name = ?2",
                params![user, key.name],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (id, spent) = match known {
            Some((id, spent)) => {
                transaction.execute(
                    "UPDATE api_keys SET status = 'active', hash = ?2, spend_limit_nanos = ?3 WHERE id = ?1",
                    params![id, key.hash, limit],
                )?;
                (id, spent)
            }
            None => {
                transaction.execute(
                    "INSERT INTO api_keys (user_id, source, name, hash, spend_limit_nanos, created_ms)
                     VALUES (?1, 'config', ?2, ?3, ?4, ?5)",
                    params![user, key.name, key.hash, limit, now_ms],
                )?;
                (transaction.last_insert_rowid(), 0)
            }
        };
        rows.push(KeyRow { id, spend_limit: key.spend_limit, spent: Nanos(spent) });
    }
    transaction.commit()?;
    Ok((account, rows))
}

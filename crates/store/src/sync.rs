//! What the configuration file says, in the database: so that all keys and channels stand in one place.
//!
//! In: the keys and channels of the file. Out: their rows, which only the file changes. Keys belong to the built-in user
//! `config`, whose account is unlimited; a channel's secrets stay in the file.

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    database::Database,
    error::StoreError,
    keys::{KeyHash, KeyTerms, set_terms},
    limits::LimitColumns,
    money::Factor,
};

/// A key of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigKey {
    pub name: String,
    pub hash: KeyHash,
    pub terms: KeyTerms,
}

/// A channel of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChannel {
    pub name: String,
    /// JSON: its block without name and secrets.
    pub definition: String,
    pub discount: Factor,
}

/// Makes what the file says the rows of the file, all of it or nothing. `together` are the limits of all its keys in sum.
pub fn sync(
    database: &Database,
    own_keys: &[ConfigKey],
    together: &LimitColumns,
    own_channels: &[ConfigChannel],
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    keys(&transaction, own_keys, together, now_ms)?;
    channels(&transaction, own_channels, now_ms)?;
    transaction.commit()?;
    Ok(())
}

/// A key that is not in the file any more stays as *gone*, with what it has spent.
fn keys(
    transaction: &Transaction<'_>,
    keys: &[ConfigKey],
    together: &LimitColumns,
    now_ms: i64,
) -> Result<(), StoreError> {
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
    transaction.execute(
        "UPDATE users SET requests_per_minute = ?2, tokens_per_minute = ?3, max_in_flight = ?4 WHERE id = ?1",
        params![
            user,
            together.requests_per_minute.map(|requests| requests as i64),
            together.tokens_per_minute.map(|tokens| tokens as i64),
            together.max_in_flight,
        ],
    )?;
    // Secrets may have changed places: no hash stands in the way of another key's.
    transaction.execute(
        "UPDATE api_keys SET status = 'gone', hash = CAST('gone:' || id AS BLOB) WHERE source = 'config'",
        [],
    )?;
    for key in keys {
        let taken: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE source <> 'config' AND ?1 IN (hash, previous_hash))",
            [key.hash],
            |row| row.get(0),
        )?;
        if taken {
            return Err(StoreError::SecretTaken { name: key.name.clone() });
        }
        let id: i64 = transaction.query_row(
            "INSERT INTO api_keys (user_id, source, name, hash, created_ms) VALUES (?1, 'config', ?2, ?3, ?4)
             ON CONFLICT (source, user_id, name) DO UPDATE SET status = 'active', hash = excluded.hash
             RETURNING id",
            params![user, key.name, key.hash, now_ms],
            |row| row.get(0),
        )?;
        set_terms(transaction, id, &key.terms, now_ms)?;
    }
    Ok(())
}

/// One that is not in the file any more stays as *gone*: requests name it.
fn channels(
    transaction: &Transaction<'_>,
    channels: &[ConfigChannel],
    now_ms: i64,
) -> Result<(), StoreError> {
    transaction.execute("UPDATE channels SET status = 'gone' WHERE source = 'config'", [])?;
    for channel in channels {
        let source: Option<String> = transaction
            .query_row(
                "INSERT INTO channels (source, name, definition, discount_millionths, created_ms, changed_ms)
                 VALUES ('config', ?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (name) DO UPDATE SET source = 'config', status = 'active', definition = excluded.definition,
                     discount_millionths = excluded.discount_millionths, sealed = NULL,
                     changed_ms = CASE WHEN definition = excluded.definition THEN changed_ms ELSE excluded.changed_ms END
                     WHERE source = 'config' OR status = 'gone'
                 RETURNING source",
                params![channel.name, channel.definition, channel.discount.0, now_ms],
                |row| row.get(0),
            )
            .optional()?;
        if source.is_none() {
            return Err(StoreError::NameTaken { name: channel.name.clone() });
        }
    }
    Ok(())
}

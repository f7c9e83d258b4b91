//! The audit trail: who changed what, from what to what. Append-only.
//!
//! In: a row with each change, inside its transaction. Out: rows, newest first. No secret is ever in it.

use rusqlite::{Transaction, params};

use crate::{change::ChangeError, database::Database, error::StoreError};

/// Who makes a change, and from where.
#[derive(Clone, Debug)]
pub struct By {
    /// `None`: the operator at the machine itself.
    pub actor_id: Option<i64>,
    pub actor: String,
    /// session, token, local, setup.
    pub via: &'static str,
    pub address: Option<String>,
    pub request_id: [u8; 16],
    pub at_ms: i64,
}

/// Writes a row into the transaction of the change that it tells of.
pub fn write(
    transaction: &Transaction<'_>,
    by: &By,
    action: &str,
    object: &str,
    object_id: &str,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<(), ChangeError> {
    transaction
        .prepare_cached(
            "INSERT INTO audit (at_ms, actor_id, actor, via, action, object, object_id, before, after, address, request_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            by.at_ms,
            by.actor_id,
            by.actor,
            by.via,
            action,
            object,
            object_id,
            before,
            after,
            by.address,
            by.request_id,
        ])?;
    Ok(())
}

/// A row on its own, for what changes nothing in the database: a secret that was looked at.
pub fn note(
    database: &Database,
    by: &By,
    action: &str,
    object: &str,
    object_id: &str,
) -> Result<(), ChangeError> {
    crate::change::transact(database, |transaction| {
        write(transaction, by, action, object, object_id, None, None)
    })
}

/// What a list is about; nothing said, everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub object: Option<String>,
    pub object_id: Option<String>,
    pub actor_id: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: i64,
    pub at_ms: i64,
    pub actor_id: Option<i64>,
    pub actor: String,
    pub via: String,
    pub action: String,
    pub object: String,
    pub object_id: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub address: Option<String>,
    pub request_id: Option<[u8; 16]>,
}

/// Rows older than `after`, newest first, at most `limit`.
pub fn list(
    database: &Database,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<Row>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare(
            "SELECT id, at_ms, actor_id, actor, via, action, object, object_id, before, after, address, request_id
             FROM audit
             WHERE (?1 IS NULL OR object = ?1) AND (?2 IS NULL OR object_id = ?2) AND (?3 IS NULL OR actor_id = ?3)
               AND (?4 IS NULL OR id < ?4)
             ORDER BY id DESC LIMIT ?5",
        )?;
        let rows = statement.query_map(
            params![filter.object, filter.object_id, filter.actor_id, after, limit],
            |row| {
                Ok(Row {
                    id: row.get(0)?,
                    at_ms: row.get(1)?,
                    actor_id: row.get(2)?,
                    actor: row.get(3)?,
                    via: row.get(4)?,
                    action: row.get(5)?,
                    object: row.get(6)?,
                    object_id: row.get(7)?,
                    before: row.get(8)?,
                    after: row.get(9)?,
                    address: row.get(10)?,
                    request_id: row.get(11)?,
                })
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

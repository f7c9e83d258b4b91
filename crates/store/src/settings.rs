//! Settings that are kept in the database.
//!
//! In: names and JSON values that the gateway has checked. Out: rows. A secret is no setting: those are sealed, elsewhere.

use rusqlite::{OptionalExtension, params};

use crate::{
    audit::{self, By},
    change::{ChangeError, transact},
    database::Database,
    error::StoreError,
};

/// Every setting that was changed: its name and its value, as JSON.
pub fn all(database: &Database) -> Result<Vec<(String, String)>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare("SELECT name, value FROM settings ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Changes settings, all or none; `None` puts one back to what it is without being said.
pub fn set(database: &Database, by: &By, changes: &[(&str, Option<String>)]) -> Result<(), ChangeError> {
    transact(database, |transaction| {
        for (name, value) in changes {
            let before: Option<String> = transaction
                .query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0))
                .optional()?;
            if before == *value {
                continue;
            }
            match value {
                Some(value) => transaction.execute(
                    "INSERT INTO settings (name, value, changed_ms) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_ms = excluded.changed_ms",
                    params![name, value, by.at_ms],
                )?,
                None => transaction.execute("DELETE FROM settings WHERE name = ?1", [name])?,
            };
            audit::write(transaction, by, "update", "setting", name, before.as_deref(), value.as_deref())?;
        }
        Ok(())
    })
}

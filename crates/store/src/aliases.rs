//! Names that stand for models, where the database keeps them.
//!
//! In: names and lists that the gateway has checked. Out: rows. Nothing refers to one: what was asked for by its name says so
//! in the books without it.

use rusqlite::{Row, ToSql, params};

use crate::{
    audit::By,
    change::{ChangeError, Object},
    database::Database,
    error::StoreError,
    listing::Listing,
};

const OBJECT: Object = Object {
    name: "alias",
    picture: "SELECT json_object('name', name, 'models', json(models)) FROM aliases WHERE id = ?1",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub id: i64,
    pub name: String,
    /// JSON list, in the order of trying.
    pub models: String,
    pub created_ms: i64,
    pub changed_ms: i64,
}

/// What is said becomes; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub models: Option<String>,
}

const SELECT: &str = "SELECT id, name, models, created_ms, changed_ms FROM aliases";
const LISTING: Listing =
    Listing { select: SELECT, table: "aliases", id: "id", filter: "(?1 IS NULL OR name = ?1)" };

fn read(row: &Row<'_>) -> rusqlite::Result<Alias> {
    Ok(Alias {
        id: row.get(0)?,
        name: row.get(1)?,
        models: row.get(2)?,
        created_ms: row.get(3)?,
        changed_ms: row.get(4)?,
    })
}

/// Newest first, those before `after`, and how many there are in all; `name`: only the one of this name.
pub fn list(
    database: &Database,
    name: Option<&str>,
    after: Option<i64>,
    limit: u32,
) -> Result<(Vec<Alias>, u32), StoreError> {
    let of: [&dyn ToSql; 1] = [&name];
    LISTING.page(database, &of, after, limit, read)
}

pub fn find(database: &Database, id: i64) -> Result<Alias, ChangeError> {
    database
        .read(|connection| Ok(connection.query_row(&format!("{SELECT} WHERE id = ?1"), [id], read)))?
        .map_err(ChangeError::from)
}

pub fn create(database: &Database, by: &By, name: &str, models: &str) -> Result<i64, ChangeError> {
    OBJECT.create(database, by, |transaction| {
        transaction.execute(
            "INSERT INTO aliases (name, models, created_ms, changed_ms) VALUES (?1, ?2, ?3, ?3)",
            params![name, models, by.at_ms],
        )?;
        let id = transaction.last_insert_rowid();
        Ok((id, id))
    })
}

pub fn change(database: &Database, by: &By, id: i64, change: &Change) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "update", id, |transaction| {
        transaction.execute(
            "UPDATE aliases SET name = coalesce(?2, name), models = coalesce(?3, models), changed_ms = ?4 WHERE id = ?1",
            params![id, change.name, change.models, by.at_ms],
        )?;
        Ok(())
    })
}

pub fn remove(database: &Database, by: &By, id: i64) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "delete", id, |transaction| {
        transaction.execute("DELETE FROM aliases WHERE id = ?1", [id])?;
        Ok(())
    })
}

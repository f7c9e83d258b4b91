//! Prices that are kept in the database: the admin's own, and those of a list that was taken in.
//!
//! In: rates that the gateway has checked. Out: rows, each good from a moment on. A price that has been in force is not changed but
//! followed by another: what was charged by it must stay explained.

use rusqlite::{OptionalExtension, Row, ToSql, params};

use crate::{
    audit::{self, By},
    change::{ChangeError, Object, transact},
    database::Database,
    error::StoreError,
    listing::Listing,
};

const OBJECT: Object = Object {
    name: "price",
    picture: "SELECT json_object('model', model, 'source', source, 'valid_from_ms', valid_from_ms, 'rates', json(rates))
         FROM prices WHERE id = ?1",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    pub id: i64,
    pub model: String,
    pub valid_from_ms: i64,
    /// admin, list.
    pub source: String,
    /// JSON: a `[[price]]` block without its model.
    pub rates: String,
    pub created_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub model: Option<String>,
    pub search: Option<String>,
    pub source: Option<String>,
}

const SELECT: &str = "SELECT id, model, valid_from_ms, source, rates, created_ms FROM prices";
const WHERE: &str = "(?1 IS NULL OR model = ?1) AND (?2 IS NULL OR instr(lower(model), lower(?2)) > 0)
     AND (?3 IS NULL OR source = ?3)";

const LISTING: Listing = Listing { select: SELECT, table: "prices", id: "id", filter: WHERE };

fn read(row: &Row<'_>) -> rusqlite::Result<PriceRow> {
    Ok(PriceRow {
        id: row.get(0)?,
        model: row.get(1)?,
        valid_from_ms: row.get(2)?,
        source: row.get(3)?,
        rates: row.get(4)?,
        created_ms: row.get(5)?,
    })
}

/// Newest first, those before `after`; and how many there are in all.
pub fn list(
    database: &Database,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
) -> Result<(Vec<PriceRow>, u32), StoreError> {
    let of: [&dyn ToSql; 3] = [&filter.model, &filter.search, &filter.source];
    LISTING.page(database, &of, after, limit, read)
}

pub fn find(database: &Database, id: i64) -> Result<PriceRow, ChangeError> {
    database
        .read(|connection| Ok(connection.query_row(&format!("{SELECT} WHERE id = ?1"), [id], read)))?
        .map_err(ChangeError::from)
}

/// Sets the admin's price of a model from a moment on.
pub fn set(
    database: &Database,
    by: &By,
    model: &str,
    valid_from_ms: i64,
    rates: &str,
) -> Result<i64, ChangeError> {
    OBJECT.create(database, by, |transaction| {
        transaction.execute(
            "INSERT INTO prices (model, valid_from_ms, source, rates, created_ms) VALUES (?1, ?2, 'admin', ?3, ?4)",
            params![model, valid_from_ms, rates, by.at_ms],
        )?;
        let id = transaction.last_insert_rowid();
        Ok((id, id))
    })
}

/// Takes a price out: what it has charged stays charged.
pub fn remove(database: &Database, by: &By, id: i64) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "delete", id, |transaction| {
        transaction.execute("DELETE FROM prices WHERE id = ?1", [id])?;
        Ok(())
    })
}

/// What taking in a list came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Models that cost something else from now on, or are new.
    pub changed: u32,
    pub unchanged: u32,
}

/// Takes a whole list in, from a moment on. A model that costs what it cost before gets no new row.
pub fn take_list(
    database: &Database,
    by: &By,
    valid_from_ms: i64,
    list: &[(String, String)],
) -> Result<Taken, ChangeError> {
    transact(database, |transaction| {
        let mut taken = Taken { changed: 0, unchanged: 0 };
        let mut look = transaction.prepare(
            "SELECT rates FROM prices WHERE source = 'list' AND model = ?1 AND valid_from_ms <= ?2
             ORDER BY valid_from_ms DESC LIMIT 1",
        )?;
        let mut insert = transaction.prepare(
            "INSERT INTO prices (model, valid_from_ms, source, rates, created_ms) VALUES (?1, ?2, 'list', ?3, ?4)
             ON CONFLICT (source, model, valid_from_ms) DO UPDATE SET rates = excluded.rates",
        )?;
        for (model, rates) in list {
            let before: Option<String> =
                look.query_row(params![model, valid_from_ms], |row| row.get(0)).optional()?;
            if before.as_ref() == Some(rates) {
                taken.unchanged += 1;
                continue;
            }
            insert.execute(params![model, valid_from_ms, rates, by.at_ms])?;
            taken.changed += 1;
        }
        let after = format!(
            r#"{{"changed":{},"unchanged":{},"valid_from_ms":{valid_from_ms}}}"#,
            taken.changed, taken.unchanged
        );
        audit::write(transaction, by, "update", "price", "list", None, Some(&after))?;
        Ok(taken)
    })
}

//! Channels as admins manage them.
//!
//! In: definitions that the gateway has checked, secrets that it has sealed. Out: rows. Nothing here can open a seal; channels of the
//! configuration file are the file's to change.

use rusqlite::{Row, ToSql, Transaction, params};

use crate::{
    audit::By,
    change::{ChangeError, Object},
    database::Database,
    error::StoreError,
    listing::Listing,
    money::Factor,
};

/// The secrets themselves are no part of the picture; that they changed is seen by the last bytes of their seal.
const OBJECT: Object = Object {
    name: "channel",
    picture: "SELECT json_object('name', name, 'status', status, 'discount_millionths', discount_millionths,
         'definition', json(definition), 'sealed', substr(hex(sealed), -8))
         FROM channels WHERE id = ?1 AND status <> 'gone'",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub id: i64,
    /// Of the configuration file: read-only, its secrets are not here.
    pub from_file: bool,
    pub name: String,
    pub status: String,
    /// JSON: a `[[channel]]` block without its name and without what is sealed.
    pub definition: String,
    pub sealed: Option<Vec<u8>>,
    pub discount: Factor,
    pub created_ms: i64,
    pub changed_ms: i64,
}

/// A channel's whole row, as it is to be.
#[derive(Clone, Debug)]
pub struct Content {
    pub name: String,
    pub status: String,
    pub definition: String,
    pub discount: Factor,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub name: Option<String>,
    pub search: Option<String>,
    pub status: Option<String>,
    pub provider: Option<String>,
}

const SELECT: &str =
    "SELECT id, source = 'config', name, status, definition, sealed, discount_millionths, created_ms,
         changed_ms
     FROM channels";

const WHERE: &str =
    "status <> 'gone' AND (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR instr(lower(name), lower(?2)) > 0)
     AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR definition ->> 'provider' = ?4)";

const LISTING: Listing = Listing { select: SELECT, table: "channels", id: "id", filter: WHERE };

fn read(row: &Row<'_>) -> rusqlite::Result<Channel> {
    Ok(Channel {
        id: row.get(0)?,
        from_file: row.get(1)?,
        name: row.get(2)?,
        status: row.get(3)?,
        definition: row.get(4)?,
        sealed: row.get(5)?,
        discount: Factor(row.get(6)?),
        created_ms: row.get(7)?,
        changed_ms: row.get(8)?,
    })
}

/// Newest first, those before `after`; and how many there are in all.
pub fn list(
    database: &Database,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
) -> Result<(Vec<Channel>, u32), StoreError> {
    let of: [&dyn ToSql; 4] = [&filter.name, &filter.search, &filter.status, &filter.provider];
    LISTING.page(database, &of, after, limit, read)
}

pub fn find(database: &Database, id: i64) -> Result<Channel, ChangeError> {
    database
        .read(|connection| {
            Ok(connection.query_row(&format!("{SELECT} WHERE status <> 'gone' AND id = ?1"), [id], read))
        })?
        .map_err(ChangeError::from)
}

/// Makes a channel. `seal` gets its number: what is sealed is sealed for this place.
pub fn create(
    database: &Database,
    by: &By,
    content: &Content,
    seal: impl FnOnce(i64) -> Result<Option<Vec<u8>>, ChangeError>,
) -> Result<i64, ChangeError> {
    OBJECT.create(database, by, |transaction| {
        free_name(transaction, &content.name, None)?;
        transaction.execute(
            "INSERT INTO channels (source, name, status, definition, discount_millionths, created_ms, changed_ms)
             VALUES ('admin', ?1, ?2, ?3, ?4, ?5, ?5)",
            params![content.name, content.status, content.definition, content.discount.0, by.at_ms],
        )?;
        let id = transaction.last_insert_rowid();
        transaction.execute("UPDATE channels SET sealed = ?2 WHERE id = ?1", params![id, seal(id)?])?;
        Ok((id, id))
    })
}

/// Changes a channel, from what it is at that moment: `revise` gets the row, and gives what it is to be and its seal.
pub fn change(
    database: &Database,
    by: &By,
    id: i64,
    revise: impl FnOnce(Channel) -> Result<(Content, Option<Vec<u8>>), ChangeError>,
) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "update", id, |transaction| {
        let before = mine(transaction, id)?;
        let (content, sealed) = revise(before)?;
        free_name(transaction, &content.name, Some(id))?;
        transaction.execute(
            "UPDATE channels SET name = ?2, status = ?3, definition = ?4, discount_millionths = ?5, sealed = ?6,
                 changed_ms = ?7
             WHERE id = ?1",
            params![
                id,
                content.name,
                content.status,
                content.definition,
                content.discount.0,
                sealed,
                by.at_ms
            ],
        )?;
        Ok(())
    })
}

/// Its secrets go with it; its name stays with the requests that name it, and is free for another channel.
pub fn remove(database: &Database, by: &By, id: i64) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "delete", id, |transaction| {
        mine(transaction, id)?;
        transaction.execute(
            "UPDATE channels SET status = 'gone', sealed = NULL, name = name || ' (gone ' || id || ')', changed_ms = ?2
             WHERE id = ?1",
            params![id, by.at_ms],
        )?;
        Ok(())
    })
}

fn mine(transaction: &Transaction<'_>, id: i64) -> Result<Channel, ChangeError> {
    let channel =
        transaction.query_row(&format!("{SELECT} WHERE status <> 'gone' AND id = ?1"), [id], read)?;
    if channel.from_file { Err(ChangeError::ReadOnly) } else { Ok(channel) }
}

/// A channel that is gone from the file leaves its name to whoever wants it.
fn free_name(transaction: &Transaction<'_>, name: &str, own: Option<i64>) -> Result<(), ChangeError> {
    transaction.execute(
        "UPDATE channels SET name = name || ' (gone ' || id || ')' WHERE name = ?1 AND status = 'gone' AND id IS NOT ?2",
        params![name, own],
    )?;
    Ok(())
}

//! Groups: what their users pay of the price, and what they may use.
//!
//! In: the admin's changes. Out: rows. The group *default* is always there: who has no other belongs to it.

use rusqlite::{Row, params};

use crate::{
    audit::By,
    change::{ChangeError, Object},
    database::Database,
    error::StoreError,
    limits::{self, LimitChange, LimitColumns},
    money::Factor,
};

/// The group of those who have no other.
pub const DEFAULT: i64 = 1;

const OBJECT: Object = Object {
    name: "group",
    picture: "SELECT json_object('name', name, 'factor_millionths', factor_millionths, 'models', json(models),
         'channels', json(channels), 'requests_per_minute', requests_per_minute, 'tokens_per_minute', tokens_per_minute,
         'max_in_flight', max_in_flight) FROM groups WHERE id = ?1",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: i64,
    pub name: String,
    pub factor: Factor,
    /// JSON lists; empty: all.
    pub models: String,
    pub channels: String,
    pub limits: LimitColumns,
    pub users: u32,
    pub created_ms: i64,
}

/// What is said stays or becomes; `None` is not named.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub factor: Option<Factor>,
    pub models: Option<String>,
    pub channels: Option<String>,
    pub limits: LimitChange,
}

const SELECT: &str = "SELECT g.id, g.name, g.factor_millionths, g.models, g.channels, g.requests_per_minute,
         g.tokens_per_minute, g.max_in_flight,
         (SELECT count(*) FROM users u WHERE u.group_id = g.id AND u.status <> 'gone' AND u.role <> 'config'), g.created_ms
     FROM groups g";

fn read(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        name: row.get(1)?,
        factor: Factor(row.get(2)?),
        models: row.get(3)?,
        channels: row.get(4)?,
        limits: limits::read(row, 5)?,
        users: row.get(8)?,
        created_ms: row.get(9)?,
    })
}

/// Newest first, those before `after`; `name`: only the one of this name.
pub fn list(
    database: &Database,
    name: Option<&str>,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<Group>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare(&format!(
            "{SELECT} WHERE (?1 IS NULL OR g.name = ?1) AND (?2 IS NULL OR g.id < ?2) ORDER BY g.id DESC LIMIT ?3"
        ))?;
        let rows = statement.query_map(params![name, after, limit], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

pub fn find(database: &Database, id: i64) -> Result<Group, ChangeError> {
    database
        .read(|connection| Ok(connection.query_row(&format!("{SELECT} WHERE g.id = ?1"), [id], read)))?
        .map_err(ChangeError::from)
}

pub fn create(database: &Database, by: &By, group: &Change) -> Result<i64, ChangeError> {
    OBJECT.create(database, by, |transaction| {
        transaction.execute(
            "INSERT INTO groups (name, factor_millionths, models, channels, created_ms)
             VALUES (?1, ?2, coalesce(?3, '[]'), coalesce(?4, '[]'), ?5)",
            params![group.name, group.factor.unwrap_or_default().0, group.models, group.channels, by.at_ms,],
        )?;
        let id = transaction.last_insert_rowid();
        limits::change(transaction, "groups", id, &group.limits)?;
        Ok((id, id))
    })
}

pub fn change(database: &Database, by: &By, id: i64, change: &Change) -> Result<(), ChangeError> {
    if id == DEFAULT && change.name.as_deref().is_some_and(|name| name != "default") {
        return Err(ChangeError::conflict("The group default keeps its name."));
    }
    OBJECT.change(database, by, "update", id, |transaction| {
        transaction.execute(
            "UPDATE groups SET name = coalesce(?2, name), factor_millionths = coalesce(?3, factor_millionths),
                 models = coalesce(?4, models), channels = coalesce(?5, channels)
             WHERE id = ?1",
            params![
                id,
                change.name,
                change.factor.map(|factor| factor.0),
                change.models,
                change.channels,
            ],
        )?;
        limits::change(transaction, "groups", id, &change.limits)?;
        Ok(())
    })
}

/// Only one that nobody belongs to.
pub fn remove(database: &Database, by: &By, id: i64) -> Result<(), ChangeError> {
    if id == DEFAULT {
        return Err(ChangeError::conflict("The group default is always there."));
    }
    OBJECT.change(database, by, "delete", id, |transaction| {
        // Those who are gone have no need of it.
        transaction.execute(
            "UPDATE users SET group_id = ?2 WHERE group_id = ?1 AND status = 'gone'",
            [id, DEFAULT],
        )?;
        let users: u32 =
            transaction
                .query_row("SELECT count(*) FROM users WHERE group_id = ?1", [id], |row| row.get(0))?;
        if users > 0 {
            return Err(ChangeError::conflict("The group has users: give them another one first."));
        }
        transaction.execute("DELETE FROM groups WHERE id = ?1", [id])?;
        Ok(())
    })
}

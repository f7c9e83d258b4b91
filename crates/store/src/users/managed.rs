//! Users as admins manage them: who there is, in which role, in which group.
//!
//! In: changes, with the role of whoever makes them. Out: rows without anything that one could sign in with. The rules of roles
//! are kept here, in the transaction that they protect: nobody changes his own role or one above it, only root makes admins, and
//! somebody is always root.

use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use crate::{
    audit::By,
    change::{ChangeError, Object},
    database::Database,
    error::StoreError,
    limits::{self, LimitChange, LimitColumns},
    listing::Listing,
    money::Nanos,
    users::Role,
};

const OBJECT: Object = Object {
    name: "user",
    picture: "SELECT json_object('name', u.name, 'role', u.role, 'status', u.status, 'group_id', u.group_id,
         'email', u.email, 'requests_per_minute', u.requests_per_minute, 'tokens_per_minute', u.tokens_per_minute,
         'max_in_flight', u.max_in_flight, 'unlimited', json(CASE a.unlimited WHEN 1 THEN 'true' ELSE 'false' END))
         FROM users u LEFT JOIN accounts a ON a.user_id = u.id WHERE u.id = ?1 AND u.status <> 'gone'",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: i64,
    pub name: String,
    pub role: String,
    pub status: String,
    pub group_id: i64,
    pub group: String,
    pub email: Option<String>,
    pub limits: LimitColumns,
    pub balance: Nanos,
    pub unlimited: bool,
    pub keys: u32,
    pub created_ms: i64,
}

/// `None` is not named.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub role: Option<String>,
    pub status: Option<String>,
    pub group_id: Option<i64>,
    pub email: Option<Option<String>>,
    pub limits: LimitChange,
    pub unlimited: Option<bool>,
}

/// Which users a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub name: Option<String>,
    /// A part of the name or of the address.
    pub search: Option<String>,
    pub role: Option<String>,
    pub status: Option<String>,
    pub group_id: Option<i64>,
}

const SELECT: &str =
    "SELECT u.id, u.name, u.role, u.status, u.group_id, g.name, u.email, u.requests_per_minute,
         u.tokens_per_minute, u.max_in_flight, coalesce(a.balance_nanos, 0), coalesce(a.unlimited, 0),
         (SELECT count(*) FROM api_keys k WHERE k.user_id = u.id AND k.status <> 'gone'), u.created_ms
     FROM users u JOIN groups g ON g.id = u.group_id LEFT JOIN accounts a ON a.user_id = u.id";

const WHERE: &str = "u.role <> 'config' AND u.status <> 'gone' AND (?1 IS NULL OR u.name = ?1)
     AND (?2 IS NULL OR instr(lower(u.name || ' ' || coalesce(u.email, '')), lower(?2)) > 0)
     AND (?3 IS NULL OR u.role = ?3) AND (?4 IS NULL OR u.status = ?4) AND (?5 IS NULL OR u.group_id = ?5)";

const LISTING: Listing = Listing { select: SELECT, table: "users u", id: "u.id", filter: WHERE };

fn read(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        status: row.get(3)?,
        group_id: row.get(4)?,
        group: row.get(5)?,
        email: row.get(6)?,
        limits: limits::read(row, 7)?,
        balance: Nanos(row.get(10)?),
        unlimited: row.get(11)?,
        keys: row.get(12)?,
        created_ms: row.get(13)?,
    })
}

/// Newest first, those before `after`; and how many there are in all.
pub fn list(
    database: &Database,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
) -> Result<(Vec<Person>, u32), StoreError> {
    let of: [&dyn ToSql; 5] = [&filter.name, &filter.search, &filter.role, &filter.status, &filter.group_id];
    LISTING.page(database, &of, after, limit, read)
}

pub fn find(database: &Database, id: i64) -> Result<Person, ChangeError> {
    let select = format!("{SELECT} WHERE u.id = ?1 AND u.role <> 'config' AND u.status <> 'gone'");
    database.read(|connection| Ok(connection.query_row(&select, [id], read)))?.map_err(ChangeError::from)
}

/// Makes a user and his account. `power` is the role of whoever makes him.
pub fn create(database: &Database, by: &By, power: Role, person: &Change) -> Result<i64, ChangeError> {
    let role = person.role.as_deref().unwrap_or("user");
    may_give(power, role)?;
    OBJECT.create(database, by, |transaction| {
        group_is_there(transaction, person.group_id)?;
        transaction.execute(
            "INSERT INTO users (name, role, status, group_id, email, created_ms)
             VALUES (?1, ?2, coalesce(?3, 'active'), coalesce(?4, 1), ?5, ?6)",
            params![
                person.name,
                role,
                person.status,
                person.group_id,
                person.email.clone().flatten(),
                by.at_ms,
            ],
        )?;
        let id = transaction.last_insert_rowid();
        limits::change(transaction, "users", id, &person.limits)?;
        transaction.execute(
            "INSERT INTO accounts (user_id, unlimited) VALUES (?1, ?2)",
            params![id, person.unlimited.unwrap_or(false)],
        )?;
        Ok((id, id))
    })
}

pub fn change(
    database: &Database,
    by: &By,
    power: Role,
    id: i64,
    change: &Change,
) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "update", id, |transaction| {
        let before = may_change(transaction, by, power, id)?;
        if by.actor_id == Some(id) && (change.role.is_some() || change.status.is_some()) {
            return Err(ChangeError::Forbidden("Nobody changes his own role or status.".to_owned()));
        }
        if let Some(role) = change.role.as_deref().filter(|role| *role != before) {
            may_give(power, role)?;
        }
        group_is_there(transaction, change.group_id)?;
        transaction.execute(
            "UPDATE users SET name = coalesce(?2, name), role = coalesce(?3, role), status = coalesce(?4, status),
                 group_id = coalesce(?5, group_id),
                 email = CASE WHEN ?6 THEN ?7 ELSE email END,
                 email_verified_ms = CASE WHEN ?6 AND email IS NOT ?7 THEN NULL ELSE email_verified_ms END
             WHERE id = ?1",
            params![
                id,
                change.name,
                change.role,
                change.status,
                change.group_id,
                change.email.is_some(),
                change.email.clone().flatten(),
            ],
        )?;
        limits::change(transaction, "users", id, &change.limits)?;
        if let Some(unlimited) = change.unlimited {
            transaction
                .execute("UPDATE accounts SET unlimited = ?2 WHERE user_id = ?1", params![id, unlimited])?;
        }
        somebody_is_root(transaction, &before)
    })
}

/// He can do nothing any more, and his name is free; what he has paid and used stays in the books.
pub fn remove(database: &Database, by: &By, power: Role, id: i64) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "delete", id, |transaction| {
        let before = may_change(transaction, by, power, id)?;
        if by.actor_id == Some(id) {
            return Err(ChangeError::Forbidden("Nobody removes himself.".to_owned()));
        }
        transaction.execute(
            "UPDATE users SET status = 'gone', name = name || ' (gone ' || id || ')', email = NULL, email_verified_ms = NULL,
                 password = NULL, totp = NULL, oidc_issuer = NULL, oidc_subject = NULL
             WHERE id = ?1",
            [id],
        )?;
        for table in ["sessions", "access_tokens", "one_time_tokens"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE user_id = ?1"), [id])?;
        }
        transaction.execute(
            "UPDATE api_keys SET status = 'gone', hash = CAST('gone:' || id AS BLOB), previous_hash = NULL,
                 previous_until_ms = NULL
             WHERE user_id = ?1",
            [id],
        )?;
        somebody_is_root(transaction, &before)
    })
}

/// Nobody gives a role that is not below his own, but root.
fn may_give(power: Role, role: &str) -> Result<(), ChangeError> {
    let Some(role) = Role::named(role) else {
        return Err(ChangeError::refused("role", "expected user, admin or root"));
    };
    match power {
        Role::Root => Ok(()),
        _ if role < power => Ok(()),
        _ => Err(ChangeError::Forbidden("Only root makes admins.".to_owned())),
    }
}

/// The role of the user, whom an admin may change only where it is below his own.
fn may_change(transaction: &Transaction<'_>, by: &By, power: Role, id: i64) -> Result<String, ChangeError> {
    let role: String =
        transaction.query_row("SELECT role FROM users WHERE id = ?1", [id], |row| row.get(0))?;
    if role == "config" {
        return Err(ChangeError::Missing);
    }
    if power != Role::Root && (role != "user" || by.actor_id == Some(id)) {
        return Err(ChangeError::Forbidden("Only root changes admins.".to_owned()));
    }
    Ok(role)
}

fn somebody_is_root(transaction: &Transaction<'_>, before: &str) -> Result<(), ChangeError> {
    let still: Option<i64> = transaction
        .query_row("SELECT id FROM users WHERE role = 'root' AND status = 'active' LIMIT 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    if before == "root" && still.is_none() {
        return Err(ChangeError::conflict("This is the last root: make another one first."));
    }
    Ok(())
}

fn group_is_there(transaction: &Transaction<'_>, group: Option<i64>) -> Result<(), ChangeError> {
    let Some(group) = group else { return Ok(()) };
    let there: bool =
        transaction
            .query_row("SELECT EXISTS (SELECT 1 FROM groups WHERE id = ?1)", [group], |row| row.get(0))?;
    if there { Ok(()) } else { Err(ChangeError::refused("group_id", "there is no such group")) }
}

//! Callers' keys as they are managed in the database.
//!
//! In: hashes of secrets that were made elsewhere, and what they may do. Out: rows with what is shown of a secret. The secret
//! itself never comes here; those of the configuration file are the file's to change.

use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use crate::{
    audit::By,
    change::{ChangeError, Object},
    database::Database,
    error::StoreError,
    keys::{KeyHash, KeyTerms, OnLoss, ResetPeriod, set_period},
    limits::{self, LimitChange},
    listing::Listing,
    money::Nanos,
    users::Role,
};

/// Keys that one user may have: more is a program that has gone wild.
const MOST: u32 = 1000;

const OBJECT: Object = Object {
    name: "key",
    picture: "SELECT json_object('user_id', user_id, 'name', name, 'shown', prefix || '…' || last4, 'status', status,
         'spend_limit_nanos', spend_limit_nanos, 'reset_period', reset_period, 'expires_ms', expires_ms,
         'models', json(models), 'networks', json(networks), 'requests_per_minute', requests_per_minute,
         'tokens_per_minute', tokens_per_minute, 'max_in_flight', max_in_flight, 'strict', strict, 'losses', losses,
         'previous_until_ms', previous_until_ms)
         FROM api_keys WHERE id = ?1 AND status <> 'gone'",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub id: i64,
    pub user_id: i64,
    pub user: String,
    /// Of the configuration file: read-only.
    pub from_file: bool,
    pub name: String,
    pub prefix: String,
    pub last4: String,
    pub status: String,
    pub spent: Nanos,
    /// What was spent before the period began.
    pub spent_before: Nanos,
    pub terms: KeyTerms,
    /// Until when the secret before a rotation is good.
    pub previous_until_ms: Option<i64>,
    pub created_ms: i64,
}

/// `None` is not named.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub status: Option<String>,
    pub spend_limit: Option<Option<Nanos>>,
    pub reset_period: Option<Option<String>>,
    pub expires_ms: Option<Option<i64>>,
    pub models: Option<String>,
    pub networks: Option<String>,
    pub limits: LimitChange,
    pub strict: Option<bool>,
    pub losses: Option<OnLoss>,
}

/// A secret that was made, as it is kept.
#[derive(Clone, Debug)]
pub struct Made {
    pub hash: KeyHash,
    pub prefix: String,
    pub last4: String,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub user_id: Option<i64>,
    pub name: Option<String>,
    /// A part of the name, or the last four characters.
    pub search: Option<String>,
    pub status: Option<String>,
}

const SELECT: &str = "SELECT k.id, k.user_id, u.name, k.source = 'config', k.name, k.prefix, k.last4, k.status,
         k.spend_limit_nanos, k.spent_nanos, k.spent_before_nanos, k.reset_period, k.expires_ms, k.models, k.networks,
         k.requests_per_minute, k.tokens_per_minute, k.max_in_flight, k.strict, k.previous_until_ms, k.created_ms, k.losses
     FROM api_keys k JOIN users u ON u.id = k.user_id";

const WHERE: &str = "k.status <> 'gone' AND (?1 IS NULL OR k.user_id = ?1) AND (?2 IS NULL OR k.name = ?2)
     AND (?3 IS NULL OR k.last4 = ?3 OR instr(lower(k.name), lower(?3)) > 0) AND (?4 IS NULL OR k.status = ?4)";

const LISTING: Listing = Listing { select: SELECT, table: "api_keys k", id: "k.id", filter: WHERE };

fn read(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        id: row.get(0)?,
        user_id: row.get(1)?,
        user: row.get(2)?,
        from_file: row.get(3)?,
        name: row.get(4)?,
        prefix: row.get(5)?,
        last4: row.get(6)?,
        status: row.get(7)?,
        spent: Nanos(row.get(9)?),
        spent_before: Nanos(row.get(10)?),
        terms: KeyTerms {
            limits: limits::read(row, 15)?,
            spend_limit: row.get::<_, Option<i64>>(8)?.map(Nanos),
            reset_period: row.get::<_, Option<String>>(11)?.as_deref().and_then(ResetPeriod::from_name),
            expires_ms: row.get(12)?,
            models: row.get(13)?,
            networks: row.get(14)?,
            strict: row.get(18)?,
            losses: OnLoss::read(row, 21)?,
        },
        previous_until_ms: row.get(19)?,
        created_ms: row.get(20)?,
    })
}

/// Newest first, those before `after`; and how many there are in all.
pub fn list(
    database: &Database,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
) -> Result<(Vec<Key>, u32), StoreError> {
    let of: [&dyn ToSql; 4] = [&filter.user_id, &filter.name, &filter.search, &filter.status];
    LISTING.page(database, &of, after, limit, read)
}

/// `owner`: only if it is his.
pub fn find(database: &Database, id: i64, owner: Option<i64>) -> Result<Key, ChangeError> {
    let select =
        format!("{SELECT} WHERE k.id = ?1 AND k.status <> 'gone' AND (?2 IS NULL OR k.user_id = ?2)");
    database
        .read(|connection| Ok(connection.query_row(&select, params![id, owner], read)))?
        .map_err(ChangeError::from)
}

/// `power` is the role of whoever makes it.
pub fn create(
    database: &Database,
    by: &By,
    power: Role,
    user: i64,
    made: &Made,
    key: &Change,
) -> Result<i64, ChangeError> {
    OBJECT.create(database, by, |transaction| {
        let role: Option<String> = transaction
            .query_row(
                "SELECT role FROM users WHERE id = ?1 AND status = 'active' AND role <> 'config'",
                [user],
                |row| row.get(0),
            )
            .optional()?;
        let Some(role) = role else {
            return Err(ChangeError::refused("user_id", "there is no such user, or he is not active"));
        };
        within_power(by, power, user, &role)?;
        let count: u32 = transaction.query_row(
            "SELECT count(*) FROM api_keys WHERE user_id = ?1 AND status <> 'gone'",
            [user],
            |row| row.get(0),
        )?;
        if count >= MOST {
            return Err(ChangeError::conflict(format!("A user has {MOST} keys at most: delete some.")));
        }
        transaction.execute(
            "INSERT INTO api_keys (user_id, source, name, hash, prefix, last4, created_ms)
             VALUES (?1, 'admin', ?2, ?3, ?4, ?5, ?6)",
            params![user, key.name, made.hash, made.prefix, made.last4, by.at_ms],
        )?;
        let id = transaction.last_insert_rowid();
        write(transaction, id, key, by.at_ms)?;
        Ok((id, id))
    })
}

pub fn change(
    database: &Database,
    by: &By,
    power: Role,
    id: i64,
    owner: Option<i64>,
    change: &Change,
) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "update", id, |transaction| {
        may_change(transaction, by, power, id, owner)?;
        write(transaction, id, change, by.at_ms)
    })
}

/// A new secret. The one before is good until `until_ms`, or not any more.
pub fn rotate(
    database: &Database,
    by: &By,
    power: Role,
    id: i64,
    owner: Option<i64>,
    made: &Made,
    until_ms: Option<i64>,
) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "rotate", id, |transaction| {
        may_change(transaction, by, power, id, owner)?;
        transaction.execute(
            "UPDATE api_keys SET previous_hash = CASE WHEN ?5 IS NULL THEN NULL ELSE hash END, previous_until_ms = ?5,
                 hash = ?2, prefix = ?3, last4 = ?4
             WHERE id = ?1",
            params![id, made.hash, made.prefix, made.last4, until_ms],
        )?;
        Ok(())
    })
}

/// Its secret opens nothing any more and its name is free; what it has spent stays in the books.
pub fn remove(
    database: &Database,
    by: &By,
    power: Role,
    id: i64,
    owner: Option<i64>,
) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "delete", id, |transaction| {
        may_change(transaction, by, power, id, owner)?;
        transaction.execute(
            "UPDATE api_keys SET status = 'gone', name = name || ' (gone ' || id || ')',
                 hash = CAST('gone:' || id AS BLOB), previous_hash = NULL, previous_until_ms = NULL
             WHERE id = ?1",
            [id],
        )?;
        Ok(())
    })
}

fn may_change(
    transaction: &Transaction<'_>,
    by: &By,
    power: Role,
    id: i64,
    owner: Option<i64>,
) -> Result<(), ChangeError> {
    let (user, source, role): (i64, String, String) = transaction.query_row(
        "SELECT k.user_id, k.source, u.role FROM api_keys k JOIN users u ON u.id = k.user_id
         WHERE k.id = ?1 AND k.status <> 'gone'",
        [id],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if owner.is_some_and(|owner| owner != user) {
        return Err(ChangeError::Missing);
    }
    if source == "config" {
        return Err(ChangeError::ReadOnly);
    }
    within_power(by, power, user, &role)
}

/// Whoever makes or rotates a key reads its secret, and spends what its user has: of admins only they themselves, and root.
fn within_power(by: &By, power: Role, user: i64, role: &str) -> Result<(), ChangeError> {
    if power == Role::Root || role == "user" || by.actor_id == Some(user) {
        return Ok(());
    }
    Err(ChangeError::Forbidden("Only root manages the keys of other admins.".to_owned()))
}

fn write(transaction: &Transaction<'_>, id: i64, change: &Change, now_ms: i64) -> Result<(), ChangeError> {
    transaction.execute(
        "UPDATE api_keys SET name = coalesce(?2, name), status = coalesce(?3, status),
             spend_limit_nanos = CASE WHEN ?4 THEN ?5 ELSE spend_limit_nanos END,
             expires_ms = CASE WHEN ?6 THEN ?7 ELSE expires_ms END,
             models = coalesce(?8, models), networks = coalesce(?9, networks), strict = coalesce(?10, strict),
             losses = coalesce(?11, losses)
         WHERE id = ?1",
        params![
            id,
            change.name,
            change.status,
            change.spend_limit.is_some(),
            change.spend_limit.flatten().map(|limit| limit.0),
            change.expires_ms.is_some(),
            change.expires_ms.flatten(),
            change.models,
            change.networks,
            change.strict,
            change.losses.map(OnLoss::name),
        ],
    )?;
    limits::change(transaction, "api_keys", id, &change.limits)?;
    let Some(period) = &change.reset_period else { return Ok(()) };
    let period = match period.as_deref().map(ResetPeriod::from_name) {
        None => None,
        Some(Some(period)) => Some(period),
        Some(None) => return Err(ChangeError::refused("reset_period", "expected day, week or month")),
    };
    set_period(transaction, id, period, now_ms)?;
    Ok(())
}

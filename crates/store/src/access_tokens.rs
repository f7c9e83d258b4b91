//! Personal access tokens: what programs use in the place of a session.
//!
//! In: SHA-256 of a token. Out: its user as he is now, and what the token may do. A token is worth no more than its user.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{
    audit::{self, By},
    database::Database,
    error::StoreError,
    one_time::Hash,
    users::{COLUMN_COUNT, COLUMNS, Refused, User, change, read_user},
};

/// Tokens that a user may have.
pub const MOST: u32 = 100;
/// `used_ms` is written again after this, and not at each request.
const USED_EVERY_MS: i64 = 60_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    pub id: i64,
    pub name: String,
    /// The last four characters, to tell tokens apart.
    pub last4: String,
    /// JSON list, as the maker wrote it.
    pub scopes: String,
    pub created_ms: i64,
    pub expires_ms: i64,
    pub used_ms: Option<i64>,
}

/// A token to be.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    pub user: i64,
    pub name: &'a str,
    pub hash: &'a Hash,
    pub last4: &'a str,
    pub scopes: &'a str,
    pub expires_ms: i64,
}

/// Remembers a token's hash. `None`: the user has as many as he may; those that have expired do not count, and go.
pub fn create(database: &Database, by: &By, token: NewToken<'_>) -> Result<Option<i64>, Refused> {
    let now_ms = by.at_ms;
    change(database, |transaction| {
        transaction.execute(
            "DELETE FROM access_tokens WHERE user_id = ?1 AND expires_ms <= ?2",
            [token.user, now_ms],
        )?;
        let made = transaction.execute(
            "INSERT INTO access_tokens (user_id, name, hash, last4, scopes, expires_ms, created_ms)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE (SELECT count(*) FROM access_tokens WHERE user_id = ?1) < ?8",
            params![
                token.user,
                token.name,
                token.hash,
                token.last4,
                token.scopes,
                token.expires_ms,
                now_ms,
                MOST
            ],
        )?;
        if made != 1 {
            return Ok(None);
        }
        let id = transaction.last_insert_rowid();
        trail(transaction, by, "create", id, token.name)?;
        Ok(Some(id))
    })
}

/// Whose token it is, if it is good now.
pub fn find(
    database: &Database,
    hash: &Hash,
    now_ms: i64,
) -> Result<Option<(User, AccessToken)>, StoreError> {
    let found = database.read(|connection| {
        let query = format!(
            "SELECT {COLUMNS}, t.id, t.name, t.last4, t.scopes, t.created_ms, t.expires_ms, t.used_ms
             FROM access_tokens t JOIN users u ON u.id = t.user_id
             WHERE t.hash = ?1 AND t.expires_ms > ?2 AND u.status = 'active'"
        );
        let row = connection.query_row(&query, params![hash, now_ms], |row| {
            Ok(read_user(row)?.zip(Some(read_token(row, COLUMN_COUNT)?)))
        });
        Ok(row.optional()?.flatten())
    })?;
    if let Some((_, token)) = &found
        && token.used_ms.is_none_or(|used| now_ms - used >= USED_EVERY_MS)
    {
        database
            .writer()
            .execute("UPDATE access_tokens SET used_ms = ?2 WHERE id = ?1", params![token.id, now_ms])?;
    }
    Ok(found)
}

fn read_token(row: &Row<'_>, first: usize) -> rusqlite::Result<AccessToken> {
    Ok(AccessToken {
        id: row.get(first)?,
        name: row.get(first + 1)?,
        last4: row.get(first + 2)?,
        scopes: row.get(first + 3)?,
        created_ms: row.get(first + 4)?,
        expires_ms: row.get(first + 5)?,
        used_ms: row.get(first + 6)?,
    })
}

/// A user's tokens, the latest first; those that have expired are among them until the next one is made.
pub fn list(database: &Database, user: i64) -> Result<Vec<AccessToken>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare(
            "SELECT id, name, last4, scopes, created_ms, expires_ms, used_ms FROM access_tokens
             WHERE user_id = ?1 ORDER BY id DESC",
        )?;
        let rows = statement.query_map([user], |row| read_token(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Ends a user's token; whether he had it.
pub fn remove(database: &Database, by: &By, user: i64, id: i64) -> Result<bool, Refused> {
    change(database, |transaction| {
        let name: Option<String> = transaction
            .query_row(
                "DELETE FROM access_tokens WHERE user_id = ?1 AND id = ?2 RETURNING name",
                [user, id],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(name) = &name {
            trail(transaction, by, "delete", id, name)?;
        }
        Ok(name.is_some())
    })
}

/// A row of the audit trail: of a token its name is said, and nothing of itself.
fn trail(transaction: &Transaction<'_>, by: &By, action: &str, id: i64, name: &str) -> Result<(), Refused> {
    let picture: String =
        transaction.query_row("SELECT json_object('name', ?1)", [name], |row| row.get(0))?;
    let (before, after) = if action == "delete" { (Some(&*picture), None) } else { (None, Some(&*picture)) };
    Ok(audit::write(transaction, by, action, "access_token", &id.to_string(), before, after)?)
}

//! Who is signed in, and from where.
//!
//! In: SHA-256 of a session's token. Out: its user as he is now, not as he was when he signed in. A session never outlives
//! what it stands on: the schema removes it with a change of password, role or status.

use rusqlite::{OptionalExtension, Row, params};

use crate::{
    audit::By,
    database::Database,
    error::StoreError,
    one_time::Hash,
    users::{COLUMN_COUNT, COLUMNS, Refused, User, change, note, read_user},
};

/// Sessions that a user may have; the one that was not seen for longest makes room.
const MOST: u32 = 50;
/// `seen_ms` is written again after this, and not at each request.
const SEEN_EVERY_MS: i64 = 60_000;

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    /// Without being used.
    pub idle_ms: i64,
    /// In all.
    pub total_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub hash: Hash,
    pub created_ms: i64,
    pub seen_ms: i64,
    pub expires_ms: i64,
    /// From where, and with what program.
    pub address: String,
    pub agent: String,
}

/// Signs a user in. It does nothing for one who is not active any more, or whose password is another by now than the one
/// that was `proved` (its hash; `None`: he came in by something else).
pub fn open(
    database: &Database,
    by: &By,
    user: i64,
    proved: Option<&str>,
    hash: &Hash,
    agent: &str,
    lasting: Lasting,
) -> Result<bool, Refused> {
    let now_ms = by.at_ms;
    change(database, |transaction| {
        transaction.execute(
            "DELETE FROM sessions WHERE expires_ms <= ?1 OR seen_ms <= ?2",
            [now_ms, now_ms.saturating_sub(lasting.idle_ms)],
        )?;
        transaction.execute(
            "DELETE FROM sessions WHERE hash IN
                 (SELECT hash FROM sessions WHERE user_id = ?1 ORDER BY seen_ms DESC LIMIT -1 OFFSET ?2)",
            params![user, MOST - 1],
        )?;
        let opened = transaction.execute(
            "INSERT INTO sessions (hash, user_id, created_ms, seen_ms, expires_ms, address, agent)
             SELECT ?1, id, ?3, ?3, ?4, ?5, ?6 FROM users
             WHERE id = ?2 AND status = 'active' AND (?7 IS NULL OR password = ?7)",
            params![
                hash,
                user,
                now_ms,
                now_ms.saturating_add(lasting.total_ms),
                by.address.as_deref().unwrap_or_default(),
                agent,
                proved
            ],
        )?;
        if opened == 1 {
            note(transaction, by, "sign_in", user)?;
        }
        Ok(opened == 1)
    })
}

/// Whose session it is, if it is good now.
pub fn find(
    database: &Database,
    hash: &Hash,
    lasting: Lasting,
    now_ms: i64,
) -> Result<Option<(User, Session)>, StoreError> {
    let found = database.read(|connection| {
        let query = format!(
            "SELECT {COLUMNS}, s.hash, s.created_ms, s.seen_ms, s.expires_ms, s.address, s.agent
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.hash = ?1 AND s.expires_ms > ?2 AND s.seen_ms > ?3 AND u.status = 'active'"
        );
        let since = now_ms.saturating_sub(lasting.idle_ms);
        let row = connection.query_row(&query, params![hash, now_ms, since], |row| {
            Ok(read_user(row)?.zip(Some(read_session(row, COLUMN_COUNT)?)))
        });
        Ok(row.optional()?.flatten())
    })?;
    if let Some((_, session)) = &found
        && now_ms - session.seen_ms >= SEEN_EVERY_MS
    {
        database
            .writer()
            .execute("UPDATE sessions SET seen_ms = ?2 WHERE hash = ?1", params![hash, now_ms])?;
    }
    Ok(found)
}

fn read_session(row: &Row<'_>, first: usize) -> rusqlite::Result<Session> {
    Ok(Session {
        hash: row.get(first)?,
        created_ms: row.get(first + 1)?,
        seen_ms: row.get(first + 2)?,
        expires_ms: row.get(first + 3)?,
        address: row.get(first + 4)?,
        agent: row.get(first + 5)?,
    })
}

/// A user's sessions that are good now, the latest used first.
pub fn list(
    database: &Database,
    user: i64,
    lasting: Lasting,
    now_ms: i64,
) -> Result<Vec<Session>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare(
            "SELECT hash, created_ms, seen_ms, expires_ms, address, agent FROM sessions
             WHERE user_id = ?1 AND expires_ms > ?2 AND seen_ms > ?3 ORDER BY seen_ms DESC",
        )?;
        let since = now_ms.saturating_sub(lasting.idle_ms);
        let rows = statement.query_map([user, now_ms, since], |row| read_session(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Signs one out; whether there was such a session.
pub fn close(database: &Database, hash: &Hash) -> Result<bool, StoreError> {
    Ok(database.writer().execute("DELETE FROM sessions WHERE hash = ?1", [hash])? == 1)
}

/// Signs a user out everywhere, or everywhere else. Returns how many sessions ended.
pub fn close_all(database: &Database, user: i64, but: Option<&Hash>) -> Result<usize, StoreError> {
    Ok(database
        .writer()
        .execute("DELETE FROM sessions WHERE user_id = ?1 AND hash IS NOT ?2", params![user, but])?)
}

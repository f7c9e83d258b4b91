//! What is good once: the setup link, invitations, links that were sent by mail, recovery codes.
//!
//! In: SHA-256 of a random secret. Out: what the secret stands for, to the first who brings it before it expires. Nobody
//! gets anything twice.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{
    audit::{self, By},
    change::ChangeError,
    database::Database,
    error::StoreError,
    users::{Refused, Role, change},
};

/// SHA-256 of what was handed out.
pub type Hash = [u8; 32];

/// What a secret is good for; for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Makes the first user.
    Setup,
    /// Makes a user, as somebody who may said.
    Invitation,
    /// Makes a user, for whoever reads an address.
    SignUp,
    /// Proves an address to be a user's.
    Email,
    /// Gives a new password.
    PasswordReset,
    /// Stands in for the second factor.
    RecoveryCode,
}

impl Purpose {
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Setup => "setup",
            Purpose::Invitation => "invitation",
            Purpose::SignUp => "sign_up",
            Purpose::Email => "email",
            Purpose::PasswordReset => "password_reset",
            Purpose::RecoveryCode => "recovery_code",
        }
    }
}

/// What a secret stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTime {
    pub purpose: Purpose,
    pub user_id: Option<i64>,
    pub email: Option<String>,
    /// What whoever comes by an invitation becomes.
    pub role: Option<Role>,
    pub group_id: Option<i64>,
    /// The secret was sent to `email` and shown to nobody: who has it reads that address.
    pub by_mail: bool,
    pub expires_ms: i64,
}

impl OneTime {
    /// For a user, or for nobody yet.
    pub fn new(purpose: Purpose, user_id: Option<i64>, expires_ms: i64) -> OneTime {
        OneTime { purpose, user_id, email: None, role: None, group_id: None, by_mail: false, expires_ms }
    }
}

/// Remembers a secret's hash. Those that have expired are forgotten on the way.
pub fn issue(database: &Database, hash: &Hash, what: &OneTime, now_ms: i64) -> Result<(), StoreError> {
    settle(change(database, |transaction| {
        transaction.execute("DELETE FROM one_time_tokens WHERE expires_ms <= ?1", [now_ms])?;
        Ok(issue_in(transaction, hash, what, now_ms)?)
    }))
}

/// Remembers a secret's hash in the place of all others of its purpose (and user): only the latest is good.
pub fn replace(database: &Database, hash: &Hash, what: &OneTime, now_ms: i64) -> Result<(), StoreError> {
    settle(change(database, |transaction| {
        transaction.execute(
            "DELETE FROM one_time_tokens WHERE purpose = ?1 AND user_id IS ?2",
            params![what.purpose.name(), what.user_id],
        )?;
        Ok(issue_in(transaction, hash, what, now_ms)?)
    }))
}

/// Recovery codes in the place of those before.
pub(crate) fn recovery_codes_in(
    transaction: &Transaction<'_>,
    user: i64,
    hashes: &[Hash],
    now_ms: i64,
) -> rusqlite::Result<()> {
    forget_in(transaction, user, Purpose::RecoveryCode)?;
    let code = OneTime::new(Purpose::RecoveryCode, Some(user), i64::MAX);
    hashes.iter().try_for_each(|hash| issue_in(transaction, hash, &code, now_ms))
}

fn issue_in(transaction: &Transaction<'_>, hash: &Hash, what: &OneTime, now_ms: i64) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO one_time_tokens (hash, purpose, user_id, email, role, group_id, by_mail, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            hash,
            what.purpose.name(),
            what.user_id,
            what.email,
            what.role.map(Role::name),
            what.group_id,
            what.by_mail,
            now_ms,
            what.expires_ms
        ],
    )?;
    Ok(())
}

/// Remembers an invitation.
pub fn invite(database: &Database, by: &By, hash: &Hash, what: &OneTime) -> Result<(), Refused> {
    change(database, |transaction| {
        transaction.execute("DELETE FROM one_time_tokens WHERE expires_ms <= ?1", [by.at_ms])?;
        issue_in(transaction, hash, what, by.at_ms)?;
        invitation_noted(transaction, by, "create", hash, what)
    })
}

/// Takes an invitation back; whether it was there.
pub fn take_back(database: &Database, by: &By, hash: &Hash) -> Result<bool, Refused> {
    change(database, |transaction| {
        let Some(what) = take_in(transaction, hash, Purpose::Invitation, by.at_ms)? else { return Ok(false) };
        invitation_noted(transaction, by, "delete", hash, &what)?;
        Ok(true)
    })
}

/// For the audit trail: for whom an invitation is, by the beginning of its hash.
fn invitation_noted(
    transaction: &Transaction<'_>,
    by: &By,
    action: &str,
    hash: &Hash,
    what: &OneTime,
) -> Result<(), Refused> {
    let id: String = transaction.query_row("SELECT lower(hex(?1))", [&hash[..12]], |row| row.get(0))?;
    let picture: String = transaction.query_row(
        "SELECT json_object('email', ?1, 'role', ?2, 'group_id', ?3)",
        params![what.email, what.role.map(Role::name), what.group_id],
        |row| row.get(0),
    )?;
    let (before, after) = if action == "delete" { (Some(&*picture), None) } else { (None, Some(&*picture)) };
    Ok(audit::write(transaction, by, action, "invitation", &id, before, after)?)
}

/// Invitations that are open, the latest first, with the beginning of their hash to name them by.
pub fn invitations(database: &Database, now_ms: i64) -> Result<Vec<(Hash, OneTime)>, StoreError> {
    database.read(|connection| {
        let mut statement = connection.prepare(
            "SELECT user_id, email, role, group_id, by_mail, expires_ms, hash FROM one_time_tokens
             WHERE purpose = 'invitation' AND expires_ms > ?1 ORDER BY created_ms DESC LIMIT 1000",
        )?;
        let rows = statement.query_map([now_ms], |row| Ok((row.get(6)?, read(row, Purpose::Invitation)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Takes it: nobody can take it again.
pub fn take(
    database: &Database,
    hash: &Hash,
    purpose: Purpose,
    now_ms: i64,
) -> Result<Option<OneTime>, StoreError> {
    settle(change(database, |transaction| Ok(take_in(transaction, hash, purpose, now_ms)?)))
}

/// Takes it within a larger change: when that fails, it is good again.
pub(crate) fn take_in(
    transaction: &Transaction<'_>,
    hash: &Hash,
    purpose: Purpose,
    now_ms: i64,
) -> rusqlite::Result<Option<OneTime>> {
    transaction
        .query_row(
            "DELETE FROM one_time_tokens WHERE hash = ?1 AND purpose = ?2 AND expires_ms > ?3
             RETURNING user_id, email, role, group_id, by_mail, expires_ms",
            params![hash, purpose.name(), now_ms],
            |row| read(row, purpose),
        )
        .optional()
}

fn read(row: &Row<'_>, purpose: Purpose) -> rusqlite::Result<OneTime> {
    Ok(OneTime {
        purpose,
        user_id: row.get(0)?,
        email: row.get(1)?,
        role: row.get::<_, Option<String>>(2)?.as_deref().and_then(Role::named),
        group_id: row.get(3)?,
        by_mail: row.get(4)?,
        expires_ms: row.get(5)?,
    })
}

/// Takes a recovery code of this user.
pub fn take_recovery_code(database: &Database, user: i64, hash: &Hash) -> Result<bool, StoreError> {
    settle(change(database, |transaction| {
        let taken = transaction.execute(
            "DELETE FROM one_time_tokens WHERE hash = ?1 AND purpose = 'recovery_code' AND user_id = ?2",
            params![hash, user],
        )?;
        Ok(taken == 1)
    }))
}

/// How many recovery codes a user has left.
pub fn recovery_codes_left(database: &Database, user: i64) -> Result<u32, StoreError> {
    database.read(|connection| {
        Ok(connection.query_row(
            "SELECT count(*) FROM one_time_tokens WHERE user_id = ?1 AND purpose = 'recovery_code'",
            [user],
            |row| row.get(0),
        )?)
    })
}

/// Forgets all of one purpose that a user has.
pub(crate) fn forget_in(transaction: &Transaction<'_>, user: i64, purpose: Purpose) -> rusqlite::Result<()> {
    transaction.execute(
        "DELETE FROM one_time_tokens WHERE user_id = ?1 AND purpose = ?2",
        params![user, purpose.name()],
    )?;
    Ok(())
}

/// Nothing in here is refused but by the database itself.
fn settle<T>(result: Result<T, Refused>) -> Result<T, StoreError> {
    result.map_err(|refused| match refused {
        Refused::Change(ChangeError::Store(error)) => error,
        other => StoreError::Statement(format!("{other:?}")),
    })
}

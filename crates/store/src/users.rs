//! Users: who they are, what they may, and what they sign in with.
//!
//! In: what somebody typed, hashed or sealed already. Out: rows, and changes that stand or fall as a whole. It must never
//! hand out a password's hash or a sealed secret but to the one call that checks it ([`credentials`]).

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::{
    audit::{self, By},
    change::ChangeError,
    database::Database,
    error::StoreError,
    one_time::{self, Purpose},
};

/// What a user may do. The order is that of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    User,
    Admin,
    Root,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Admin => "admin",
            Role::Root => "root",
        }
    }

    /// `None` for what is no role of a person, such as `config`.
    pub fn named(name: &str) -> Option<Role> {
        [Role::User, Role::Admin, Role::Root].into_iter().find(|role| role.name() == name)
    }
}

/// A user as he may be shown to himself and to those above him: nothing here is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: i64,
    pub name: String,
    pub role: Role,
    pub active: bool,
    pub group_id: i64,
    pub email: Option<String>,
    pub email_verified: bool,
    pub has_password: bool,
    pub has_totp: bool,
    pub has_oidc: bool,
    pub created_ms: i64,
}

/// What a sign-in is checked against. For the checking code alone: it cannot be printed.
pub struct Credentials {
    pub user: User,
    /// argon2id in its own notation.
    pub password: Option<String>,
    pub totp: Option<Vec<u8>>,
    pub totp_pending: Option<Vec<u8>>,
}

/// A user to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    pub name: String,
    pub role: Role,
    pub group_id: i64,
    /// With whether the address is known to be his.
    pub email: Option<(String, bool)>,
    pub password: Option<String>,
    /// Issuer and subject.
    pub oidc: Option<(String, String)>,
}

/// How a user is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    Id(i64),
    Name(&'a str),
    Email(&'a str),
    Oidc { issuer: &'a str, subject: &'a str },
}

/// Why a change was not made. Nothing was written.
#[derive(Debug)]
pub enum Refused {
    /// The link was used, has expired, or never was.
    Token,
    /// Somebody is root already.
    SetUp,
    Change(ChangeError),
}

impl From<ChangeError> for Refused {
    fn from(error: ChangeError) -> Refused {
        Refused::Change(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Change(error.into())
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Refused {
        Refused::Change(error.into())
    }
}

/// The columns of [`User`], of a table or join in which `users` is `u`.
pub(crate) const COLUMNS: &str =
    "u.id, u.name, u.role, u.status, u.group_id, u.email, u.email_verified_ms IS NOT NULL,
    u.password IS NOT NULL, u.totp IS NOT NULL, u.oidc_subject IS NOT NULL, u.created_ms";
/// How many those are: what a query selects behind them begins here.
pub(crate) const COLUMN_COUNT: usize = 11;

/// A row of [`COLUMNS`]; the built-in users, who cannot sign in, have no role and are not read.
pub(crate) fn read_user(row: &Row<'_>) -> rusqlite::Result<Option<User>> {
    let Some(role) = Role::named(&row.get::<_, String>(2)?) else { return Ok(None) };
    Ok(Some(User {
        id: row.get(0)?,
        name: row.get(1)?,
        role,
        active: row.get::<_, String>(3)? == "active",
        group_id: row.get(4)?,
        email: row.get(5)?,
        email_verified: row.get(6)?,
        has_password: row.get(7)?,
        has_totp: row.get(8)?,
        has_oidc: row.get(9)?,
        created_ms: row.get(10)?,
    }))
}

/// The user, if there is one. Disabled ones are found too.
pub fn find(database: &Database, who: Who<'_>) -> Result<Option<User>, StoreError> {
    database.read(|connection| Ok(credentials_in(connection, who)?.map(|found| found.user)))
}

/// The user with what his sign-in is checked against.
pub fn credentials(database: &Database, who: Who<'_>) -> Result<Option<Credentials>, StoreError> {
    database.read(|connection| credentials_in(connection, who))
}

fn credentials_in(connection: &Connection, who: Who<'_>) -> Result<Option<Credentials>, StoreError> {
    let select = |condition: &str| {
        format!("SELECT {COLUMNS}, u.password, u.totp, u.totp_pending FROM users u WHERE {condition}")
    };
    let read = |row: &Row<'_>| {
        let Some(user) = read_user(row)? else { return Ok(None) };
        let password = row.get(COLUMN_COUNT)?;
        let (totp, totp_pending) = (row.get(COLUMN_COUNT + 1)?, row.get(COLUMN_COUNT + 2)?);
        Ok(Some(Credentials { user, password, totp, totp_pending }))
    };
    let found = match who {
        Who::Id(id) => connection.query_row(&select("u.id = ?1"), [id], read),
        Who::Name(name) => connection.query_row(&select("u.name = ?1"), [name], read),
        Who::Email(email) => connection.query_row(&select("lower(u.email) = lower(?1)"), [email], read),
        Who::Oidc { issuer, subject } => connection.query_row(
            &select("u.oidc_issuer = ?1 AND u.oidc_subject = ?2"),
            [issuer, subject],
            read,
        ),
    };
    Ok(found.optional()?.flatten())
}

/// Whether somebody is root: then nobody can be made root by the setup link.
pub fn is_set_up(database: &Database) -> Result<bool, StoreError> {
    database.read(|connection| Ok(root_exists(connection)?))
}

fn root_exists(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM users WHERE role = 'root')", [], |row| row.get(0))
}

/// Makes the first user, who is root, for the one setup link. Returns his id.
pub fn set_up(database: &Database, by: &By, token: &one_time::Hash, user: &NewUser) -> Result<i64, Refused> {
    change(database, |transaction| {
        if root_exists(transaction)? {
            return Err(Refused::SetUp);
        }
        one_time::take_in(transaction, token, Purpose::Setup, by.at_ms)?.ok_or(Refused::Token)?;
        create_in(transaction, by, &NewUser { role: Role::Root, ..user.clone() })
    })
}

/// Makes a user and his account.
pub fn create(database: &Database, by: &By, user: &NewUser) -> Result<i64, Refused> {
    change(database, |transaction| create_in(transaction, by, user))
}

/// Makes a user and his account within a larger change. Without an actor it is himself who does it.
fn create_in(transaction: &Transaction<'_>, by: &By, user: &NewUser) -> Result<i64, Refused> {
    let (email, verified) = user.email.clone().unzip();
    let verified_ms = verified.unwrap_or(false).then_some(by.at_ms);
    let (issuer, subject) = user.oidc.clone().unzip();
    transaction.execute(
        "INSERT INTO users (name, role, group_id, email, email_verified_ms, password, oidc_issuer, oidc_subject, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![user.name, user.role.name(), user.group_id, email, verified_ms, user.password, issuer, subject, by.at_ms],
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute("INSERT INTO accounts (user_id) VALUES (?1)", [id])?;
    let after: String = transaction.query_row(
        "SELECT json_object('name', name, 'role', role, 'group_id', group_id, 'email', email) FROM users WHERE id = ?1",
        [id],
        |row| row.get(0),
    )?;
    let by = match by.actor_id {
        Some(_) => by.clone(),
        None => By { actor_id: Some(id), actor: user.name.clone(), ..by.clone() },
    };
    audit::write(transaction, &by, "create", "user", &id.to_string(), None, Some(&after))?;
    Ok(id)
}

/// Gives a new password. All sessions of the user end with the old one.
pub fn set_password(database: &Database, by: &By, user: i64, password: &str) -> Result<(), Refused> {
    change(database, |transaction| {
        password_in(transaction, user, password)?;
        note(transaction, by, "password", user)
    })
}

fn password_in(transaction: &Transaction<'_>, user: i64, password: &str) -> Result<(), Refused> {
    one(transaction.execute("UPDATE users SET password = ?2 WHERE id = ?1", params![user, password])?)
}

/// Gives a new password for a reset link. All sessions *and* access tokens of the user end: whoever asks for a reset may
/// not know who else got in. Returns whose it was.
pub fn reset_password(
    database: &Database,
    by: &By,
    token: &one_time::Hash,
    password: &str,
) -> Result<i64, Refused> {
    change(database, |transaction| {
        let taken = one_time::take_in(transaction, token, Purpose::PasswordReset, by.at_ms)?;
        let user = taken.and_then(|taken| taken.user_id).ok_or(Refused::Token)?;
        let name = active(transaction, user)?.ok_or(Refused::Token)?;
        password_in(transaction, user, password)?;
        transaction.execute("DELETE FROM access_tokens WHERE user_id = ?1", [user])?;
        one_time::forget_in(transaction, user, Purpose::PasswordReset)?;
        note(transaction, &By { actor_id: Some(user), actor: name, ..by.clone() }, "password_reset", user)?;
        Ok(user)
    })
}

/// The name of a user who is active.
fn active(transaction: &Transaction<'_>, user: i64) -> rusqlite::Result<Option<String>> {
    let name = "SELECT name FROM users WHERE id = ?1 AND status = 'active'";
    transaction.query_row(name, [user], |row| row.get(0)).optional()
}

/// Makes the address of a verification link that of its user. Returns who and which.
pub fn verify_email(database: &Database, by: &By, token: &one_time::Hash) -> Result<(i64, String), Refused> {
    change(database, |transaction| {
        let taken = one_time::take_in(transaction, token, Purpose::Email, by.at_ms)?;
        let Some((Some(user), Some(email))) = taken.map(|taken| (taken.user_id, taken.email)) else {
            return Err(Refused::Token);
        };
        let name = active(transaction, user)?.ok_or(Refused::Token)?;
        one(transaction.execute(
            "UPDATE users SET email = ?2, email_verified_ms = ?3 WHERE id = ?1",
            params![user, email, by.at_ms],
        )?)?;
        note(transaction, &By { actor_id: Some(user), actor: name, ..by.clone() }, "email", user)?;
        Ok((user, email))
    })
}

/// Makes a user for an invitation, or for a link that proved an address. Returns his id.
pub fn sign_up(
    database: &Database,
    by: &By,
    token: &one_time::Hash,
    purpose: Purpose,
    name: &str,
    password: &str,
) -> Result<i64, Refused> {
    change(database, |transaction| {
        let taken = one_time::take_in(transaction, token, purpose, by.at_ms)?.ok_or(Refused::Token)?;
        let user = NewUser {
            name: name.to_owned(),
            role: taken.role.unwrap_or(Role::User),
            group_id: taken.group_id.unwrap_or(1),
            email: taken.email.map(|email| (email, taken.by_mail)),
            password: Some(password.to_owned()),
            oidc: None,
        };
        create_in(transaction, by, &user)
    })
}

/// Ties a user to an OpenID subject, or unties him.
pub fn tie_oidc(
    database: &Database,
    by: &By,
    user: i64,
    identity: Option<(&str, &str)>,
) -> Result<(), Refused> {
    change(database, |transaction| {
        let (issuer, subject) = identity.unzip();
        one(transaction.execute(
            "UPDATE users SET oidc_issuer = ?2, oidc_subject = ?3 WHERE id = ?1",
            params![user, issuer, subject],
        )?)?;
        note(transaction, by, if subject.is_some() { "tie_oidc" } else { "untie_oidc" }, user)
    })
}

/// A row of the audit trail about a user, without what changed: that is a secret.
pub(crate) fn note(transaction: &Transaction<'_>, by: &By, action: &str, user: i64) -> Result<(), Refused> {
    Ok(audit::write(transaction, by, action, "user", &user.to_string(), None, None)?)
}

/// The one row that a change was about.
fn one(changed: usize) -> Result<(), Refused> {
    if changed == 1 { Ok(()) } else { Err(ChangeError::Missing.into()) }
}

/// Runs a change that is made as a whole or not at all.
pub(crate) fn change<T>(
    database: &Database,
    act: impl FnOnce(&Transaction<'_>) -> Result<T, Refused>,
) -> Result<T, Refused> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = act(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

//! A change that somebody makes by hand: all of it, or nothing, and why not.
//!
//! In: what to do, and who does it. Out: what was done, with its row in the audit trail in the same transaction.

use std::fmt;

use rusqlite::{ErrorCode, Transaction, TransactionBehavior};

use crate::{
    audit::{self, By},
    database::Database,
    error::StoreError,
};

/// Why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    /// What it is about is not there.
    Missing,
    /// Another one has what must be its own.
    Taken {
        field: &'static str,
    },
    /// It does not go together with what is there.
    Conflict(String),
    /// A value cannot be what it is.
    Refused {
        field: String,
        reason: String,
    },
    /// Whoever asks may not.
    Forbidden(String),
    /// It is the configuration file's.
    ReadOnly,
    Store(StoreError),
}

impl ChangeError {
    pub fn refused(field: &str, reason: impl Into<String>) -> ChangeError {
        ChangeError::Refused { field: field.to_owned(), reason: reason.into() }
    }

    pub fn conflict(why: impl Into<String>) -> ChangeError {
        ChangeError::Conflict(why.into())
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Missing => f.write_str("there is no such thing"),
            ChangeError::Taken { field } => write!(f, "{field}: is taken"),
            ChangeError::Conflict(why) | ChangeError::Forbidden(why) => f.write_str(why),
            ChangeError::Refused { field, reason } => write!(f, "{field}: {reason}"),
            ChangeError::ReadOnly => f.write_str("it is kept in the configuration file"),
            ChangeError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> ChangeError {
        match error {
            StoreError::OtherOperation => ChangeError::conflict(
                "Another amount, or another account's, was entered under this operation already.",
            ),
            error => ChangeError::Store(error),
        }
    }
}

impl From<rusqlite::Error> for ChangeError {
    fn from(error: rusqlite::Error) -> ChangeError {
        match &error {
            rusqlite::Error::QueryReturnedNoRows => ChangeError::Missing,
            rusqlite::Error::SqliteFailure(failure, Some(message))
                if failure.code == ErrorCode::ConstraintViolation && message.starts_with("UNIQUE") =>
            {
                ChangeError::Taken { field: taken(message) }
            }
            rusqlite::Error::SqliteFailure(failure, Some(message))
                if failure.code == ErrorCode::ConstraintViolation && message.starts_with("FOREIGN KEY") =>
            {
                ChangeError::conflict(
                    "Something else refers to it, or it refers to something that is not there.",
                )
            }
            _ => ChangeError::Store(error.into()),
        }
    }
}

/// The field that a violated uniqueness is about: callers never read the database's own words.
fn taken(message: &str) -> &'static str {
    let ends = [
        ("email", "email"),
        ("model", "model"),
        ("operation", "operation"),
        ("oidc", "oidc"),
        ("hash", "secret"),
    ];
    ends.iter().find(|(part, _)| message.contains(part)).map_or("name", |(_, field)| field)
}

/// One kind of thing that is changed by hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object {
    /// As the audit trail calls it.
    pub(crate) name: &'static str,
    /// Selects a JSON object of the row `?1`, without secrets.
    pub(crate) picture: &'static str,
}

impl Object {
    /// The row as the audit trail keeps it; `None`: it is not there.
    pub(crate) fn picture(
        &self,
        transaction: &Transaction<'_>,
        id: i64,
    ) -> Result<Option<String>, ChangeError> {
        match transaction.prepare_cached(self.picture)?.query_row([id], |row| row.get(0)) {
            Ok(picture) => Ok(Some(picture)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a new one; `work` gives its number.
    pub(crate) fn create<T>(
        &self,
        database: &Database,
        by: &By,
        work: impl FnOnce(&Transaction<'_>) -> Result<(i64, T), ChangeError>,
    ) -> Result<T, ChangeError> {
        transact(database, |transaction| {
            let (id, made) = work(transaction)?;
            let after = self.picture(transaction, id)?;
            audit::write(transaction, by, "create", self.name, &id.to_string(), None, after.as_deref())?;
            Ok(made)
        })
    }

    /// Changes one. Nothing is written of a change that changes nothing, unless it is something else than an `update`.
    pub(crate) fn change<T>(
        &self,
        database: &Database,
        by: &By,
        action: &str,
        id: i64,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        transact(database, |transaction| {
            let before = self.picture(transaction, id)?.ok_or(ChangeError::Missing)?;
            let made = work(transaction)?;
            let after = self.picture(transaction, id)?;
            if action != "update" || after.as_deref() != Some(&before) {
                let after = after.as_deref();
                audit::write(transaction, by, action, self.name, &id.to_string(), Some(&before), after)?;
            }
            Ok(made)
        })
    }
}

/// All of it or nothing.
pub(crate) fn transact<T>(
    database: &Database,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, ChangeError>,
) -> Result<T, ChangeError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

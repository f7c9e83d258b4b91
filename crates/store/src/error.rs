//! What can go wrong with the database, in the operator's words. Callers of the gateway never read these.

use std::fmt;

use crate::seal::SealError;

/// The database would not do it.
#[derive(Debug)]
pub enum StoreError {
    /// Another process owns the file.
    Owned { path: String },
    /// The file cannot be opened or created.
    Open { path: String, detail: String },
    /// The schema could not be brought up to date; nothing was changed by the failed step.
    Migration { number: u32, detail: String },
    /// The file was made by a later version of this program.
    TooNew { found: u32, known: u32 },
    /// The file is another program's database.
    Foreign,
    /// The operation was entered before, with another amount or for somebody else.
    OtherOperation,
    /// A channel of the file has the name of one that the admin keeps.
    NameTaken { name: String },
    /// A key of the file has the secret of one that is kept in the database.
    SecretTaken { name: String },
    /// The key that secrets are sealed with cannot be used.
    Key(SealError),
    /// A statement failed.
    Statement(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Owned { path } => {
                write!(f, "{path} is in use by another process: one process owns the database file")
            }
            StoreError::Open { path, detail } => write!(f, "{path} cannot be opened: {detail}"),
            StoreError::Migration { number, detail } => {
                write!(f, "the database could not be brought up to date (step {number}): {detail}")
            }
            StoreError::TooNew { found, known } => write!(
                f,
                "the database is of a later version (step {found}) than this program knows (step {known})"
            ),
            StoreError::NameTaken { name } => write!(
                f,
                "[[channel]] {name:?} has the name of a channel that is kept in the database: rename one of them"
            ),
            StoreError::SecretTaken { name } => write!(
                f,
                "[[key]] {name:?} has the secret of a key that is kept in the database: give it one of its own"
            ),
            StoreError::Foreign => f.write_str("the file is the database of another program"),
            StoreError::OtherOperation => f.write_str(
                "an operation of this id was entered before, with another amount or for another account",
            ),
            StoreError::Key(error) => error.fmt(f),
            StoreError::Statement(detail) => write!(f, "the database refused: {detail}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<SealError> for StoreError {
    fn from(error: SealError) -> StoreError {
        StoreError::Key(error)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        StoreError::Statement(error.to_string())
    }
}

//! Redemption codes: money that whoever has the code can pay into his account, once.
//!
//! In: hashes of codes that were made elsewhere. Out: rows, and entries. A code, its entry and who redeemed it are one
//! transaction. The code itself never comes here.

use rusqlite::{Row, ToSql, Transaction, params};

use crate::{
    accounts,
    audit::{self, By},
    change::{ChangeError, Object, transact},
    database::Database,
    error::StoreError,
    keys::KeyHash,
    ledger::EntryKind,
    listing::Listing,
    money::Nanos,
};

const OBJECT: Object = Object {
    name: "code",
    picture:
        "SELECT json_object('batch', batch, 'last4', last4, 'value_nanos', value_nanos, 'status', status,
         'expires_ms', expires_ms, 'redeemed_by', redeemed_by) FROM codes WHERE id = ?1",
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    pub id: i64,
    pub batch: String,
    pub last4: String,
    pub value: Nanos,
    /// active, void, redeemed.
    pub status: String,
    pub expires_ms: Option<i64>,
    pub redeemed_by: Option<i64>,
    pub redeemed_by_name: Option<String>,
    pub redeemed_ms: Option<i64>,
    pub created_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub batch: Option<String>,
    pub status: Option<String>,
}

const SELECT: &str =
    "SELECT c.id, c.batch, c.last4, c.value_nanos, c.status, c.expires_ms, c.redeemed_by, u.name,
         c.redeemed_ms, c.created_ms
     FROM codes c LEFT JOIN users u ON u.id = c.redeemed_by";
const WHERE: &str = "(?1 IS NULL OR c.batch = ?1) AND (?2 IS NULL OR c.status = ?2)";

const LISTING: Listing = Listing { select: SELECT, table: "codes c", id: "c.id", filter: WHERE };

fn read(row: &Row<'_>) -> rusqlite::Result<Code> {
    Ok(Code {
        id: row.get(0)?,
        batch: row.get(1)?,
        last4: row.get(2)?,
        value: Nanos(row.get(3)?),
        status: row.get(4)?,
        expires_ms: row.get(5)?,
        redeemed_by: row.get(6)?,
        redeemed_by_name: row.get(7)?,
        redeemed_ms: row.get(8)?,
        created_ms: row.get(9)?,
    })
}

/// Newest first, those before `after`; and how many there are in all.
pub fn list(
    database: &Database,
    filter: &Filter,
    after: Option<i64>,
    limit: u32,
) -> Result<(Vec<Code>, u32), StoreError> {
    let of: [&dyn ToSql; 2] = [&filter.batch, &filter.status];
    LISTING.page(database, &of, after, limit, read)
}

pub fn find(database: &Database, id: i64) -> Result<Code, ChangeError> {
    database
        .read(|connection| Ok(connection.query_row(&format!("{SELECT} WHERE c.id = ?1"), [id], read)))?
        .map_err(ChangeError::from)
}

/// Makes a batch of codes of one value: hash and last four characters of each. One row of the audit trail for all.
pub fn create(
    database: &Database,
    by: &By,
    batch: &str,
    value: Nanos,
    expires_ms: Option<i64>,
    codes: &[(KeyHash, String)],
) -> Result<(), ChangeError> {
    transact(database, |transaction| {
        if is_there(transaction, batch)? {
            return Err(ChangeError::Taken { field: "batch" });
        }
        let mut insert = transaction.prepare(
            "INSERT INTO codes (batch, hash, last4, value_nanos, expires_ms, created_by, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for (hash, last4) in codes {
            insert.execute(params![batch, hash, last4, value.0, expires_ms, by.actor_id, by.at_ms])?;
        }
        let after: String = transaction.query_row(
            "SELECT json_object('batch', ?1, 'count', ?2, 'value_nanos', ?3, 'expires_ms', ?4)",
            params![batch, codes.len() as i64, value.0, expires_ms],
            |row| row.get(0),
        )?;
        audit::write(transaction, by, "create", "code", batch, None, Some(&after))
    })
}

fn is_there(transaction: &Transaction<'_>, batch: &str) -> rusqlite::Result<bool> {
    transaction.query_row("SELECT EXISTS (SELECT 1 FROM codes WHERE batch = ?1)", [batch], |row| row.get(0))
}

/// Makes a code worthless; one that was redeemed stays what it is.
pub fn void(database: &Database, by: &By, id: i64) -> Result<(), ChangeError> {
    OBJECT.change(database, by, "void", id, |transaction| {
        let voided = transaction
            .execute("UPDATE codes SET status = 'void' WHERE id = ?1 AND status <> 'redeemed'", [id])?;
        if voided == 1 { Ok(()) } else { Err(ChangeError::conflict("The code was redeemed already.")) }
    })
}

/// Makes worthless what is left of a batch; how many those were.
pub fn void_batch(database: &Database, by: &By, batch: &str) -> Result<u32, ChangeError> {
    transact(database, |transaction| {
        if !is_there(transaction, batch)? {
            return Err(ChangeError::Missing);
        }
        let voided = transaction
            .execute("UPDATE codes SET status = 'void' WHERE batch = ?1 AND status = 'active'", [batch])?;
        let after = format!(r#"{{"voided":{voided}}}"#);
        audit::write(transaction, by, "void", "code", batch, None, Some(&after))?;
        Ok(u32::try_from(voided).unwrap_or(u32::MAX))
    })
}

/// What redeeming a code came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    pub value: Nanos,
    pub balance: Nanos,
    /// It had been done before, by the same operation.
    pub repeated: bool,
}

/// Pays a code into a user's account. The same `operation` twice is once; another one finds the code redeemed.
pub fn redeem(
    database: &Database,
    by: &By,
    user: i64,
    hash: &KeyHash,
    operation: &KeyHash,
) -> Result<Redeemed, ChangeError> {
    // Whoever guesses learns only that it was no good code.
    let no_good = || ChangeError::refused("code", "is not a code, or not any more");
    transact(database, |transaction| {
        type Found = (i64, i64, String, Option<i64>, Option<i64>, Option<KeyHash>, String);
        let found: Result<Found, rusqlite::Error> = transaction.query_row(
            "SELECT id, value_nanos, status, expires_ms, redeemed_by, redeemed_operation, last4 FROM codes WHERE hash = ?1",
            [hash],
            |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
            },
        );
        let (id, value, status, expires_ms, redeemed_by, done_by, last4) = match found {
            Ok(found) => found,
            Err(rusqlite::Error::QueryReturnedNoRows) => return Err(no_good()),
            Err(error) => return Err(error.into()),
        };
        let value = Nanos(value);
        if redeemed_by == Some(user) {
            if done_by.as_ref() != Some(operation) {
                return Err(ChangeError::conflict("You have redeemed this code already."));
            }
            let balance = accounts::balance_in(transaction, user)?;
            return Ok(Redeemed { value, balance, repeated: true });
        }
        if status != "active" || expires_ms.is_some_and(|expires_ms| expires_ms <= by.at_ms) {
            return Err(no_good());
        }
        let before = OBJECT.picture(transaction, id)?;
        transaction.execute(
            "UPDATE codes SET status = 'redeemed', redeemed_by = ?2, redeemed_ms = ?3, redeemed_operation = ?4 WHERE id = ?1",
            params![id, user, by.at_ms, operation],
        )?;
        let entry = accounts::Entry {
            kind: EntryKind::Redemption,
            amount: value,
            operation: hash,
            note: &format!("code …{last4}"),
        };
        accounts::enter_in(transaction, user, &entry, by.at_ms)?;
        let after = OBJECT.picture(transaction, id)?;
        audit::write(
            transaction,
            by,
            "redeem",
            "code",
            &id.to_string(),
            before.as_deref(),
            after.as_deref(),
        )?;
        Ok(Redeemed { value, balance: accounts::balance_in(transaction, user)?, repeated: false })
    })
}

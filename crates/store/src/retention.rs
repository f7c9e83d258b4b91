//! Requests that are old enough are removed from the log, a few at a time.
//!
//! In: a time before which nothing needs to be kept. Out: fewer rows. Between two small transactions whoever writes gets his
//! turn. Entries, usage by the hour and what a key has spent stay; requests that run are not touched.

use rusqlite::{TransactionBehavior, params};

use crate::{database::Database, error::StoreError};

/// Removes at most `most` requests that came in before `before_ms`, the oldest first. Returns how many these were: fewer
/// than `most` means that no more are left.
pub fn remove(database: &Database, before_ms: i64, most: u32) -> Result<u32, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // The id holds the time, and the log lies in its order.
    let before = &before_ms.clamp(0, (1 << 48) - 1).to_be_bytes()[2..];
    let removed = transaction.execute(
        "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE id < ?1 ORDER BY id LIMIT ?2)",
        params![before, most],
    )?;
    // Said together with the first that is gone: nobody is to look in vain and be told that there was nothing.
    if removed > 0 {
        transaction
            .execute("UPDATE request_log SET kept_from_ms = ?1 WHERE kept_from_ms < ?1", [before_ms])?;
    }
    transaction.commit()?;
    Ok(u32::try_from(removed).unwrap_or(most))
}

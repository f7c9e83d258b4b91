//! The second factor of a user: sealed, confirmed by its first code, and no step of it taken twice.
//!
//! In: a sealed secret, time steps whose code was right. Out: whether they count. The secret itself is never known here.

use rusqlite::params;

use crate::{
    audit::By,
    database::Database,
    error::StoreError,
    one_time::{self, Hash, Purpose},
    users::{Refused, change, note},
};

/// Keeps a sealed secret that its user has to confirm.
pub fn offer(database: &Database, user: i64, sealed: &[u8]) -> Result<(), StoreError> {
    database.writer().execute("UPDATE users SET totp_pending = ?2 WHERE id = ?1", params![user, sealed])?;
    Ok(())
}

/// Puts the secret `sealed`, which was offered, in force, with recovery codes. `false`: it is not the one on offer any more.
pub fn confirm(
    database: &Database,
    by: &By,
    user: i64,
    sealed: &[u8],
    step: i64,
    recovery_codes: &[Hash],
) -> Result<bool, Refused> {
    change(database, |transaction| {
        let confirmed = transaction.execute(
            "UPDATE users SET totp = totp_pending, totp_pending = NULL, totp_step = ?3
             WHERE id = ?1 AND totp IS NULL AND totp_pending = ?2",
            params![user, sealed, step],
        )?;
        if confirmed == 1 {
            one_time::recovery_codes_in(transaction, user, recovery_codes, by.at_ms)?;
            note(transaction, by, "second_factor", user)?;
        }
        Ok(confirmed == 1)
    })
}

/// Uses a time step up: `false` when it or a later one was used before.
pub fn use_step(database: &Database, user: i64, step: i64) -> Result<bool, StoreError> {
    let used = database.writer().execute(
        "UPDATE users SET totp_step = ?2 WHERE id = ?1 AND totp IS NOT NULL AND coalesce(totp_step, -1) < ?2",
        params![user, step],
    )?;
    Ok(used == 1)
}

/// Takes the second factor away, with its recovery codes.
pub fn remove(database: &Database, by: &By, user: i64) -> Result<(), Refused> {
    change(database, |transaction| {
        transaction.execute(
            "UPDATE users SET totp = NULL, totp_pending = NULL, totp_step = NULL WHERE id = ?1",
            [user],
        )?;
        one_time::forget_in(transaction, user, Purpose::RecoveryCode)?;
        note(transaction, by, "no_second_factor", user)
    })
}

/// Recovery codes in the place of those before.
pub fn renew_recovery_codes(
    database: &Database,
    by: &By,
    user: i64,
    recovery_codes: &[Hash],
) -> Result<(), Refused> {
    change(database, |transaction| {
        one_time::recovery_codes_in(transaction, user, recovery_codes, by.at_ms)?;
        note(transaction, by, "recovery_codes", user)
    })
}

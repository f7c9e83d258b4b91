//! What a key, a user or a group may do in a minute, and at once.
//!
//! In: rows that have the three columns, and changes of them. Out: limits. Holding to them is the gateway's.

use rusqlite::{Row, Transaction, params};

/// `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitColumns {
    pub requests_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub max_in_flight: Option<u32>,
}

/// `None` is not named, and stays; `Some(None)` takes the limit away.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitChange {
    pub requests_per_minute: Option<Option<u64>>,
    pub tokens_per_minute: Option<Option<u64>>,
    pub max_in_flight: Option<Option<u32>>,
}

/// The three columns, from `first` on.
pub(crate) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<LimitColumns> {
    let each_minute = |column: usize| -> rusqlite::Result<Option<u64>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(|each| each.max(0) as u64))
    };
    Ok(LimitColumns {
        requests_per_minute: each_minute(first)?,
        tokens_per_minute: each_minute(first + 1)?,
        max_in_flight: row.get(first + 2)?,
    })
}

/// Changes what is named, in one row of a table that has limits.
pub(crate) fn change(
    transaction: &Transaction<'_>,
    table: &'static str,
    id: i64,
    change: &LimitChange,
) -> rusqlite::Result<()> {
    let column = |limit: Option<Option<u64>>| limit.flatten().map(|each| each as i64);
    transaction.execute(
        &format!(
            "UPDATE {table} SET requests_per_minute = CASE WHEN ?2 THEN ?3 ELSE requests_per_minute END,
                 tokens_per_minute = CASE WHEN ?4 THEN ?5 ELSE tokens_per_minute END,
                 max_in_flight = CASE WHEN ?6 THEN ?7 ELSE max_in_flight END
             WHERE id = ?1"
        ),
        params![
            id,
            change.requests_per_minute.is_some(),
            column(change.requests_per_minute),
            change.tokens_per_minute.is_some(),
            column(change.tokens_per_minute),
            change.max_in_flight.is_some(),
            change.max_in_flight.flatten(),
        ],
    )?;
    Ok(())
}

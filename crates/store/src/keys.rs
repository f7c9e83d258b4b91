//! What keys may do, and the periods of their spend limits; [`managed`]: how people change them.
//!
//! In: a key's terms, and the time. Out: its row. Nothing here knows a secret: only its hash is kept.

pub mod managed;

use rusqlite::{Transaction, TransactionBehavior, params};

use crate::{database::Database, error::StoreError, limits::LimitColumns, money::Nanos};

/// SHA-256 of a secret.
pub type KeyHash = [u8; 32];

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// When a spend limit begins anew, by the calendar of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetPeriod {
    Day,
    /// From Monday on.
    Week,
    Month,
}

impl ResetPeriod {
    pub const ALL: [ResetPeriod; 3] = [ResetPeriod::Day, ResetPeriod::Week, ResetPeriod::Month];

    pub const fn name(self) -> &'static str {
        match self {
            ResetPeriod::Day => "day",
            ResetPeriod::Week => "week",
            ResetPeriod::Month => "month",
        }
    }

    pub fn from_name(name: &str) -> Option<ResetPeriod> {
        ResetPeriod::ALL.into_iter().find(|period| period.name() == name)
    }

    /// When the period began that a moment is in.
    pub fn start_ms(self, at_ms: i64) -> i64 {
        let days = at_ms.div_euclid(DAY_MS);
        let start = match self {
            ResetPeriod::Day => days,
            // The first day of 1970 was a Thursday.
            ResetPeriod::Week => days - (days + 3).rem_euclid(7),
            ResetPeriod::Month => days - i64::from(day_of_month(days)) + 1,
        };
        start * DAY_MS
    }
}

/// From days since 1970 to the day of the month (the era arithmetic of Howard Hinnant's `civil_from_days`).
fn day_of_month(days: i64) -> u32 {
    let day_of_era = (days + 719_468).rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    (day_of_year - (153 * month + 2) / 5 + 1) as u32
}

/// What becomes of a request that cannot be told in a channel's dialect without losing something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It is sent, and what was lost is reported.
    #[default]
    Report,
    /// It is not sent.
    Refuse,
}

impl OnLoss {
    pub const ALL: [OnLoss; 2] = [OnLoss::Report, OnLoss::Refuse];

    pub const fn name(self) -> &'static str {
        match self {
            OnLoss::Report => "report",
            OnLoss::Refuse => "refuse",
        }
    }

    pub fn from_name(name: &str) -> Option<OnLoss> {
        OnLoss::ALL.into_iter().find(|on_loss| on_loss.name() == name)
    }

    /// As a row has it; only known words are let into the column.
    pub(crate) fn read(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<OnLoss> {
        Ok(OnLoss::from_name(&row.get::<_, String>(column)?).unwrap_or_default())
    }
}

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    pub limits: LimitColumns,
    /// `None`: unlimited.
    pub spend_limit: Option<Nanos>,
    /// `None`: the limit is for good.
    pub reset_period: Option<ResetPeriod>,
    pub expires_ms: Option<i64>,
    /// JSON lists: patterns of models, addresses and networks; empty: all.
    pub models: String,
    pub networks: String,
    /// Its output is limited to what it can pay.
    pub strict: bool,
    pub losses: OnLoss,
}

impl Default for KeyTerms {
    fn default() -> KeyTerms {
        KeyTerms {
            limits: LimitColumns::default(),
            spend_limit: None,
            reset_period: None,
            expires_ms: None,
            models: "[]".to_owned(),
            networks: "[]".to_owned(),
            strict: false,
            losses: OnLoss::default(),
        }
    }
}

/// Writes what a key may do.
pub fn set_terms(
    transaction: &Transaction<'_>,
    key: i64,
    terms: &KeyTerms,
    now_ms: i64,
) -> Result<(), StoreError> {
    set_period(transaction, key, terms.reset_period, now_ms)?;
    transaction.execute(
        "UPDATE api_keys SET spend_limit_nanos = ?2, expires_ms = ?3, models = ?4, networks = ?5, strict = ?6,
             requests_per_minute = ?7, tokens_per_minute = ?8, max_in_flight = ?9, losses = ?10
         WHERE id = ?1",
        params![
            key,
            terms.spend_limit.map(|limit| limit.0),
            terms.expires_ms,
            terms.models,
            terms.networks,
            terms.strict,
            terms.limits.requests_per_minute.map(|requests| requests as i64),
            terms.limits.tokens_per_minute.map(|tokens| tokens as i64),
            terms.limits.max_in_flight,
            terms.losses.name(),
        ],
    )?;
    Ok(())
}

/// A period that is new to a key begins with what it has spent so far.
fn set_period(
    transaction: &Transaction<'_>,
    key: i64,
    period: Option<ResetPeriod>,
    now_ms: i64,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE api_keys SET reset_period = ?2, period_start_ms = ?3,
             spent_before_nanos = CASE WHEN ?2 IS NULL THEN 0 ELSE spent_nanos END
         WHERE id = ?1 AND reset_period IS NOT ?2",
        params![key, period.map(ResetPeriod::name), period.map(|period| period.start_ms(now_ms))],
    )?;
    Ok(())
}

/// Begins the periods that are due: what was spent until now does not count any more. Returns how many began.
pub fn begin_periods(database: &Database, now_ms: i64) -> Result<usize, StoreError> {
    let mut writer = database.writer();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut begun = 0;
    for period in ResetPeriod::ALL {
        begun += transaction.execute(
            "UPDATE api_keys SET spent_before_nanos = spent_nanos, period_start_ms = ?2
             WHERE reset_period = ?1 AND period_start_ms < ?2",
            params![period.name(), period.start_ms(now_ms)],
        )?;
    }
    transaction.commit()?;
    Ok(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_by_the_calendar() {
        // Sunday, 1 March 2026, 10:00 UTC; 2024 had a 29 February.
        let sunday = 1_772_359_200_000;
        assert_eq!(ResetPeriod::Day.start_ms(sunday), 1_772_323_200_000);
        assert_eq!(ResetPeriod::Week.start_ms(sunday), 1_771_804_800_000, "Monday, 23 February");
        assert_eq!(ResetPeriod::Month.start_ms(sunday), 1_772_323_200_000);
        let leap = 1_709_251_199_999;
        assert_eq!(ResetPeriod::Day.start_ms(leap), 1_709_164_800_000, "29 February 2024");
        assert_eq!(ResetPeriod::Month.start_ms(leap), 1_706_745_600_000, "1 February 2024");
        assert_eq!(ResetPeriod::Month.start_ms(leap + 1), leap + 1);
        assert_eq!(ResetPeriod::Month.start_ms(-1), -31 * DAY_MS, "December 1969");
    }
}

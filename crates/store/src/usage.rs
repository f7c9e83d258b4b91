//! Usage by the hour: who used what, and what it cost, kept while the books are written and summed for those who ask.
//!
//! In: the requests of a batch, in its transaction. Out: rows of sums, and groups of them. Σ of the charges here is Σ of the
//! settlements in the ledger, for each account and key: one of the books' rules. They outlive the request log.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, Row, Transaction, params, params_from_iter, types::Value};

use crate::{error::StoreError, ledger::Ended, money::Nanos, request_log::GOOD_ENDINGS};

pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Groups told at most.
const GROUPS: usize = 1_000;

/// Tokens of a request in buckets that do not overlap: their sum is all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Text, audio and images; what the cache had not.
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    /// Text, reasoning, audio and images.
    pub output: u64,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub requests: i64,
    /// Ended neither as completed nor because the caller left.
    pub failed: i64,
    pub estimated: i64,
    pub unpriced: i64,
    pub input_tokens: i64,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub output_tokens: i64,
    pub charge: Nanos,
    pub total_ms: i64,
    /// Of the requests that had a first byte, and how many these are.
    pub first_byte_ms: i64,
    pub first_bytes: i64,
}

impl Sums {
    fn of(row: &Ended) -> Sums {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let Tokens { input, cache_read, cache_write, output } = row.tokens;
        Sums {
            requests: 1,
            failed: i64::from(!GOOD_ENDINGS.contains(&row.ending)),
            estimated: i64::from(row.estimated),
            unpriced: i64::from(row.unpriced),
            input_tokens: signed(input),
            cache_read_tokens: signed(cache_read),
            cache_write_tokens: signed(cache_write),
            output_tokens: signed(output),
            charge: row.charge,
            total_ms: signed(row.total_ms),
            first_byte_ms: signed(row.first_byte_ms.unwrap_or_default()),
            first_bytes: i64::from(row.first_byte_ms.is_some()),
        }
    }

    fn add(&mut self, other: &Sums) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.failed, other.failed),
            (&mut self.estimated, other.estimated),
            (&mut self.unpriced, other.unpriced),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.cache_read_tokens, other.cache_read_tokens),
            (&mut self.cache_write_tokens, other.cache_write_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.total_ms, other.total_ms),
            (&mut self.first_byte_ms, other.first_byte_ms),
            (&mut self.first_bytes, other.first_bytes),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
        self.charge = self.charge.plus(other.charge);
    }
}

/// What sums are kept for.
type Place = (i64, i64, i64, String, Option<Arc<str>>);

/// The sums of one batch: one step a place, however many requests it had.
#[derive(Debug, Default)]
pub(crate) struct Batch(HashMap<Place, Sums>);

impl Batch {
    pub(crate) fn add(&mut self, row: &Ended) {
        // A model that was asked for in vain is a text of the caller's own: these rows are for good, and he must not be able
        // to make as many as he likes.
        let in_vain = row.channel.is_none() && row.ending == "refused";
        let model = if in_vain { String::new() } else { row.model.clone() };
        let place = (row.at_ms / HOUR_MS, row.account, row.key, model, row.channel.clone());
        self.0.entry(place).or_default().add(&Sums::of(row));
    }

    pub(crate) fn write(self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut add = transaction.prepare_cached(
            "INSERT INTO usage_hours AS u VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (hour, account_id, key_id, model, channel) DO UPDATE SET
                 requests = u.requests + excluded.requests,
                 failed = u.failed + excluded.failed,
                 estimated = u.estimated + excluded.estimated,
                 unpriced = u.unpriced + excluded.unpriced,
                 input_tokens = u.input_tokens + excluded.input_tokens,
                 cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
                 cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
                 output_tokens = u.output_tokens + excluded.output_tokens,
                 charge_nanos = u.charge_nanos + excluded.charge_nanos,
                 total_ms = u.total_ms + excluded.total_ms,
                 first_byte_ms = u.first_byte_ms + excluded.first_byte_ms,
                 first_bytes = u.first_bytes + excluded.first_bytes",
        )?;
        for ((hour, account, key, model, channel), sums) in self.0 {
            add.execute(params![
                hour,
                account,
                key,
                model,
                channel.as_deref().unwrap_or_default(),
                sums.requests,
                sums.failed,
                sums.estimated,
                sums.unpriced,
                sums.input_tokens,
                sums.cache_read_tokens,
                sums.cache_write_tokens,
                sums.output_tokens,
                sums.charge.0,
                sums.total_ms,
                sums.first_byte_ms,
                sums.first_bytes,
            ])?;
        }
        Ok(())
    }
}

/// The sums of the requests that a crash has ended, before they are written as lost.
pub(crate) fn add_lost(transaction: &Transaction<'_>, charged: bool) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO usage_hours AS u
         SELECT at_ms / 3600000, account_id, key_id, model, '', count(*), count(*),
             sum(?1 AND hold_nanos > 0), 0, 0, 0, 0, 0, sum(iif(?1, hold_nanos, 0)), 0, 0, 0
         FROM open_requests o WHERE NOT EXISTS (SELECT 1 FROM requests r WHERE r.id = o.id)
         GROUP BY 1, 2, 3, 4
         ON CONFLICT (hour, account_id, key_id, model, channel) DO UPDATE SET
             requests = u.requests + excluded.requests, failed = u.failed + excluded.failed,
             estimated = u.estimated + excluded.estimated, charge_nanos = u.charge_nanos + excluded.charge_nanos",
        [charged],
    )?;
    Ok(())
}

/// By what sums are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Hour,
    Day,
    User,
    Key,
    Model,
    Channel,
}

/// Which sums.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whole hours: from the one that holds this time, up to before the one that holds that.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    pub account: Option<i64>,
    pub keys: Option<Vec<i64>>,
    pub model: Option<String>,
    pub channel: Option<String>,
    pub by: Vec<By>,
    /// Hours that local days are ahead of those of UTC.
    pub day_offset_hours: i64,
}

/// The sums of one group; only what it was grouped by is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// When the hour or the day begins.
    pub from_ms: Option<i64>,
    pub account: Option<i64>,
    pub user: Option<String>,
    pub key_id: Option<i64>,
    pub key: Option<String>,
    pub model: Option<String>,
    pub channel: Option<String>,
    pub sums: Sums,
}

/// What was used.
#[derive(Debug)]
pub struct Usage {
    /// By time, and within it the dearest first.
    pub groups: Vec<Group>,
    /// Over all groups, those not told among them.
    pub total: Sums,
    /// There are more groups than are told.
    pub cut_short: bool,
}

const SUMS: &str = "coalesce(sum(requests), 0), coalesce(sum(failed), 0), coalesce(sum(estimated), 0),
    coalesce(sum(unpriced), 0), coalesce(sum(input_tokens), 0), coalesce(sum(cache_read_tokens), 0),
    coalesce(sum(cache_write_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(charge_nanos), 0),
    coalesce(sum(total_ms), 0), coalesce(sum(first_byte_ms), 0), coalesce(sum(first_bytes), 0)";

/// Sums by group.
pub fn sums(connection: &Connection, asked: &Asked) -> Result<Usage, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let (place, values) = place(asked);
    let total = transaction.query_row(
        &format!("SELECT {SUMS} FROM usage_hours WHERE {place}"),
        params_from_iter(&values),
        |row| sums_of(row, 0),
    )?;
    // Columns that are not grouped by are all alike.
    let column = |wanted: &[By], name: &str| -> String {
        if wanted.iter().any(|by| asked.by.contains(by)) { name.to_owned() } else { "NULL".to_owned() }
    };
    let offset = asked.day_offset_hours;
    let from_hour = if asked.by.contains(&By::Hour) {
        "hour".to_owned()
    } else {
        column(&[By::Day], &format!("(hour + {offset}) / 24 * 24 - {offset}"))
    };
    let account = column(&[By::User], "account_id");
    let key = column(&[By::Key], "key_id");
    let model = column(&[By::Model], "model");
    let channel = column(&[By::Channel], "channel");
    let mut statement = transaction.prepare(&format!(
        "SELECT g.*, (SELECT name FROM users WHERE id = (SELECT user_id FROM accounts WHERE id = g.account)),
             (SELECT name FROM api_keys WHERE id = g.key)
         FROM (SELECT {from_hour} AS from_hour, {account} AS account, {key} AS key, {model} AS model,
                 {channel} AS channel, {SUMS}, sum(charge_nanos) AS charged
             FROM usage_hours WHERE {place} GROUP BY 1, 2, 3, 4, 5
             ORDER BY from_hour, charged DESC, 2, 3, 4, 5 LIMIT {}) g",
        GROUPS + 1
    ))?;
    let mut groups: Vec<Group> = statement
        .query_map(params_from_iter(&values), |row| {
            Ok(Group {
                from_ms: row.get::<_, Option<i64>>(0)?.map(|hour| hour * HOUR_MS),
                account: row.get(1)?,
                key_id: row.get(2)?,
                model: row.get(3)?,
                channel: row.get(4)?,
                sums: sums_of(row, 5)?,
                user: row.get(18)?,
                key: row.get(19)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let cut_short = groups.len() > GROUPS;
    groups.truncate(GROUPS);
    Ok(Usage { groups, total, cut_short })
}

/// Which rows, as a condition with its values.
fn place(asked: &Asked) -> (String, Vec<Value>) {
    let (mut terms, mut values) = (vec!["1".to_owned()], Vec::<Value>::new());
    let mut term = |text: &str, value: Value| {
        values.push(value);
        terms.push(format!("{text} ?{}", values.len()));
    };
    if let Some(since) = asked.since_ms {
        term("hour >=", since.div_euclid(HOUR_MS).into());
    }
    if let Some(until) = asked.until_ms {
        term("hour <", until.div_euclid(HOUR_MS).into());
    }
    if let Some(account) = asked.account {
        term("account_id =", account.into());
    }
    if let Some(model) = &asked.model {
        term("model =", model.clone().into());
    }
    if let Some(channel) = &asked.channel {
        term("channel =", channel.clone().into());
    }
    if let Some(keys) = &asked.keys {
        let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
        terms.push(format!("key_id IN ({})", keys.join(", ")));
    }
    (terms.join(" AND "), values)
}

fn sums_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Sums> {
    Ok(Sums {
        requests: row.get(at)?,
        failed: row.get(at + 1)?,
        estimated: row.get(at + 2)?,
        unpriced: row.get(at + 3)?,
        input_tokens: row.get(at + 4)?,
        cache_read_tokens: row.get(at + 5)?,
        cache_write_tokens: row.get(at + 6)?,
        output_tokens: row.get(at + 7)?,
        charge: Nanos(row.get(at + 8)?),
        total_ms: row.get(at + 9)?,
        first_byte_ms: row.get(at + 10)?,
        first_bytes: row.get(at + 11)?,
    })
}

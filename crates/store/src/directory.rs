//! Who may call, who pays, what is offered and what it costs: everything that requests are admitted by, as it stands in the
//! database.
//!
//! In: a database. Out: its rows in one picture of one moment, which the gateway turns into its catalog. JSON columns are
//! passed on as they are: what is in them is the gateway's to read.

use rusqlite::{Connection, Row};

use crate::{
    database::Database,
    error::StoreError,
    keys::{KeyHash, KeyTerms, OnLoss, ResetPeriod},
    limits::{self, LimitColumns},
    money::{Factor, Nanos},
};

/// All that is in force, and the keys that are switched off: whoever has one is told so. What was deleted is not in it.
#[derive(Debug, Default)]
pub struct Directory {
    pub groups: Vec<GroupRow>,
    pub accounts: Vec<AccountRow>,
    pub keys: Vec<KeyRow>,
    pub channels: Vec<ChannelRow>,
    pub prices: Vec<PriceRow>,
    pub aliases: Vec<AliasRow>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    pub id: i64,
    pub name: String,
    /// What its users pay of each price.
    pub factor: Factor,
    /// JSON lists: patterns of models, names of channels; empty: all.
    pub models: String,
    pub channels: String,
    pub limits: LimitColumns,
}

/// The account of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub id: i64,
    pub user_id: i64,
    pub user: String,
    pub group_id: i64,
    pub unlimited: bool,
    /// Sum of what was paid in: all entries but settlements.
    pub paid: Nanos,
    /// Sum of all charges.
    pub spent: Nanos,
    /// The user's own.
    pub limits: LimitColumns,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub id: i64,
    pub account_id: i64,
    pub name: String,
    /// It is switched off, or its user is.
    pub is_disabled: bool,
    pub hash: KeyHash,
    /// The secret before a rotation, and until when it is good.
    pub previous: Option<(KeyHash, i64)>,
    pub spent: Nanos,
    /// What had been spent before the spend limit's period began.
    pub spent_before: Nanos,
    pub terms: KeyTerms,
}

/// A channel that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRow {
    pub id: i64,
    /// Its definition and secrets are the configuration file's; the row's are only shown.
    pub from_config: bool,
    pub name: String,
    /// JSON: a `[[channel]]` block without name and secrets.
    pub definition: String,
    /// For [`crate::seal::Sealer`], at the place [`channel_place`]; JSON `{secrets, headers, proxy}`.
    pub sealed: Option<Vec<u8>>,
    pub discount: Factor,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    pub model: String,
    pub valid_from_ms: i64,
    /// Set by the admin; else of a price list that was taken in.
    pub by_admin: bool,
    /// JSON: a `[[price]]` block without its model.
    pub rates: String,
}

/// A name that stands for models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasRow {
    pub name: String,
    /// JSON list, in the order of trying.
    pub models: String,
}

/// Where a channel's secrets are sealed for.
pub fn channel_place(id: i64) -> String {
    format!("channel {id}")
}

impl Directory {
    pub fn read(database: &Database) -> Result<Directory, StoreError> {
        database.read(|connection| {
            let moment = connection.unchecked_transaction()?;
            let directory = Directory {
                groups: rows(&moment, GROUPS, group)?,
                accounts: rows(&moment, ACCOUNTS, account)?,
                keys: rows(&moment, KEYS, key)?,
                channels: rows(&moment, CHANNELS, channel)?,
                prices: rows(&moment, PRICES, price)?,
                aliases: rows(&moment, ALIASES, alias)?,
            };
            Ok(directory)
        })
    }
}

fn rows<T>(
    connection: &Connection,
    query: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(query)?;
    let rows = statement.query_map([], read)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

const GROUPS: &str =
    "SELECT requests_per_minute, tokens_per_minute, max_in_flight, id, name, factor_millionths, models,
         channels
     FROM groups ORDER BY id";

fn group(row: &Row<'_>) -> rusqlite::Result<GroupRow> {
    Ok(GroupRow {
        limits: limits::read(row, 0)?,
        id: row.get(3)?,
        name: row.get(4)?,
        factor: Factor(row.get(5)?),
        models: row.get(6)?,
        channels: row.get(7)?,
    })
}

const ACCOUNTS: &str =
    "SELECT u.requests_per_minute, u.tokens_per_minute, u.max_in_flight, a.id, u.id, u.name, u.group_id,
         a.unlimited, a.paid_nanos, a.paid_nanos - a.balance_nanos
     FROM accounts a JOIN users u ON u.id = a.user_id WHERE u.status IN ('active', 'disabled') ORDER BY a.id";

fn account(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    Ok(AccountRow {
        limits: limits::read(row, 0)?,
        id: row.get(3)?,
        user_id: row.get(4)?,
        user: row.get(5)?,
        group_id: row.get(6)?,
        unlimited: row.get(7)?,
        paid: Nanos(row.get(8)?),
        spent: Nanos(row.get(9)?),
    })
}

const KEYS: &str = "SELECT k.requests_per_minute, k.tokens_per_minute, k.max_in_flight, k.id, a.id, k.name, k.hash,
         k.previous_hash, k.previous_until_ms, k.spent_nanos, k.spent_before_nanos, k.spend_limit_nanos, k.reset_period,
         k.expires_ms, k.models, k.networks, k.strict, NOT (k.status = 'active' AND u.status = 'active'),
         k.losses
     FROM api_keys k JOIN users u ON u.id = k.user_id JOIN accounts a ON a.user_id = u.id
     WHERE k.status IN ('active', 'disabled') AND u.status IN ('active', 'disabled') ORDER BY k.id";

fn key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    let previous: (Option<KeyHash>, Option<i64>) = (row.get(7)?, row.get(8)?);
    Ok(KeyRow {
        id: row.get(3)?,
        account_id: row.get(4)?,
        name: row.get(5)?,
        is_disabled: row.get(17)?,
        hash: row.get(6)?,
        previous: previous.0.zip(previous.1),
        spent: Nanos(row.get(9)?),
        spent_before: Nanos(row.get(10)?),
        terms: KeyTerms {
            limits: limits::read(row, 0)?,
            spend_limit: row.get::<_, Option<i64>>(11)?.map(Nanos),
            reset_period: row.get::<_, Option<String>>(12)?.as_deref().and_then(ResetPeriod::from_name),
            expires_ms: row.get(13)?,
            models: row.get(14)?,
            networks: row.get(15)?,
            strict: row.get(16)?,
            losses: OnLoss::read(row, 18)?,
        },
    })
}

const CHANNELS: &str = "SELECT id, source = 'config', name, definition, sealed, discount_millionths
     FROM channels WHERE status = 'active' ORDER BY id";

fn channel(row: &Row<'_>) -> rusqlite::Result<ChannelRow> {
    Ok(ChannelRow {
        id: row.get(0)?,
        from_config: row.get(1)?,
        name: row.get(2)?,
        definition: row.get(3)?,
        sealed: row.get(4)?,
        discount: Factor(row.get(5)?),
    })
}

const PRICES: &str =
    "SELECT model, valid_from_ms, source = 'admin', rates FROM prices ORDER BY model, valid_from_ms";

fn price(row: &Row<'_>) -> rusqlite::Result<PriceRow> {
    Ok(PriceRow { model: row.get(0)?, valid_from_ms: row.get(1)?, by_admin: row.get(2)?, rates: row.get(3)? })
}

const ALIASES: &str = "SELECT name, models FROM aliases ORDER BY name";

fn alias(row: &Row<'_>) -> rusqlite::Result<AliasRow> {
    Ok(AliasRow { name: row.get(0)?, models: row.get(1)? })
}

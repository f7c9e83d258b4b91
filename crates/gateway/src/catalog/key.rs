//! A caller's key in force: who pays, and what it may do.
//!
//! In: the rows of the directory. Out: every key by its secrets' digests. Money and meters are taken over by their numbers:
//! a key that is taken out may come back, and its requests run on meanwhile.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;
use store::{
    Nanos,
    directory::{AccountRow, Directory, GroupRow, KeyRow},
    keys::OnLoss,
    limits::LimitColumns,
    purse::Purse,
};

use super::{Digest, Patterns};
use crate::{
    charge::Payer,
    group::Group,
    limits::{Caps, Limits, Meter, Meters, Whose},
    networks::{Network, Networks},
};

#[derive(Debug)]
pub struct Key {
    pub name: Arc<str>,
    /// What its own limit leaves.
    pub purse: Arc<Purse>,
    /// Of the user it belongs to.
    pub account: Arc<Purse>,
    pub models: Patterns,
    /// Its output is limited to what it can pay.
    pub strict: bool,
    /// What cannot be translated without loss is not sent.
    pub refuses_losses: bool,
    pub group: Arc<Group>,
    /// Its own, its user's and its group's.
    pub limits: Arc<Limits>,
    /// Switched off, or its user is: known, and refused.
    pub is_disabled: bool,
    /// From then on it is refused, in milliseconds since 1970 (UTC).
    pub expires_ms: Option<i64>,
    /// Where its callers may be; empty: anywhere.
    pub networks: Networks,
}

impl Key {
    pub fn payer(&self) -> Payer {
        Payer { account: self.account.id, key: self.purse.id }
    }

    /// Whether it may ask for a model, by its own list and its group's.
    pub fn allows(&self, model: &str) -> bool {
        self.models.allow(model) && self.group.models.allow(model)
    }

    /// Whether what it uses is paid for: a model without a price is not for such a key.
    pub fn pays(&self) -> bool {
        self.purse.state().limit.is_some() || self.account.state().limit.is_some()
    }
}

/// A secret in force.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) key: Arc<Key>,
    /// Until when it is good, in milliseconds since 1970, if another has taken its place.
    pub(super) until_ms: Option<i64>,
}

/// The purse of every account and key that was ever in force, by its number in the books: what it holds and has spent is in
/// no other place until it is written.
#[derive(Debug, Default)]
pub struct Purses {
    accounts: HashMap<i64, Arc<Purse>>,
    keys: HashMap<i64, Arc<Purse>>,
}

impl Purses {
    /// Whose money is held, and how much of it; in order.
    pub fn held(&self) -> Vec<(&'static str, i64, Nanos)> {
        let of = |what, purses: &HashMap<i64, Arc<Purse>>| {
            let held = purses.values().map(|purse| (what, purse.id, purse.state().held));
            held.filter(|(_, _, held)| *held != Nanos::ZERO).collect::<Vec<_>>()
        };
        let mut held = of("account", &self.accounts);
        held.extend(of("key", &self.keys));
        held.sort_unstable();
        held
    }

    /// Of a key, if it was ever in force.
    pub fn of_key(&self, id: i64) -> Option<&Arc<Purse>> {
        self.keys.get(&id)
    }

    fn account(&mut self, row: &AccountRow) -> Arc<Purse> {
        let limit = (!row.unlimited).then_some(row.paid);
        let purse = self.accounts.entry(row.id).or_insert_with(|| Purse::new(row.id, limit, row.spent));
        purse.set_limit(limit);
        purse.clone()
    }

    fn key(&mut self, row: &KeyRow) -> Arc<Purse> {
        // What was spent before the period began is as if it had never been a limit's.
        let limit = row.terms.spend_limit.map(|limit| limit.plus(row.spent_before));
        let purse = self.keys.entry(row.id).or_insert_with(|| Purse::new(row.id, limit, row.spent));
        purse.set_limit(limit);
        purse.clone()
    }
}

/// What all keys of a user have in common.
struct Owner {
    account: Arc<Purse>,
    group: Arc<Group>,
    user_meter: Arc<Meter>,
    group_meter: Arc<Meter>,
}

/// Every key in force, by the digests of its secrets.
pub(super) fn all(
    directory: &Directory,
    purses: &mut Purses,
    meters: &mut Meters,
) -> HashMap<Digest, Known, RandomState> {
    let owners = owners(directory, purses, meters);
    let mut keys = HashMap::default();
    for row in &directory.keys {
        let Some(owner) = owners.get(&row.account_id) else { continue };
        let key = Arc::new(build(row, owner, purses, meters));
        if let Some((hash, until_ms)) = row.previous {
            keys.insert(hash, Known { key: key.clone(), until_ms: Some(until_ms) });
        }
        keys.insert(row.hash, Known { key, until_ms: None });
    }
    keys
}

fn owners(directory: &Directory, purses: &mut Purses, meters: &mut Meters) -> HashMap<i64, Owner> {
    let mut groups = HashMap::new();
    for row in &directory.groups {
        groups.insert(row.id, (Arc::new(group(row)), meters.set(Whose::Group, row.id, caps(&row.limits))));
    }
    let owner = |row: &AccountRow| {
        let (group, group_meter) = groups.get(&row.group_id)?.clone();
        // A user goes by his account, of which he has one.
        let user_meter = meters.set(Whose::User, row.id, caps(&row.limits));
        Some((row.id, Owner { account: purses.account(row), group, user_meter, group_meter }))
    };
    directory.accounts.iter().filter_map(owner).collect()
}

fn group(row: &GroupRow) -> Group {
    let channels: BTreeSet<String> =
        serde_json::from_str(&row.channels).unwrap_or_else(|_| BTreeSet::from([String::new()]));
    Group {
        id: row.id,
        name: row.name.as_str().into(),
        factor: row.factor,
        models: Patterns::read(&row.models),
        channels,
    }
}

fn build(row: &KeyRow, owner: &Owner, purses: &mut Purses, meters: &mut Meters) -> Key {
    let meter = meters.set(Whose::Key, row.id, caps(&row.terms.limits));
    Key {
        name: row.name.as_str().into(),
        purse: purses.key(row),
        account: owner.account.clone(),
        models: Patterns::read(&row.terms.models),
        strict: row.terms.strict,
        refuses_losses: row.terms.losses == OnLoss::Refuse,
        group: owner.group.clone(),
        limits: Arc::new(Limits::new(meter, owner.user_meter.clone(), owner.group_meter.clone())),
        is_disabled: row.is_disabled,
        expires_ms: row.terms.expires_ms,
        networks: networks(&row.terms.networks),
    }
}

fn caps(limits: &LimitColumns) -> Caps {
    let LimitColumns { requests_per_minute, tokens_per_minute, max_in_flight } = *limits;
    Caps { requests_per_minute, tokens_per_minute, max_in_flight }
}

/// From a JSON list. What is no list of networks allows nobody: it must not open what was meant to be shut.
fn networks(json: &str) -> Networks {
    let listed: Option<Vec<Network>> = serde_json::from_str::<Vec<String>>(json)
        .ok()
        .and_then(|listed| listed.iter().map(|network| network.parse().ok()).collect());
    Networks(listed.unwrap_or_else(|| "0.0.0.0/32".parse().into_iter().collect()))
}

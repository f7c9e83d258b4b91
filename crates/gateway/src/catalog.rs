//! One immutable picture of keys, channels and models; a request sees one picture from beginning to end.
//!
//! In: a checked [`Config`] and the [`Directory`] of the database. Out: look-ups by key, by model and by door. What must outlive a reload (health, places
//! taken, connections) is taken over from the picture before, by name.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use dialect::{Dialect, Door, Operation};
use foldhash::fast::RandomState;
use http::{HeaderName, HeaderValue};
use store::{
    Factor, Nanos,
    directory::{AccountRow, Directory, KeyRow},
    price::Price,
    price_list::PriceList,
    purse::Purse,
};

use crate::{
    charge::Payer,
    clock::unix_ms,
    config::{ChannelConfig, Config, PriceConfig, Proxy, Timeouts},
    health::{Health, SecretHealth},
    occupancy::Occupancy,
    provider::{self, Auth, Provider},
    redact::Redaction,
    secret::Secret,
    upstream::Upstream,
};

/// SHA-256 of a secret: what keys are found by, so that no comparison of secrets can be timed.
pub type Digest = [u8; 32];

pub fn digest(secret: &str) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref());
    digest
}

/// Clients send keys with or without `sk-`; both are one key.
pub fn bare(secret: &str) -> &str {
    secret.strip_prefix("sk-").unwrap_or(secret)
}

#[derive(Debug)]
pub struct Catalog {
    pub config: Config,
    keys: HashMap<Digest, Known, RandomState>,
    /// By falling priority.
    channels: Vec<Arc<Channel>>,
    /// Channels of every model that a channel names in full, by falling priority.
    by_model: HashMap<Arc<str>, Vec<Arc<Channel>>, RandomState>,
    /// The label of all other models.
    other: Arc<str>,
    prices: HashMap<String, Arc<Price>, RandomState>,
    /// Those with a `*`, without it; the longest first.
    price_starts: Vec<(String, Arc<Price>)>,
}

/// A secret in force.
#[derive(Debug)]
struct Known {
    key: Arc<Key>,
    /// Until when it is good, in milliseconds since 1970, if another has taken its place.
    until_ms: Option<i64>,
}

/// The purse of every account and key that was ever in force, by its number in the books. One that is taken out may come
/// back, and its requests may run on meanwhile: what it holds and has spent is in no other place until it is written.
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

/// A caller's key in force.
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
    /// What it pays of each price: its group's factor.
    pub factor: Factor,
    pub max_in_flight: Option<u32>,
    pub occupancy: Arc<Occupancy>,
}

/// Model names, the last character of each may be `*`; none at all allows every model.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// From a JSON list. What is no list allows nothing: it must not open what was meant to be shut.
    fn read(json: &str) -> Patterns {
        Patterns(serde_json::from_str(json).unwrap_or_else(|_| vec![String::new()]))
    }

    pub fn allow(&self, model: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, model))
    }
}

fn matches(pattern: &str, model: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => model.starts_with(start),
        None => pattern == model,
    }
}

/// An upstream account in force.
pub struct Channel {
    pub name: Arc<str>,
    pub provider: &'static Provider,
    pub config: ChannelConfig,
    /// What its answers cost, of the price.
    pub discount: Factor,
    pub secrets: Vec<ChannelSecret>,
    pub redaction: Redaction,
    pub health: Arc<Health>,
    pub occupancy: Arc<Occupancy>,
    pub upstream: Arc<dyn Upstream>,
    endpoints: Vec<Endpoint>,
    host: HeaderValue,
}

/// One of a channel's keys, ready to be sent.
#[derive(Debug)]
pub struct ChannelSecret {
    digest: Digest,
    pub health: Arc<SecretHealth>,
    /// As most providers want it, `Bearer …`, and bare; `None`: this channel needs no key. Neither prints itself.
    bearer: Option<HeaderValue>,
    bare: Option<HeaderValue>,
}

/// Where and how one door is asked at a channel.
#[derive(Debug)]
pub struct Endpoint {
    pub door: Door,
    /// The whole URL; `{model}`, `{method}` and `{rest}` still to be filled in.
    pub url: String,
    /// The URL where there is nothing to fill in.
    pub fixed: Option<http::Uri>,
    pub auth: Auth,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ChannelSecret {
    fn new(secret: &str, health: Arc<SecretHealth>) -> ChannelSecret {
        let sensitive = |text: String| {
            let mut value = HeaderValue::try_from(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        ChannelSecret {
            digest: digest(secret),
            health,
            bearer: sensitive(format!("Bearer {secret}")),
            bare: sensitive(secret.to_owned()),
        }
    }

    /// The header that signs a request in.
    pub fn header(&self, auth: Auth) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match auth {
            Auth::Bearer => (http::header::AUTHORIZATION, &self.bearer),
            Auth::AnthropicKey => (HeaderName::from_static("x-api-key"), &self.bare),
            Auth::GoogleKey => (HeaderName::from_static("x-goog-api-key"), &self.bare),
            Auth::AzureKey => (HeaderName::from_static("api-key"), &self.bare),
        };
        Some((name, value.clone()?))
    }
}

impl Channel {
    pub fn endpoint(&self, door: Door) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.door == door)
    }

    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub fn serves(&self, model: &str) -> bool {
        self.config.models.iter().any(|pattern| matches(pattern, model))
    }

    pub fn timeouts(&self) -> &Timeouts {
        &self.config.timeouts
    }

    /// The upstream's name for a model.
    pub fn rename<'a>(&'a self, model: &'a str) -> &'a str {
        self.config.rename.get(model).map_or(model, String::as_str)
    }

    /// A secret that does not rest, beginning the search at `start`; else when the first is back.
    pub fn secret(&self, start: u64, now_ms: u64) -> Result<&ChannelSecret, u64> {
        let count = self.secrets.len();
        let offset = start as usize % count.max(1);
        let mut soonest_ms = u64::MAX;
        for secret in self.secrets[offset..].iter().chain(&self.secrets[..offset]) {
            match secret.health.resting_until_ms(now_ms) {
                0 => return Ok(secret),
                until_ms => soonest_ms = soonest_ms.min(until_ms),
            }
        }
        Err(soonest_ms)
    }
}

impl Catalog {
    /// Builds the picture; `kept` are the channels that the database keeps, and `connect` makes a channel's way out where the
    /// one before cannot be taken over.
    pub fn build(
        config: Config,
        directory: &Directory,
        kept: Vec<ChannelConfig>,
        before: Option<&Catalog>,
        purses: &mut Purses,
        connect: &dyn Fn(&ChannelConfig) -> Arc<dyn Upstream>,
    ) -> Catalog {
        let keys = keys(directory, before, purses);
        let price = |price: &PriceConfig| (price.model.clone(), Arc::new(price.price.clone()));
        let (starts, prices): (Vec<_>, Vec<_>) =
            config.prices.iter().map(price).partition(|(model, _)| model.ends_with('*'));
        let mut price_starts: Vec<_> = starts
            .into_iter()
            .map(|(model, price)| (model.trim_end_matches('*').to_owned(), price))
            .collect();
        price_starts.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        let prices = prices.into_iter().collect();
        let discounts: HashMap<&str, Factor> =
            directory.channels.iter().map(|row| (row.name.as_str(), row.discount)).collect();
        let mut channels: Vec<Arc<Channel>> = config
            .channels
            .iter()
            .chain(&kept)
            .map(|channel| {
                let old = before.and_then(|catalog| catalog.channel(&channel.name));
                let discount = discounts.get(channel.name.as_str()).copied().unwrap_or(Factor::ONE);
                Arc::new(Channel::build(channel, discount, old, connect))
            })
            .collect();
        channels.sort_by_key(|channel| std::cmp::Reverse(channel.config.priority));
        let named: BTreeSet<&String> = channels
            .iter()
            .flat_map(|channel| channel.config.models.iter().chain(channel.config.rename.keys()))
            .filter(|model| !model.ends_with('*'))
            .collect();
        let by_model = named
            .into_iter()
            .map(|model| {
                let serving = channels.iter().filter(|channel| channel.serves(model));
                (Arc::from(model.as_str()), serving.cloned().collect::<Vec<_>>())
            })
            .filter(|(_, serving)| !serving.is_empty())
            .collect();
        let other = "other".into();
        Catalog { config, keys, channels, by_model, other, prices, price_starts }
    }

    pub fn key(&self, presented: &str) -> Option<&Arc<Key>> {
        let known = self.keys.get(&digest(bare(presented)))?;
        known.until_ms.is_none_or(|until_ms| unix_ms() < until_ms).then_some(&known.key)
    }

    /// What a model costs, by the name that callers use: the operator's price, else that of the public list.
    pub fn price(&self, model: &str) -> Option<Arc<Price>> {
        let start = || self.price_starts.iter().find(|(start, _)| model.starts_with(start.as_str()));
        let own = self.prices.get(model).or_else(|| start().map(|(_, price)| price));
        own.or_else(|| PriceList::bundled().price(model)).cloned()
    }

    pub fn channel(&self, name: &str) -> Option<&Arc<Channel>> {
        self.channels.iter().find(|channel| &*channel.name == name)
    }

    pub fn channels(&self) -> &[Arc<Channel>] {
        &self.channels
    }

    /// Channels that serve a model, by falling priority.
    pub fn serving(&self, model: &str) -> Vec<&Arc<Channel>> {
        match self.by_model.get(model) {
            Some(channels) => channels.iter().collect(),
            None => self.channels.iter().filter(|channel| channel.serves(model)).collect(),
        }
    }

    /// The label of a model in the metrics: its name, if a channel names it in full, for such names are few.
    pub fn label(&self, model: &str) -> Arc<str> {
        self.by_model.get_key_value(model).map_or_else(|| self.other.clone(), |(name, _)| name.clone())
    }

    /// Every model that is named in full and that some channel can be asked for in `dialect`, in order.
    pub fn models(&self, dialect: Dialect) -> Vec<&str> {
        let speaks = |channel: &Arc<Channel>| {
            channel.endpoints.iter().any(|endpoint| endpoint.door.dialect == dialect)
        };
        let mut models: Vec<&str> = self
            .by_model
            .iter()
            .filter(|(_, channels)| channels.iter().any(speaks))
            .map(|(model, _)| &**model)
            .collect();
        models.sort_unstable();
        models
    }
}

impl Key {
    pub fn payer(&self) -> Payer {
        Payer { account: self.account.id, key: self.purse.id }
    }

    /// Whether what it uses is paid for: a model without a price is not for such a key.
    pub fn pays(&self) -> bool {
        self.purse.state().limit.is_some() || self.account.state().limit.is_some()
    }

    fn build(row: &KeyRow, account: &Arc<Purse>, old: Option<&Arc<Key>>, purses: &mut Purses) -> Key {
        Key {
            name: row.name.as_str().into(),
            purse: purses.key(row),
            account: account.clone(),
            models: Patterns::read(&row.terms.models),
            strict: row.terms.strict,
            factor: Factor::ONE,
            max_in_flight: row.terms.limits.max_in_flight,
            occupancy: old.map(|key| key.occupancy.clone()).unwrap_or_default(),
        }
    }
}

/// Every key in force, by the digests of its secrets.
fn keys(
    directory: &Directory,
    before: Option<&Catalog>,
    purses: &mut Purses,
) -> HashMap<Digest, Known, RandomState> {
    let accounts: HashMap<i64, Arc<Purse>> =
        directory.accounts.iter().map(|row| (row.id, purses.account(row))).collect();
    let old: HashMap<i64, &Arc<Key>> = before
        .iter()
        .flat_map(|catalog| catalog.keys.values())
        .map(|known| (known.key.purse.id, &known.key))
        .collect();
    let mut keys = HashMap::default();
    for row in &directory.keys {
        let Some(account) = accounts.get(&row.account_id) else { continue };
        let key = Arc::new(Key::build(row, account, old.get(&row.id).copied(), purses));
        if let Some((hash, until_ms)) = row.previous {
            keys.insert(hash, Known { key: key.clone(), until_ms: Some(until_ms) });
        }
        keys.insert(row.hash, Known { key, until_ms: None });
    }
    keys
}

impl Channel {
    fn build(
        config: &ChannelConfig,
        discount: Factor,
        old: Option<&Arc<Channel>>,
        connect: &dyn Fn(&ChannelConfig) -> Arc<dyn Upstream>,
    ) -> Channel {
        // What a channel suffered at another address says nothing about this one.
        let sufferer = old.filter(|old| {
            let before = &old.config;
            std::ptr::eq(before.provider, config.provider)
                && (&before.base_url, &before.headers, &before.proxy)
                    == (&config.base_url, &config.headers, &config.proxy)
        });
        let same_way = |old: &&Arc<Channel>| transport(&old.config) == transport(config);
        let upstream = old.filter(same_way).map_or_else(|| connect(config), |old| old.upstream.clone());
        let secret = |secret: &Secret| {
            let digest = digest(secret.reveal());
            let known = sufferer.and_then(|old| old.secrets.iter().find(|known| known.digest == digest));
            ChannelSecret::new(secret.reveal(), known.map(|known| known.health.clone()).unwrap_or_default())
        };
        let mut secrets: Vec<ChannelSecret> = config.secrets.iter().map(secret).collect();
        if secrets.is_empty() {
            let (digest, health) = (Digest::default(), Arc::default());
            secrets.push(ChannelSecret { digest, health, bearer: None, bare: None });
        }
        let host = config.base_url.authority().map_or("", http::uri::Authority::as_str);
        Channel {
            name: config.name.as_str().into(),
            provider: config.provider,
            secrets,
            redaction: Redaction::new(hidden(config), config.base_url.host()),
            health: sufferer.map(|old| old.health.clone()).unwrap_or_default(),
            occupancy: old.map(|old| old.occupancy.clone()).unwrap_or_default(),
            upstream,
            endpoints: endpoints(config),
            host: HeaderValue::try_from(host).unwrap_or(HeaderValue::from_static("")),
            config: config.clone(),
            discount,
        }
    }
}

/// What a connection depends on; when it is unchanged, a reload keeps the connections.
fn transport(config: &ChannelConfig) -> (std::time::Duration, &Option<Proxy>) {
    (config.timeouts.connect, &config.proxy)
}

/// Everything in a channel's configuration that no caller may read.
fn hidden(config: &ChannelConfig) -> Vec<Secret> {
    let headers =
        config.headers.iter().filter_map(|(_, value)| value.to_str().ok()).filter(|value| value.len() >= 8);
    let proxy = config
        .proxy
        .iter()
        .filter_map(|proxy| proxy.credentials.as_ref())
        .map(|(_, password)| password.clone());
    config.secrets.iter().cloned().chain(headers.map(Secret::new)).chain(proxy).collect()
}

fn endpoints(config: &ChannelConfig) -> Vec<Endpoint> {
    let spoken = |dialect: Dialect| config.dialect.is_none_or(|only| only == dialect);
    Operation::ALL
        .iter()
        .flat_map(|operation| Dialect::ALL.iter().map(|dialect| Door::new(*dialect, *operation)))
        .filter(|door| spoken(door.dialect))
        .filter_map(|door| {
            let row = config.provider.speaks(door)?;
            let url = provider::join(&config.base_url, row.path);
            let fixed = if url.contains('{') { None } else { url.parse().ok() };
            Some(Endpoint { door, url, fixed, auth: row.auth })
        })
        .collect()
}

//! One immutable picture of keys, channels and models; a request sees one picture from beginning to end.
//!
//! In: a checked [`Config`]. Out: look-ups by key, by model and by door. What must outlive a reload (health, places
//! taken, connections) is taken over from the picture before, by name.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use dialect::{Dialect, Door, Operation};
use foldhash::fast::RandomState;
use http::{HeaderName, HeaderValue};
use store::{
    Database, Nanos, StoreError,
    keys::{ConfigKey, KeyRow, sync_config_keys},
    price::Price,
    price_list::PriceList,
    purse::Purse,
};

use crate::{
    charge::Payer,
    config::{ChannelConfig, Config, KeyConfig, PriceConfig, Proxy, Timeouts},
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
fn bare(secret: &str) -> &str {
    secret.strip_prefix("sk-").unwrap_or(secret)
}

#[derive(Debug)]
pub struct Catalog {
    pub config: Config,
    keys: HashMap<Digest, Arc<Key>, RandomState>,
    /// By falling priority.
    channels: Vec<Arc<Channel>>,
    /// Channels of every model that a channel names in full, by falling priority.
    by_model: HashMap<Arc<str>, Vec<Arc<Channel>>, RandomState>,
    /// The label of all other models.
    other: Arc<str>,
    prices: HashMap<String, Arc<Price>, RandomState>,
    /// Those with a `*`, without it; the longest first.
    price_starts: Vec<(String, Arc<Price>)>,
    /// The account of the keys of the configuration file.
    account: Arc<Purse>,
}

/// The purse of every key that was ever in force, by its number in the books. One that is taken out may come back, and its
/// requests may run on meanwhile: what it holds and has spent is in no other place until it is written.
pub type Purses = HashMap<i64, Arc<Purse>>;

/// Who pays, by the books.
#[derive(Debug)]
pub struct Payers {
    account: i64,
    /// In the order of the configuration's keys.
    keys: Vec<KeyRow>,
}

impl Payers {
    /// Makes the keys of the configuration those of the books.
    pub fn sync(database: &Database, config: &Config) -> Result<Payers, StoreError> {
        let key = |key: &KeyConfig| ConfigKey {
            name: key.name.clone(),
            hash: digest(bare(key.secret.reveal())),
            spend_limit: key.spend_limit,
        };
        let keys: Vec<ConfigKey> = config.keys.iter().map(key).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (account, keys) = sync_config_keys(database, &keys, now.as_millis() as i64)?;
        Ok(Payers { account, keys })
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
    pub max_in_flight: Option<u32>,
    pub occupancy: Arc<Occupancy>,
}

/// Model names, the last character of each may be `*`; none at all allows every model.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<String>);

impl Patterns {
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
    /// Builds the picture; `connect` makes a channel's way out where the one before cannot be taken over.
    pub fn build(
        config: Config,
        payers: Payers,
        before: Option<&Catalog>,
        purses: &mut Purses,
        connect: &dyn Fn(&ChannelConfig) -> Arc<dyn Upstream>,
    ) -> Catalog {
        let account = match before {
            Some(before) => before.account.clone(),
            None => Purse::new(payers.account, None, Nanos::ZERO),
        };
        let keys = config
            .keys
            .iter()
            .zip(&payers.keys)
            .map(|(key, row)| {
                (digest(bare(key.secret.reveal())), Arc::new(Key::build(key, row, &account, before, purses)))
            })
            .collect();
        let price = |price: &PriceConfig| (price.model.clone(), Arc::new(price.price.clone()));
        let (starts, prices): (Vec<_>, Vec<_>) =
            config.prices.iter().map(price).partition(|(model, _)| model.ends_with('*'));
        let mut price_starts: Vec<_> = starts
            .into_iter()
            .map(|(model, price)| (model.trim_end_matches('*').to_owned(), price))
            .collect();
        price_starts.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        let prices = prices.into_iter().collect();
        let mut channels: Vec<Arc<Channel>> = config
            .channels
            .iter()
            .map(|channel| {
                let old = before.and_then(|catalog| catalog.channel(&channel.name));
                Arc::new(Channel::build(channel, old, connect))
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
        Catalog { config, keys, channels, by_model, other, prices, price_starts, account }
    }

    pub fn key(&self, presented: &str) -> Option<&Arc<Key>> {
        self.keys.get(&digest(bare(presented)))
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

    fn build(
        config: &KeyConfig,
        row: &KeyRow,
        account: &Arc<Purse>,
        before: Option<&Catalog>,
        purses: &mut Purses,
    ) -> Key {
        let old = before.and_then(|catalog| catalog.keys.values().find(|key| *key.name == *config.name));
        let purse =
            purses.entry(row.id).or_insert_with(|| Purse::new(row.id, row.spend_limit, row.spent)).clone();
        purse.set_limit(row.spend_limit);
        Key {
            name: config.name.as_str().into(),
            purse,
            account: account.clone(),
            models: Patterns(config.models.clone()),
            max_in_flight: config.max_in_flight,
            occupancy: old.map(|key| key.occupancy.clone()).unwrap_or_default(),
        }
    }
}

impl Channel {
    fn build(
        config: &ChannelConfig,
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

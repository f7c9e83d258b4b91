//! One immutable picture of keys, channels and models; a request sees one picture from beginning to end.
//!
//! In: a checked [`Config`] and the [`Directory`] of the database. Out: look-ups by key, by model and by door. What must
//! outlive a reload (health, places taken, connections) is taken over from the picture before, by name.

mod channel;
mod key;
mod maker;
mod names;
mod prices;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::RandomState;
use store::{Factor, directory::Directory, price::Price, seal::Sealer};

pub use self::{
    channel::{Channel, ChannelSecret, Endpoint},
    key::{Key, Purses},
    names::Sought,
};
use self::{key::Known, prices::Prices};
use crate::{
    clock::unix_ms,
    config::{ChannelConfig, Config},
    limits::Meters,
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
    prices: Prices,
    /// What else callers may say: the models that it stands for, in the order of trying.
    aliases: HashMap<Arc<str>, Vec<Arc<str>>, RandomState>,
}

/// Model names, the last character of each may be `*`; none at all allows every model.
#[derive(Clone, Debug, Default)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// As they were listed.
    pub fn list(&self) -> &[String] {
        &self.0
    }

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

/// What channels are made with: how they are named to clients, and what makes their ways out.
pub type Outfit<'a> = (&'a Sealer, &'a dyn Fn(&ChannelConfig) -> Arc<dyn Upstream>);

impl Catalog {
    /// Builds the picture; `kept` are the channels that the database keeps, and a channel's way out is made where the one before
    /// cannot be taken over.
    pub fn build(
        config: Config,
        directory: &Directory,
        kept: Vec<ChannelConfig>,
        before: Option<&Catalog>,
        purses: &mut Purses,
        meters: &mut Meters,
        (masks, connect): Outfit<'_>,
    ) -> Catalog {
        let keys = key::all(directory, purses, meters);
        let prices = Prices::build(&config.prices, directory, unix_ms());
        let discounts: HashMap<&str, Factor> =
            directory.channels.iter().map(|row| (row.name.as_str(), row.discount)).collect();
        let mut channels: Vec<Arc<Channel>> = config
            .channels
            .iter()
            .chain(&kept)
            .map(|channel| {
                let old = before.and_then(|catalog| catalog.channel(&channel.name));
                let discount = discounts.get(channel.name.as_str()).copied().unwrap_or(Factor::ONE);
                Arc::new(Channel::build(channel, discount, old, masks, connect))
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
        let aliases = names::aliases(&config.aliases, &directory.aliases);
        Catalog { config, keys, channels, by_model, other, prices, aliases }
    }

    /// There is no key to call with, or no channel to be served by.
    pub fn serves_nobody(&self) -> bool {
        self.keys.is_empty() || self.channels.is_empty()
    }

    pub fn key(&self, presented: &str) -> Option<&Arc<Key>> {
        let known = self.keys.get(&digest(bare(presented)))?;
        known.until_ms.is_none_or(|until_ms| unix_ms() < until_ms).then_some(&known.key)
    }

    /// What a model costs, by the name that callers use; `None`: nobody says.
    pub fn price(&self, model: &str) -> Option<Arc<Price>> {
        self.prices.of(model)
    }

    /// When a price comes into force that this picture does not have, in milliseconds since 1970.
    pub fn prices_change_ms(&self) -> Option<i64> {
        self.prices.next_ms
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
}

//! From the name that a caller uses to the models that it stands for.
//!
//! In: a name. Out: the models that may answer, in the order in which they are tried, each with the channels that serve it. An
//! alias is looked up once: what it lists are models, also where it lists its own name. A name that some channel serves in full
//! is that model, whatever it ends with.

use std::{collections::HashMap, sync::Arc};

use dialect::{Dialect, Operation};
use foldhash::fast::RandomState;
use store::{
    directory::AliasRow,
    price_list::{Listed, PriceList},
};
use tracing::error;

use super::{Catalog, Channel, Key};
use crate::{config::AliasConfig, suffix::Suffix};

/// A model that may answer, and who serves it.
#[derive(Debug)]
pub struct Sought<'c> {
    /// By the name that channels, keys and prices know.
    pub model: &'c str,
    /// What the caller added to it.
    pub suffix: Option<Suffix>,
    /// By falling priority; maybe none.
    pub channels: Vec<&'c Arc<Channel>>,
}

impl Sought<'_> {
    /// Whether some channel serves it to this key.
    pub fn may_use(&self, key: &Key) -> bool {
        key.allows(self.model) && self.usable(key).next().is_some()
    }

    /// Those of its channels that are for this key.
    pub fn usable(&self, key: &Key) -> impl Iterator<Item = &'_ Channel> {
        self.channels.iter().filter(|channel| key.group.may_use(channel)).map(|channel| &***channel)
    }

    /// What the public list knows of it.
    pub fn listed(&self, key: &Key) -> Option<&'static Listed> {
        self.usable(key).find_map(|channel| listed(self.model, channel))
    }
}

/// What the public list knows of a model: by the name that callers use, else by its name at the channel.
fn listed(model: &str, channel: &Channel) -> Option<&'static Listed> {
    let list = PriceList::bundled();
    list.listed(model).or_else(|| list.listed(channel.rename(model)))
}

/// Whether a model can be asked for at a channel in a dialect. A chat can be asked for in all of them, where it is translated to
/// one; what only embeds or moderates has a door in its own.
fn answers(model: &str, channel: &Channel, dialect: Dialect) -> bool {
    let writes = listed(model, channel).is_none_or(Listed::writes);
    let mut doors =
        channel.endpoints.iter().map(|endpoint| endpoint.door).filter(|door| door.dialect == dialect);
    if writes {
        channel.translates_to(Operation::Chat).next().is_some() || doors.next().is_some()
    } else {
        doors.any(|door| {
            matches!(
                door.operation,
                Operation::Embeddings | Operation::BatchEmbeddings | Operation::Moderations
            )
        })
    }
}

/// What every alias stands for; the database's go before the file's.
pub(super) fn aliases(
    config: &[AliasConfig],
    kept: &[AliasRow],
) -> HashMap<Arc<str>, Vec<Arc<str>>, RandomState> {
    let of_file = |alias: &AliasConfig| {
        (alias.name.as_str().into(), alias.models.iter().map(|model| model.as_str().into()).collect())
    };
    let of_row = |row: &AliasRow| {
        let models: Vec<String> = serde_json::from_str(&row.models).unwrap_or_default();
        if models.is_empty() {
            error!(alias = row.name, "an alias of the database cannot be used: its row is damaged");
            return None;
        }
        Some((row.name.as_str().into(), models.into_iter().map(Arc::from).collect()))
    };
    config.iter().map(of_file).chain(kept.iter().filter_map(of_row)).collect()
}

impl Catalog {
    /// The models that a name stands for; never none.
    pub fn seek<'c>(&'c self, name: &'c str) -> Vec<Sought<'c>> {
        match self.aliases.get(name) {
            None => self.seek_model(name),
            Some(models) => models.iter().flat_map(|model| self.seek_model(model)).collect(),
        }
    }

    fn seek_model<'c>(&'c self, model: &'c str) -> Vec<Sought<'c>> {
        let plain = |channels| Sought { model, suffix: None, channels };
        if let Some(channels) = self.by_model.get(model) {
            return vec![plain(channels.iter().collect())];
        }
        let serving = self.serving(model);
        let Some((stem, suffix)) = Suffix::split(model) else { return vec![plain(serving)] };
        let told =
            |channel: &&Arc<Channel>| channel.config.suffixes.contains(&suffix) && channel.serves(stem);
        let told: Vec<&Arc<Channel>> = self.channels.iter().filter(told).collect();
        if told.is_empty() {
            return vec![plain(serving)];
        }
        // A pattern takes any name: where the channel knows the suffix, it means the model before it.
        let others: Vec<&Arc<Channel>> = serving
            .into_iter()
            .filter(|channel| !told.iter().any(|told| Arc::ptr_eq(told, channel)))
            .collect();
        let stem = Sought { model: stem, suffix: Some(suffix), channels: told };
        if others.is_empty() { vec![stem] } else { vec![plain(others), stem] }
    }

    /// Every name that is said in full and by which the key can ask for some model in `dialect`, in order.
    pub fn models(&self, dialect: Dialect, key: &Key) -> Vec<&str> {
        let may_ask =
            |model: &str, channel: &Channel| key.group.may_use(channel) && answers(model, channel, dialect);
        let named = self
            .by_model
            .iter()
            .filter(|(model, channels)| {
                key.allows(model) && channels.iter().any(|channel| may_ask(model, channel))
            })
            .map(|(model, _)| &**model);
        let aliases = self.aliases.keys().map(|alias| &**alias).filter(|alias| {
            self.seek(alias).iter().any(|sought| {
                key.allows(sought.model)
                    && sought.channels.iter().any(|channel| may_ask(sought.model, channel))
            })
        });
        let mut models: Vec<&str> = named.chain(aliases).collect();
        models.sort_unstable();
        models.dedup();
        models
    }

    /// Whether there is a model that the key may use by this name.
    pub fn offers(&self, name: &str, key: &Key) -> bool {
        self.seek(name).iter().any(|sought| sought.may_use(key))
    }
}

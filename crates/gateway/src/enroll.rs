//! Between the configuration and the database: what each has of keys and channels, brought together.
//!
//! In: a checked [`Config`], an open database. Out: the file's keys and channels as rows, and the database's channels as the
//! program uses them. A channel that cannot be used is left out and said, and takes nothing else with it.

use serde_json::{Map, Value, json};
use store::{
    Database, Factor, StoreError,
    directory::{ChannelRow, Directory, channel_place},
    keys::KeyTerms,
    limits::LimitColumns,
    sync::{ConfigChannel, ConfigKey, sync},
};
use tracing::error;

use crate::{
    catalog::{bare, digest},
    clock::unix_ms,
    config::{ChannelConfig, Config, KeyConfig, Timeouts, document},
    limits::Caps,
    networks::Network,
};

/// Writes what the file says.
pub fn enter(database: &Database, config: &Config) -> Result<(), StoreError> {
    let keys: Vec<ConfigKey> = config.keys.iter().map(key).collect();
    let channels: Vec<ConfigChannel> = config.channels.iter().map(channel).collect();
    sync(database, &keys, &columns(&config.limits.caps), &channels, unix_ms())
}

fn key(key: &KeyConfig) -> ConfigKey {
    ConfigKey {
        name: key.name.clone(),
        hash: digest(bare(key.secret.reveal())),
        terms: KeyTerms {
            limits: columns(&key.caps),
            spend_limit: key.spend_limit,
            reset_period: key.reset_period,
            strict: key.strict,
            losses: key.losses,
            expires_ms: key.expires_ms,
            models: json!(key.models).to_string(),
            networks: json!(key.networks.0.iter().map(Network::to_string).collect::<Vec<_>>()).to_string(),
        },
    }
}

fn columns(caps: &Caps) -> LimitColumns {
    let Caps { requests_per_minute, tokens_per_minute, max_in_flight } = *caps;
    LimitColumns { requests_per_minute, tokens_per_minute, max_in_flight }
}

fn channel(channel: &ChannelConfig) -> ConfigChannel {
    ConfigChannel {
        name: channel.name.clone(),
        definition: Value::Object(document::definition(channel)).to_string(),
        discount: Factor::ONE,
    }
}

/// The channels that the database keeps.
pub fn kept(database: &Database, directory: &Directory, timeouts: &Timeouts) -> Vec<ChannelConfig> {
    let kept = directory.channels.iter().filter(|row| !row.from_config);
    kept.filter_map(|row| match opened(database, row, timeouts) {
        Ok(channel) => Some(channel),
        Err(reason) => {
            error!(channel = row.name, reason, "a channel of the database cannot be used");
            None
        }
    })
    .collect()
}

fn opened(database: &Database, row: &ChannelRow, timeouts: &Timeouts) -> Result<ChannelConfig, String> {
    let object = |json: &[u8]| {
        serde_json::from_slice::<Map<String, Value>>(json).map_err(|_| "its row is damaged".to_owned())
    };
    let mut document = object(row.definition.as_bytes())?;
    if let Some(sealed) = &row.sealed {
        let opened = database.sealer().and_then(|sealer| sealer.open(&channel_place(row.id), sealed));
        document.extend(object(&opened.map_err(|error| error.to_string())?)?);
    }
    document.insert("name".to_owned(), json!(row.name));
    document::channel(&document, timeouts).map_err(|problems| {
        let problems: Vec<String> =
            problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect();
        problems.join("; ")
    })
}

//! An upstream account in force, ready to be asked.
//!
//! In: a checked [`ChannelConfig`]. Out: where each door is asked, with which secret, and what must never be shown. What a
//! channel suffered and its connections are taken over from the picture before, where it is still the same.

use std::{fmt, sync::Arc};

use dialect::{Dialect, Door, Operation};
use http::{HeaderName, HeaderValue};
use store::{Factor, seal::Sealer};

use super::{Digest, digest, maker::Makers, matches};
use crate::{
    config::{ChannelConfig, Proxy, Timeouts},
    health::{Health, SecretHealth},
    occupancy::Occupancy,
    provider::{self, Auth, Provider},
    redact::Redaction,
    secret::Secret,
    upstream::Upstream,
};

/// An upstream account in force.
pub struct Channel {
    pub name: Arc<str>,
    pub provider: &'static Provider,
    /// Who can read the tokens that it gives out with its thinking.
    pub makers: Makers,
    pub config: ChannelConfig,
    /// What its answers cost, of the price.
    pub discount: Factor,
    pub secrets: Vec<ChannelSecret>,
    pub redaction: Redaction,
    pub health: Arc<Health>,
    pub occupancy: Arc<Occupancy>,
    pub upstream: Arc<dyn Upstream>,
    pub(super) endpoints: Vec<Endpoint>,
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

    /// The dialects in which callers of others can be served here, the best first: the operator's choice, and then as the
    /// provider's row has them.
    pub fn translates_to(&self, operation: Operation) -> impl Iterator<Item = Dialect> {
        // Other operations have no canonical form: there is nothing between their dialects.
        let translated =
            self.config.translate && matches!(operation, Operation::Chat | Operation::CountTokens);
        let rows = self.provider.speaks.iter().filter(move |row| translated && row.operation == operation);
        let spoken = move |dialect: &Dialect| self.endpoint(Door::new(*dialect, operation)).is_some();
        let chosen = self.config.dialect.filter(|_| translated);
        let others = rows.map(|row| row.dialect).filter(move |dialect| chosen != Some(*dialect));
        chosen.into_iter().chain(others).filter(spoken)
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

impl Channel {
    pub(super) fn build(
        config: &ChannelConfig,
        discount: Factor,
        old: Option<&Arc<Channel>>,
        masks: &Sealer,
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
            makers: Makers::of(config, masks),
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
    // Elsewhere it is a preference, and the provider speaks all that its row says.
    let only = config.dialect.filter(|_| config.provider.name == "custom");
    let spoken = |dialect: Dialect| only.is_none_or(|only| only == dialect);
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

//! Step 3: where to.
//!
//! In: the request, the caller and the catalog. Out: a [`Plan`]: candidates in the order in which they will be tried.
//! Priority groups first, within a group those that speak the caller's dialect, and then a weighted shuffle; suspects last.
//! It must not take any place or send anything.

use std::sync::Arc;

use dialect::{Dialect, Door, Operation};

use crate::{
    affinity::Affinity,
    catalog::{Catalog, Channel},
    fault::{ClientFault, Fault, Rejection},
    pipeline::{caller::Caller, inbound::Inbound},
    rng::Rng,
};

/// Candidates in the order in which they are tried; never empty.
#[derive(Debug)]
pub struct Plan {
    pub candidates: Vec<Candidate>,
    /// When the first of those is back that rest and were left out; `u64::MAX`: none were.
    pub soonest_ms: u64,
}

/// A channel, and how it is asked.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub channel: Arc<Channel>,
    pub lane: Lane,
}

/// How a request goes to a channel, and its answer to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// In the caller's own dialect: unopened.
    Relay,
    /// In the dialect that the channel speaks.
    Translate(Dialect),
}

impl Lane {
    /// How this channel can be asked at this door, if it can.
    fn of(channel: &Channel, door: Door) -> Option<Lane> {
        if channel.endpoint(door).is_some() {
            return Some(Lane::Relay);
        }
        // Other operations have no canonical form: there is nothing between their dialects.
        channel.chat_dialect().filter(|_| door.operation == Operation::Chat).map(Lane::Translate)
    }

    /// The channel's dialect, where that is not the caller's.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Lane::Relay => None,
            Lane::Translate(dialect) => Some(dialect),
        }
    }

    /// Where the request goes in at the channel.
    pub fn door(self, asked: Door) -> Door {
        match self {
            Lane::Relay => asked,
            Lane::Translate(dialect) => Door { dialect, ..asked },
        }
    }
}

impl Plan {
    pub fn draw(
        inbound: &Inbound,
        caller: &Caller,
        catalog: &Catalog,
        affinity: &Affinity,
        now_ms: u64,
        rng: &Rng,
    ) -> Result<Plan, Fault> {
        if let Some(plan) = Plan::of_stored(inbound, caller, catalog, affinity, now_ms)? {
            return Ok(plan);
        }
        let model = inbound.model.as_str();
        // A moderation may leave the model to the provider; a key that is held to some models may not.
        let free = inbound.door.operation == Operation::Moderations && caller.key.allows(model);
        if model.is_empty() && !free {
            return Err(Fault::Client(ClientFault::MissingModel));
        }
        if !model.is_empty() && !caller.key.allows(model) {
            return Err(Fault::Client(ClientFault::ModelNotAllowed { model: model.to_owned() }));
        }
        let mut serving: Vec<&Arc<Channel>> =
            if model.is_empty() { catalog.channels().iter().collect() } else { catalog.serving(model) };
        if serving.is_empty() {
            return Err(Fault::Client(ClientFault::UnknownModel { model: model.to_owned() }));
        }
        serving.retain(|channel| caller.key.group.may_use(channel));
        if serving.is_empty() {
            return Err(Fault::Client(ClientFault::ModelNotAllowed { model: model.to_owned() }));
        }
        let door = inbound.door;
        let lane = |channel: &&Arc<Channel>| Some((Arc::clone(channel), Lane::of(channel, door)?));
        let speaking: Vec<(Arc<Channel>, Lane)> = serving.iter().filter_map(lane).collect();
        if speaking.is_empty() {
            let speaks = doors_of(&serving, inbound.door.operation);
            return Err(Fault::Client(ClientFault::OtherDialect { model: model.to_owned(), speaks }));
        }
        let mut soonest_ms = u64::MAX;
        let mut candidates: Vec<(bool, i32, f64, Candidate)> = Vec::with_capacity(speaking.len());
        for (channel, lane) in speaking {
            let model_until_ms = channel.health.model_resting_until_ms(model, now_ms);
            match channel.secret(0, now_ms) {
                Ok(_) if model_until_ms == 0 => {
                    // Efraimidis and Spirakis: the largest u^(1/w) first draws without replacement by weight.
                    let draw = rng.unit().ln() / f64::from(channel.config.weight);
                    let (suspect, priority) = (channel.health.suspect(now_ms), channel.config.priority);
                    candidates.push((suspect, priority, draw, Candidate { channel, lane }));
                }
                Ok(_) => soonest_ms = soonest_ms.min(model_until_ms),
                Err(until_ms) => soonest_ms = soonest_ms.min(until_ms.max(model_until_ms)),
            }
        }
        if candidates.is_empty() {
            return Err(Fault::Rejection(Rejection::ChannelsResting {
                model: model.to_owned(),
                retry_after_ms: soonest_ms.saturating_sub(now_ms),
            }));
        }
        let translated = |candidate: &Candidate| candidate.lane != Lane::Relay;
        candidates.sort_by(|a, b| {
            let lanes = translated(&a.3).cmp(&translated(&b.3));
            a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(lanes).then(b.2.total_cmp(&a.2))
        });
        let candidates = candidates.into_iter().map(|(_, _, _, candidate)| candidate).collect();
        Ok(Plan { candidates, soonest_ms })
    }

    /// A request about a stored object goes to the channel that made it, and to no other: no other has it.
    fn of_stored(
        inbound: &Inbound,
        caller: &Caller,
        catalog: &Catalog,
        affinity: &Affinity,
        now_ms: u64,
    ) -> Result<Option<Plan>, Fault> {
        let named = match &inbound.target.rest {
            Some(rest) => Some(rest.split('/').next().unwrap_or(rest)),
            None => inbound.envelope.stored.as_deref(),
        };
        let Some(id) = named else { return Ok(None) };
        let channel = affinity
            .recall(caller.id(), id, now_ms)
            .and_then(|name| catalog.channel(&name).cloned())
            .filter(|channel| channel.endpoint(inbound.door).is_some() && caller.key.group.may_use(channel));
        match channel {
            Some(channel) => {
                let model = inbound.model.as_str();
                if !model.is_empty() && !caller.key.allows(model) {
                    return Err(Fault::Client(ClientFault::ModelNotAllowed { model: model.to_owned() }));
                }
                if !model.is_empty() && !channel.serves(model) {
                    return Err(Fault::Client(ClientFault::UnknownModel { model: model.to_owned() }));
                }
                match channel.secret(0, now_ms) {
                    Ok(_) => {
                        let candidates = vec![Candidate { channel, lane: Lane::Relay }];
                        Ok(Some(Plan { candidates, soonest_ms: u64::MAX }))
                    }
                    Err(until_ms) => Err(Fault::Rejection(Rejection::ChannelsResting {
                        model: inbound.model.clone(),
                        retry_after_ms: until_ms.saturating_sub(now_ms),
                    })),
                }
            }
            // Without the maker only a request that stands on the object alone is lost; others are planned as usual,
            // and a provider that does not know the object says so itself.
            None if inbound.target.rest.is_some() => {
                Err(Fault::Client(ClientFault::UnknownStored { id: id.to_owned() }))
            }
            None => Ok(None),
        }
    }
}

/// The doors at which these channels can be asked for the same operation.
fn doors_of(channels: &[&Arc<Channel>], operation: Operation) -> Vec<&'static str> {
    let mut doors = Vec::new();
    for dialect in Dialect::ALL {
        let speaks = |channel: &&Arc<Channel>| {
            channel.endpoint(dialect::Door::new(dialect, operation)).is_some()
                || channel.endpoint(dialect::Door::new(dialect, Operation::Chat)).is_some()
        };
        if channels.iter().any(speaks) {
            doors.push(match dialect {
                Dialect::OpenaiChat => "POST /v1/chat/completions",
                Dialect::OpenaiResponses => "POST /v1/responses",
                Dialect::AnthropicMessages => "POST /v1/messages",
                Dialect::GeminiGenerate => "POST /v1beta/models/{model}:generateContent",
            });
        }
    }
    if doors.is_empty() {
        doors.push("no door: its channels do not offer this operation");
    }
    doors
}

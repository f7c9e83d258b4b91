//! Step 3: where to.
//!
//! In: the request, the caller and the catalog. Out: a [`Plan`]: channels in the order in which they will be tried.
//! Priority groups first, within a group a weighted shuffle; suspects last. It must not take any place or send anything.

use std::sync::Arc;

use dialect::{Dialect, Operation};

use crate::{
    affinity::Affinity,
    catalog::{Catalog, Channel},
    fault::{ClientFault, Fault, Rejection},
    pipeline::{caller::Caller, inbound::Inbound},
    rng::Rng,
};

/// Channels in the order in which they are tried; never empty.
#[derive(Debug)]
pub struct Plan {
    pub channels: Vec<Arc<Channel>>,
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
        let speaking: Vec<&Arc<Channel>> =
            serving.iter().copied().filter(|channel| channel.endpoint(inbound.door).is_some()).collect();
        if speaking.is_empty() {
            let speaks = doors_of(&serving, inbound.door.operation);
            return Err(Fault::Client(ClientFault::OtherDialect { model: model.to_owned(), speaks }));
        }
        let mut soonest_ms = u64::MAX;
        let mut channels: Vec<(bool, i32, f64, Arc<Channel>)> = Vec::with_capacity(speaking.len());
        for channel in speaking {
            let model_until_ms = channel.health.model_resting_until_ms(model, now_ms);
            match channel.secret(0, now_ms) {
                Ok(_) if model_until_ms == 0 => {
                    // Efraimidis and Spirakis: the largest u^(1/w) first draws without replacement by weight.
                    let draw = rng.unit().ln() / f64::from(channel.config.weight);
                    channels.push((
                        channel.health.suspect(now_ms),
                        channel.config.priority,
                        draw,
                        channel.clone(),
                    ));
                }
                Ok(_) => soonest_ms = soonest_ms.min(model_until_ms),
                Err(until_ms) => soonest_ms = soonest_ms.min(until_ms.max(model_until_ms)),
            }
        }
        if channels.is_empty() {
            return Err(Fault::Rejection(Rejection::ChannelsResting {
                model: model.to_owned(),
                retry_after_ms: soonest_ms.saturating_sub(now_ms),
            }));
        }
        channels.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(b.2.total_cmp(&a.2)));
        Ok(Plan { channels: channels.into_iter().map(|(_, _, _, channel)| channel).collect() })
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
                    Ok(_) => Ok(Some(Plan { channels: vec![channel] })),
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

//! Step 3: where to.
//!
//! In: the request, the caller and the catalog. Out: a [`Plan`]: candidates in the order in which they will be tried.
//! Model by model as the caller or the operator lists them; of each, priority groups first, within a group those that speak the
//! caller's dialect, and then a weighted shuffle; suspects last.
//! It must not take any place or send anything.

use std::sync::Arc;

use dialect::{Dialect, Door, Operation};
use store::price::Price;

use crate::{
    affinity::Affinity,
    catalog::{Catalog, Channel, Sought},
    fault::{ClientFault, Fault, Rejection},
    pipeline::{caller::Caller, inbound::Inbound},
    rng::Rng,
    suffix::Suffix,
};

/// Candidates in the order in which they are tried. None: a count that no channel can be asked for, which is estimated.
#[derive(Debug)]
pub struct Plan {
    pub candidates: Vec<Candidate>,
    /// When the first of those is back that rest and were left out; `u64::MAX`: none were.
    pub soonest_ms: u64,
}

/// A channel, what it is asked for, and how.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub channel: Arc<Channel>,
    pub lane: Lane,
    pub wanted: Arc<Wanted>,
}

/// A model that may answer.
#[derive(Debug)]
pub struct Wanted {
    /// By the name that channels, keys and prices know; empty where the request names none.
    pub model: Arc<str>,
    /// How much it shall think, where the caller said so in the name.
    pub suffix: Option<Suffix>,
    /// `None`: nobody says what it costs.
    pub price: Option<Arc<Price>>,
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
        channel.translates_to(door.operation).map(Lane::Translate)
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
        // A moderation may leave the model to the provider; a key that is held to some models may not.
        let free = inbound.door.operation == Operation::Moderations && caller.key.allows("");
        if inbound.model.is_empty() && !free {
            return Err(Fault::Client(ClientFault::MissingModel));
        }
        let mut draft =
            Draft { inbound, caller, catalog, now_ms, rng, candidates: Vec::new(), soonest_ms: u64::MAX };
        let mut refused: Option<ClientFault> = None;
        for name in inbound.names() {
            let sought = if name.is_empty() {
                vec![Sought { model: "", suffix: None, channels: catalog.channels().iter().collect() }]
            } else {
                catalog.seek(name)
            };
            for sought in sought {
                match draft.add(name, sought) {
                    // Another model's tokens are others.
                    Ok(()) if inbound.door.operation == Operation::CountTokens => return Ok(draft.plan()),
                    Ok(()) => {}
                    Err(fault) => {
                        refused.get_or_insert(fault);
                    }
                }
            }
        }
        match refused {
            _ if !draft.candidates.is_empty() => Ok(draft.plan()),
            Some(fault) if draft.soonest_ms == u64::MAX => Err(Fault::Client(fault)),
            _ => Err(Fault::Rejection(Rejection::ChannelsResting {
                model: inbound.model.clone(),
                retry_after_ms: draft.soonest_ms.saturating_sub(now_ms),
            })),
        }
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
                let wanted = Wanted::of_channel(inbound, caller, catalog, &channel).map_err(Fault::Client)?;
                match channel.secret(0, now_ms) {
                    Ok(_) => {
                        let candidates = vec![Candidate { channel, lane: Lane::Relay, wanted }];
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

impl Wanted {
    fn new(sought: &Sought<'_>, catalog: &Catalog) -> Arc<Wanted> {
        let price = catalog.price(sought.model);
        Arc::new(Wanted { model: sought.model.into(), suffix: sought.suffix, price })
    }

    /// What a request asks of the one channel that can answer it.
    fn of_channel(
        inbound: &Inbound,
        caller: &Caller,
        catalog: &Catalog,
        channel: &Arc<Channel>,
    ) -> Result<Arc<Wanted>, ClientFault> {
        let name = inbound.model.as_str();
        if name.is_empty() {
            return Ok(Arc::new(Wanted { model: "".into(), suffix: None, price: catalog.price(name) }));
        }
        let mut sought: Vec<Sought<'_>> = inbound.names().flat_map(|name| catalog.seek(name)).collect();
        sought.retain(|sought| caller.key.allows(sought.model));
        if sought.is_empty() {
            return Err(ClientFault::ModelNotAllowed { model: name.to_owned() });
        }
        let served =
            |sought: &&Sought<'_>| sought.channels.iter().any(|serving| Arc::ptr_eq(serving, channel));
        match sought.iter().find(served) {
            Some(sought) => Ok(Wanted::new(sought, catalog)),
            None => Err(ClientFault::UnknownModel { model: name.to_owned() }),
        }
    }
}

/// A plan that is being drawn, model by model.
struct Draft<'a> {
    inbound: &'a Inbound,
    caller: &'a Caller,
    catalog: &'a Catalog,
    now_ms: u64,
    rng: &'a Rng,
    candidates: Vec<Candidate>,
    /// When the first of those is back that rest; the largest: none rests.
    soonest_ms: u64,
}

impl Draft<'_> {
    fn plan(self) -> Plan {
        Plan { candidates: self.candidates, soonest_ms: self.soonest_ms }
    }

    /// Adds the channels that can be asked for one model, behind those of the models before it. `name`: what the caller said.
    fn add(&mut self, name: &str, mut sought: Sought<'_>) -> Result<(), ClientFault> {
        let Draft { caller, now_ms, .. } = *self;
        let (model, group) = (sought.model, &caller.key.group);
        if !caller.key.allows(model) {
            return Err(ClientFault::ModelNotAllowed { model: name.to_owned() });
        }
        // What hangs on the name says how to answer a chat: elsewhere it would be lost without a word.
        let chats = matches!(self.inbound.door.operation, Operation::Chat | Operation::CountTokens);
        if sought.channels.is_empty() || sought.suffix.is_some() && !chats {
            return Err(ClientFault::UnknownModel { model: name.to_owned() });
        }
        sought.channels.retain(|channel| group.may_use(channel));
        if sought.channels.is_empty() {
            return Err(ClientFault::ModelNotAllowed { model: name.to_owned() });
        }
        let door = self.inbound.door;
        let lane = |channel: &&Arc<Channel>| Some((Arc::clone(channel), Lane::of(channel, door)?));
        let speaking: Vec<(Arc<Channel>, Lane)> = sought.channels.iter().filter_map(lane).collect();
        // Of what a provider keeps nothing can be estimated.
        let estimated = door.operation == Operation::CountTokens && self.inbound.envelope.stored.is_none();
        if speaking.is_empty() && !estimated {
            let speaks = doors_of(&sought.channels, door.operation);
            return Err(ClientFault::OtherDialect { model: name.to_owned(), speaks });
        }
        let twice = |known: &Candidate| *known.wanted.model == *model && known.wanted.suffix == sought.suffix;
        if self.candidates.iter().any(twice) {
            return Ok(());
        }
        let wanted = Wanted::new(&sought, self.catalog);
        let mut drawn: Vec<(bool, i32, f64, Candidate)> = Vec::with_capacity(speaking.len());
        for (channel, lane) in speaking {
            let model_until_ms = channel.health.model_resting_until_ms(model, now_ms);
            match channel.secret(0, now_ms) {
                Ok(_) if model_until_ms == 0 => {
                    // Efraimidis and Spirakis: the largest u^(1/w) first draws without replacement by weight.
                    let draw = self.rng.unit().ln() / f64::from(channel.config.weight);
                    let (suspect, priority) = (channel.health.suspect(now_ms), channel.config.priority);
                    drawn.push((
                        suspect,
                        priority,
                        draw,
                        Candidate { channel, lane, wanted: wanted.clone() },
                    ));
                }
                Ok(_) => self.soonest_ms = self.soonest_ms.min(model_until_ms),
                Err(until_ms) => self.soonest_ms = self.soonest_ms.min(until_ms.max(model_until_ms)),
            }
        }
        let translated = |candidate: &Candidate| candidate.lane != Lane::Relay;
        drawn.sort_by(|a, b| {
            let lanes = translated(&a.3).cmp(&translated(&b.3));
            a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(lanes).then(b.2.total_cmp(&a.2))
        });
        self.candidates.extend(drawn.into_iter().map(|(_, _, _, candidate)| candidate));
        Ok(())
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

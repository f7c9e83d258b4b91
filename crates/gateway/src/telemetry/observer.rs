//! Counting settlements.
//!
//! In: settlements, and the catalog in force. Out: counters moved. A series is looked up by its labels once, and then by what
//! the settlement brings with it: the look-up hashes five label sets and was a twentieth of a request's cost. It must not
//! keep a catalog alive.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use dialect::{Door, Operation, Usage};
use foldhash::fast::RandomState;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};
use store::Nanos;

use crate::{catalog::Catalog, ending::Ending, settlement::Settlement};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct EndingLabels {
    dialect: &'static str,
    operation: &'static str,
    ending: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CallLabels {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: &'static str,
    gen_ai_request_model: Arc<str>,
    channel: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct TokenLabels {
    gen_ai_provider_name: &'static str,
    gen_ai_request_model: Arc<str>,
    channel: Arc<str>,
    gen_ai_token_type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct AttemptLabels {
    channel: Arc<str>,
    lane: &'static str,
    outcome: &'static str,
}

pub(super) type Durations = Family<CallLabels, Histogram, fn() -> Histogram>;

/// What settlements are counted into.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) requests: Family<EndingLabels, Counter>,
    pub(super) attempts: Family<AttemptLabels, Counter>,
    pub(super) duration: Durations,
    pub(super) first_token: Durations,
    pub(super) tokens: Family<TokenLabels, Counter>,
    pub(super) estimated: Counter,
    pub(super) overruns: Counter,
    pub(super) overrun_nanos: Counter,
}

/// Address of a channel's name, lane, outcome.
type Tried = (usize, &'static str, &'static str);

/// Counts settlements; the settler has the only one.
#[derive(Debug)]
pub struct Observer {
    families: Families,
    /// Whose names were looked up. Not kept alive: channels that are gone must go, with their connections.
    catalog: Weak<Catalog>,
    ended: HashMap<(Door, Ending), Counter, RandomState>,
    /// By the address of the channel's name, which the value keeps from being used again.
    tried: HashMap<Tried, (Arc<str>, Counter), RandomState>,
    /// By the addresses of the names of channel and model.
    called: HashMap<(usize, usize, Operation), Call, RandomState>,
}

/// The series of one kind of call.
#[derive(Debug)]
struct Call {
    labels: CallLabels,
    duration: Histogram,
    first_token: Option<Histogram>,
    tokens: [Option<Counter>; Usage::BUCKETS],
}

impl Observer {
    pub(super) fn new(families: Families) -> Observer {
        Observer {
            families,
            catalog: Weak::new(),
            ended: HashMap::default(),
            tried: HashMap::default(),
            called: HashMap::default(),
        }
    }

    /// Only models that the configuration names in full become a label.
    pub fn observe<'a>(
        &mut self,
        settlements: impl IntoIterator<Item = &'a Settlement>,
        catalog: &Arc<Catalog>,
    ) {
        let now = Arc::downgrade(catalog);
        if !Weak::ptr_eq(&self.catalog, &now) {
            self.catalog = now;
            self.tried.clear();
            self.called.clear();
        }
        settlements.into_iter().for_each(|settlement| self.count(settlement, catalog));
    }

    fn count(&mut self, settlement: &Settlement, catalog: &Catalog) {
        let Observer { families, ended, tried, called, .. } = self;
        let (door, ending) = (settlement.door, settlement.ending);
        ended
            .entry((door, ending))
            .or_insert_with(|| {
                let (dialect, operation) = (door.dialect.name(), door.operation.name());
                let labels = EndingLabels { dialect, operation, ending: ending.name() };
                families.requests.get_or_create_owned(&labels)
            })
            .inc();
        if settlement.estimated {
            families.estimated.inc();
        }
        let overrun = settlement.charge.overrun();
        if overrun > Nanos::ZERO {
            families.overruns.inc();
            families.overrun_nanos.inc_by(overrun.0.unsigned_abs());
        }
        for attempt in &settlement.attempts {
            let outcome = outcome(attempt.status, attempt.fault.is_some());
            let lane = if attempt.translated.is_some() { "translate" } else { "relay" };
            let channel = &attempt.channel;
            let (_, count) = tried.entry((address(channel), lane, outcome)).or_insert_with(|| {
                let labels = AttemptLabels { channel: channel.clone(), lane, outcome };
                (channel.clone(), families.attempts.get_or_create_owned(&labels))
            });
            count.inc();
        }
        let Some(channel) = settlement.channel() else { return };
        let model = catalog.label(settlement.served_model());
        called
            .entry((address(channel), address(&model), door.operation))
            .or_insert_with(|| Call::find(families, catalog, door.operation, channel, model))
            .count(families, settlement);
    }
}

impl Call {
    fn find(
        families: &Families,
        catalog: &Catalog,
        operation: Operation,
        channel: &Arc<str>,
        model: Arc<str>,
    ) -> Call {
        let labels = CallLabels {
            gen_ai_operation_name: operation.name(),
            gen_ai_provider_name: catalog.channel(channel).map_or("unknown", |channel| channel.provider.name),
            gen_ai_request_model: model,
            channel: channel.clone(),
        };
        let duration = families.duration.get_or_create_owned(&labels);
        Call { labels, duration, first_token: None, tokens: Default::default() }
    }

    /// A series that counts nothing yet is not made: scrapes would carry it for ever.
    fn count(&mut self, families: &Families, settlement: &Settlement) {
        let Call { labels, duration, first_token, tokens } = self;
        duration.observe(settlement.total_ms as f64 / 1000.0);
        if let Some(first_byte_ms) = settlement.first_byte_ms {
            first_token
                .get_or_insert_with(|| families.first_token.get_or_create_owned(labels))
                .observe(first_byte_ms as f64 / 1000.0);
        }
        let buckets = settlement.usage.iter().flat_map(Usage::buckets);
        for ((token_type, count), series) in buckets.zip(tokens).filter(|((_, count), _)| *count > 0) {
            let labels = || TokenLabels {
                gen_ai_provider_name: labels.gen_ai_provider_name,
                gen_ai_request_model: labels.gen_ai_request_model.clone(),
                channel: labels.channel.clone(),
                gen_ai_token_type: token_type,
            };
            series.get_or_insert_with(|| families.tokens.get_or_create_owned(&labels())).inc_by(count);
        }
    }
}

fn address(name: &Arc<str>) -> usize {
    Arc::as_ptr(name).addr()
}

fn outcome(status: u16, failed: bool) -> &'static str {
    match (failed, status) {
        (false, _) => "ok",
        (true, 0) => "no_answer",
        (true, 200..=299) => "bad_answer",
        (true, 429) => "rate_limited",
        (true, 400..=499) => "client_error",
        (true, _) => "server_error",
    }
}

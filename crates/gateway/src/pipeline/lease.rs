//! What a request owes, in one value: its mark in the flow, its places, and its settlement.
//!
//! A lease is made when the request head is in, gains its admission places later, moves along the pipeline and at
//! last into the response body. Its `Drop` settles: synchronous, infallible, once. Nothing else may send a settlement.

use std::{borrow::Cow, sync::Arc};

use dialect::{Delivered, Dialect, Door, Prompt, loss::Losses};
use store::{Factor, price::Price};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc::OwnedPermit},
    time::Duration,
};
use uuid::Uuid;

use crate::{
    catalog::Channel,
    charge::{self, Basis, Charge, Owed, Payer, Terms},
    clock::Clock,
    config::OnClientLeft,
    ending::Ending,
    estimate::Unmeasured,
    flow::{Admitted, Mark, Phase},
    limits::{Levels, Taken},
    occupancy::Place,
    settlement::{AttemptRecord, Settlement},
    shutdown::Shutdown,
};

#[derive(Debug)]
pub struct Lease {
    /// The settlement as it would be if the request ended now; taken by `drop`.
    record: Option<Box<Settlement>>,
    /// The reserved place in the settler's queue; taken by `drop`.
    reserved: Option<OwnedPermit<Box<Settlement>>>,
    mark: Mark,
    shutdown: Arc<Shutdown>,
    slot: Option<OwnedSemaphorePermit>,
    /// Of the limits of its key, user and group; taken by `drop`.
    taken: Option<Taken>,
    channel_place: Option<Place>,
    /// What it is charged by, once it is admitted; taken by `drop`.
    terms: Option<Terms>,
    /// What was asked, for an estimate; from the answer's beginning on, where it may not tell its usage.
    prompt: Option<Box<Prompt>>,
    /// What was delivered, where the usage was not told, or not to the end.
    delivered: Option<Box<Delivered>>,
    decided: bool,
}

impl Lease {
    pub fn open(
        mark: Mark,
        door: Door,
        reserved: Option<OwnedPermit<Box<Settlement>>>,
        shutdown: Arc<Shutdown>,
    ) -> Box<Lease> {
        let record = Settlement {
            request_id: mark.entry.request_id,
            door,
            key: None,
            payer: None,
            model: String::new(),
            stream: false,
            attempts: Vec::new(),
            ending: Ending::ClientLeft,
            status: 0,
            cause: None,
            losses: Losses::default(),
            usage: None,
            estimated: false,
            discount: Factor::ONE,
            charge: Charge::default(),
            owed: None,
            bytes_in: 0,
            bytes_out: 0,
            queued_ms: 0,
            first_byte_ms: None,
            total_ms: 0,
            upstream_request_id: None,
        };
        Box::new(Lease {
            record: Some(Box::new(record)),
            reserved,
            mark,
            shutdown,
            slot: None,
            taken: None,
            channel_place: None,
            terms: None,
            prompt: None,
            delivered: None,
            decided: false,
        })
    }

    pub fn request_id(&self) -> Uuid {
        self.mark.entry.request_id
    }

    /// Whether the end of this request can be written down; where not, it must not begin.
    pub fn has_reserved(&self) -> bool {
        self.reserved.is_some()
    }

    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    pub fn clock(&self) -> Clock {
        self.mark.entry.connection.clock
    }

    /// The settlement under way, to be filled in.
    pub fn record(&mut self) -> &mut Settlement {
        self.record.as_mut().expect("the record leaves only in drop")
    }

    pub fn enter(&self, phase: Phase, limit: Duration) {
        self.enter_at(phase, limit, self.mark.now_ms());
    }

    pub fn enter_at(&self, phase: Phase, limit: Duration, now_ms: u64) {
        self.mark.enter(phase, limit, now_ms);
    }

    /// Admission gave these; they go back when the lease is dropped.
    pub fn admit(&mut self, slot: OwnedSemaphorePermit, taken: Taken, payer: Payer, terms: Terms) {
        self.slot = Some(slot);
        self.taken = Some(taken);
        let record = self.record();
        let admitted = Admitted {
            door: record.door,
            payer,
            model: record.model.clone(),
            stream: record.stream,
            hold: terms.hold.amount(),
        };
        self.terms = Some(terms);
        self.mark.entry.admit(admitted);
    }

    /// Where its limits stood when it was admitted.
    pub fn levels(&self) -> Levels {
        self.taken.as_ref().map(Taken::levels).unwrap_or_default()
    }

    /// `translated`: into this dialect. If this attempt is the one that answers, it is charged as `model` with that price.
    pub fn attempt_began(
        &mut self,
        channel: &Channel,
        (model, price): (&Arc<str>, &Option<Arc<Price>>),
        translated: Option<Dialect>,
        place: Place,
        now_ms: u64,
    ) {
        self.channel_place = Some(place);
        self.mark.attempt(&channel.name);
        self.mark.entry.set_drains(channel.config.on_client_left == OnClientLeft::Drain);
        let started_ms = now_ms.saturating_sub(self.mark.entry.arrived_ms);
        if let Some(terms) = self.terms.as_mut().filter(|terms| !matches!(terms.basis, Basis::Free)) {
            terms.basis = Basis::of(price.clone());
        }
        let record = self.record();
        record.discount = channel.discount;
        let model = (**model != *record.model).then(|| model.clone());
        record.attempts.push(AttemptRecord {
            channel: channel.name.clone(),
            model,
            translated,
            started_ms,
            took_ms: 0,
            status: 0,
            fault: None,
        });
    }

    /// The attempt under way failed; its channel's place is free again.
    pub fn attempt_failed(&mut self, status: u16, fault: String) {
        self.attempt_measured(status);
        if let Some(attempt) = self.record().attempts.last_mut() {
            attempt.fault = Some(fault);
        }
        self.channel_place = None;
        self.mark.entry.set_drains(false);
    }

    /// The attempt under way has an answer, and the first meaningful byte is here.
    pub fn attempt_answered(&mut self, status: u16) {
        let elapsed_ms = self.attempt_measured(status);
        self.record().first_byte_ms.get_or_insert(elapsed_ms);
    }

    /// Writes down what became of the attempt; the time since the request came in.
    fn attempt_measured(&mut self, status: u16) -> u64 {
        let elapsed_ms = self.mark.elapsed_ms();
        if let Some(attempt) = self.record().attempts.last_mut() {
            attempt.took_ms = elapsed_ms.saturating_sub(attempt.started_ms);
            attempt.status = status;
        }
        elapsed_ms
    }

    /// Keeps what an estimate needs of the request: its body is not needed again.
    pub fn keep_prompt(&mut self, prompt: Prompt) {
        self.prompt = Some(Box::new(prompt));
    }

    /// What the answer says it used, and what it delivered where that is not said, or not to the end.
    pub fn measured(&mut self, usage: Option<dialect::Usage>, delivered: Option<Delivered>) {
        self.record().usage = usage;
        self.delivered = delivered.map(Box::new);
    }

    /// What there is to estimate a usage from, where one is due that nobody told.
    fn unmeasured(&mut self, record: &Settlement, terms: &Terms) -> Option<Unmeasured> {
        let told = record.usage.is_some() && self.delivered.is_none();
        if told || !charge::is_due(terms, record) {
            return None;
        }
        Some(Unmeasured {
            prompt: self.prompt.take().map(|prompt| *prompt).unwrap_or_default(),
            delivered: self.delivered.take().map(|delivered| *delivered).unwrap_or_default(),
            said: record.usage,
            writes: charge::writes(record.door.operation),
        })
    }

    /// Decides how the request ends. The first decision holds: evidence comes in order.
    pub fn end(&mut self, ending: Ending, cause: impl Into<Option<Cow<'static, str>>>) {
        if self.decided {
            return;
        }
        self.decided = true;
        self.mark.ending = ending;
        self.record().cause = cause.into();
    }

    pub fn decided(&self) -> bool {
        self.decided
    }

    /// What the caller gets then: before the head a 500 (`http::guarded`), after it a broken connection. What he was given by
    /// then is paid for.
    fn panicked(&mut self) -> Ending {
        let entry = &self.mark.entry;
        let head_sent = entry.head_sent.load(std::sync::atomic::Ordering::Relaxed);
        let handed = entry.bytes_out.load(std::sync::atomic::Ordering::Relaxed) > 0;
        let Some(record) = &mut self.record else { return Ending::Failed };
        record.cause = Some("a panic in Sluice".into());
        if record.status == 0 && !head_sent {
            record.status = 500;
        }
        if handed && record.first_byte_ms.is_some() { Ending::Cut } else { Ending::Failed }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.decided {
            // Dropped without a verdict: a panic in our own code, a stop that would wait no longer, or else the
            // connection's task went, which it does only when the client is gone.
            self.mark.ending = if std::thread::panicking() {
                self.panicked()
            } else if self.shutdown.over() {
                Ending::Shutdown
            } else {
                Ending::ClientLeft
            };
        }
        let (Some(mut record), entry) = (self.record.take(), self.mark.entry.clone()) else { return };
        record.ending = self.mark.ending;
        if record.status == 0 && entry.head_sent.load(std::sync::atomic::Ordering::Relaxed) {
            record.status = 200;
        }
        record.total_ms = self.mark.elapsed_ms();
        record.bytes_in = entry.bytes_in.load(std::sync::atomic::Ordering::Relaxed);
        record.bytes_out = entry.bytes_out.load(std::sync::atomic::Ordering::Relaxed);
        let counted = self.taken.take().map(|taken| taken.settle(used(&record)));
        if let Some(terms) = self.terms.take() {
            match self.unmeasured(&record, &terms) {
                Some(unmeasured) => record.owed = Some(Box::new(Owed { terms, unmeasured, counted })),
                None => record.charge = charge::settle(terms, &record),
            }
        }
        entry.settle();
        if let Some(reserved) = self.reserved.take() {
            reserved.send(record);
        }
    }
}

/// Tokens that count against limits: none where nothing was delivered; `None`: the provider did not say,
/// and it is still to be estimated.
fn used(record: &Settlement) -> Option<u64> {
    match record.usage {
        _ if matches!(record.ending, Ending::Refused | Ending::Rejected | Ending::Failed) => Some(0),
        Some(usage) => Some(usage.total()),
        None => record.first_byte_ms.is_none().then_some(0),
    }
}

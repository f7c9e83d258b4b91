//! What one request was, when it is over: the value that every lease sends exactly once.

use std::{borrow::Cow, sync::Arc};

use dialect::{Dialect, Door, Usage, loss::Losses};
use store::Factor;
use uuid::Uuid;

use crate::{
    charge::{Charge, Owed, Payer},
    ending::Ending,
};

/// One try at one channel.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    pub channel: Arc<str>,
    /// The model that was asked for, where that is not the name that the caller used.
    pub model: Option<Arc<str>>,
    /// Its dialect, where that is not the caller's.
    pub translated: Option<Dialect>,
    /// After the request came in.
    pub started_ms: u64,
    pub took_ms: u64,
    /// The upstream's status; 0: none came.
    pub status: u16,
    /// Why it failed, in words for the operator; `None`: it delivered.
    pub fault: Option<String>,
}

/// The whole story of one request.
#[derive(Debug)]
pub struct Settlement {
    pub request_id: Uuid,
    pub door: Door,
    /// The caller's key by name; `None`: it was not recognised.
    pub key: Option<Arc<str>>,
    pub payer: Option<Payer>,
    /// As the caller named it; empty where the request did not get that far.
    pub model: String,
    pub stream: bool,
    pub attempts: Vec<AttemptRecord>,
    pub ending: Ending,
    /// The HTTP status that the caller got; 0: none was sent.
    pub status: u16,
    /// Why it ended so, in words for the operator.
    pub cause: Option<Cow<'static, str>>,
    /// What the translation could not carry, of the request and of its answer.
    pub losses: Losses,
    pub usage: Option<Usage>,
    /// The usage is our estimate, not the provider's word.
    pub estimated: bool,
    /// What the channel that was tried last asks, of the price.
    pub discount: Factor,
    pub charge: Charge,
    /// The charge waits for an estimate; the settler's to make.
    pub owed: Option<Box<Owed>>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Time spent waiting for admission.
    pub queued_ms: u64,
    /// To the first meaningful byte; `None`: it never came.
    pub first_byte_ms: Option<u64>,
    pub total_ms: u64,
    /// The provider's own id for the call, for its support.
    pub upstream_request_id: Option<String>,
}

/// A settlement as it travels: queues and batches hold a pointer.
pub type Settled = Box<Settlement>;

impl Settlement {
    /// When the request came in, in milliseconds since 1970: its id says it.
    pub fn at_ms(&self) -> u64 {
        at_ms(self.request_id)
    }

    /// The model that answered, or that was tried last: what it is charged and counted as.
    pub fn served_model(&self) -> &str {
        self.attempts.last().and_then(|attempt| attempt.model.as_deref()).unwrap_or(&self.model)
    }

    /// The channel that delivered, or that was tried last.
    pub fn channel(&self) -> Option<&Arc<str>> {
        self.attempts.last().map(|attempt| &attempt.channel)
    }
}

/// When a request came in, by its id (RFC 9562, version 7): the first 48 bits are milliseconds since 1970.
pub fn at_ms(request_id: Uuid) -> u64 {
    (request_id.as_u128() >> 80) as u64
}

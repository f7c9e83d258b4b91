//! Faults, by whose they are, and what each means: to the caller, to the attempt loop, to the channel's health.
//!
//! Each question is one exhaustive `match`. Constructors never log; `pipeline` logs once, at the edge. What
//! [`Fault::public`] returns never holds a key, an upstream URL, a host or an address.

mod public;

use std::net::IpAddr;

use bytes::Bytes;
use dialect::{Dialect, ErrorKind};
use store::Nanos;

pub use public::{PublicError, kind_of_status, status_for};

use crate::{
    ending::Ending,
    health::HealthEffect,
    limits::{Levels, Short},
    upstream::SendError,
};

/// Why a request did not get what it asked for.
#[derive(Debug)]
pub enum Fault {
    Client(ClientFault),
    Rejection(Rejection),
    Upstream(UpstreamFault),
    Internal(InternalFault),
}

/// The caller's doing: an exact 4xx, never retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFault {
    NoKey,
    WrongKey,
    KeyDisabled,
    KeyExpired,
    /// The key is not for callers from there; `None`: nobody knows from where.
    AddressNotAllowed {
        address: Option<IpAddr>,
    },
    NoSuchPath {
        method: String,
        path: String,
    },
    WrongMethod {
        allow: &'static str,
    },
    WrongContentType {
        found: String,
    },
    TwoLengths,
    BodyTooLarge {
        limit: usize,
    },
    BodyTooSlow,
    BodyBroken,
    EmptyBody,
    NotJson {
        detail: String,
    },
    NotObject,
    MissingModel,
    BadField {
        field: &'static str,
        expected: &'static str,
    },
    UnknownModel {
        model: String,
    },
    ModelNotAllowed {
        model: String,
    },
    /// A key that pays asked for an answer that is made in the background.
    Background,
    /// A key that pays asked for a model without a price.
    Unpriced {
        model: String,
    },
    /// The model is there, but no channel that has it speaks this door, which asks for something that is not translated;
    /// `speaks` names the doors it can be asked at.
    OtherDialect {
        model: String,
        speaks: Vec<&'static str>,
    },
    /// A field that only had to be read because the request must be told in another dialect, and is not what its own says.
    Malformed {
        /// Empty: the body as a whole.
        field: String,
        expected: &'static str,
    },
    /// No channel that serves the model can be told this field: `dialect` has no place for it.
    Untranslatable {
        model: String,
        field: String,
        dialect: Dialect,
        reason: &'static str,
    },
    /// The same, where the request could be told without the field, and the key wants it whole or not at all.
    WouldLose {
        model: String,
        field: String,
        dialect: Dialect,
        reason: &'static str,
    },
    /// A stored object that this caller did not make here, or that was forgotten.
    UnknownStored {
        id: String,
    },
}

/// Sluice will not take it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// `bounds.queue` requests wait already.
    QueueFull,
    /// No admission slot came free in time.
    QueueTimedOut,
    /// So many request bodies are held that another would be too much memory.
    MemoryFull,
    /// Settlements are not written away fast enough.
    SettlementsFull,
    /// A limit of the key, its user or its group.
    RateLimited(Short),
    /// Every channel for the model has its `max_in_flight`.
    ChannelsBusy {
        model: String,
    },
    /// Every channel for the model rests; the soonest is back then.
    ChannelsResting {
        model: String,
        retry_after_ms: u64,
    },
    Stopping,
    /// The account's balance is less than the request may cost.
    BalanceShort {
        needed: Nanos,
    },
    /// There is enough, but other requests of the same payer hold it.
    MoneyHeld {
        needed: Nanos,
    },
    /// The key's own spend limit leaves less than the request may cost.
    LimitReached {
        needed: Nanos,
    },
}

/// An upstream's doing, or the way there.
#[derive(Debug)]
pub enum UpstreamFault {
    Send(SendError),
    /// A clock ran out before anything meaningful came.
    Silent {
        clock: &'static str,
    },
    /// The answer broke off before anything was sent to the caller.
    Broken {
        detail: String,
    },
    /// The answer ended cleanly without its end, or without anything.
    Truncated,
    /// Something that cannot be read as an answer (an unasked-for encoding, for one).
    Unreadable {
        detail: String,
    },
    /// More than is held of an answer to tell it in another dialect: our bound, whoever answers.
    TooLong,
    Answered(Box<Answered>),
}

/// An error that the upstream told: as a status, or as the first event of a 200.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub blame: Blame,
    /// The upstream's code, redacted; `None` where it has none that can be told.
    pub code: Option<String>,
    /// The body, redacted, when it is whole and an error that a JSON reader understands.
    pub body: Option<Bytes>,
    /// What it says, redacted; empty when it says nothing readable.
    pub message: String,
    pub retry_after_ms: Option<u64>,
}

/// Whose fault an upstream's error is: decided by status *and* body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The caller's request: told as it is.
    Request,
    /// What the request says: no provider shall be asked the same after that.
    Content,
    /// The request is longer than the model reads.
    Length,
    /// The channel's key.
    Credentials,
    /// The channel's account: money, quota, permission, region.
    Account,
    /// The account lacks the model.
    Model,
    RateLimit,
    Overload,
    Server,
    /// The upstream's own time-out.
    Timeout,
    /// The address of the channel is wrong: a redirect, a page in place of an API.
    Address,
}

impl Blame {
    /// About the operator's own account or set-up: no caller may read it.
    pub fn is_ours(self) -> bool {
        match self {
            Blame::Credentials | Blame::Account | Blame::Model | Blame::Address => true,
            Blame::Request
            | Blame::Content
            | Blame::Length
            | Blame::RateLimit
            | Blame::Overload
            | Blame::Server
            | Blame::Timeout => false,
        }
    }

    /// About the caller's request, and not about who was asked.
    pub fn is_of_request(self) -> bool {
        matches!(self, Blame::Request | Blame::Content | Blame::Length)
    }
}

/// Who else can do what one channel could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    Nobody,
    /// Other models of the caller's list.
    OtherModels,
    /// The same, and who gets the request in the caller's own words: those that were refused were ours.
    OwnWords,
    Anybody,
}

/// Our own doing.
#[derive(Debug)]
pub struct InternalFault {
    pub detail: String,
}

impl Fault {
    /// What the caller reads: what happened and what to do.
    pub fn public(&self) -> PublicError {
        match self {
            Fault::Client(fault) => fault.public(),
            Fault::Rejection(rejection) => rejection.public(),
            Fault::Upstream(fault) => fault.public(),
            Fault::Internal(_) => PublicError::new(
                500,
                ErrorKind::Internal,
                "internal_error",
                "Sluice failed on this request. Try again; if it stays, give the operator the request id.",
            ),
        }
    }

    /// Where the limit stood that was reached.
    pub fn levels(&self) -> Option<Levels> {
        match self {
            Fault::Rejection(Rejection::RateLimited(short)) => Some(short.levels),
            _ => None,
        }
    }

    pub fn ending(&self) -> Ending {
        match self {
            Fault::Client(ClientFault::BodyBroken) => Ending::ClientLeft,
            Fault::Client(_) => Ending::Refused,
            Fault::Rejection(_) => Ending::Rejected,
            Fault::Internal(_) => Ending::Failed,
            Fault::Upstream(
                UpstreamFault::Silent { .. } | UpstreamFault::Send(SendError::ConnectTimedOut),
            ) => Ending::TimedOut,
            Fault::Upstream(UpstreamFault::Answered(answered)) if answered.blame.is_of_request() => {
                Ending::Refused
            }
            Fault::Upstream(_) => Ending::Failed,
        }
    }

    /// Whether a count that was asked for can be estimated all the same: nothing is wrong with the request as such.
    pub fn leaves_estimate(&self) -> bool {
        match self {
            Fault::Client(fault) => {
                matches!(fault, ClientFault::Untranslatable { .. } | ClientFault::WouldLose { .. })
            }
            Fault::Rejection(rejection) => {
                // Not so large as to be told in another dialect, too.
                let room = matches!(rejection, Rejection::MemoryFull);
                room || matches!(
                    rejection,
                    Rejection::ChannelsBusy { .. } | Rejection::ChannelsResting { .. }
                )
            }
            Fault::Upstream(fault) => !fault.refuses_count(),
            Fault::Internal(_) => false,
        }
    }

    /// In words for the operator's log: may name what the caller must not read, but never a secret.
    pub fn cause(&self) -> String {
        match self {
            Fault::Client(fault) => format!("client: {}", fault.public().message),
            Fault::Rejection(Rejection::RateLimited(Short { whose, what, limit, .. })) => {
                format!("rejected: RateLimited {{ {whose:?}, {what:?}, limit: {limit} }}")
            }
            Fault::Rejection(rejection) => format!("rejected: {rejection:?}"),
            Fault::Upstream(fault) => fault.cause(),
            Fault::Internal(fault) => format!("internal: {}", fault.detail),
        }
    }
}

impl UpstreamFault {
    /// Who can do what this channel could not. `translated`: the request as it read it was of our making.
    pub fn who_may_help(&self, translated: bool) -> Help {
        match self {
            UpstreamFault::Send(_)
            | UpstreamFault::Silent { .. }
            | UpstreamFault::Broken { .. }
            | UpstreamFault::Truncated
            | UpstreamFault::Unreadable { .. } => Help::Anybody,
            UpstreamFault::TooLong => Help::Nobody,
            UpstreamFault::Answered(answered) => match answered.blame {
                Blame::Content => Help::Nobody,
                Blame::Request | Blame::Length if translated => Help::OwnWords,
                Blame::Request => Help::Nobody,
                Blame::Length => Help::OtherModels,
                Blame::Credentials
                | Blame::Account
                | Blame::Model
                | Blame::RateLimit
                | Blame::Overload
                | Blame::Server
                | Blame::Timeout
                | Blame::Address => Help::Anybody,
            },
        }
    }

    pub fn health_effect(&self) -> HealthEffect {
        match self {
            UpstreamFault::Send(_)
            | UpstreamFault::Silent { .. }
            | UpstreamFault::Broken { .. }
            | UpstreamFault::Truncated
            | UpstreamFault::Unreadable { .. } => HealthEffect::Failure,
            UpstreamFault::TooLong => HealthEffect::None,
            UpstreamFault::Answered(answered) => match answered.blame {
                Blame::Request | Blame::Content | Blame::Length => HealthEffect::None,
                Blame::Credentials => HealthEffect::Credentials,
                Blame::Account => HealthEffect::Account,
                Blame::Model => HealthEffect::Model,
                Blame::RateLimit => HealthEffect::RateLimit { retry_after_ms: answered.retry_after_ms },
                Blame::Overload | Blame::Server | Blame::Timeout | Blame::Address => {
                    match answered.retry_after_ms {
                        Some(_) => HealthEffect::RateLimit { retry_after_ms: answered.retry_after_ms },
                        None => HealthEffect::Failure,
                    }
                }
            },
        }
    }

    /// Whether a request that is to be counted is itself at fault. Whoever cannot count says often that it is not found.
    pub fn refuses_count(&self) -> bool {
        match self {
            UpstreamFault::Answered(answered) => answered.blame.is_of_request() && answered.status != 404,
            UpstreamFault::Send(_)
            | UpstreamFault::Silent { .. }
            | UpstreamFault::Broken { .. }
            | UpstreamFault::Truncated
            | UpstreamFault::Unreadable { .. }
            | UpstreamFault::TooLong => false,
        }
    }

    /// What it says of the channel where only a count was asked for: counting has limits and rights of its own, and many that
    /// take chats have no endpoint for it.
    pub fn count_health_effect(&self) -> HealthEffect {
        match self {
            UpstreamFault::Send(_) => self.health_effect(),
            UpstreamFault::Answered(answered) if matches!(answered.status, 401 | 402) => self.health_effect(),
            UpstreamFault::Answered(_)
            | UpstreamFault::Silent { .. }
            | UpstreamFault::Broken { .. }
            | UpstreamFault::Truncated
            | UpstreamFault::Unreadable { .. }
            | UpstreamFault::TooLong => HealthEffect::None,
        }
    }

    /// It was told in another dialect than the caller's: what it says is kept, its words are not.
    pub fn reworded(mut self) -> UpstreamFault {
        if let UpstreamFault::Answered(answered) = &mut self {
            answered.body = None;
        }
        self
    }

    pub fn status(&self) -> u16 {
        match self {
            UpstreamFault::Answered(answered) => answered.status,
            _ => 0,
        }
    }

    pub fn cause(&self) -> String {
        match self {
            UpstreamFault::Send(error) => format!("upstream: {error}"),
            UpstreamFault::Silent { clock } => format!("upstream: silent past timeouts.{clock}"),
            UpstreamFault::Broken { detail } => format!("upstream: broke off: {detail}"),
            UpstreamFault::Truncated => "upstream: ended without its end".to_owned(),
            UpstreamFault::Unreadable { detail } => format!("upstream: unreadable: {detail}"),
            UpstreamFault::TooLong => "the answer is longer than what is held to be translated".to_owned(),
            UpstreamFault::Answered(answered) => format!(
                "upstream: {} ({:?}): {}",
                answered.status,
                answered.blame,
                if answered.message.is_empty() { "no readable explanation" } else { &answered.message }
            ),
        }
    }
}

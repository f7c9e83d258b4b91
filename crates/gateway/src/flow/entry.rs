//! A request in flight, as others see it.
//!
//! In: what the request says of itself while it runs. Out: the same, to be read at any time without waiting.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use dialect::Door;
use store::Nanos;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::lock;
use crate::{charge::Payer, connection::Connection};

/// An entry may outlive its connection or its deadline by this much (milliseconds) before it counts as unaccounted.
const GRACE_MS: u64 = 5_000;

/// What a request is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Its body is being read.
    Receiving,
    /// For an admission slot.
    Queued,
    /// For an upstream: connecting, sending, waiting for the first meaningful byte.
    Waiting,
    /// The answer is being passed on.
    Delivering,
    /// The client has left; the answer is read on to learn what was used.
    Draining,
}

impl Phase {
    pub const ALL: [Phase; 5] =
        [Phase::Receiving, Phase::Queued, Phase::Waiting, Phase::Delivering, Phase::Draining];

    pub const fn name(self) -> &'static str {
        match self {
            Phase::Receiving => "receiving",
            Phase::Queued => "queued",
            Phase::Waiting => "waiting",
            Phase::Delivering => "delivering",
            Phase::Draining => "draining",
        }
    }

    fn from_u8(value: u8) -> Phase {
        Phase::ALL[usize::from(value).min(Phase::ALL.len() - 1)]
    }
}

/// A request in flight. All of it can be read while the request runs.
#[derive(Debug)]
pub struct Entry {
    /// Key in the registry, in order of arrival.
    pub number: u64,
    pub request_id: Uuid,
    /// The client's connection.
    pub connection: Arc<Connection>,
    pub arrived_ms: u64,
    pub(super) phase: AtomicU8,
    /// When the phase began.
    pub(super) since_ms: AtomicU64,
    /// When the current wait was last renewed.
    pub(super) touched_ms: AtomicU64,
    /// How long the current wait may last after that.
    pub(super) limit_ms: AtomicU64,
    pub attempt: AtomicU32,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    /// When the current attempt's request began to go out; 0: not yet.
    sent_ms: AtomicU64,
    /// A waiting stream's client was sent its head, 200, before there was an answer.
    pub head_sent: AtomicBool,
    /// When bytes were last handed to the client's connection and not yet asked for again; 0: the client is not the one waited for.
    pub(super) handed_ms: AtomicU64,
    /// The channel of the current attempt.
    pub(super) channel: Mutex<Option<Arc<str>>>,
    /// Who pays, since it was admitted.
    admitted: OnceLock<Admitted>,
    /// Its settlement is on its way.
    settled: AtomicBool,
    /// The books know it as open.
    pub(super) booked: AtomicBool,
    /// The answer under way is worth reading on when the client leaves: its channel wants it so.
    drains: AtomicBool,
    /// The client has left, and the answer is read on all the same.
    left: AtomicBool,
}

/// What the books say of a request while it runs.
#[derive(Debug)]
pub struct Admitted {
    pub door: Door,
    pub payer: Payer,
    pub model: String,
    pub stream: bool,
    pub hold: Nanos,
}

impl Entry {
    /// Its body is being read, for at most `limit`.
    pub(super) fn new(
        number: u64,
        request_id: Uuid,
        connection: Arc<Connection>,
        now_ms: u64,
        limit: Duration,
    ) -> Entry {
        Entry {
            number,
            request_id,
            connection,
            arrived_ms: now_ms,
            phase: AtomicU8::new(Phase::Receiving as u8),
            since_ms: AtomicU64::new(now_ms),
            touched_ms: AtomicU64::new(now_ms),
            limit_ms: AtomicU64::new(limit.as_millis() as u64),
            attempt: AtomicU32::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            sent_ms: AtomicU64::new(0),
            head_sent: AtomicBool::new(false),
            handed_ms: AtomicU64::new(0),
            channel: Mutex::new(None),
            admitted: OnceLock::new(),
            settled: AtomicBool::new(false),
            booked: AtomicBool::new(false),
            drains: AtomicBool::new(false),
            left: AtomicBool::new(false),
        }
    }

    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }

    pub fn since_ms(&self) -> u64 {
        self.since_ms.load(Ordering::Relaxed)
    }

    /// When the client was last given bytes that it has not taken yet; 0: none.
    pub fn handed_ms(&self) -> u64 {
        self.handed_ms.load(Ordering::Relaxed)
    }

    /// A new attempt: its request is still to go out.
    pub fn not_sent(&self) {
        self.sent_ms.store(0, Ordering::Relaxed);
    }

    /// The connection is there and asks for the request's body.
    pub fn sent(&self) {
        if self.sent_ms.load(Ordering::Relaxed) == 0 {
            self.sent_ms.store(self.connection.clock.now_ms(), Ordering::Relaxed);
        }
    }

    pub fn sent_at(&self) -> Option<Instant> {
        let sent_ms = self.sent_ms.load(Ordering::Relaxed);
        (sent_ms != 0).then(|| self.connection.clock.instant(sent_ms))
    }

    pub fn admitted(&self) -> Option<&Admitted> {
        self.admitted.get()
    }

    pub(crate) fn admit(&self, admitted: Admitted) {
        // Admission happens once.
        let _ = self.admitted.set(admitted);
    }

    /// Before the settlement is sent: whoever has received it sees this.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Whether the answer is to be read on when the client leaves now: asked for, and wanted by its channel.
    pub fn is_worth_draining(&self) -> bool {
        self.drains.load(Ordering::Relaxed) && self.sent_ms.load(Ordering::Relaxed) != 0 && !self.has_left()
    }

    /// What the channel of the attempt under way wants; false: there is none.
    pub(crate) fn set_drains(&self, drains: bool) {
        self.drains.store(drains, Ordering::Relaxed);
    }

    /// The client has left, and this is what remains of the request, for at most `limit`.
    pub(crate) fn leave(&self, limit: Duration) {
        let now_ms = self.connection.clock.now_ms();
        self.left.store(true, Ordering::Relaxed);
        self.phase.store(Phase::Draining as u8, Ordering::Relaxed);
        self.since_ms.store(now_ms, Ordering::Relaxed);
        self.touched_ms.store(now_ms, Ordering::Relaxed);
        self.limit_ms.store(limit.as_millis() as u64, Ordering::Relaxed);
        self.handed_ms.store(0, Ordering::Relaxed);
    }

    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    pub fn channel(&self) -> Option<Arc<str>> {
        lock(&self.channel).clone()
    }

    /// It has outlived its connection, or its wait.
    pub(super) fn is_unaccounted(&self, now_ms: u64) -> bool {
        let closed_ms = self.connection.closed_ms();
        let orphaned = closed_ms != 0 && now_ms > closed_ms + GRACE_MS && !self.has_left();
        let due =
            self.touched_ms.load(Ordering::Relaxed).saturating_add(self.limit_ms.load(Ordering::Relaxed));
        orphaned || now_ms > due.saturating_add(GRACE_MS)
    }
}

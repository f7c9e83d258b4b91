//! Who is here, in which phase, and that what came in went out.
//!
//! In: one [`Flow::open`] per request at accept. Out: counts for the monitor. An entry leaves when its [`Mark`] is
//! dropped, by nothing else. The counters of started and finished are kept apart from the registry, so that they can
//! disagree; *unaccounted* is measured on the entries themselves, never derived from the counters.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use dialect::Door;
use foldhash::fast::RandomState;
use store::Nanos;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use crate::{charge::Payer, clock::Clock, connection::Connection, ending::Ending};

/// An entry may outlive its connection or its deadline by this much (milliseconds) before it counts as unaccounted.
const GRACE_MS: u64 = 5_000;

/// Locks of the registry; more than cores, so that two requests seldom meet.
const SHARDS: usize = 16;

/// A part of the registry.
#[derive(Debug, Default)]
struct Shard {
    /// By number.
    entries: HashMap<u64, Arc<Entry>, RandomState>,
    /// How many of them the books do not know.
    unbooked: usize,
}

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
    phase: AtomicU8,
    /// When the phase began.
    since_ms: AtomicU64,
    /// When the current wait was last renewed.
    touched_ms: AtomicU64,
    /// How long the current wait may last after that.
    limit_ms: AtomicU64,
    pub attempt: AtomicU32,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    /// When the current attempt's request began to go out; 0: not yet.
    sent_ms: AtomicU64,
    /// A waiting stream's client was sent its head, 200, before there was an answer.
    pub head_sent: AtomicBool,
    /// When bytes were last handed to the client's connection and not yet asked for again; 0: the client is not the one waited for.
    handed_ms: AtomicU64,
    /// The channel of the current attempt.
    channel: Mutex<Option<Arc<str>>>,
    /// Who pays, since it was admitted.
    admitted: OnceLock<Admitted>,
    /// Its settlement is on its way.
    settled: AtomicBool,
    /// The books know it as open.
    booked: AtomicBool,
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

    fn unaccounted(&self, now_ms: u64) -> bool {
        let closed_ms = self.connection.closed_ms();
        let orphaned = closed_ms != 0 && now_ms > closed_ms + GRACE_MS && !self.has_left();
        let due =
            self.touched_ms.load(Ordering::Relaxed).saturating_add(self.limit_ms.load(Ordering::Relaxed));
        orphaned || now_ms > due.saturating_add(GRACE_MS)
    }
}

/// Live counts and the registry of requests in flight.
#[derive(Debug)]
pub struct Flow {
    pub clock: Clock,
    shards: [Mutex<Shard>; SHARDS],
    started: AtomicU64,
    finished: [AtomicU64; Ending::ALL.len()],
    pub client_sockets: AtomicI64,
    pub upstream_sockets: Arc<AtomicI64>,
}

/// A snapshot for the monitor.
#[derive(Debug, Default)]
pub struct Census {
    pub by_phase: [u64; Phase::ALL.len()],
    pub oldest_ms: u64,
    pub unaccounted: Vec<Uuid>,
}

impl Flow {
    pub fn new() -> Flow {
        Flow {
            clock: Clock::start(),
            shards: Default::default(),
            started: AtomicU64::new(0),
            finished: Default::default(),
            client_sockets: AtomicI64::new(0),
            upstream_sockets: Arc::new(AtomicI64::new(0)),
        }
    }

    /// Enters a request. What it is given back for must be dropped when the request is over.
    pub fn open(self: &Arc<Flow>, request_id: Uuid, connection: Arc<Connection>, limit: Duration) -> Mark {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let now_ms = self.clock.now_ms();
        connection.request_began();
        let entry = Arc::new(Entry {
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
        });
        let mut shard = lock(self.shard(number));
        shard.unbooked += 1;
        shard.entries.insert(number, entry.clone());
        drop(shard);
        Mark { flow: self.clone(), entry, ending: Ending::ClientLeft }
    }

    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    pub fn finished(&self, ending: Ending) -> u64 {
        self.finished[ending as usize].load(Ordering::Relaxed)
    }

    pub fn in_flight(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    /// Every request in flight, in no order.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.shards
            .iter()
            .flat_map(|shard| lock(shard).entries.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Visits the requests that the books do not know as open; `book` says whether they do now. Nothing is copied, and long
    /// streams, which the books know, are not looked at again: this runs many times a second.
    pub fn each_unbooked(&self, mut book: impl FnMut(&Entry) -> bool) {
        for shard in &self.shards {
            let Shard { entries, unbooked } = &mut *lock(shard);
            if *unbooked == 0 {
                continue;
            }
            for entry in entries.values().filter(|entry| !entry.booked.load(Ordering::Relaxed)) {
                if book(entry) {
                    entry.booked.store(true, Ordering::Relaxed);
                    *unbooked -= 1;
                }
            }
        }
    }

    pub fn census(&self) -> Census {
        let now_ms = self.clock.now_ms();
        let mut census = Census::default();
        for entry in self.entries() {
            census.by_phase[entry.phase() as usize] += 1;
            census.oldest_ms = census.oldest_ms.max(now_ms.saturating_sub(entry.arrived_ms));
            if entry.unaccounted(now_ms) {
                census.unaccounted.push(entry.request_id);
            }
        }
        census
    }

    fn shard(&self, number: u64) -> &Mutex<Shard> {
        &self.shards[number as usize % SHARDS]
    }
}

impl Default for Flow {
    fn default() -> Flow {
        Flow::new()
    }
}

/// A request's place in the registry: dropping it takes the entry out and counts its ending, once.
#[derive(Debug)]
pub struct Mark {
    flow: Arc<Flow>,
    pub entry: Arc<Entry>,
    /// Starts as the pessimistic one: a future that is dropped without a verdict was dropped because its client left.
    pub ending: Ending,
}

impl Mark {
    /// The request now waits for something else, for at most `limit`.
    pub fn enter(&self, phase: Phase, limit: Duration, now_ms: u64) {
        if self.entry.has_left() {
            return; // What remains of it has one limit for all.
        }
        self.entry.phase.store(phase as u8, Ordering::Relaxed);
        self.entry.since_ms.store(now_ms, Ordering::Relaxed);
        self.entry.touched_ms.store(now_ms, Ordering::Relaxed);
        self.entry.limit_ms.store(limit.as_millis() as u64, Ordering::Relaxed);
    }

    /// The current wait begins anew.
    pub fn touch(&self, now_ms: u64) {
        if self.entry.has_left() {
            return;
        }
        self.entry.touched_ms.store(now_ms, Ordering::Relaxed);
    }

    pub fn attempt(&self, channel: &Arc<str>) {
        self.entry.attempt.fetch_add(1, Ordering::Relaxed);
        *lock(&self.entry.channel) = Some(channel.clone());
    }

    /// Bytes were handed to the client's connection.
    pub fn handed(&self, bytes: usize, now_ms: u64) {
        if self.entry.has_left() {
            return;
        }
        self.entry.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        self.entry.handed_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The client's connection asked for more: it is not the client that is waited for.
    pub fn asked(&self) {
        self.entry.handed_ms.store(0, Ordering::Relaxed);
    }

    pub fn now_ms(&self) -> u64 {
        self.flow.clock.now_ms()
    }

    /// When a limit that began with the request's arrival runs out.
    pub fn total_at(&self, total: Option<Duration>, now: Instant) -> Option<Instant> {
        total.map(|total| now + total.saturating_sub(Duration::from_millis(self.elapsed_ms())))
    }

    pub fn elapsed_ms(&self) -> u64 {
        self.now_ms().saturating_sub(self.entry.arrived_ms)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut shard = lock(self.flow.shard(self.entry.number));
        shard.entries.remove(&self.entry.number);
        if !self.entry.booked.load(Ordering::Relaxed) {
            shard.unbooked -= 1;
        }
        drop(shard);
        self.flow.finished[self.ending as usize].fetch_add(1, Ordering::Relaxed);
        self.entry.connection.request_ended(self.flow.clock.now_ms());
    }
}

/// A poisoned registry is still a registry: nothing in here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

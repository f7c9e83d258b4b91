//! Who is here, in which phase, and that what came in went out.
//!
//! In: one [`Flow::open`] per request at accept. Out: counts for the monitor. An entry leaves when its [`Mark`] is
//! dropped, by nothing else. The counters of started and finished are kept apart from the registry, so that they can
//! disagree; *unaccounted* is measured on the entries themselves, never derived from the counters.

mod entry;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

pub use self::entry::{Admitted, Entry, Phase};
use crate::{clock::Clock, connection::Connection, ending::Ending};

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
        let entry = Arc::new(Entry::new(number, request_id, connection, now_ms, limit));
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
            if entry.is_unaccounted(now_ms) {
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

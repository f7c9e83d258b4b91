//! The sim's own account of what it was asked and what it did.
//!
//! In: requests as they arrive, and their ends; out: copies for tests, and exact counters. An entry is ended by
//! a guard, so that none stays open behind a task that has died. It must never hold a lock across an await, nor
//! grow without bound.

use crate::request::Head;
use crate::served::{Outcome, Served, Usage};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Entries kept: enough for any test, bounded for a benchmark of hours.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of heads and bodies kept over all entries; older entries go first.
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest part of a body kept.
const BODY_KEPT_MAX: usize = 1024 * 1024;
/// Headers taken apart for a reader.
const HEADERS_MAX: usize = 128;

#[derive(Default)]
pub(crate) struct Record {
    ring: Mutex<Ring>,
    pub(crate) open_requests: AtomicUsize,
    pub(crate) open_connections: AtomicUsize,
    pub(crate) connections_total: AtomicU64,
    /// Requests that have arrived.
    pub(crate) served: AtomicU64,
    pub(crate) peer_closed: AtomicU64,
    /// How many are waiting for a change; spares the healthy path the notification.
    waiting: AtomicUsize,
    changed: Notify,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    last_id: u64,
    kept_bytes: usize,
}

struct Entry {
    id: u64,
    method: String,
    path: String,
    query: String,
    head: Bytes,
    secret: String,
    model: String,
    body: Bytes,
    body_len: u64,
    arrived: Instant,
    bytes_sent: AtomicU64,
    end: OnceLock<End>,
}

#[derive(Clone, Copy)]
struct End {
    outcome: Outcome,
    at: Instant,
    usage: Option<Usage>,
}

impl Entry {
    fn kept_bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }

    fn served(&self) -> Served {
        let mut served = Served {
            id: self.id,
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: headers(&self.head),
            secret: self.secret.clone(),
            model: self.model.clone(),
            body: self.body.clone(),
            body_len: self.body_len,
            arrived: self.arrived,
            bytes_sent: 0,
            outcome: Outcome::Open,
            ended: None,
            usage: None,
        };
        self.refresh(&mut served);
        served
    }

    /// Brings the parts that change up to date.
    fn refresh(&self, served: &mut Served) {
        served.bytes_sent = self.bytes_sent.load(Ordering::Relaxed);
        if let Some(end) = self.end.get() {
            served.outcome = end.outcome;
            served.ended = Some(end.at);
            served.usage = end.usage;
        }
    }
}

fn headers(head: &[u8]) -> Vec<(String, String)> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    if parsed.parse(head).is_err() {
        return Vec::new();
    }
    let pair = |header: &httparse::Header<'_>| {
        (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
    };
    parsed.headers.iter().map(pair).collect()
}

impl Record {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request down as open.
    pub(crate) fn arrive(
        self: &Arc<Self>,
        head: &Head,
        model: &str,
        body: &Bytes,
        arrived: Instant,
    ) -> Tracked {
        let kept = if body.len() > BODY_KEPT_MAX {
            Bytes::copy_from_slice(&body[..BODY_KEPT_MAX])
        } else {
            body.clone()
        };
        let mut entry = Entry {
            id: 0,
            method: head.method.clone(),
            path: head.path.clone(),
            query: head.query.clone(),
            head: head.raw.clone(),
            secret: head.secret.clone(),
            model: model.to_owned(),
            body: kept,
            body_len: body.len() as u64,
            arrived,
            bytes_sent: AtomicU64::new(0),
            end: OnceLock::new(),
        };
        self.open_requests.fetch_add(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
        let entry = {
            let mut ring = self.ring();
            ring.last_id += 1;
            entry.id = ring.last_id;
            let entry = Arc::new(entry);
            ring.kept_bytes += entry.kept_bytes();
            ring.entries.push_back(Arc::clone(&entry));
            while ring.entries.len() > ENTRIES_MAX || ring.kept_bytes > KEPT_BYTES_MAX {
                let Some(oldest) = ring.entries.pop_front() else { break };
                ring.kept_bytes -= oldest.kept_bytes();
            }
            entry
        };
        self.tell();
        Tracked { record: Arc::clone(self), entry }
    }

    /// Wakes those who wait for a change, if there are any.
    pub(crate) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn log(&self) -> Vec<Served> {
        let entries: Vec<_> = self.ring().entries.iter().cloned().collect();
        entries.iter().map(|entry| entry.served()).collect()
    }

    /// Resolves as soon as the log satisfies `what`.
    pub(crate) async fn wait_until(&self, what: impl Fn(&[Served]) -> bool) {
        let _waiter = Waiter::new(&self.waiting);
        let mut mirror = Mirror::default();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listen before looking, so that no change falls between the two.
            changed.as_mut().enable();
            mirror.refresh(&self.ring());
            if what(&mirror.log) {
                return;
            }
            changed.await;
        }
    }
}

struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn new(waiting: &'a AtomicUsize) -> Waiter<'a> {
        waiting.fetch_add(1, Ordering::SeqCst);
        Waiter(waiting)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A waiter's copy of the log; taking the whole log apart anew at every change would be quadratic.
#[derive(Default)]
struct Mirror {
    log: Vec<Served>,
}

impl Mirror {
    fn refresh(&mut self, ring: &Ring) {
        let Some(first) = ring.entries.front() else { return };
        let fallen = self.log.iter().take_while(|served| served.id < first.id).count();
        self.log.drain(..fallen);
        for (entry, served) in ring.entries.iter().zip(&mut self.log) {
            if served.ended.is_none() {
                entry.refresh(served);
            }
        }
        self.log.extend(ring.entries.iter().skip(self.log.len()).map(|entry| entry.served()));
    }
}

/// The open entry of one request. Dropped without an end it counts as cut: the task was stopped.
pub(crate) struct Tracked {
    record: Arc<Record>,
    entry: Arc<Entry>,
}

impl Tracked {
    pub(crate) fn id(&self) -> u64 {
        self.entry.id
    }

    /// Where the bytes sent are counted.
    pub(crate) fn bytes_sent(&self) -> &AtomicU64 {
        &self.entry.bytes_sent
    }

    /// Shows the bytes sent so far to those who wait.
    pub(crate) fn tell(&self) {
        self.record.tell();
    }

    pub(crate) fn end(&self, outcome: Outcome, usage: Option<Usage>) {
        if self.entry.end.set(End { outcome, at: Instant::now(), usage }).is_err() {
            return;
        }
        self.record.open_requests.fetch_sub(1, Ordering::Relaxed);
        if matches!(outcome, Outcome::PeerClosed { .. }) {
            self.record.peer_closed.fetch_add(1, Ordering::Relaxed);
        }
        self.record.tell();
    }

    pub(crate) fn peer_closed(&self) {
        let after_bytes = self.entry.bytes_sent.load(Ordering::Relaxed);
        self.end(Outcome::PeerClosed { after_bytes }, None);
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.end(Outcome::Cut, None);
    }
}

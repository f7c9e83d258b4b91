//! What the clients saw.
//!
//! In: one outcome per request; out: sums. Every request is in exactly one of them.

use std::collections::BTreeMap;

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole answer.
    Answered(u16),
    /// An answer that broke off.
    Broken,
    /// The client left; `heard`: after the answer had begun.
    Left { heard: bool },
    /// Closed without an answer, on a connection that had been used before: as with any server, the two may have crossed. It is
    /// sent again on a new one.
    Crossed,
    /// Closed without an answer, on a new connection: nobody may do that.
    Unanswered,
    /// No end within the client's patience.
    Stuck,
}

#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests sent, those sent again among them.
    pub sent: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub broken: u64,
    pub left_heard: u64,
    pub left_unheard: u64,
    pub crossed: u64,
    pub unanswered: u64,
    pub stuck: u64,
    /// Connections that could not be opened.
    pub refused: u64,
}

impl Tally {
    pub fn add(&mut self, seen: Seen) {
        self.sent += 1;
        match seen {
            Seen::Answered(status) => *self.statuses.entry(status).or_default() += 1,
            Seen::Broken => self.broken += 1,
            Seen::Left { heard: true } => self.left_heard += 1,
            Seen::Left { heard: false } => self.left_unheard += 1,
            Seen::Crossed => self.crossed += 1,
            Seen::Unanswered => self.unanswered += 1,
            Seen::Stuck => self.stuck += 1,
        }
    }

    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Requests that the gateway certainly took: something was heard of them.
    pub fn taken_at_least(&self) -> u64 {
        self.answered() + self.broken + self.left_heard
    }

    /// Those, and the ones that it may have taken: their clients left before anything was heard.
    pub fn taken_at_most(&self) -> u64 {
        self.sent
    }
}

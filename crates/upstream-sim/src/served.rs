//! What the sim tells about the requests it saw.
//!
//! In: nothing; out: the public record types. They are copies: holding one must never hold up the sim.

use bytes::Bytes;
use tokio::time::Instant;

/// One request as the sim saw it, and what became of it.
#[derive(Clone, Debug)]
pub struct Served {
    /// Counts up from 1 in order of arrival.
    pub id: u64,
    pub method: String,
    /// Without the script prefix and without the query.
    pub path: String,
    /// Without the question mark; empty if there was none.
    pub query: String,
    /// In the order received, names as they were written.
    pub headers: Vec<(String, String)>,
    /// The key the request was signed with; empty if there was none.
    pub secret: String,
    /// The model asked for, from the body or the path; empty if there was none.
    pub model: String,
    /// At most the first MiB.
    pub body: Bytes,
    /// Length of the whole body.
    pub body_len: u64,
    /// When the head was complete.
    pub arrived: Instant,
    /// Bytes of the answer, head included, that were handed to the socket.
    pub bytes_sent: u64,
    pub outcome: Outcome,
    /// When the outcome was known.
    pub ended: Option<Instant>,
    /// What was reported as used, if the full answer was sent and reported it.
    pub usage: Option<Usage>,
}

impl Served {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not ended.
    Open,
    /// The answer, good or bad, was handed to the socket whole.
    Answered,
    /// The script ended it before its answer was whole.
    Cut,
    /// The peer closed the connection before the answer was whole.
    PeerClosed { after_bytes: u64 },
    /// Not taken: refused by the script before it was read, or not understood.
    Refused,
}

/// Tokens as reported to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
}

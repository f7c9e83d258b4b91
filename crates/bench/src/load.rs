//! The load generator: prepared bytes out, a minimal reader for what comes back.
//!
//! It shares a core with the fake upstream, so it has to be cheap: one thread, one task and one buffer per connection, no HTTP
//! library. It must never wait for anything but the socket and the clock, and never report a number for requests
//! that failed.

pub mod answerer;
pub mod connection;
pub mod held;
pub mod histogram;
pub mod paced;
pub mod reply;
pub mod request;
pub mod saturation;
pub mod steady;
pub mod streams;

use std::time::Duration;

use crate::procfs;

/// Whose processor time is measured: a process, or nobody (when the upstream is asked directly).
#[derive(Clone, Copy, Debug)]
pub struct Meter(pub Option<u32>);

impl Meter {
    /// Processor time spent so far.
    pub fn read(self) -> Result<Duration, String> {
        self.0.map_or(Ok(Duration::ZERO), procfs::cpu)
    }
}

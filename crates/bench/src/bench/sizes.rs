//! How much is measured.

use std::time::Duration;

/// The sizes of one run.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Every row is measured so often, all ways in each round.
    pub rounds: usize,
    /// The same for what is judged and scatters most: small requests and events.
    pub close_rounds: usize,
    pub warm_up: Duration,
    pub window: Duration,
    /// Connections at saturation, for bodies up to 100 KB.
    pub connections: usize,
    /// Connections for bodies of 1 MB: fewer, or the sockets' buffers would be what is measured.
    pub large_connections: usize,
    /// Requests a second where latency is measured.
    pub rate: f64,
    /// Streams a second where the time to their first byte is measured.
    pub stream_rate: f64,
    /// Streams at once where events are counted.
    pub streams: usize,
    /// Silent streams held where memory is read.
    pub held: usize,
    /// The same with large requests.
    pub held_large: usize,
    /// And of those that were long before they fell silent.
    pub held_long: usize,
}

impl Sizes {
    /// For docs/BENCHMARKS.md.
    pub const FULL: Sizes = Sizes {
        rounds: 5,
        close_rounds: 9,
        warm_up: Duration::from_millis(500),
        window: Duration::from_secs(3),
        connections: 64,
        large_connections: 16,
        rate: 5_000.0,
        stream_rate: 500.0,
        streams: 500,
        held: 5_000,
        held_large: 1_000,
        held_long: 250,
    };

    /// To see that the benchmark itself works.
    pub const QUICK: Sizes = Sizes {
        rounds: 1,
        close_rounds: 1,
        warm_up: Duration::from_millis(100),
        window: Duration::from_millis(500),
        streams: 50,
        held: 100,
        held_large: 20,
        held_long: 20,
        ..Sizes::FULL
    };

    /// Open files that a server in between needs: two for each held stream.
    pub fn open_files(&self) -> u64 {
        self.held as u64 * 2 + 500
    }
}

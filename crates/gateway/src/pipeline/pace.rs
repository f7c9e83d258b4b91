//! The idle clock: what counts as a sign of life.
//!
//! A finished event renews the clock. Bytes of an event under way only buy time at [`SLOWEST`]: a flow above that rate
//! keeps the clock full, a byte now and then does not. Pings and comments are nothing.

use tokio::time::{Duration, Instant};

/// Bytes a second below which a body that never finishes anything counts as silent.
const SLOWEST: u32 = 100;

#[derive(Clone, Copy, Debug)]
pub struct Pace {
    idle: Duration,
    due: Instant,
}

impl Pace {
    pub fn begin(idle: Duration, now: Instant) -> Pace {
        Pace { idle, due: now + idle }
    }

    /// A whole event came.
    pub fn event(&mut self, now: Instant) {
        self.due = now + self.idle;
    }

    /// Bytes of something under way came.
    pub fn bytes(&mut self, count: usize, now: Instant) {
        let bought = Duration::from_secs(1) * u32::try_from(count).unwrap_or(u32::MAX) / SLOWEST;
        self.due = (self.due + bought).min(now + self.idle);
    }

    /// Shortens what is left: the answer is over but for its formalities.
    pub fn within(&mut self, rest: Duration, now: Instant) {
        self.due = self.due.min(now + rest);
    }

    /// When the clock runs out.
    pub fn due(&self) -> Instant {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn lives_for(every: Duration, count: usize) -> Duration {
        let start = Instant::now();
        let (mut pace, mut now) = (Pace::begin(IDLE, start), start);
        while now < pace.due() && now - start < IDLE * 100 {
            now += every;
            pace.bytes(count, now);
        }
        now - start
    }

    #[test]
    fn a_trickle_does_not_keep_it_alive_and_a_flow_does() {
        assert!(lives_for(Duration::from_millis(100), 1) < IDLE * 2);
        assert!(lives_for(Duration::from_secs(11), 1) < IDLE * 2);
        assert!(lives_for(Duration::from_millis(100), 11) >= IDLE * 100);
    }

    #[test]
    fn a_burst_buys_no_more_than_the_whole_clock() {
        let start = Instant::now();
        let mut pace = Pace::begin(IDLE, start);
        pace.bytes(usize::MAX, start);
        assert_eq!(pace.due(), start + IDLE);
        pace.event(start + IDLE / 2);
        assert_eq!(pace.due(), start + IDLE + IDLE / 2);
    }
}

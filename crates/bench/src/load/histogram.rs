//! Latencies in a fixed space: a histogram whose buckets widen with the value.
//!
//! In: durations; out: quantiles that are at most 1 % off. It must never allocate while it records.

use std::time::Duration;

/// Buckets per doubling: 64 of them keep the error of a bucket's middle below 1 %.
const STEPS_LOG2: u32 = 6;
const STEPS: usize = 1 << STEPS_LOG2;
/// Durations of 2^42 ns (73 minutes) and more share the last bucket.
const TOP_LOG2: u32 = 42;
const BUCKETS: usize = STEPS * (TOP_LOG2 - STEPS_LOG2 + 1) as usize;

/// How often which duration was seen.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS].into(), total: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, duration: Duration) {
        self.counts[bucket(duration.as_nanos().min(u128::from(u64::MAX)) as u64)] += 1;
        self.total += 1;
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration that a share of `at` (0 to 1) does not exceed; zero when nothing was recorded.
    pub fn quantile(&self, at: f64) -> Duration {
        let rank = ((self.total as f64 * at).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(middle(index));
            }
        }
        Duration::ZERO
    }

    pub fn p50(&self) -> Duration {
        self.quantile(0.50)
    }

    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }
}

/// Values below `STEPS` have a bucket each; above, each doubling is cut into `STEPS`.
fn bucket(nanos: u64) -> usize {
    if nanos < STEPS as u64 {
        return nanos as usize;
    }
    let doublings = nanos.ilog2() - STEPS_LOG2;
    let step = (nanos >> doublings) as usize - STEPS;
    (STEPS * (doublings as usize + 1) + step).min(BUCKETS - 1)
}

fn middle(index: usize) -> u64 {
    if index < STEPS {
        return index as u64;
    }
    let doublings = (index / STEPS - 1) as u32;
    let low = ((STEPS + index % STEPS) as u64) << doublings;
    low + (1 << doublings) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut histogram = Histogram::default();
        for micros in 1..=100_000_u64 {
            histogram.record(Duration::from_micros(micros));
        }
        for (at, micros) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.999, 99_900.0), (1.0, 100_000.0)] {
            let found = histogram.quantile(at).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.01, "{at}: {found} instead of {micros}");
        }
        assert_eq!(histogram.count(), 100_000);
    }

    #[test]
    fn every_bucket_holds_its_own_middle_and_buckets_rise() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(middle(index)), index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_recorded_is_zero_and_one_value_is_every_quantile() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.p99(), Duration::ZERO);
        histogram.record(Duration::from_nanos(7));
        assert_eq!((histogram.p50(), histogram.p99()), (Duration::from_nanos(7), Duration::from_nanos(7)));
    }
}

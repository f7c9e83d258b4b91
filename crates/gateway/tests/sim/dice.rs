//! Draws from a seed: the same seed gives the same world.

/// SplitMix64. Not the gateway's own generator: the two must not share a state.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x51_u64.rotate_left(56))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// One of several, by weight.
    pub(crate) fn weigh<T: Clone>(&mut self, from: &[(u64, T)]) -> T {
        let mut left = self.next() % from.iter().map(|(weight, _)| weight).sum::<u64>();
        for (weight, value) in from {
            if left < *weight {
                return value.clone();
            }
            left -= weight;
        }
        unreachable!("the weights sum up")
    }

    /// A time in milliseconds, short ones as likely as long ones: uniform in its logarithm.
    pub(crate) fn time(&mut self, longest_ms: u64) -> u64 {
        let bits = 64 - longest_ms.leading_zeros();
        let most = 1u64 << self.between(1, u64::from(bits.max(1)));
        self.next() % most.min(longest_ms.max(1))
    }

    /// Another one, for a part of the world whose draws must not depend on the order of events.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}

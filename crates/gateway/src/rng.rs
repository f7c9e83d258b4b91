//! Random numbers that a seed can repeat. Not for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

/// SplitMix64 over an atomic counter: shared without a lock, repeatable from its seed.
#[derive(Debug)]
pub struct Rng(AtomicU64);

impl Rng {
    pub fn seeded(seed: u64) -> Rng {
        Rng(AtomicU64::new(seed))
    }

    /// Seeded by the operating system's randomness, as `HashMap` is.
    pub fn from_entropy() -> Rng {
        use std::hash::{BuildHasher, Hasher};
        Rng::seeded(std::hash::RandomState::new().build_hasher().finish())
    }

    pub fn next(&self) -> u64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    pub fn unit(&self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }
}

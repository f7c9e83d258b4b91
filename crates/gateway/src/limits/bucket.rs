//! So many a minute: what is taken comes back evenly, up to a minute's worth.
//!
//! In: a rate and the time. Out: whether something may be taken now, and else when. In any stretch of time no more is let
//! through than one minute's worth and what comes back in that time. The level is kept in sixty-thousandths, so that a
//! millisecond brings back a whole number and nothing is ever rounded.

use super::Level;

const MINUTE_MS: i64 = 60_000;
/// What was used beyond what was foreseen is owed, for so long at most: a provider that counts nonsense must not lock a key
/// for good.
const LONGEST_DEBT_MINUTES: i64 = 60;
/// Far above any rate that is meant: with it nothing below can overflow.
pub(super) const HIGHEST_RATE: u64 = 1_000_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_minute: i64,
    /// In sixty-thousandths; negative while something is owed.
    level: i64,
    /// When the level was that.
    at_ms: u64,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(per_minute: u64, now_ms: u64) -> Bucket {
        let per_minute = per_minute.clamp(1, HIGHEST_RATE) as i64;
        Bucket { per_minute, level: per_minute * MINUTE_MS, at_ms: now_ms }
    }

    /// Another rate; the part that is left stays.
    pub(super) fn set(&mut self, per_minute: u64, now_ms: u64) {
        self.refill(now_ms);
        let before = i128::from(self.per_minute);
        self.per_minute = per_minute.clamp(1, HIGHEST_RATE) as i64;
        // Within the bounds of the new rate as it was within those of the old.
        self.level = (i128::from(self.level) * i128::from(self.per_minute) / before) as i64;
    }

    /// How long until `count` can be taken; 0: now. More than a minute's worth waits for a full one, and takes all of it;
    /// nothing can be taken at any time.
    pub(super) fn missing_ms(&mut self, count: u64, now_ms: u64) -> u64 {
        self.refill(now_ms);
        let missing = self.clamped(count) * MINUTE_MS - self.level;
        if count == 0 || missing <= 0 {
            0
        } else {
            missing.unsigned_abs().div_ceil(self.per_minute.unsigned_abs())
        }
    }

    /// Takes what [`Bucket::missing_ms`] has found to be there; returns how much.
    pub(super) fn take(&mut self, count: u64) -> u64 {
        let count = self.clamped(count);
        self.level = (self.level - count * MINUTE_MS).max(self.lowest());
        count.unsigned_abs()
    }

    /// `reserved` of them were taken, `used` were really used.
    pub(super) fn correct(&mut self, reserved: u64, used: u64, now_ms: u64) {
        self.refill(now_ms);
        let most = self.per_minute * LONGEST_DEBT_MINUTES;
        let over = i64::try_from(used).unwrap_or(i64::MAX).saturating_sub(reserved as i64).min(most);
        self.level =
            (self.level.saturating_sub(over.saturating_mul(MINUTE_MS))).clamp(self.lowest(), self.full());
    }

    pub(super) fn level(&mut self, now_ms: u64) -> Level {
        self.refill(now_ms);
        let gone = (self.full() - self.level).unsigned_abs();
        Level {
            limit: self.per_minute.unsigned_abs(),
            remaining: (self.level.max(0) / MINUTE_MS).unsigned_abs(),
            reset_ms: gone.div_ceil(self.per_minute.unsigned_abs()),
        }
    }

    fn refill(&mut self, now_ms: u64) {
        // After so long it is full, whatever was owed.
        let longest = MINUTE_MS * (LONGEST_DEBT_MINUTES + 1);
        let passed_ms = (now_ms.saturating_sub(self.at_ms)).min(longest.unsigned_abs()) as i64;
        self.level = (self.level + passed_ms * self.per_minute).min(self.full());
        self.at_ms = self.at_ms.max(now_ms);
    }

    fn clamped(&self, count: u64) -> i64 {
        count.min(self.per_minute.unsigned_abs()) as i64
    }

    fn full(&self) -> i64 {
        self.per_minute * MINUTE_MS
    }

    fn lowest(&self) -> i64 {
        -self.full() * LONGEST_DEBT_MINUTES
    }
}

//! The retry budget: however bad the upstreams are, retries stay a share of the traffic.

use std::sync::atomic::{AtomicI64, Ordering};

/// What a first attempt pays in, in hundredths of a retry: one retry in five requests for ever.
const DEPOSIT: i64 = 20;
/// What a retry costs.
const COST: i64 = 100;
/// Saved up at most, and there to begin with: enough that a quiet gateway can always fail over.
const MOST: i64 = 500 * COST;

/// A token bucket filled by first attempts and emptied by retries.
#[derive(Debug)]
pub struct RetryBudget(AtomicI64);

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget(AtomicI64::new(MOST))
    }
}

impl RetryBudget {
    pub fn deposit(&self) {
        // A plain load first: at the brim, which is nearly always, nothing is written.
        if self.0.load(Ordering::Relaxed) < MOST {
            self.0.fetch_add(DEPOSIT, Ordering::Relaxed);
        }
    }

    /// Whether one retry may be made.
    pub fn withdraw(&self) -> bool {
        let taken = |left: i64| (left >= COST).then_some(left - COST);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_run_out_and_requests_earn_them_again() {
        let budget = RetryBudget::default();
        let free = (0..).take_while(|_| budget.withdraw()).count();
        assert_eq!(free as i64, MOST / COST);
        for _ in 0..5 {
            assert!(!budget.withdraw());
            budget.deposit();
        }
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }
}

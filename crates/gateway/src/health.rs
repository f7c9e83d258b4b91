//! What recent failures say about a channel: who rests, until when.
//!
//! Two grades. *Resting*: the upstream itself said so (Retry-After, a dead key, an empty account); nothing is sent
//! until the time is over. *Suspect*: failures in a row; tried last, but tried, so that a single-channel set-up never
//! locks itself out. Faults of the caller change nothing here.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// Failures in a row that make a channel suspect.
const STREAK: u32 = 3;
/// First and longest time a channel is suspect; doubles with each further failure.
const SUSPECT_MS: (u64, u64) = (2_000, 60_000);
/// First and longest rest after a 429 that does not say how long; doubles with each further one.
const RATE_LIMIT_MS: (u64, u64) = (1_000, 60_000);
/// However long an upstream asks us to wait, look again after this.
pub const LONGEST_REST_MS: u64 = 600_000;
/// Rest of a key that its provider refused.
const CREDENTIALS_MS: u64 = 600_000;
/// Rest of an account without money or quota.
const ACCOUNT_MS: u64 = 300_000;
/// Rest of a model that the account does not have.
const MODEL_MS: u64 = 300_000;
/// Models remembered as missing, per channel.
const MODELS_KEPT: usize = 256;

/// What a failed attempt says about its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthEffect {
    /// Nothing: the caller's fault, or the caller's leaving.
    None,
    /// One more failure in a row.
    Failure,
    /// The key asked us to wait, or did not say how long.
    RateLimit { retry_after_ms: Option<u64> },
    /// The provider refused the channel's key.
    Credentials,
    /// The account behind the key has no money, quota or permission.
    Account,
    /// The account lacks the model.
    Model,
}

/// Health of one channel, kept across reloads by the channel's name.
#[derive(Debug, Default)]
pub struct Health {
    streak: AtomicU32,
    suspect_until_ms: AtomicU64,
    models: Mutex<HashMap<String, u64>>,
}

/// Health of one of a channel's secrets.
#[derive(Debug, Default)]
pub struct SecretHealth {
    streak: AtomicU32,
    resting_until_ms: AtomicU64,
}

impl SecretHealth {
    /// When the rest is over; 0: not resting.
    pub fn resting_until_ms(&self, now_ms: u64) -> u64 {
        let until_ms = self.resting_until_ms.load(Ordering::Relaxed);
        if until_ms > now_ms { until_ms } else { 0 }
    }

    /// The key was accepted.
    pub fn accepted(&self) {
        if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
        }
    }

    fn rest(&self, until_ms: u64) {
        self.resting_until_ms.fetch_max(until_ms, Ordering::Relaxed);
    }
}

impl Health {
    pub fn suspect(&self, now_ms: u64) -> bool {
        self.suspect_until_ms.load(Ordering::Relaxed) > now_ms
    }

    /// When `model` may be asked for again here; 0: now.
    pub fn model_resting_until_ms(&self, model: &str, now_ms: u64) -> u64 {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(model).copied().filter(|until_ms| *until_ms > now_ms).unwrap_or(0)
    }

    /// A whole answer was delivered: all is forgiven.
    pub fn succeeded(&self) {
        // A load first: on the healthy path nothing is written, so cores do not fight over the line.
        if self.streak.load(Ordering::Relaxed) != 0 {
            self.streak.store(0, Ordering::Relaxed);
            self.suspect_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// One more failure in a row: before an answer, or in the middle of one.
    pub fn broke(&self, now_ms: u64) {
        let streak = self.streak.fetch_add(1, Ordering::Relaxed) + 1;
        if streak >= STREAK {
            let pause_ms = doubled(SUSPECT_MS, streak - STREAK);
            self.suspect_until_ms.fetch_max(now_ms + pause_ms, Ordering::Relaxed);
        }
    }

    pub fn failed(&self, secret: &SecretHealth, model: &str, effect: HealthEffect, now_ms: u64) {
        match effect {
            HealthEffect::None => {}
            HealthEffect::Failure => self.broke(now_ms),
            HealthEffect::RateLimit { retry_after_ms } => {
                // Those that were under way together are one refusal, not many: they do not lengthen the pause.
                let together = secret.resting_until_ms(now_ms) != 0;
                let streak = match together {
                    true => secret.streak.load(Ordering::Relaxed).saturating_sub(1),
                    false => secret.streak.fetch_add(1, Ordering::Relaxed),
                };
                let pause_ms = retry_after_ms.unwrap_or_else(|| doubled(RATE_LIMIT_MS, streak));
                secret.rest(now_ms + pause_ms.min(LONGEST_REST_MS));
            }
            HealthEffect::Credentials => secret.rest(now_ms + CREDENTIALS_MS),
            HealthEffect::Account => secret.rest(now_ms + ACCOUNT_MS),
            HealthEffect::Model => {
                let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
                if models.len() >= MODELS_KEPT {
                    models.retain(|_, until_ms| *until_ms > now_ms);
                }
                if models.len() < MODELS_KEPT {
                    models.insert(model.to_owned(), now_ms + MODEL_MS);
                }
            }
        }
    }
}

fn doubled((first_ms, longest_ms): (u64, u64), times: u32) -> u64 {
    first_ms.saturating_mul(1 << times.min(16)).min(longest_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_after_rests_the_secret_and_only_it() {
        let (health, asked, other) = (Health::default(), SecretHealth::default(), SecretHealth::default());
        health.failed(&asked, "m", HealthEffect::RateLimit { retry_after_ms: Some(3_000) }, 1_000);
        assert_eq!(asked.resting_until_ms(1_000), 4_000);
        assert_eq!(asked.resting_until_ms(4_000), 0);
        assert_eq!(other.resting_until_ms(1_000), 0);
    }

    #[test]
    fn an_absurd_retry_after_is_capped() {
        let (health, secret) = (Health::default(), SecretHealth::default());
        health.failed(&secret, "m", HealthEffect::RateLimit { retry_after_ms: Some(u64::MAX) }, 5);
        assert_eq!(secret.resting_until_ms(5), 5 + LONGEST_REST_MS);
    }

    #[test]
    fn three_failures_in_a_row_make_a_channel_suspect_and_one_success_forgives() {
        let (health, secret) = (Health::default(), SecretHealth::default());
        for _ in 0..2 {
            health.failed(&secret, "m", HealthEffect::Failure, 10);
        }
        assert!(!health.suspect(10));
        health.failed(&secret, "m", HealthEffect::Failure, 10);
        assert!(health.suspect(10));
        health.succeeded();
        assert!(!health.suspect(10));
    }

    #[test]
    fn a_missing_model_rests_for_that_model_only() {
        let (health, secret) = (Health::default(), SecretHealth::default());
        health.failed(&secret, "m", HealthEffect::Model, 10);
        assert!(health.model_resting_until_ms("m", 10) > 0);
        assert_eq!(health.model_resting_until_ms("n", 10), 0);
        assert_eq!(secret.resting_until_ms(10), 0);
    }
}

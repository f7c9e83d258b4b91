//! Passwords: hashed by argon2id, away from the threads that serve requests.
//!
//! In: what somebody typed. Out: a hash to keep, or whether it is the one. An unknown user costs what a known one costs. It
//! must never log, print or return a password.

use std::sync::{Arc, OnceLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Duration, timeout},
};

use crate::{random, secret::Secret};

/// Hashes at once: each takes 19 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;
/// Who waits longer for his turn is told to come again: a flood of sign-ins makes no endless queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// As OWASP recommends for argon2id: KiB of memory, passes, lanes.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Characters that a password must have. NIST SP 800-63B asks for 8, and for 15 where it is the only factor.
pub const SHORTEST: usize = 10;
/// Bytes that a password may have.
pub const LONGEST: usize = 512;

/// All places are taken by other sign-ins.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

#[derive(Debug)]
pub struct Passwords {
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The hash of a new password.
    pub async fn hash(&self, password: Secret) -> Result<String, Busy> {
        self.apart(move || hash(&password)).await
    }

    /// Whether it is the password behind `hash`; without a hash it never is, and takes as long.
    pub async fn is_right(&self, password: Secret, hash: Option<String>) -> Result<bool, Busy> {
        self.apart(move || {
            let right = verify(&password, hash.as_deref().unwrap_or(nobody()));
            right && hash.is_some()
        })
        .await
    }

    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(Busy) };
        let done = spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_| Busy)
    }
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the cost is within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &Secret) -> String {
    let hash: PasswordHash = argon2()
        .hash_password_with_salt(password.reveal().as_bytes(), &random::bytes::<16>())
        .expect("a salt of 16 bytes and a password are all that argon2 needs");
    hash.to_string()
}

fn verify(password: &Secret, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    argon2().verify_password(password.reveal().as_bytes(), &hash).is_ok()
}

/// The hash of a password that nobody has.
fn nobody() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash(&Secret::new(random::token(""))))
}

/// What is wrong with a new password; nothing is asked of it but length, and that it is not the user's name.
pub fn objection(password: &str, name: &str) -> Option<String> {
    if password.chars().count() < SHORTEST {
        return Some(format!("must have at least {SHORTEST} characters"));
    }
    if password.len() > LONGEST {
        return Some(format!("must not have more than {LONGEST} bytes"));
    }
    let mut characters = password.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return Some("must not be one character again and again".to_owned());
    }
    if password.to_lowercase() == name.to_lowercase() {
        return Some("must not be the name".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_only() {
        let passwords = Passwords::default();
        let secret = |text: &str| Secret::new(text);
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(secret("correct horse")).await.unwrap(), "salted");
        let right = async |text: &str, hash: Option<&String>| {
            passwords.is_right(secret(text), hash.cloned()).await.unwrap()
        };
        assert!(right("correct horse", Some(&hash)).await);
        assert!(!right("Correct horse", Some(&hash)).await);
        assert!(!right("correct horse", None).await);
        assert!(!right("correct horse", Some(&"no hash".to_owned())).await);
    }

    #[test]
    fn s3_weak_passwords_are_refused() {
        for (password, name) in [
            ("123456", "ann"),
            ("aaaaaaaaaaaa", "ann"),
            ("Longername1", "longername1"),
            (&"x1".repeat(300), "a"),
        ] {
            assert!(objection(password, name).is_some(), "{password}");
        }
        assert_eq!(objection("correct horse", "ann"), None);
    }
}

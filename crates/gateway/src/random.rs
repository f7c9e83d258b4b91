//! Secrets that the gateway makes: from the operating system's randomness, and from nothing else.
//!
//! Out: bytes, and tokens that fit into headers and URLs. [`crate::rng`] is for what need not be secret.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes of a token: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// A token that begins with `prefix`, so that it is known for what it is where it should not be.
pub fn token(prefix: &str) -> String {
    format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes::<TOKEN_BYTES>()))
}

/// Random letters of an alphabet, each as likely as any other.
pub fn letters(count: usize, alphabet: &[u8]) -> String {
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(count);
    while text.len() < count {
        for byte in bytes::<64>() {
            if text.len() < count && usize::from(byte) < fair {
                text.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
            }
        }
    }
    text
}

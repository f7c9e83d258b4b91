//! A new secret of a key, and of a redemption code.
//!
//! Out: text from the operating system's randomness, and what is kept of it: its hash, its beginning and its end.

use store::keys::managed::Made;

use crate::{
    catalog::{bare, digest},
    random,
};

/// Letters and digits: a secret has no character that some client would cut it at.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 285 bits; as long as the keys that it replaces.
const LENGTH: usize = 48;
/// Characters that are shown of its beginning, `sk-` included.
const PREFIX: usize = 7;

pub(super) struct NewSecret {
    pub(super) secret: String,
    pub(super) made: Made,
}

impl NewSecret {
    pub(super) fn make() -> NewSecret {
        let secret = format!("sk-{}", random::letters(LENGTH, LETTERS));
        let made = Made {
            hash: digest(bare(&secret)),
            prefix: secret[..PREFIX].to_owned(),
            last4: secret[secret.len() - 4..].to_owned(),
        };
        NewSecret { secret, made }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike_and_little_is_kept() {
        let (one, two) = (NewSecret::make(), NewSecret::make());
        assert_ne!(one.secret, two.secret);
        assert_eq!(one.secret.len(), 51);
        assert!(one.secret[3..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(one.made.hash, digest(&one.secret[3..]), "as the catalog looks for it");
        assert_eq!((one.made.prefix.len(), one.made.last4.len()), (7, 4));
    }
}

//! Secrets at rest: encrypted, and bound to the place they belong to.
//!
//! In: a secret and the name of its place. Out: bytes that only the holder of the key can read, and only as that place's.
//! The key comes from the environment or from a file that is the owner's alone; it is never written into the database.
//!
//! A sealed secret is: form (1 byte), which key (4), nonce (12), AES-256-GCM of the secret with the place as additional data.

use std::{
    fmt,
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    hkdf::{HKDF_SHA256, Salt},
    hmac::{self, HMAC_SHA256},
    rand::{SecureRandom, SystemRandom},
};

/// The environment variable with the operator's own key.
pub const KEY_VARIABLE: &str = "SLUICE_SECRET_KEY";
/// The only form there is so far.
const FORM: u8 = 1;
const NAME_LEN: usize = 4;
const HEAD: usize = 1 + NAME_LEN + NONCE_LEN;
/// Bytes of a mask: two of the few things that one gateway masks are never alike.
const MASK_LEN: usize = 8;
/// Characters of the key that an operator gives: fewer can be guessed.
pub const SHORTEST_KEY: usize = 32;

/// Seals and opens with one key.
pub struct Sealer {
    key: LessSafeKey,
    /// For names that tell nothing: see [`Sealer::mask`].
    masks: hmac::Key,
    /// Tells keys apart: the beginning of a digest of the key.
    name: [u8; NAME_LEN],
    random: SystemRandom,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// Why there is no key, or why something stays sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The key that the operator gives is shorter than [`SHORTEST_KEY`].
    ShortKey,
    /// The file of the key.
    KeyFile { path: String, detail: String },
    /// It was sealed with another key.
    OtherKey,
    /// It was changed, cut, or belongs to another place.
    Damaged,
    /// The system gives no random bytes.
    NoRandom,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealError::ShortKey => {
                write!(f, "{KEY_VARIABLE} is too short: give at least {SHORTEST_KEY} random characters")
            }
            SealError::KeyFile { path, detail } => write!(f, "the key file {path} cannot be used: {detail}"),
            SealError::OtherKey => f.write_str(
                "a secret was sealed with another key: start with the SLUICE_SECRET_KEY or the key file it was sealed with",
            ),
            SealError::Damaged => f.write_str("a sealed secret is damaged, or was moved to another place"),
            SealError::NoRandom => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for SealError {}

impl Sealer {
    /// From what the operator gives: at least [`SHORTEST_KEY`] characters.
    pub fn from_text(text: &str) -> Result<Sealer, SealError> {
        let text = text.trim();
        if text.chars().count() < SHORTEST_KEY {
            return Err(SealError::ShortKey);
        }
        Sealer::of(text.as_bytes())
    }

    /// From a file that only its owner can read; made with a random key where there is none.
    pub fn from_file(path: &Path) -> Result<Sealer, SealError> {
        let failed = |detail: &dyn fmt::Display| SealError::KeyFile {
            path: path.display().to_string(),
            detail: detail.to_string(),
        };
        let made = File::options().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(mut file) => {
                let text: String = random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
                file.write_all(text.as_bytes())
                    .and_then(|()| file.sync_all())
                    .map_err(|error| failed(&error))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&error)),
        }
        let mode = fs::metadata(path).map_err(|error| failed(&error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(failed(&"others than its owner can read it: chmod 600"));
        }
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        Sealer::from_text(&text).map_err(|_| failed(&"it holds no key"))
    }

    /// A key that nobody else will ever have: for books that are gone with the process.
    pub fn ephemeral() -> Result<Sealer, SealError> {
        Sealer::of(&random::<32>()?)
    }

    fn of(material: &[u8]) -> Result<Sealer, SealError> {
        let derived = Salt::new(HKDF_SHA256, b"sluice").extract(material);
        let masks = derived.expand(&[b"names told outside"], HMAC_SHA256).map_err(|_| SealError::Damaged)?;
        let masks = hmac::Key::from(masks);
        let derived = derived.expand(&[b"secrets at rest"], &AES_256_GCM).map_err(|_| SealError::Damaged)?;
        let mut name = [0; NAME_LEN];
        let named = digest(&SHA256, &[b"sluice key name ", material].concat());
        name.copy_from_slice(&named.as_ref()[..NAME_LEN]);
        let key = LessSafeKey::new(UnboundKey::from(derived));
        Ok(Sealer { key, masks, name, random: SystemRandom::new() })
    }

    /// `place` is part of it: a sealed secret that is moved to another place cannot be opened there.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let mut text = plain.to_vec();
        let aad = Aad::from(place.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .map_err(|_| SealError::Damaged)?;
        Ok([&[FORM], &self.name[..], &nonce, &text].concat())
    }

    /// A name for what must not be known, the same wherever the key is: without the key nobody can check a guess.
    pub fn mask(&self, hidden: &str) -> String {
        let tag = hmac::sign(&self.masks, hidden.as_bytes());
        tag.as_ref()[..MASK_LEN].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (head, text) = sealed.split_at_checked(HEAD).ok_or(SealError::Damaged)?;
        if head[0] != FORM {
            return Err(SealError::Damaged);
        }
        if head[1..=NAME_LEN] != self.name {
            return Err(SealError::OtherKey);
        }
        let nonce =
            Nonce::try_assume_unique_for_key(&head[1 + NAME_LEN..]).map_err(|_| SealError::Damaged)?;
        let mut text = text.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut text)
            .map_err(|_| SealError::Damaged)?;
        Ok(plain.to_vec())
    }
}

/// Random bytes of the system: for keys and tokens.
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_key_opens_it_and_only_in_its_place() {
        let sealer = Sealer::from_text(KEY).unwrap();
        let sealed = sealer.seal("channel 1", b"sk-secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, sealer.seal("channel 1", b"sk-secret").unwrap(), "no two are alike");
        assert_eq!(sealer.open("channel 1", &sealed).unwrap(), b"sk-secret");
        assert_eq!(sealer.open("channel 2", &sealed), Err(SealError::Damaged));
        let other = Sealer::from_text(&KEY.replace('0', "1")).unwrap();
        assert_eq!(other.open("channel 1", &sealed), Err(SealError::OtherKey));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open("channel 1", &changed).is_err(), "byte {at}");
            assert!(sealer.open("channel 1", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_mask_is_the_same_under_one_key_and_another_under_another() {
        let (one, again) = (Sealer::from_text(KEY).unwrap(), Sealer::from_text(KEY).unwrap());
        let other = Sealer::from_text(&KEY.replace('0', "1")).unwrap();
        assert_eq!(one.mask("10.0.0.7:8000"), again.mask("10.0.0.7:8000"));
        assert_ne!(one.mask("10.0.0.7:8000"), one.mask("10.0.0.8:8000"));
        assert_ne!(one.mask("10.0.0.7:8000"), other.mask("10.0.0.7:8000"));
        assert_eq!(one.mask("").len(), 2 * MASK_LEN);
    }

    #[test]
    fn the_key_file_is_made_once_and_is_its_owners_alone() {
        let directory = std::env::temp_dir().join(format!("sluice-seal-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("books.key");
        let sealed = Sealer::from_file(&path).unwrap().seal("here", b"x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Sealer::from_file(&path).unwrap().open("here", &sealed).unwrap(), b"x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Sealer::from_file(&path), Err(SealError::KeyFile { .. })));
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(Sealer::from_text("short").unwrap_err(), SealError::ShortKey);
    }
}

//! The second factor: six digits that an authenticator app and the gateway both work out (RFC 6238, SHA-1, 30 s).
//!
//! In: a secret, a code, the time. Out: the time step that the code belongs to. That no step counts twice is the store's matter.

use ring::hmac;

/// Of a secret, as RFC 4226 recommends.
pub const SECRET_BYTES: usize = 20;
const STEP_S: i64 = 30;
const DIGITS: usize = 6;
/// Steps before and after the present one that are taken: clocks differ.
const SLACK: i64 = 1;

/// The step of `now` that the code is right for; `None`: it is wrong.
pub fn step_of(secret: &[u8], code: &str, now_ms: i64) -> Option<i64> {
    if code.len() != DIGITS || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let present = now_ms / 1000 / STEP_S;
    let mut found = None;
    // Every step is looked at, so that the time it takes says nothing.
    for step in present - SLACK..=present + SLACK {
        let same =
            code_at(secret, step).bytes().zip(code.bytes()).fold(0, |unlike, (a, b)| unlike | (a ^ b)) == 0;
        if same && found.is_none() {
            found = Some(step);
        }
    }
    found
}

/// The code of a step.
pub fn code_at(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 0x0F);
    let number = u32::from_be_bytes([tag[at] & 0x7F, tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

/// What an authenticator app reads, most often as a QR code.
pub fn url(secret: &[u8], user: &str, issuer: &str) -> String {
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let (user, issuer) = (encode(user), encode(issuer));
    format!("otpauth://totp/{issuer}:{user}?secret={}&issuer={issuer}", base32(secret))
}

/// RFC 4648 without padding, as apps want it typed.
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let symbols = (bytes.len() * 8).div_ceil(5);
    (0..symbols)
        .map(|symbol| (0..5).fold(0, |value, at| value << 1 | usize::from(bit(symbol * 5 + at))))
        .map(|value| char::from(ALPHABET[value]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(code_at(SECRET, seconds / STEP_S), code);
            assert_eq!(step_of(SECRET, code, seconds * 1000), Some(seconds / STEP_S));
            assert_eq!(
                step_of(SECRET, code, (seconds + STEP_S) * 1000),
                Some(seconds / STEP_S),
                "a slow clock"
            );
            assert_eq!(step_of(SECRET, code, (seconds + 2 * STEP_S) * 1000), None, "too late");
        }
        for wrong in ["", "28708", "2870822", "28708x", "287083", "２８７０８２"] {
            assert_eq!(step_of(SECRET, wrong, 59_000), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_written_as_apps_read_them() {
        assert_eq!(base32(SECRET), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(base32(b"foob"), "MZXW6YQ");
        assert_eq!(
            url(b"foo", "ann b", "Sluice"),
            "otpauth://totp/Sluice:ann%20b?secret=MZXW6&issuer=Sluice"
        );
    }
}

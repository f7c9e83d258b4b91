//! Whole replies: what was decoded can be told in every dialect, and be read there.

use dialect::{
    Dialect,
    translate::{Telling, decode_reply, encode_reply},
};

use crate::{ACCOUNTINGS, Choices, DIALECTS};

pub fn check(from: Dialect, bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let accounting = choices.of(&ACCOUNTINGS);
    let Ok(reply) = decode_reply(from, choices.0, accounting) else { return };
    let telling = Telling { custom_tools: vec!["patch".to_owned()], ..Telling::default() };
    for to in DIALECTS {
        let encoded = encode_reply(to, &reply, &telling);
        let read = decode_reply(to, &encoded.body, accounting);
        // What its own language has beside the canonical form goes back as it came, a key that stands twice, too.
        if let (Err(error), true) = (read, to != from) {
            panic!("{from:?} to {to:?}: {error:?} in {}", String::from_utf8_lossy(&encoded.body));
        }
    }
}

//! Requests: what was decoded can be encoded in every dialect, or is refused; and what was encoded can be read there.

use dialect::{
    Dialect,
    chat::Effort,
    translate::{FromPath, Replay, Target, ThinkingForm, check_answer, decode_request, encode_request},
};

use crate::{Choices, DIALECTS};

pub fn check(from: Dialect, bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let options = choices.take();
    let target = Target {
        model: "m",
        thinking: [ThinkingForm::Budget, ThinkingForm::Effort, ThinkingForm::Never][options % 3],
        replay: [Replay::Nothing, Replay::Text, Replay::Details][options / 3 % 3],
        plain_chat: options & 32 != 0,
        mid_system: options & 64 != 0,
        drops_server_tools: options & 128 != 0,
        // A closed schema, such as Mistral's.
        refuses: if options & 16 != 0 { &["top_k", "user", "messages.name", "messages.refusal"] } else { &[] },
        random_seed: options & 16 != 0,
        nine_letter_ids: options & 16 != 0,
        efforts: if options & 16 != 0 { &[Effort::High] } else { &Effort::ALL },
        ..Target::default()
    };
    let path = FromPath { model: "m", stream: true };
    let Ok(request) = decode_request(from, choices.0, path) else { return };
    for to in DIALECTS {
        let _ = check_answer(&request, from, to);
        let Ok(encoded) = encode_request(to, &request, &target) else { continue };
        let read = decode_request(to, &encoded.body, path);
        // What its own language has beside the canonical form goes back as it came, a key that stands twice, too.
        if let (Err(error), true) = (read, to != from) {
            panic!("{from:?} to {to:?}: {error:?} in {}", String::from_utf8_lossy(&encoded.body));
        }
    }
}

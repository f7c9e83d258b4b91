//! A body for a provider that refuses what its schema does not name.
//!
//! In: a body that is written, and what is known of the provider. Out: the same as that provider takes it. What is taken out
//! must be listed, and an id must become the same other id wherever it stands.

use super::encode::OWN;
use crate::{
    loss::Losses,
    translate::Target,
    tree::{Json, Object},
};

const REFUSED: &str = "this provider refuses it";

/// `fields-refused`, `random-seed`, `nine-letter-ids`.
pub(super) fn fit(body: &mut Object, target: &Target<'_>, losses: &mut Losses) {
    for field in target.refuses {
        let taken = match field.strip_prefix("messages.") {
            Some(field) => {
                messages(body).filter_map(|message| take(message, field).then_some(())).count() > 0
            }
            None => body.take(field).is_some(),
        };
        if taken {
            losses.add(*field, OWN, REFUSED);
        }
    }
    if target.random_seed
        && let Some(seed) = body.take("seed")
    {
        body.put("random_seed", seed);
    }
    if target.nine_letter_ids {
        messages(body).for_each(shorten_ids);
    }
}

fn messages(body: &mut Object) -> impl Iterator<Item = &mut Object> {
    let list = body.0.iter_mut().find(|(key, _)| key == "messages").map(|(_, value)| value);
    let messages = list.and_then(|list| if let Json::Array(messages) = list { Some(messages) } else { None });
    messages.into_iter().flatten().filter_map(|message| match message {
        Json::Object(message) => Some(message),
        _ => None,
    })
}

fn take(message: &mut Object, field: &str) -> bool {
    // A tool's result has the tool's name: that one everybody knows.
    if field == "name" && message.text("role") == Some("tool") {
        return false;
    }
    let Some(value) = message.take(field) else { return false };
    // A turn must say something.
    if field == "refusal" && message.get("content").is_some_and(Json::is_blank) {
        message.take("content");
        message.put("content", value);
    }
    true
}

fn shorten_ids(message: &mut Object) {
    let shorten = |object: &mut Object, key: &'static str| {
        let id = object.0.iter_mut().find(|(own, _)| own == key).map(|(_, value)| value);
        if let Some(Json::String(id)) = id {
            *id = shorten(id);
        }
    };
    shorten(message, "tool_call_id");
    let calls = message.0.iter_mut().find(|(key, _)| key == "tool_calls").map(|(_, value)| value);
    let Some(Json::Array(calls)) = calls else { return };
    for call in calls {
        if let Json::Object(call) = call {
            shorten(call, "id");
        }
    }
}

/// Nine letters and digits, the same for the same id: those that are so already, else a hash (62⁹ is enough that two of
/// one conversation do not meet).
fn shorten(id: &str) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    // FNV-1a: it must be the same in every build and process.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let letter = |_| {
        let letter = LETTERS[(hash % 62) as usize];
        hash /= 62;
        char::from(letter)
    };
    (0..9).map(letter).collect()
}

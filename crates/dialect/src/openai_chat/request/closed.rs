//! A body for a provider that refuses what its schema does not name.
//!
//! In: a body that is written, and what is known of the provider. Out: the same as that provider takes it. What is taken out
//! must be listed.

use super::encode::OWN;
use crate::{
    loss::Losses,
    translate::Target,
    tree::{Json, Object},
};

const REFUSED: &str = "this provider refuses it";

/// `fields-refused`, `random-seed`; the ids were fitted before (`nine-letter-ids`).
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

//! OpenAI's responses as they stream.
//!
//! In: the data of one frame. Out: what it is and what it says of the whole. The type is the JSON's own; the `event:`
//! line stands in only where the JSON has none.

mod item;
mod namespace;
pub(crate) mod reference;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

use crate::{
    Accounting,
    error::read_stream_error,
    facts::{Facts, Frame},
    json::{is_blank, is_string, members, raw_string, text},
    sieve::{Keep, Members},
    text::Of,
    usage::openai,
};

/// What is kept of an event that is too long to be held: the last ones repeat the whole response.
pub(crate) const STREAM_MEMBERS: Members = &[
    ("type", Keep::Whole),
    ("sequence_number", Keep::Whole),
    ("item", Keep::Only(&[("type", Keep::Whole)])),
    ("response", Keep::Only(&[("id", Keep::Whole), ("usage", Keep::Whole), ("error", Keep::Whole)])),
    ("error", Keep::Whole),
    ("code", Keep::Whole),
    ("message", Keep::Whole),
    ("param", Keep::Whole),
];

pub(crate) fn read(event: Option<&[u8]>, data: &str, facts: &mut Facts) -> Frame {
    let names = ["type", "sequence_number", "response", "item", "error", "delta"];
    let Some([kind, sequence, response, item, error, delta]) = members(data, names) else {
        return Frame::Event;
    };
    if let Some([id, usage]) = response.and_then(|response| members(response, ["id", "usage"])) {
        if let Some(id) = text(id).filter(|id| !id.is_empty() && facts.stored_id.as_deref() != Some(id)) {
            facts.stored_id = Some(id.into_owned());
        }
        facts.learn_usage(usage.and_then(|usage| openai::read(usage, Accounting::Standard)));
    }
    let kind = raw_string(kind).or(event.and_then(|event| std::str::from_utf8(event).ok()));
    match kind {
        Some("error" | "response.failed") => return read_stream_error(data),
        _ if !is_blank(error) => return read_stream_error(data),
        Some("response.completed" | "response.incomplete" | "response.cancelled") => facts.close(),
        Some("ping" | "keepalive") => return Frame::Ping,
        // No event of this language (`chat-in-responses`): nothing has begun.
        None | Some("") => {}
        Some("response.created" | "response.in_progress" | "response.queued") => {}
        Some("response.content_part.added") => {}
        Some("response.output_item.added") => {
            let [kind] = item.and_then(|item| members(item, ["type"])).unwrap_or_default();
            facts.meaningful |= !is_string(kind, "message") && !is_string(kind, "reasoning");
        }
        Some(kind) => {
            facts.meaningful = true;
            if let (Some(text), false) = (raw_string(delta), kind.contains("audio.")) {
                let of = if kind.contains("reasoning") { Of::Reasoning } else { Of::Output };
                facts.delivered.add(of, text.as_bytes());
            }
        }
    }
    // An error's number is free again: its frame is not forwarded.
    if let Some(number) = sequence.and_then(|sequence| sequence.parse::<u64>().ok()) {
        facts.next_sequence = number.saturating_add(1);
    }
    Frame::Event
}

//! Anthropic's messages as they stream.
//!
//! In: the data of one frame. Out: what it is and what it says of the whole. Usage must be overwritten, never added up.

pub(crate) mod block;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

use crate::{
    error::read_stream_error,
    facts::{Facts, Frame},
    json::{any_member, is_blank, is_string, members, raw_string},
    sieve::{Keep, Members},
    text::{Of, Texts},
    usage::anthropic::Counts,
};

/// What is kept of an event that is too long to be held (results of server tools come whole in one).
pub(crate) const STREAM_MEMBERS: Members = &[
    ("type", Keep::Whole),
    ("message", Keep::Only(&[("id", Keep::Whole), ("usage", Keep::Whole)])),
    ("content_block", Keep::Only(&[("type", Keep::Whole), ("text", Keep::Mark), ("thinking", Keep::Mark)])),
    ("delta", Keep::Marks),
    ("usage", Keep::Whole),
    ("error", Keep::Whole),
];

/// What a delta adds to.
const TEXTS: Texts = &[("text", Of::Output), ("partial_json", Of::Output), ("thinking", Of::Reasoning)];

/// How nearly every delta begins.
const DELTAS: [(&str, Of); 3] = [
    ("{\"type\":\"text_delta\",\"text\":\"", Of::Output),
    ("{\"type\":\"input_json_delta\",\"partial_json\":\"", Of::Output),
    ("{\"type\":\"thinking_delta\",\"thinking\":\"", Of::Reasoning),
];

#[derive(Debug, Default)]
pub(crate) struct Reader {
    counts: Counts,
}

impl Reader {
    pub(crate) fn read(&mut self, event: Option<&[u8]>, data: &str, facts: &mut Facts) -> Frame {
        let names = ["type", "message", "content_block", "delta", "usage", "error"];
        let Some([kind, message, block, delta, usage, error]) = members(data, names) else {
            return Frame::Event;
        };
        let message_usage = message.and_then(|message| members(message, ["usage"])).and_then(|[usage]| usage);
        // What a message starts with is its input; the output is said at its end.
        for (usage, provisional) in [(message_usage, true), (usage, false)] {
            let Some(usage) = usage else { continue };
            self.counts.overwrite(usage);
            facts.learn_usage(self.counts.sum_up());
            facts.provisional = provisional;
        }
        match raw_string(kind).or(event.and_then(|event| std::str::from_utf8(event).ok())) {
            Some("error") => return read_stream_error(data),
            _ if !is_blank(error) => return read_stream_error(data),
            Some("ping") => return Frame::Ping,
            Some("message_stop") => facts.close(),
            Some("message_delta") => {
                let [reason] = delta.and_then(|delta| members(delta, ["stop_reason"])).unwrap_or_default();
                // Not yet the end: this dialect always says `message_stop`, so without it something was cut off.
                facts.meaningful |= !is_blank(reason);
            }
            Some("content_block_start") => facts.meaningful |= begins_with_content(block),
            Some("content_block_delta") => {
                let content = |name: &str, value: &str| name != "type" && !is_blank(Some(value));
                facts.meaningful = facts.meaningful || delta.is_some_and(|delta| any_member(delta, content));
                facts.delivered.count_delta(&DELTAS, TEXTS, delta.unwrap_or_default());
            }
            None | Some("message_start" | "content_block_stop" | "") => {}
            Some(_) => facts.meaningful = true,
        }
        Frame::Event
    }
}

/// A text or thinking block starts empty and is filled later; the others say something by being there.
fn begins_with_content(block: Option<&str>) -> bool {
    let Some([kind, text, thinking]) = block.and_then(|block| members(block, ["type", "text", "thinking"]))
    else {
        return false;
    };
    let announces = is_string(kind, "text") || is_string(kind, "thinking");
    !announces || !is_blank(text) || !is_blank(thinking)
}

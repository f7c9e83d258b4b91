//! Gemini's generateContent as it streams: every frame is a slice of the one response.
//!
//! In: the data of one frame. Out: what it is and what it says of the whole. It must not wait for an end marker: there
//! is none, the stream is whole when every candidate has its `finishReason`.

mod grounding;
mod part;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

use crate::{
    error::read_stream_error,
    facts::{Choices, Facts, Frame},
    json::{any_member, count, each_element, is_blank, is_string, members, raw_string},
    sieve::{Keep, Members},
    text::Of,
    usage::gemini,
};

/// What is kept of a slice that is too long to be held (pictures come whole in one).
pub(crate) const STREAM_MEMBERS: Members = &[
    (
        "candidates",
        Keep::Only(&[
            ("index", Keep::Whole),
            ("finishReason", Keep::Whole),
            ("content", Keep::Only(&[("parts", Keep::Marks)])),
        ]),
    ),
    ("promptFeedback", Keep::Only(&[("blockReason", Keep::Whole)])),
    ("usageMetadata", Keep::Whole),
    ("error", Keep::Whole),
];

#[derive(Debug, Default)]
pub(crate) struct Reader {
    candidates: Choices,
}

impl Reader {
    pub(crate) fn read(&mut self, event: Option<&[u8]>, data: &str, facts: &mut Facts) -> Frame {
        let names = ["candidates", "usageMetadata", "promptFeedback", "error"];
        let Some([candidates, usage, feedback, error]) = members(data, names) else { return Frame::Event };
        facts.learn_usage(usage.and_then(gemini::read));
        if !is_blank(error) || event == Some(b"error") {
            return read_stream_error(data);
        }
        let mut content = false;
        if !is_blank(candidates) {
            each_element(candidates.unwrap_or_default(), |candidate| {
                content |= self.read_candidate(candidate, facts);
            });
        }
        facts.meaningful |= content;
        let blocked = feedback.and_then(|feedback| members(feedback, ["blockReason"]));
        if blocked.is_some_and(|[reason]| !is_blank(reason)) {
            facts.judge_end(true);
        } else if !is_blank(candidates) {
            facts.judge_end(self.candidates.all_finished());
        }
        facts.summed_up = facts.ended && !is_blank(usage);
        Frame::Event
    }

    /// Notes the candidate and what it says, and tells whether it has content (no need to look when there was some before).
    fn read_candidate(&mut self, candidate: &str, facts: &mut Facts) -> bool {
        let Some([index, finish, content]) = members(candidate, ["index", "finishReason", "content"]) else {
            return false;
        };
        // The index is left out when it is nought. Old SDK transcripts have numbers for reasons, nought for none.
        let unspecified = is_string(finish, "FINISH_REASON_UNSPECIFIED") || finish == Some("0");
        self.candidates.note(count(index).unwrap_or(0), !is_blank(finish) && !unspecified);
        let Some([Some(parts)]) = content.and_then(|content| members(content, ["parts"])) else {
            return false;
        };
        let mut any = facts.meaningful;
        each_element(parts, |part| {
            write_down(part, facts);
            any = any || any_member(part, |name, value| name != "thought" && !is_blank(Some(value)));
        });
        any
    }
}

/// Counts what a part adds: text, or a call of a function.
fn write_down(part: &str, facts: &mut Facts) {
    let Some([text, thought, call]) = members(part, ["text", "thought", "functionCall"]) else { return };
    let of = if thought == Some("true") { Of::Reasoning } else { Of::Output };
    for said in [raw_string(text), call].into_iter().flatten() {
        facts.delivered.add(of, said.as_bytes());
    }
}

//! OpenAI's chat completions (and legacy completions) as they stream, in the variants of some twenty providers.
//!
//! In: the data of one frame. Out: what it is and what it says of the whole. It must not judge a chunk by its order of
//! keys except to skip work ([`Reader::plain_delta`]), and must give the same facts then.

pub(crate) mod message;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

#[cfg(test)]
mod short_cut_test;

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::{
    Accounting,
    error::read_stream_error,
    facts::{Choices, Facts, Frame},
    json::{any_member, count, each_element, is_blank, members, raw_string},
    sieve::{Keep, Members},
    text::{Of, Texts},
    usage::openai,
};

/// What is kept of a chunk that is too long to be held.
pub(crate) const STREAM_MEMBERS: Members = &[
    ("id", Keep::Whole),
    ("usage", Keep::Whole),
    ("x_groq", Keep::Only(&[("usage", Keep::Whole)])),
    ("error", Keep::Whole),
    (
        "choices",
        Keep::Only(&[
            ("index", Keep::Whole),
            ("finish_reason", Keep::Whole),
            ("text", Keep::Mark),
            ("delta", Keep::Marks),
            ("message", Keep::Marks),
        ]),
    ),
];

/// The members of a delta that carry an answer; `role`, `channel` and the like announce one.
const CONTENT: [&str; 12] = [
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "reasoning_content", // `reasoning-content`
    "reasoning",         // `reasoning-as-text`
    "reasoning_details", // `reasoning-details`
    "audio",
    "images",         // OpenRouter
    "annotations",    // OpenAI's and OpenRouter's web search
    "executed_tools", // Groq
    "thinking",       // Ollama
];

/// How nearly every delta begins.
const DELTAS: [(&str, Of); 2] =
    [("\"delta\":{\"content\":\"", Of::Output), ("\"delta\":{\"reasoning_content\":\"", Of::Reasoning)];

#[derive(Debug)]
pub(crate) struct Reader {
    accounting: Accounting,
    texts: Texts,
    choices: Choices,
}

impl Reader {
    pub(crate) fn new(accounting: Accounting, texts: Texts) -> Reader {
        Reader { accounting, texts, choices: Choices::default() }
    }

    pub(crate) fn read(&mut self, event: Option<&[u8]>, data: &str, facts: &mut Facts) -> Frame {
        if facts.meaningful
            && event.is_none()
            && let Some(delta) = self.plain_delta(data)
        {
            facts.delivered.count_delta(&DELTAS, self.texts, delta);
            return Frame::Event;
        }
        self.read_in_full(event, data, facts)
    }

    fn read_in_full(&mut self, event: Option<&[u8]>, data: &str, facts: &mut Facts) -> Frame {
        let Some([choices, usage, error, groq]) = members(data, ["choices", "usage", "error", "x_groq"])
        else {
            return Frame::Event;
        };
        // `x-groq-usage`.
        let groq_usage = groq.and_then(|groq| members(groq, ["usage"])).and_then(|[usage]| usage);
        for usage in [groq_usage, usage].into_iter().flatten() {
            facts.learn_usage(openai::read(usage, self.accounting));
        }
        // `error-event`.
        if !is_blank(error) || event == Some(b"error") {
            return read_stream_error(data);
        }
        // Only usage that stands alone can be taken out (`usage-beside-choice`); a frame with neither begins nothing
        // (`filter-results-first`).
        if is_blank(choices) {
            return if is_blank(usage) { Frame::Event } else { Frame::UsageOnly };
        }
        let mut content = false;
        let mut position = 0;
        each_element(choices.unwrap_or_default(), |choice| {
            content |= self.read_choice(choice, position, facts);
            position += 1;
        });
        facts.meaningful |= content;
        // `no-done`: an end without a last word.
        if !facts.closed {
            facts.judge_end(self.choices.all_finished());
        }
        Frame::Event
    }

    /// Notes the choice and tells whether it has content.
    fn read_choice(&mut self, choice: &str, position: u64, facts: &mut Facts) -> bool {
        let names = ["index", "finish_reason", "delta", "message", "text"];
        let Some([index, finish, delta, message, text]) = members(choice, names) else { return false };
        self.choices.note(count(index).unwrap_or(position), !is_blank(finish));
        // `message-beside-delta`: what was said so far, once more.
        let answer = if delta.is_some() { delta } else { message };
        match (answer, raw_string(text)) {
            (Some(answer), _) => facts.delivered.count(self.texts, answer),
            (None, Some(text)) => facts.delivered.add(Of::Output, text.as_bytes()),
            (None, None) => {}
        }
        !is_blank(text)
            || answer.is_some_and(|answer| {
                any_member(answer, |name, value| CONTENT.contains(&name) && !is_blank(Some(value)))
            })
    }

    /// `[DONE]`: an end, unless nothing at all was said before it.
    pub(crate) fn read_done(&self, facts: &mut Facts) {
        if facts.meaningful || facts.usage.is_some() {
            facts.close();
        }
    }

    /// The part of a chunk that adds to the one choice that was seen, if it says nothing else: no need to take it apart. The
    /// patterns hold quotes that would stand escaped inside a string, so content cannot imitate them.
    fn plain_delta<'d>(&self, text: &'d str) -> Option<&'d str> {
        if !self.choices.only_first() {
            return None;
        }
        let (find, data) = (&*PATTERNS, text.as_bytes());
        let finish = find.finish.find(data)?;
        let after_finish = &data[finish + find.finish.needle().len()..];
        if !after_finish.starts_with(b":null") || find.finish.find(after_finish).is_some() {
            return None;
        }
        if let Some(usage) = find.usage.find(data) {
            let after_usage = &data[usage + find.usage.needle().len()..];
            if !after_usage.starts_with(b":null") || find.usage.find(after_usage).is_some() {
                return None;
            }
        }
        let choice = find.first_choice.find(data)? + find.first_choice.needle().len();
        if find.error.find(data).is_some() || find.next_choice.find(data).is_some() {
            return None;
        }
        // The delta first, as nearly everybody writes it: what is counted of it ends with the reason.
        data[choice..].starts_with(b"\"delta\"").then(|| text.get(choice..finish))?
    }
}

struct Patterns {
    first_choice: Finder<'static>,
    finish: Finder<'static>,
    usage: Finder<'static>,
    error: Finder<'static>,
    next_choice: Finder<'static>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns {
    first_choice: Finder::new("\"choices\":[{\"index\":0,"),
    finish: Finder::new("\"finish_reason\""),
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
    next_choice: Finder::new("},{"),
});

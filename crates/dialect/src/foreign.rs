//! Leaving out of a conversation what another dialect's provider thought.
//!
//! In: a body in which the mark may stand, on its way to a provider of its own dialect. Out: what to cut, and what to write
//! where. Only what carries the mark may go, and what makes no sense without it: all else stays byte for byte.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Dialect, OwnThinking,
    envelope::locate,
    gemini_generate,
    json::{self, each_element, members},
    loss::Losses,
    mark,
};

/// Why a model is not told to think.
pub(crate) const BARE: &str = "the tool loop under way began without this provider's thinking";

/// What becomes of a body.
#[derive(Debug, Default)]
pub(crate) struct Own {
    pub(crate) changes: Vec<(Range<usize>, Bytes)>,
    pub(crate) cut: Vec<Range<usize>>,
    /// The model must not be told to think: the step under way began with another's thinking.
    pub(crate) unthinking: bool,
    /// What had to go with that thinking.
    pub(crate) losses: Losses,
}

pub(crate) fn changes(body: &[u8], own: OwnThinking) -> Own {
    let mut cutter = Cutter { body, own: Own::default() };
    // A body that is not what it should be is the provider's to refuse.
    let _ = match own.dialect {
        Dialect::OpenaiChat => cutter.chat(),
        Dialect::OpenaiResponses => cutter.responses(),
        Dialect::AnthropicMessages => cutter.anthropic(),
        Dialect::GeminiGenerate => cutter.gemini(own.signs_calls),
    };
    cutter.own
}

struct Cutter<'a> {
    body: &'a [u8],
    own: Own,
}

impl<'a> Cutter<'a> {
    fn member(&self, name: &'static str) -> Option<&'a str> {
        json::read_object(self.body, [name])?.values[0]
    }

    fn cut(&mut self, element: &str) {
        self.own.cut.push(locate(self.body, element));
    }

    fn cut_member(&mut self, value: &str) {
        self.own.cut.push(json::member_span(self.body, locate(self.body, value)));
    }

    /// Cuts elements of the array `inner`, or `outer` where none would be left.
    fn cut_elements(&mut self, inner: &'a str, outer: Range<usize>, goes: impl Fn(&'a str) -> bool) -> bool {
        let (mut gone, mut stays) = (Vec::new(), false);
        let read = each_element(inner, |element| match goes(element) {
            true => gone.push(element),
            false => stays = true,
        });
        if read.is_none() || gone.is_empty() {
            return false;
        }
        if stays {
            gone.into_iter().for_each(|element| self.cut(element));
        } else {
            self.own.cut.push(outer);
        }
        true
    }

    /// Details of thinking in messages and the tokens on calls, in members of their own.
    fn chat(&mut self) -> Option<()> {
        let marked = |detail: &str| bears_mark(detail, Dialect::OpenaiChat);
        each_element(self.member("messages")?, |message| {
            let names = ["reasoning_details", "extra_content", "tool_calls"];
            let Some([details, extra, calls]) = members(message, names) else { return };
            if let Some(details) = details {
                let member = json::member_span(self.body, locate(self.body, details));
                self.cut_elements(details, member, marked);
            }
            self.cut_google(extra);
            let _ = each_element(calls.unwrap_or_default(), |call| {
                let extra = members(call, ["extra_content"]).and_then(|[extra]| extra);
                self.cut_google(extra);
            });
        })
    }

    fn cut_google(&mut self, extra: Option<&str>) {
        let token = extra
            .and_then(|extra| members(extra, ["google"])?[0])
            .and_then(|google| members(google, ["thought_signature"])?[0]);
        if let (Some(extra), true) = (extra, mark::is_on(token, Dialect::OpenaiChat)) {
            self.cut_member(extra);
        }
    }

    fn responses(&mut self) -> Option<()> {
        let input = self.member("input")?;
        each_element(input, |item| {
            let token = members(item, ["encrypted_content"]).and_then(|[token]| token);
            if mark::is_on(token, Dialect::OpenaiResponses) {
                self.cut(item);
            }
        })
    }

    /// Blocks of thinking. A loop of tools that has lost its own cannot go on thinking: the provider demands the block.
    fn anthropic(&mut self) -> Option<()> {
        let marked = |block: &str| bears_mark(block, Dialect::AnthropicMessages);
        let (mut bare, mut since, mut goes_on) = (false, false, false);
        each_element(self.member("messages")?, |message| {
            let Some([role, Some(content)]) = members(message, ["role", "content"]) else { return };
            let cut = self.cut_elements(content, locate(self.body, message), marked);
            let _ = each_element(content, |block| {
                if !marked(block) {
                    self.cut_sources(block);
                }
            });
            if json::is_string(role, "assistant") {
                bare = cut && !begins_with_thinking(content, marked);
                (since, goes_on) = (false, false);
            } else {
                since = true;
                goes_on |= brings_result(content);
            }
        })?;
        // A word of the user's beside the results ends no loop.
        if bare && (goes_on || !since) {
            self.own.unthinking = true;
            self.stop_thinking();
        }
        Some(())
    }

    /// Pages that another's search found: their places in it are nothing that this provider could read.
    fn cut_sources(&mut self, block: &'a str) {
        let Some([Some(citations)]) = members(block, ["citations"]) else { return };
        let foreign = |citation: &str| {
            let token = members(citation, ["encrypted_index"]).and_then(|[token]| token);
            mark::is_on(token, Dialect::AnthropicMessages)
        };
        let member = json::member_span(self.body, locate(self.body, citations));
        self.cut_elements(citations, member, foreign);
    }

    /// Models that think by themselves need no block, and no word against it.
    fn stop_thinking(&mut self) -> Option<()> {
        let thinking = self.member("thinking")?;
        let [kind] = members(thinking, ["type"])?;
        if !json::is_string(kind, "enabled") {
            return None;
        }
        self.cut_member(thinking);
        self.own.losses.add("thinking", Dialect::AnthropicMessages, BARE);
        // It is refused where nothing thinks.
        let management = self.member("context_management")?;
        let [edits] = members(management, ["edits"])?;
        let clears = |edit: &str| {
            let kind = members(edit, ["type"]).and_then(|[kind]| json::raw_string(kind));
            kind.is_some_and(|kind| kind.starts_with("clear_thinking"))
        };
        let whole = json::member_span(self.body, locate(self.body, management));
        if self.cut_elements(edits?, whole, clears) {
            let reason = "there is no thinking to clear";
            self.own.losses.add("context_management.edits", Dialect::AnthropicMessages, reason);
        }
        Some(())
    }

    /// Signatures on parts; a part that is only there to carry one goes with it.
    fn gemini(&mut self, signs_calls: bool) -> Option<()> {
        let names =
            ["thoughtSignature", "thought_signature", "thought", "text", "functionCall", "function_call"];
        let read = |part: &'a str| {
            let [camel, snake, thought, text, call, other_call] = members(part, names)?;
            let token = camel.or(snake).filter(|token| mark::is_on(Some(token), Dialect::GeminiGenerate))?;
            let calls = call.or(other_call).is_some();
            let empty = !calls && (text.is_none_or(|text| text == "\"\"") || thought == Some("true"));
            Some((token, calls, empty))
        };
        each_element(self.member("contents")?, |content| {
            let Some([Some(parts)]) = members(content, ["parts"]) else { return };
            let empty = |part| read(part).is_some_and(|(_, _, empty)| empty);
            self.cut_elements(parts, locate(self.body, content), empty);
            let _ = each_element(parts, |part| match read(part) {
                Some((token, true, _)) if signs_calls => {
                    let word = format!("\"{}\"", gemini_generate::request::UNSIGNED);
                    self.own.changes.push((locate(self.body, token), Bytes::from(word)));
                }
                Some((token, _, false)) => self.cut_member(token),
                _ => {}
            });
        })
    }
}

/// A detail or a block of thinking has a token with the mark.
fn bears_mark(thinking: &str, host: Dialect) -> bool {
    members(thinking, ["signature", "data"])
        .is_some_and(|found| found.iter().any(|token| mark::is_on(*token, host)))
}

/// Of what is left, the first block is thinking.
fn begins_with_thinking(content: &str, marked: impl Fn(&str) -> bool) -> bool {
    let mut first = None;
    let _ = each_element(content, |block| {
        if first.is_none() && !marked(block) {
            let kind = members(block, ["type"]).and_then(|[kind]| json::raw_string(kind));
            first = Some(matches!(kind, Some("thinking" | "redacted_thinking")));
        }
    });
    first.unwrap_or(false)
}

fn brings_result(content: &str) -> bool {
    let mut brings = false;
    let _ = each_element(content, |block| {
        brings |= members(block, ["type"]).is_some_and(|[kind]| json::is_string(kind, "tool_result"));
    });
    brings
}

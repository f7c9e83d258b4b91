//! Thinking goes on over a tool loop whether the client keeps it or not.
//!
//! In: a caller's later requests, and what was remembered of the answers to him. Out: what stood before each call is put
//! back where the caller's own history lacks it. Never for another caller, never to another
//! provider or in another dialect than it came from.

use std::{collections::HashSet, sync::Arc};

use dialect::{
    Dialect,
    chat::{ChatRequest, Content, Part, Role, Turn},
    translate::{Replay, Target, put_named_texts},
};

use crate::{
    clock::Clock,
    thoughts::{Thought, Thoughts},
};

/// Bytes that are put into one request in all, texts and thinking together: a million tokens, more than any model reads. A
/// request names in sixty bytes what may have half a mebibyte, and may name it a hundred thousand times.
pub(super) const MOST_PUT_BACK: usize = 4 * 1024 * 1024;

/// Whose thinking, and where it is kept.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    pub(super) thoughts: Arc<Thoughts>,
    pub(super) caller: i64,
    pub(super) clock: Clock,
    /// Bytes that may be put into one request.
    pub(super) room: usize,
}

impl Keeper {
    /// The request with what its history lacks, the latest first, and how many bytes that has: each call has its thinking once.
    /// `None`: nothing is known that it lacks, or that fits. `put_back`: bytes of the texts that are in it already.
    pub(super) fn restore(
        &self,
        request: &ChatRequest,
        put_back: usize,
        to: Dialect,
        maker: &str,
        target: &Target<'_>,
    ) -> Option<(ChatRequest, usize)> {
        // Where nothing goes back, it would only be listed as lost.
        if to == Dialect::OpenaiChat && target.replay == Replay::Nothing {
            return None;
        }
        let now_ms = self.clock.now_ms();
        let most = self.room.saturating_sub(put_back);
        let mut room = most;
        let mut seen: HashSet<&str> = HashSet::new();
        let mut restored: Option<ChatRequest> = None;
        for (at, turn) in request.turns.iter().enumerate().rev() {
            if turn.role != Role::Assistant || keeps_own(turn, to, target) {
                continue;
            }
            let known = |part| {
                let id = id_of_call(part).filter(|id| seen.insert(id))?;
                let thought = self.thoughts.recall(self.caller, id, now_ms)?;
                let own = thought.from == to && *thought.maker == *maker;
                let left = own.then(|| room.checked_sub(thought.bytes())).flatten()?;
                room = left;
                Some(thought)
            };
            let thoughts: Vec<Option<Arc<Thought>>> = turn.parts.iter().map(known).collect();
            if thoughts.iter().any(Option::is_some) {
                let request = restored.get_or_insert_with(|| request.clone());
                splice(&mut request.turns[at], &thoughts);
            }
        }
        Some((restored?, most - room))
    }

    /// The request with the texts that it only names, and how many bytes they have. What does not fit stays a name.
    pub(super) fn put_texts(&self, request: &ChatRequest) -> Option<(ChatRequest, usize)> {
        let now_ms = self.clock.now_ms();
        let mut room = self.room;
        let known = put_named_texts(request, |id| {
            let text = self.thoughts.recall_text(self.caller, id, now_ms)?;
            room = room.checked_sub(text.len())?;
            Some(text)
        });
        Some((known?, self.room - room))
    }

    pub(super) fn keep_texts(&self, texts: Vec<(String, String)>) {
        let now_ms = self.clock.now_ms();
        for (id, text) in texts {
            self.thoughts.remember_text(self.caller, &id, &text, now_ms);
        }
    }
}

fn id_of_call(part: &Part) -> Option<&str> {
    match &part.content {
        Content::ToolCall { id, .. } => Some(id),
        _ => None,
    }
}

/// The client kept what this provider gave it.
fn keeps_own(turn: &Turn, to: Dialect, target: &Target<'_>) -> bool {
    turn.parts.iter().any(|part| {
        let told = matches!(&part.content, Content::Reasoning { text } if !text.is_empty());
        part.opaque.iter().any(|token| token.dialect == to && token.stands_alone())
            || to == Dialect::OpenaiChat
                && (told || target.replay == Replay::Details && !part.opaque.is_empty())
    })
}

/// Thinking stands first in a turn, and between calls before the call that it led to.
fn splice(turn: &mut Turn, thoughts: &[Option<Arc<Thought>>]) {
    let mut first = true;
    let mut parts: Vec<Part> = Vec::with_capacity(turn.parts.len() + 1);
    for (mut part, thought) in std::mem::take(&mut turn.parts).into_iter().zip(thoughts) {
        // What the client kept without its token is the same thinking.
        if matches!(part.content, Content::Reasoning { .. }) && part.opaque.is_empty() {
            continue;
        }
        if let Some(thought) = thought {
            let at = if std::mem::take(&mut first) { 0 } else { parts.len() };
            parts.splice(at..at, thought.before.iter().cloned());
            part.opaque.extend(thought.on_call.iter().cloned());
        }
        parts.push(part);
    }
    turn.parts = parts;
}

#[cfg(test)]
mod tests {
    use dialect::{
        chat::{Opaque, OpaqueKind},
        translate::{FromPath, decode_request},
    };
    use serde_json::json;

    use super::*;
    use crate::{
        provider::{self, Provider},
        thoughts::LONGEST,
    };

    const CALLER: i64 = 1;
    const TIMES: usize = 10_000;

    fn keeper() -> Keeper {
        Keeper { thoughts: Arc::default(), caller: CALLER, clock: Clock::start(), room: MOST_PUT_BACK }
    }

    fn thought(text: &str) -> Thought {
        let (dialect, kind) = (Dialect::AnthropicMessages, OpaqueKind::Signature);
        let token = Opaque { dialect, kind, value: "token".to_owned(), maker: None };
        let before = vec![Part::reasoning(text, vec![token])];
        Thought { from: dialect, maker: "p".into(), before, on_call: Vec::new() }
    }

    fn request(input: Vec<serde_json::Value>) -> ChatRequest {
        let body = json!({"model": "m", "input": input}).to_string();
        let path = FromPath { model: "m", stream: false };
        decode_request(Dialect::OpenaiResponses, body.as_bytes(), path).unwrap()
    }

    fn call(id: &str) -> serde_json::Value {
        json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
    }

    fn parts(request: &ChatRequest) -> impl Iterator<Item = &Part> {
        request.turns.iter().flat_map(|turn| &turn.parts)
    }

    fn said(request: &ChatRequest) -> usize {
        let text = |part: &Part| match &part.content {
            Content::Text { text, .. } | Content::Reasoning { text } => text.len(),
            _ => 0,
        };
        parts(request).map(text).sum()
    }

    fn restored(keeper: &Keeper, request: &ChatRequest, put_back: usize) -> Option<ChatRequest> {
        let to = Dialect::AnthropicMessages;
        let target = provider::target(Provider::named("anthropic").unwrap(), to, "claude-sonnet-4-5");
        Some(keeper.restore(request, put_back, to, "p", &target)?.0)
    }

    #[test]
    fn ten_thousand_names_of_one_text_put_back_no_more_than_the_bound() {
        let (keeper, text) = (keeper(), "x".repeat(40_000));
        keeper.keep_texts(vec![("msg_1".to_owned(), text.clone())]);
        let names = vec![json!({"type": "item_reference", "id": "msg_1"}); TIMES];
        let (known, put_back) = keeper.put_texts(&request(names)).unwrap();
        assert_eq!(said(&known), put_back);
        assert!(put_back <= MOST_PUT_BACK && put_back > MOST_PUT_BACK - text.len(), "{put_back}");
        let left = parts(&known).filter(|part| matches!(part.content, Content::Foreign { .. })).count();
        assert_eq!(left, TIMES - put_back / text.len());
    }

    #[test]
    fn a_call_that_is_named_again_and_again_has_its_thinking_once_where_it_stands_last() {
        let keeper = keeper();
        keeper.thoughts.remember(CALLER, "call", thought("so it is"), keeper.clock.now_ms());
        let result = json!({"type": "function_call_output", "call_id": "call", "output": "17"});
        let request = request([call("call"), result].into_iter().cycle().take(2 * TIMES).collect());
        let restored = restored(&keeper, &request, 0).unwrap();
        assert_eq!(said(&restored) - said(&request), "so it is".len());
        let thinks = |turn: &Turn| matches!(turn.parts[0].content, Content::Reasoning { .. });
        let calls: Vec<&Turn> = restored.turns.iter().filter(|turn| turn.role == Role::Assistant).collect();
        assert_eq!(calls.iter().position(|turn| thinks(turn)), Some(calls.len() - 1));
    }

    #[test]
    fn thinking_is_put_back_as_far_as_it_fits_beside_the_texts() {
        let (keeper, text) = (keeper(), "x".repeat(LONGEST / 2));
        let ids: Vec<String> = (0..20).map(|number| format!("call_{number}")).collect();
        for id in &ids {
            keeper.thoughts.remember(CALLER, id, thought(&text), keeper.clock.now_ms());
        }
        let request = request(ids.iter().map(|id| call(id)).collect());
        for (texts, fits) in [(0, 15), (MOST_PUT_BACK / 2, 7), (MOST_PUT_BACK, 0)] {
            let said = restored(&keeper, &request, texts).map_or(0, |restored| said(&restored));
            assert_eq!(said, fits * text.len(), "beside {texts}");
        }
    }
}

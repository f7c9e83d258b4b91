//! Thinking goes on over a tool loop whether the client keeps it or not.
//!
//! In: answers on their way to the caller, and his later requests. Out: what stood before each call is remembered, and put
//! back where the caller's own history lacks it. Never for another caller, never to another
//! provider or in another dialect than it came from.

use std::{collections::HashSet, sync::Arc};

use dialect::{
    Dialect,
    chat::{ChatReply, ChatRequest, Content, Opaque, Part, Role, Turn},
    event::{ChatEvent, Delta, Opening},
    translate::{Replay, Target, put_named_texts},
};

use crate::{
    clock::Clock,
    thoughts::{LONGEST, Thought, Thoughts},
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
    /// The request with what its history lacks, the latest first: each call has its thinking once. `None`: nothing is known
    /// that it lacks, or that fits. `put_back`: bytes of the texts that are in it already.
    pub(super) fn restore(
        &self,
        request: &ChatRequest,
        put_back: usize,
        to: Dialect,
        maker: &str,
        target: &Target<'_>,
    ) -> Option<ChatRequest> {
        // Where nothing goes back, it would only be listed as lost.
        if to == Dialect::OpenaiChat && target.replay == Replay::Nothing {
            return None;
        }
        let now_ms = self.clock.now_ms();
        let mut room = self.room.saturating_sub(put_back);
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
        restored
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

/// Hears an answer to its end, and remembers what was thought before its calls.
#[derive(Debug)]
pub(super) struct Listener {
    keeper: Keeper,
    from: Dialect,
    maker: Arc<str>,
    /// The provider wants the words back, and gives no token.
    keeps_words: bool,
    before: Vec<Part>,
    /// The part that thinks, by its number.
    open: Option<(u32, Part)>,
    calls: Vec<Call>,
    /// Bytes held so far. Beyond the bound nothing more is kept, and this answer is not remembered.
    held: usize,
}

#[derive(Debug)]
struct Call {
    part: u32,
    id: String,
    before: Vec<Part>,
    on_call: Vec<Opaque>,
}

impl Listener {
    pub(super) fn new(keeper: Keeper, from: Dialect, maker: Arc<str>, target: &Target<'_>) -> Listener {
        let keeps_words = target.replay == Replay::Text;
        Listener {
            keeper,
            from,
            maker,
            keeps_words,
            before: Vec::new(),
            open: None,
            calls: Vec::new(),
            held: 0,
        }
    }

    /// Of the first candidate: no other has tools to go on with.
    pub(super) fn hear(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Opened { candidate: 0, part, opening } => match opening {
                Opening::Reasoning => {
                    self.held += size_of::<Part>();
                    self.open = Some((*part, Part::reasoning("", Vec::new())));
                }
                Opening::Whole(whole) if matches!(whole.content, Content::Reasoning { .. }) => {
                    self.held += size_of::<Part>() + whole.bytes();
                    if self.held <= LONGEST {
                        self.keep((**whole).clone());
                    }
                }
                Opening::ToolCall { id, .. } => {
                    self.held += size_of::<Call>() + id.len();
                    if self.held <= LONGEST {
                        let (id, before) = (id.clone(), std::mem::take(&mut self.before));
                        self.calls.push(Call { part: *part, id, before, on_call: Vec::new() });
                    }
                }
                // A picture may be signed, too: the client keeps it, or does without.
                Opening::Whole(_) | Opening::Text | Opening::Refusal => {}
            },
            ChatEvent::Delta { candidate: 0, part, delta } if self.held <= LONGEST => self.add(*part, delta),
            ChatEvent::Closed { candidate: 0, part } => {
                if let Some((_, thinking)) = self.open.take_if(|(open, _)| open == part) {
                    self.keep(thinking);
                }
            }
            ChatEvent::Stopped { candidate: 0, .. } => self.remember(),
            _ => {}
        }
    }

    fn add(&mut self, part: u32, delta: &Delta) {
        if let Some((_, thinking)) = self.open.as_mut().filter(|(open, _)| *open == part) {
            match (delta, &mut thinking.content) {
                (Delta::Text(more), Content::Reasoning { text }) => {
                    self.held += more.len();
                    text.push_str(more);
                }
                (Delta::Opaque(token), _) => {
                    self.held += size_of::<Opaque>() + token.value.len();
                    thinking.opaque.push(token.clone());
                }
                _ => {}
            }
        } else if let Delta::Opaque(token) = delta
            && let Some(call) = self.calls.iter_mut().find(|call| call.part == part)
        {
            self.held += size_of::<Opaque>() + token.value.len();
            call.on_call.push(token.clone());
        }
    }

    fn keep(&mut self, part: Part) {
        let told = matches!(&part.content, Content::Reasoning { text } if !text.is_empty());
        if part.opaque.iter().any(Opaque::stands_alone) || self.keeps_words && told {
            self.before.push(part);
        }
    }

    /// A whole answer.
    pub(super) fn hear_reply(&mut self, reply: &ChatReply) {
        for (part, number) in reply.candidates.first().into_iter().flat_map(|first| &first.parts).zip(0..) {
            match &part.content {
                Content::Reasoning { .. } => self.keep(part.clone()),
                Content::ToolCall { id, .. } => {
                    let before = std::mem::take(&mut self.before);
                    let tokens = part.opaque.iter().filter(|token| token.stands_alone());
                    let on_call = tokens.cloned().collect();
                    self.calls.push(Call { part: number, id: id.clone(), before, on_call });
                }
                _ => {}
            }
        }
        self.remember();
    }

    fn remember(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        if self.held > LONGEST {
            return;
        }
        let Keeper { thoughts, caller, clock, .. } = &self.keeper;
        for Call { id, before, on_call, .. } in calls {
            if !before.is_empty() || !on_call.is_empty() {
                let maker = self.maker.clone();
                let thought = Thought { from: self.from, maker, before, on_call };
                thoughts.remember(*caller, &id, thought, clock.now_ms());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dialect::{
        chat::{OpaqueKind, Source, Stop, StopReason},
        translate::{FromPath, decode_request},
    };
    use serde_json::json;

    use super::*;
    use crate::provider::{self, Provider};

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
        keeper.restore(request, put_back, to, "p", &target)
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

    fn listener(keeper: &Keeper) -> Listener {
        let to = Dialect::AnthropicMessages;
        let target = provider::target(Provider::named("anthropic").unwrap(), to, "claude-sonnet-4-5");
        Listener::new(keeper.clone(), to, "p".into(), &target)
    }

    fn opened(part: u32, opening: Opening) -> ChatEvent {
        ChatEvent::Opened { candidate: 0, part, opening }
    }

    fn calls(part: u32, id: &str) -> ChatEvent {
        opened(part, Opening::ToolCall { id: id.to_owned(), name: "f".to_owned(), custom: false })
    }

    fn stopped() -> ChatEvent {
        ChatEvent::Stopped { candidate: 0, stop: Stop::new(StopReason::ToolCalls) }
    }

    #[test]
    fn of_a_stream_thinking_is_kept_and_no_picture_that_is_signed_like_it() {
        let keeper = keeper();
        let mut listener = listener(&keeper);
        let thinking = thought("so it is").before.remove(0);
        let source = Source::Inline { mime: "image/png".to_owned(), data: "QUJD".repeat(1000) };
        let picture = Content::Image { source, detail: None };
        let picture = Part { opaque: thinking.opaque.clone(), ..Part::new(picture) };
        for event in [
            opened(0, Opening::Whole(Box::new(picture))),
            opened(1, Opening::Whole(Box::new(thinking))),
            calls(2, "call"),
            stopped(),
        ] {
            listener.hear(&event);
        }
        let kept = keeper.thoughts.recall(CALLER, "call", keeper.clock.now_ms());
        assert_eq!(kept.as_deref(), Some(&thought("so it is")));
    }

    #[test]
    fn a_stream_that_calls_for_ever_is_heard_to_a_bound_and_not_remembered() {
        let keeper = keeper();
        let mut listener = listener(&keeper);
        let thinking = thought("so it is").before.remove(0);
        listener.hear(&opened(0, Opening::Whole(Box::new(thinking))));
        let long = "x".repeat(1000);
        for part in 1..=1_000_000 {
            listener.hear(&calls(part, if part == 1 { "call" } else { &long }));
        }
        let held: usize = listener.calls.iter().map(|call| size_of::<Call>() + call.id.len()).sum();
        assert!(held <= LONGEST && held > LONGEST / 2, "{held}");
        listener.hear(&stopped());
        assert_eq!(keeper.thoughts.recall(CALLER, "call", keeper.clock.now_ms()), None);
    }
}

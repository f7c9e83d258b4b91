//! What an answer thinks before it calls, heard as it passes.
//!
//! In: the events of an answer, or a whole one. Out: the thinking before each of its calls, remembered when it stops. It holds
//! no more than is remembered of one call, and must never keep an answer up.

use std::sync::Arc;

use dialect::{
    Dialect,
    chat::{ChatReply, Content, Opaque, Part},
    event::{ChatEvent, Delta, Opening},
    translate::{Replay, Target},
};

use super::thinking::Keeper;
use crate::thoughts::{LONGEST, Thought};

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
    use dialect::chat::{OpaqueKind, Source, Stop, StopReason};

    use super::*;
    use crate::{
        clock::Clock,
        provider::{self, Provider},
    };

    const CALLER: i64 = 1;

    fn keeper() -> Keeper {
        Keeper { thoughts: Arc::default(), caller: CALLER, clock: Clock::start(), room: 0 }
    }

    fn thinking() -> Part {
        let (dialect, kind) = (Dialect::AnthropicMessages, OpaqueKind::Signature);
        Part::reasoning("so it is", vec![Opaque { dialect, kind, value: "token".to_owned(), maker: None }])
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
        let source = Source::Inline { mime: "image/png".to_owned(), data: "QUJD".repeat(1000) };
        let picture = Content::Image { source, detail: None };
        let picture = Part { opaque: thinking().opaque, ..Part::new(picture) };
        for event in [
            opened(0, Opening::Whole(Box::new(picture))),
            opened(1, Opening::Whole(Box::new(thinking()))),
            calls(2, "call"),
            stopped(),
        ] {
            listener.hear(&event);
        }
        let kept = keeper.thoughts.recall(CALLER, "call", keeper.clock.now_ms());
        assert_eq!(kept.unwrap().before, [thinking()]);
    }

    #[test]
    fn a_stream_that_calls_for_ever_is_heard_to_a_bound_and_not_remembered() {
        let keeper = keeper();
        let mut listener = listener(&keeper);
        listener.hear(&opened(0, Opening::Whole(Box::new(thinking()))));
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

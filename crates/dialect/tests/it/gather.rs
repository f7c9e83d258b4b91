//! What a stream says in all: its events put together into a plain reply, and what of a reply every dialect can say.

use std::collections::BTreeMap;

use dialect::{
    Accounting, Dialect, Framing,
    chat::{Candidate, ChatReply, Content, Part},
    event::{ChatEvent, Delta, Opening},
    translate::{StreamDecoder, StreamEncoder, Telling},
    tree::Json,
};

pub(crate) fn decode(
    dialect: Dialect,
    framing: Framing,
    accounting: Accounting,
    pieces: &[&[u8]],
) -> Vec<ChatEvent> {
    let mut decoder = StreamDecoder::new(dialect, framing, accounting);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut events);
    }
    decoder.finish(&mut events);
    events
}

pub(crate) fn encode(dialect: Dialect, events: &[ChatEvent], telling: &Telling) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(dialect, telling.clone());
    let mut out = Vec::new();
    for event in events {
        encoder.write(event, &mut out);
    }
    out
}

pub(crate) fn gather(events: &[ChatEvent]) -> ChatReply {
    let mut reply = ChatReply::default();
    let mut candidates: BTreeMap<u32, Candidate> = BTreeMap::new();
    for event in events {
        match event {
            ChatEvent::Started { id, model, created_s } => {
                (reply.id, reply.model, reply.created_s) = (id.clone(), model.clone(), *created_s);
            }
            ChatEvent::Opened { candidate, opening, .. } => {
                candidates.entry(*candidate).or_default().parts.push(match opening.clone() {
                    Opening::Text => Part::text(""),
                    Opening::Reasoning => Part::reasoning("", Vec::new()),
                    Opening::Refusal => Part::new(Content::Refusal { text: String::new() }),
                    Opening::ToolCall { id, name, custom } => {
                        Part::new(Content::ToolCall { id, name, custom, input: String::new() })
                    }
                    Opening::Whole(part) => *part,
                });
            }
            ChatEvent::Delta { candidate, part, delta } => {
                let part = &mut candidates.get_mut(candidate).unwrap().parts[*part as usize];
                match (&mut part.content, delta.clone()) {
                    (
                        Content::Text { text, .. } | Content::Reasoning { text } | Content::Refusal { text },
                        Delta::Text(more),
                    ) => text.push_str(&more),
                    (Content::ToolCall { input, .. }, Delta::Input(more)) => input.push_str(&more),
                    (Content::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation),
                    (_, Delta::Opaque(token)) => part.opaque.push(token),
                    other => panic!("{other:?}"),
                }
            }
            ChatEvent::Stopped { candidate, stop } => {
                candidates.entry(*candidate).or_default().stop = Some(stop.clone());
            }
            ChatEvent::Usage(usage) => reply.usage = Some(*usage),
            ChatEvent::Closed { .. } | ChatEvent::Ended | ChatEvent::Failed(_) => {}
        }
    }
    reply.candidates = candidates.into_values().collect();
    reply
}

/// What every dialect can say of the first answer: its words, thoughts and calls, and how much was used.
#[derive(Debug, Default)]
pub(crate) struct Gist {
    pub(crate) text: String,
    pub(crate) thoughts: String,
    pub(crate) calls: Vec<(String, Option<Json>)>,
    pub(crate) tokens: Option<u64>,
}

impl PartialEq for Gist {
    fn eq(&self, other: &Gist) -> bool {
        // Input that is no JSON has no object's form: how it is wrapped is its encoder's affair.
        let same =
            |one: &Option<Json>, other: &Option<Json>| one.is_none() || other.is_none() || one == other;
        let calls = self.calls.len() == other.calls.len()
            && self
                .calls
                .iter()
                .zip(&other.calls)
                .all(|(one, other)| one.0 == other.0 && same(&one.1, &other.1));
        (&self.text, &self.thoughts, self.tokens) == (&other.text, &other.thoughts, other.tokens) && calls
    }
}

pub(crate) fn gist(reply: &ChatReply) -> Gist {
    let mut gist = Gist { tokens: reply.usage.map(|usage| usage.total()), ..Gist::default() };
    for part in reply.candidates.first().map(|candidate| &*candidate.parts).unwrap_or_default() {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => gist.text.push_str(text),
            Content::Reasoning { text } => gist.thoughts.push_str(text),
            Content::ToolCall { name, input, .. } => {
                let input = if input.is_empty() { "{}" } else { input };
                gist.calls.push((name.clone(), Json::parse(input.as_bytes()).ok()));
            }
            _ => {}
        }
    }
    gist
}

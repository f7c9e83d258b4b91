//! From canonical events to Anthropic's.
//!
//! In: events in their order. Out: frames: `message_start`, blocks one after the other, `message_delta`, `message_stop`.
//! A part that overlaps another waits until that one is closed; nothing is written for an index that is not open.

use crate::{
    Dialect, Usage,
    anthropic_messages::{block, reply},
    chat::{Content, Opaque, OpaqueKind, Part, Stop},
    event::{ChatEvent, Delta, Opening},
    loss::Losses,
    mark, shortfall,
    translate::{Sequence, Telling, put_object},
    tree::{Json, Object, object},
};

const OWN: Dialect = Dialect::AnthropicMessages;

#[derive(Debug)]
pub(crate) struct Encoder {
    telling: Telling,
    sequence: Sequence,
    id: String,
    model: String,
    begun: bool,
    index: u64,
    current: Option<Current>,
    stop: Option<Stop>,
    usage: Usage,
}

/// The part under way.
#[derive(Debug)]
struct Current {
    opening: Opening,
    /// `content_block_start` was written.
    started: bool,
    signed: bool,
    /// Tokens that follow in a block of their own.
    tokens: Vec<Opaque>,
}

impl Encoder {
    pub(crate) fn new(telling: Telling) -> Encoder {
        let (id, model) = (telling.id.clone(), telling.model.clone());
        Encoder {
            telling,
            sequence: Sequence::default(),
            id,
            model,
            begun: false,
            index: 0,
            current: None,
            stop: None,
            usage: Usage::default(),
        }
    }

    pub(crate) fn waited(&self) -> usize {
        self.sequence.waited()
    }

    pub(crate) fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            ChatEvent::Started { id, model, .. } => {
                self.id = self.telling.id(id).to_owned();
                self.model = self.telling.model(model).to_owned();
            }
            ChatEvent::Usage(usage) => {
                shortfall::list_usage(usage, OWN, losses);
                self.usage = *usage;
            }
            ChatEvent::Stopped { candidate: 0, stop } => {
                reply::list_stop(stop, losses);
                self.stop = Some(stop.clone());
            }
            ChatEvent::Ended => self.end(out),
            ChatEvent::Failed(_) => {}
            ChatEvent::Stopped { .. } => {
                losses.add("candidates", OWN, "it gives one answer only: the first was sent");
            }
            ChatEvent::Opened { .. } | ChatEvent::Delta { .. } | ChatEvent::Closed { .. } => {
                let mut sequence = std::mem::take(&mut self.sequence);
                sequence.pass(event, |event| self.write_part(event, out, losses));
                self.sequence = sequence;
            }
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let message = object([
            ("id", (&self.id).into()),
            ("type", "message".into()),
            ("role", "assistant".into()),
            ("model", (&self.model).into()),
            ("content", Vec::new().into()),
            ("stop_reason", Json::Null),
            ("stop_sequence", Json::Null),
            ("usage", reply::write_usage(&self.usage).into()),
        ]);
        put(out, "message_start", [("message", message.into())]);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        let reason = self.stop.as_ref().map_or(Json::Null, |stop| reply::write_reason(stop).into());
        let sequence =
            self.stop.as_ref().and_then(|stop| stop.sequence.as_ref()).map_or(Json::Null, Json::from);
        let delta = object([("stop_reason", reason), ("stop_sequence", sequence)]);
        let usage = reply::write_usage(&self.usage);
        put(out, "message_delta", [("delta", delta.into()), ("usage", usage.into())]);
        put(out, "message_stop", []);
    }

    /// Events of one part after another.
    fn write_part(&mut self, event: &ChatEvent, out: &mut Vec<u8>, losses: &mut Losses) {
        self.begin(out);
        match event {
            ChatEvent::Opened { opening, .. } => {
                let opening = opening.clone();
                self.current = Some(Current { opening, started: false, signed: false, tokens: Vec::new() });
            }
            ChatEvent::Delta { delta, .. } => self.delta(delta, out, losses),
            ChatEvent::Closed { .. } => self.close(out, losses),
            _ => {}
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(current) = &mut self.current else { return };
        let thinks = matches!(current.opening, Opening::Reasoning);
        let fields = match delta {
            Delta::Text(text) if thinks => {
                object([("type", "thinking_delta".into()), ("thinking", text.into())])
            }
            Delta::Text(text) => object([("type", "text_delta".into()), ("text", text.into())]),
            Delta::Input(input) => {
                object([("type", "input_json_delta".into()), ("partial_json", input.into())])
            }
            Delta::Citation(citation) => {
                object([("type", "citations_delta".into()), ("citation", block::write_citation(citation))])
            }
            Delta::Opaque(token) if token.kind == OpaqueKind::Id => return,
            Delta::Opaque(token) if thinks && !current.signed => {
                current.signed = true;
                object([("type", "signature_delta".into()), ("signature", mark::wrap(token, OWN).into())])
            }
            Delta::Opaque(token) => {
                // Before a call, its token can still go first; after words it follows them.
                if token.dialect == OWN {
                    losses.add("content.signature", OWN, "only thinking is signed");
                } else if !current.started && matches!(current.opening, Opening::ToolCall { .. }) {
                    self.put_token(token.clone(), out);
                } else {
                    current.tokens.push(token.clone());
                }
                return;
            }
        };
        self.start_block(out);
        let index = self.index;
        put(out, "content_block_delta", [("index", index.into()), ("delta", fields.into())]);
    }

    fn start_block(&mut self, out: &mut Vec<u8>) {
        let Some(current) = &mut self.current else { return };
        if std::mem::replace(&mut current.started, true) {
            return;
        }
        let block = match &current.opening {
            Opening::Text | Opening::Refusal => object([("type", "text".into()), ("text", "".into())]),
            Opening::Reasoning => {
                object([("type", "thinking".into()), ("thinking", "".into()), ("signature", "".into())])
            }
            Opening::ToolCall { id, name, .. } => object([
                ("type", "tool_use".into()),
                ("id", id.into()),
                ("name", name.into()),
                ("input", Object::default().into()),
            ]),
            Opening::Whole(_) => return,
        };
        let index = self.index;
        put(out, "content_block_start", [("index", index.into()), ("content_block", block.into())]);
    }

    fn close(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        if let Some(Current { opening: Opening::Whole(part), .. }) = &self.current {
            let part = part.clone();
            self.put_whole(&part, out, losses);
            self.current = None;
            return;
        }
        let calls = matches!(self.current, Some(Current { opening: Opening::ToolCall { .. }, .. }));
        if calls {
            self.start_block(out);
        }
        let Some(current) = self.current.take() else { return };
        if current.started {
            if matches!(current.opening, Opening::Reasoning) && !current.signed {
                let delta =
                    object([("type", "signature_delta".into()), ("signature", mark::NO_TOKEN.into())]);
                put(out, "content_block_delta", [("index", self.index.into()), ("delta", delta.into())]);
            }
            self.stop_block(out);
        }
        for token in current.tokens {
            self.put_token(token, out);
        }
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        put(out, "content_block_stop", [("index", self.index.into())]);
        self.index += 1;
    }

    fn put_token(&mut self, token: Opaque, out: &mut Vec<u8>) {
        let mut blocks = Vec::new();
        block::put_tokens(&[token], &mut blocks);
        for block in blocks {
            put(out, "content_block_start", [("index", self.index.into()), ("content_block", block)]);
            self.stop_block(out);
        }
    }

    fn put_whole(&mut self, part: &Part, out: &mut Vec<u8>, losses: &mut Losses) {
        shortfall::list_answer_part(part, OWN, losses);
        match block::encode(part, losses) {
            Ok(Some(block)) => {
                put(
                    out,
                    "content_block_start",
                    [("index", self.index.into()), ("content_block", block.into())],
                );
                self.stop_block(out);
            }
            Ok(None) => {}
            Err(_) => losses.add("content", OWN, shortfall::ONLY_OWN),
        }
        if !matches!(part.content, Content::Reasoning { .. }) {
            part.opaque.iter().for_each(|token| self.put_token(token.clone(), out));
        }
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, kind: &str, members: [(&'static str, Json); N]) {
    let mut event = object([("type", kind.into())]);
    event.0.extend(object(members).0);
    put_object(out, Some(kind), event);
}

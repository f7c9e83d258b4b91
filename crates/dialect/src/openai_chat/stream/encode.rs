//! From events to chunks.
//!
//! In: events in their order. Out: `data:` frames, and `[DONE]` once, after the end was told. The usage chunk is written
//! only for clients that asked.

use std::slice;

use crate::{
    Usage,
    chat::{Content, Part},
    event::{ChatEvent, Delta, Opening},
    fields::NO_PLACE,
    loss::Losses,
    openai_chat::{
        message::{self, reasoning::write_token},
        reply,
    },
    shortfall,
    translate::{Telling, put_frame},
    tree::{Json, Object, object},
};

const OWN: crate::Dialect = crate::Dialect::OpenaiChat;

/// Bytes of an ordinary choice, so that a chunk is written without growing.
const ROOM: usize = 128;

#[derive(Debug)]
pub(crate) struct Encoder {
    telling: Telling,
    /// What all chunks begin with, up to their choices.
    head: String,
    candidates: Vec<Books>,
    usage: Option<Usage>,
}

/// What was told of one candidate.
#[derive(Debug, Default)]
struct Books {
    greeted: bool,
    refused: bool,
    calls: u64,
    /// Details of thinking so far.
    details: u32,
    /// Characters of thinking that no token belongs to yet.
    unsigned: u64,
    /// Characters of text so far, where a citation's place begins.
    characters: u64,
    /// The text part under way began here.
    text_began: u64,
    open: Vec<(u32, Open)>,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    Text,
    Reasoning,
    Refusal,
    Call {
        index: u64,
        custom: bool,
    },
    /// The one call of a client that reads `function_call`.
    OldCall,
    Whole,
}

impl Encoder {
    pub(crate) fn new(telling: Telling) -> Encoder {
        let head = write_head(&telling.id, &telling.model, telling.now_s);
        Encoder { telling, head, candidates: Vec::new(), usage: None }
    }

    pub(crate) fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            ChatEvent::Started { id, model, created_s } => {
                let (id, model) = (self.telling.id(id), self.telling.model(model));
                self.head = write_head(id, model, created_s.unwrap_or(self.telling.now_s));
            }
            ChatEvent::Opened { candidate, part, opening } => {
                self.open(*candidate, *part, opening, out, losses);
            }
            ChatEvent::Delta { candidate, part, delta } => self.delta(*candidate, *part, delta, out, losses),
            ChatEvent::Closed { candidate, part } => {
                self.books(*candidate).open.retain(|(open, _)| open != part);
            }
            ChatEvent::Stopped { candidate, stop } => {
                reply::list_stop(stop, losses);
                let delta = self.greeting(*candidate);
                let refused = self.books(*candidate).refused;
                self.put_chunk(
                    *candidate,
                    delta,
                    Some(reply::write_reason(stop, refused, self.telling.old_functions)),
                    out,
                );
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Ended => {
                if let (Some(usage), true) = (self.usage, self.telling.wants_usage) {
                    let usage = Json::Object(reply::write_usage(&usage));
                    put_frame(out, None, &format!("{}[],\"usage\":{usage}}}", self.head));
                }
                put_frame(out, None, "[DONE]");
            }
            ChatEvent::Failed(_) => {}
        }
    }

    fn books(&mut self, candidate: u32) -> &mut Books {
        let wanted = candidate as usize + 1;
        if self.candidates.len() < wanted {
            self.candidates.resize_with(wanted, Books::default);
        }
        &mut self.candidates[candidate as usize]
    }

    /// The first delta of a candidate says who speaks.
    fn greeting(&mut self, candidate: u32) -> Object {
        let mut delta = Object::default();
        if !std::mem::replace(&mut self.books(candidate).greeted, true) {
            delta.put("role", "assistant");
        }
        delta
    }

    fn put_chunk(&self, candidate: u32, delta: Object, reason: Option<&'static str>, out: &mut Vec<u8>) {
        let choice = object([
            ("index", candidate.into()),
            ("delta", delta.into()),
            ("finish_reason", reason.map_or(Json::Null, Json::from)),
        ]);
        let mut chunk = String::with_capacity(self.head.len() + ROOM);
        chunk.push_str(&self.head);
        chunk.push('[');
        Json::Object(choice).write(&mut chunk);
        chunk.push_str("]}");
        put_frame(out, None, &chunk);
    }

    fn open(&mut self, candidate: u32, part: u32, opening: &Opening, out: &mut Vec<u8>, losses: &mut Losses) {
        let mut delta = self.greeting(candidate);
        let old = self.telling.old_functions;
        let books = self.books(candidate);
        let open = match opening {
            Opening::Text => {
                books.text_began = books.characters;
                Open::Text
            }
            Opening::Reasoning => {
                books.unsigned = 0;
                Open::Reasoning
            }
            Opening::Refusal => {
                books.refused = true;
                Open::Refusal
            }
            Opening::ToolCall { .. } if old && books.calls > 0 => {
                losses.add("messages.tool_calls", OWN, message::OLD_CALLS);
                return;
            }
            Opening::ToolCall { name, .. } if old => {
                books.calls += 1;
                delta.put("function_call", object([("name", name.into()), ("arguments", "".into())]));
                Open::OldCall
            }
            Opening::ToolCall { id, name, custom } => {
                let index = books.calls;
                books.calls += 1;
                let (kind, key) = if *custom { ("custom", "input") } else { ("function", "arguments") };
                let body = object([("name", name.into()), (key, "".into())]);
                let call = object([
                    ("index", index.into()),
                    ("id", id.into()),
                    ("type", kind.into()),
                    (kind, body.into()),
                ]);
                delta.put("tool_calls", vec![call.into()]);
                Open::Call { index, custom: *custom }
            }
            Opening::Whole(whole) => {
                put_whole(whole, books, &mut delta, losses);
                Open::Whole
            }
        };
        books.open.push((part, open));
        if !delta.is_empty() {
            self.put_chunk(candidate, delta, None, out);
        }
    }

    fn delta(&mut self, candidate: u32, part: u32, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let books = self.books(candidate);
        let Some((_, open)) = books.open.iter().find(|(open, _)| *open == part) else { return };
        let mut fields = Object::default();
        match (*open, delta) {
            (Open::Text, Delta::Text(text)) => {
                books.characters += text.chars().count() as u64;
                fields.put("content", text);
            }
            (Open::Reasoning, Delta::Text(text)) => {
                books.unsigned += text.chars().count() as u64;
                fields.put("reasoning_content", text);
            }
            (Open::Refusal, Delta::Text(text)) => {
                fields.put("refusal", text);
            }
            (Open::OldCall, Delta::Input(input)) => {
                fields.put("function_call", object([("arguments", input.into())]));
            }
            (Open::OldCall, Delta::Opaque(_)) => losses.add("messages.tool_calls.signature", OWN, NO_PLACE),
            (Open::Call { index, custom }, Delta::Input(input)) => {
                let (kind, key) = if custom { ("custom", "input") } else { ("function", "arguments") };
                let body = object([(key, input.into())]);
                let call = object([("index", index.into()), (kind, body.into())]);
                fields.put("tool_calls", vec![call.into()]);
            }
            (Open::Call { index, custom }, Delta::Opaque(token)) => {
                match message::reasoning::write_google(slice::from_ref(token), true) {
                    Some(token) => {
                        // Clients read the function of every piece, also of one that says no more of it.
                        let (kind, key) =
                            if custom { ("custom", "input") } else { ("function", "arguments") };
                        let nothing = object([(key, "".into())]);
                        let call = object([
                            ("index", index.into()),
                            (kind, nothing.into()),
                            ("extra_content", token.into()),
                        ]);
                        fields.put("tool_calls", vec![call.into()]);
                    }
                    None => losses.add("messages.tool_calls.signature", OWN, NO_PLACE),
                }
            }
            (Open::Reasoning, Delta::Opaque(token)) => {
                let characters = if token.stands_alone() { std::mem::take(&mut books.unsigned) } else { 0 };
                let detail = write_token(token, books.details, characters);
                books.details += 1;
                fields.put("reasoning_details", vec![detail.into()]);
            }
            (Open::Text, Delta::Opaque(token)) => {
                match message::reasoning::write_google(slice::from_ref(token), true) {
                    Some(token) => {
                        fields.put("extra_content", token);
                    }
                    None if !token.stands_alone() => {}
                    None => losses.add("messages.content.signature", OWN, NO_PLACE),
                }
            }
            (Open::Text, Delta::Citation(citation)) => {
                let citation =
                    message::write_citation(citation, books.text_began, books.characters - books.text_began);
                fields.put("annotations", vec![citation]);
            }
            _ => return,
        }
        if !fields.is_empty() {
            self.put_chunk(candidate, fields, None, out);
        }
    }
}

fn write_head(id: &str, model: &str, created_s: u64) -> String {
    let head = object([
        ("id", id.into()),
        ("object", "chat.completion.chunk".into()),
        ("created", created_s.into()),
        ("model", model.into()),
    ]);
    let mut text = Json::Object(head).to_string();
    text.pop();
    text + ",\"choices\":"
}

fn put_whole(part: &Part, books: &mut Books, delta: &mut Object, losses: &mut Losses) {
    shortfall::list_answer_part(part, OWN, losses);
    match &part.content {
        Content::Text { text, .. } => {
            delta.put("content", text);
        }
        Content::Image { .. } => match message::content::write_part(part) {
            Ok(image) => {
                delta.put("images", vec![image.into()]);
            }
            Err(_) => shortfall::lose_part(part, OWN, losses),
        },
        Content::Foreign { dialect: OWN, at: "messages.audio", value } => {
            delta.put("audio", value);
        }
        Content::Reasoning { .. } => {
            let numbered = part.opaque.iter().zip(books.details..);
            let details: Vec<Json> =
                numbered.map(|(token, index)| write_token(token, index, 0).into()).collect();
            books.details += part.opaque.len() as u32;
            delta.put("reasoning_details", details);
        }
        _ => shortfall::lose_part(part, OWN, losses),
    }
}

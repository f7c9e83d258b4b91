//! From canonical events to Responses'.
//!
//! In: events in their order. Out: frames with a number each: items one after the other, each added, told and done, and
//! one of `response.completed`, `.incomplete` and `.failed`, which repeats the whole answer. Nothing is told of an item that
//! was not added.

use super::shape::{write_content, write_item, write_summary};
use crate::{
    Dialect, Usage,
    chat::{Opaque, OpaqueKind, Part, Stop},
    event::{ChatEvent, Delta, Opening},
    loss::Losses,
    openai_responses::{
        item::{self, Ids},
        namespace, reference,
        reply::{self, Head, Progress},
    },
    shortfall,
    translate::{Sequence, Telling, put_object},
    tree::{Json, object},
};

const OWN: Dialect = Dialect::OpenaiResponses;

#[derive(Debug)]
pub(crate) struct Encoder {
    telling: Telling,
    sequence: Sequence,
    id: String,
    model: String,
    created_s: u64,
    ids: Ids,
    /// The number of the next event.
    next: u64,
    current: Option<Current>,
    /// The items that are done: the last event repeats them.
    output: Vec<Json>,
    stop: Option<Stop>,
    usage: Option<Usage>,
}

/// The part under way.
#[derive(Debug)]
struct Current {
    opening: Opening,
    /// Its item's id, once that was added.
    id: Option<String>,
    /// All of its text or input so far: the done events repeat it.
    said: String,
    annotations: Vec<Json>,
    tokens: Vec<Opaque>,
}

impl Encoder {
    pub(crate) fn new(telling: Telling) -> Encoder {
        Encoder {
            sequence: Sequence::default(),
            id: telling.id.clone(),
            model: telling.model.clone(),
            created_s: telling.now_s,
            ids: Ids::new(&telling.id),
            next: 0,
            current: None,
            output: Vec::new(),
            stop: None,
            usage: None,
            telling,
        }
    }

    /// Before the end is told.
    pub(crate) fn named_texts(&self) -> Vec<(String, String)> {
        reference::texts_of(&self.output)
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.next
    }

    pub(crate) fn write(&mut self, event: &ChatEvent, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            ChatEvent::Started { id, model, created_s } => {
                self.id = self.telling.id(id).to_owned();
                self.model = self.telling.model(model).to_owned();
                self.created_s = created_s.unwrap_or(self.telling.now_s);
                self.ids = Ids::new(&self.id);
                for kind in ["response.created", "response.in_progress"] {
                    let response = reply::write(&self.head(), Progress::Under, Vec::new(), None);
                    self.put(out, kind, [("response", response.into())]);
                }
            }
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Stopped { candidate: 0, stop } => {
                reply::list_stop(stop, losses);
                self.stop = Some(stop.clone());
            }
            ChatEvent::Stopped { .. } => {
                losses.add("candidates", OWN, "it gives one answer only: the first was sent");
            }
            ChatEvent::Ended => {
                let output = std::mem::take(&mut self.output);
                let progress = Progress::Over(self.stop.as_ref());
                let response = reply::write(&self.head(), progress, output, self.usage.as_ref());
                let kind = match response.text("status") {
                    Some("completed") => "response.completed",
                    Some("failed") => "response.failed",
                    _ => "response.incomplete",
                };
                self.put(out, kind, [("response", response.into())]);
            }
            ChatEvent::Failed(_) => {}
            ChatEvent::Opened { .. } | ChatEvent::Delta { .. } | ChatEvent::Closed { .. } => {
                let mut sequence = std::mem::take(&mut self.sequence);
                sequence.pass(event, |event| self.write_part(event, out, losses));
                self.sequence = sequence;
            }
        }
    }

    fn head(&self) -> Head<'_> {
        Head { id: &self.id, model: &self.model, created_s: self.created_s }
    }

    fn put<const N: usize>(&mut self, out: &mut Vec<u8>, kind: &str, members: [(&'static str, Json); N]) {
        let mut event = object([("type", kind.into()), ("sequence_number", self.next.into())]);
        event.0.extend(object(members).0);
        self.next += 1;
        put_object(out, Some(kind), event);
    }

    fn index(&self) -> Json {
        (self.output.len() as u64).into()
    }

    fn write_part(&mut self, event: &ChatEvent, out: &mut Vec<u8>, losses: &mut Losses) {
        match event {
            ChatEvent::Opened { opening, .. } => {
                self.current = Some(Current {
                    opening: opening.clone(),
                    id: None,
                    said: String::new(),
                    annotations: Vec::new(),
                    tokens: Vec::new(),
                });
            }
            ChatEvent::Delta { delta, .. } => self.delta(delta, out, losses),
            ChatEvent::Closed { .. } => self.close(out, losses),
            _ => {}
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(current) = &mut self.current else { return };
        match delta {
            Delta::Text(text) | Delta::Input(text) => {
                current.said.push_str(text);
                let kind = match &current.opening {
                    Opening::Text => "response.output_text.delta",
                    Opening::Refusal => "response.refusal.delta",
                    Opening::Reasoning => "response.reasoning_summary_text.delta",
                    Opening::ToolCall { custom: true, .. } => "response.custom_tool_call_input.delta",
                    Opening::ToolCall { .. } => "response.function_call_arguments.delta",
                    Opening::Whole(_) => return,
                };
                let id = self.begin_item(out);
                let (index, text) = (self.index(), Json::from(text));
                match kind {
                    "response.output_text.delta" => self.put(
                        out,
                        kind,
                        [
                            ("item_id", id.into()),
                            ("output_index", index),
                            ("content_index", 0u64.into()),
                            ("delta", text),
                            ("logprobs", Vec::new().into()),
                        ],
                    ),
                    "response.refusal.delta" => self.put(
                        out,
                        kind,
                        [
                            ("item_id", id.into()),
                            ("output_index", index),
                            ("content_index", 0u64.into()),
                            ("delta", text),
                        ],
                    ),
                    "response.reasoning_summary_text.delta" => self.put(
                        out,
                        kind,
                        [
                            ("item_id", id.into()),
                            ("output_index", index),
                            ("summary_index", 0u64.into()),
                            ("delta", text),
                        ],
                    ),
                    _ => self.put(
                        out,
                        kind,
                        [("item_id", id.into()), ("output_index", index), ("delta", text)],
                    ),
                }
            }
            Delta::Citation(citation) => {
                shortfall::list_quote(citation, OWN, losses);
                let annotation = item::write_citation(citation, || current.said.chars().count() as u64);
                let number = current.annotations.len() as u64;
                current.annotations.push(annotation.clone());
                let id = self.begin_item(out);
                let index = self.index();
                self.put(
                    out,
                    "response.output_text.annotation.added",
                    [
                        ("item_id", id.into()),
                        ("output_index", index),
                        ("content_index", 0u64.into()),
                        ("annotation_index", number.into()),
                        ("annotation", annotation),
                    ],
                );
            }
            Delta::Opaque(token) if token.kind == OpaqueKind::Id => {}
            Delta::Opaque(token) => {
                let calls = matches!(current.opening, Opening::ToolCall { .. });
                if calls && current.id.is_none() {
                    // Its token goes before the call, as thinking does.
                    let holder = Part::reasoning("", vec![token.clone()]);
                    self.put_whole(&holder, out, &mut Losses::default());
                } else {
                    current.tokens.push(token.clone());
                }
            }
        }
    }

    /// Adds the item of the part under way, once.
    fn begin_item(&mut self, out: &mut Vec<u8>) -> String {
        let index = self.index();
        let Some(current) = &mut self.current else { return String::new() };
        if let Some(id) = &current.id {
            return id.clone();
        }
        let id = self.ids.mint(match &current.opening {
            Opening::Text | Opening::Refusal | Opening::Whole(_) => "msg",
            Opening::Reasoning => "rs",
            Opening::ToolCall { custom: true, .. } => "ctc",
            Opening::ToolCall { .. } => "fc",
        });
        current.id = Some(id.clone());
        let opening = current.opening.clone();
        let item = write_item(&opening, &id, "", &[], false);
        self.put(out, "response.output_item.added", [("output_index", index.clone()), ("item", item.into())]);
        let place = [("item_id", Json::from(&id)), ("output_index", index)];
        let [id_member, index_member] = place;
        match opening {
            Opening::Text | Opening::Refusal => {
                let part = write_content(&opening, "", &[]);
                self.put(
                    out,
                    "response.content_part.added",
                    [id_member, index_member, ("content_index", 0u64.into()), ("part", part.into())],
                );
            }
            Opening::Reasoning => {
                let part = write_summary("");
                self.put(
                    out,
                    "response.reasoning_summary_part.added",
                    [id_member, index_member, ("summary_index", 0u64.into()), ("part", part.into())],
                );
            }
            Opening::ToolCall { .. } | Opening::Whole(_) => {}
        }
        id
    }

    fn close(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        match &self.current {
            Some(Current { opening: Opening::Whole(part), .. }) => {
                let part = part.clone();
                self.current = None;
                self.put_whole(&part, out, losses);
                return;
            }
            Some(Current { opening: Opening::ToolCall { .. }, .. }) => {
                self.begin_item(out);
            }
            _ => {}
        }
        let Some(current) = self.current.take() else { return };
        let thinks = matches!(current.opening, Opening::Reasoning);
        if let Some(id) = &current.id {
            self.finish_item(&current, id, out);
        } else if thinks && !current.tokens.is_empty() {
            let part = Part::reasoning("", current.tokens.clone());
            self.put_whole(&part, out, losses);
        }
        if !thinks {
            for token in current.tokens {
                let holder = Part::reasoning("", vec![token]);
                self.put_whole(&holder, out, losses);
            }
        }
    }

    fn finish_item(&mut self, current: &Current, id: &str, out: &mut Vec<u8>) {
        let index = self.index();
        let said = &current.said;
        let whole = |members: [(&'static str, Json); 2]| -> [(&'static str, Json); 4] {
            let [first, second] = members;
            [("item_id", id.into()), ("output_index", index.clone()), first, second]
        };
        match &current.opening {
            Opening::Text | Opening::Refusal => {
                let (kind, key) = match current.opening {
                    Opening::Refusal => ("response.refusal.done", "refusal"),
                    _ => ("response.output_text.done", "text"),
                };
                let [item, place, content, told] =
                    whole([("content_index", 0u64.into()), (key, said.into())]);
                if key == "text" {
                    self.put(out, kind, [item, place, content, told, ("logprobs", Vec::new().into())]);
                } else {
                    self.put(out, kind, [item, place, content, told]);
                }
                let part = write_content(&current.opening, said, &current.annotations);
                let members = whole([("content_index", 0u64.into()), ("part", part.into())]);
                self.put(out, "response.content_part.done", members);
            }
            Opening::Reasoning => {
                let members = whole([("summary_index", 0u64.into()), ("text", said.into())]);
                self.put(out, "response.reasoning_summary_text.done", members);
                let members = whole([("summary_index", 0u64.into()), ("part", write_summary(said).into())]);
                self.put(out, "response.reasoning_summary_part.done", members);
            }
            Opening::ToolCall { name, custom: false, .. } => {
                let said = if said.is_empty() { "{}" } else { said };
                let members = whole([("name", namespace::strip(name).into()), ("arguments", said.into())]);
                self.put(out, "response.function_call_arguments.done", members);
            }
            Opening::ToolCall { name, .. } => {
                let members = whole([("name", namespace::strip(name).into()), ("input", said.into())]);
                self.put(out, "response.custom_tool_call_input.done", members);
            }
            Opening::Whole(_) => {}
        }
        let mut item = write_item(&current.opening, id, said, &current.annotations, true);
        if matches!(current.opening, Opening::Reasoning) {
            let holder = Part::reasoning("", current.tokens.clone());
            item.put_some(
                "encrypted_content",
                item::write_reasoning(&holder, true).take("encrypted_content"),
            );
        }
        self.put(
            out,
            "response.output_item.done",
            [("output_index", index), ("item", (&Json::Object(item.clone())).into())],
        );
        self.output.push(item.into());
    }

    fn put_whole(&mut self, part: &Part, out: &mut Vec<u8>, losses: &mut Losses) {
        let mut items = Vec::new();
        item::put_output(part, &mut self.ids, &mut items, losses);
        for item in items {
            for kind in ["response.output_item.added", "response.output_item.done"] {
                let index = self.index();
                self.put(out, kind, [("output_index", index), ("item", item.clone())]);
            }
            self.output.push(item);
        }
    }
}

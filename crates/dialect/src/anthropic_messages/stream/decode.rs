//! From Anthropic's events to canonical ones.
//!
//! In: the data of one event. Out: events on the [`Track`]. The end is `message_stop`, and nothing else.

use crate::{
    Dialect,
    anthropic_messages::{block, reply},
    chat::{Citation, Content, OpaqueKind, Part, Stop, StopReason},
    event::{Delta, Opening},
    mark, shortfall,
    translate::Track,
    tree::{Json, Object},
    usage::anthropic::Counts,
};

const OWN: Dialect = Dialect::AnthropicMessages;

/// Sources that wait for the end of their text; a text has a few, and more are told at once.
const CITED_BOUND: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Decoder {
    counts: Counts,
    block: Option<Block>,
    /// Sources of the text under way: all of it leans on them, so they are told when it is.
    cited: Vec<Citation>,
    stop: Option<Stop>,
}

/// The block under way.
#[derive(Debug)]
enum Block {
    /// A part, and whether it is text.
    Open(u32, bool),
    /// One that only this dialect has, put together until it stops.
    Kept { value: Object, input: String },
}

impl Decoder {
    pub(crate) fn read(&mut self, data: &str, track: &mut Track) {
        let names = ["type", "delta", "content_block", "message", "usage", "error"];
        let Some(mut event) = Object::pick(data, names) else {
            track.fail("the provider sent an event that is not JSON");
            return;
        };
        let failed = event.get("error").is_some_and(|error| !error.is_blank());
        match event.text("type") {
            _ if failed => track.fail_with(data),
            Some("error") => track.fail_with(data),
            Some("message_start") => {
                let Some(Json::Object(message)) = event.take("message") else { return };
                let (id, model) = (message.text("id"), message.text("model"));
                track.start(id.unwrap_or_default(), model.unwrap_or_default(), None);
                let known =
                    ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];
                track.list_rest(&message, "", &known, OWN);
                self.count(message.get("usage"), track);
            }
            Some("content_block_start") => {
                self.close(track);
                if let Some(Json::Object(block)) = event.take("content_block") {
                    self.open(block, track);
                }
            }
            Some("content_block_delta") => {
                if let Some(Json::Object(delta)) = event.take("delta") {
                    self.delta(delta, track);
                }
            }
            Some("content_block_stop") => self.close(track),
            Some("message_delta") => {
                if let Some(Json::Object(delta)) = event.get("delta")
                    && let Some(word) = delta.text("stop_reason")
                {
                    let sequence = delta.text("stop_sequence").map(str::to_owned);
                    self.stop = Some(reply::read_stop(word, sequence));
                }
                if let Some(Json::Object(delta)) = event.get("delta") {
                    track.list_rest(delta, "", &["stop_reason", "stop_sequence"], OWN);
                }
                track.list_members(data, "", &["type", "delta", "usage"], OWN);
                self.count(event.get("usage"), track);
            }
            Some("message_stop") => {
                self.close(track);
                track.stop(0, self.stop.take().unwrap_or(Stop::new(StopReason::Other)));
                track.end();
            }
            _ => {}
        }
    }

    fn count(&mut self, usage: Option<&Json>, track: &mut Track) {
        if let Some(usage @ Json::Object(fields)) = usage {
            let text = usage.to_string();
            self.counts.overwrite(&text);
            track.usage(self.counts.sum_up());
            track.list_usage(&text, OWN);
            if fields.get("service_tier").is_some_and(|tier| !tier.is_blank()) {
                track.losses.add("usage.service_tier", OWN, "it is not translated in streams");
            }
        }
    }

    fn open(&mut self, mut block: Object, track: &mut Track) {
        let (opening, begun) = match block.text("type") {
            Some("text") => (Opening::Text, block.take("text")),
            Some("thinking") => (Opening::Reasoning, block.take("thinking")),
            Some("tool_use") => {
                let id = block.text("id").map_or_else(|| track.mint_call_id(), str::to_owned);
                let name = block.text("name").unwrap_or_default().to_owned();
                let input = block.take("input").filter(|input| !input.is_blank());
                (Opening::ToolCall { id, name, custom: false }, input)
            }
            Some("redacted_thinking") => {
                match block::decode(Json::Object(block)) {
                    Ok(part) => track.whole(0, part),
                    Err(_) => track.fail("the provider sent a block without its data"),
                }
                return;
            }
            _ => {
                self.block = Some(Block::Kept { value: block, input: String::new() });
                return;
            }
        };
        let words = opening == Opening::Text;
        let Some(part) = track.open(0, opening) else { return };
        self.block = Some(Block::Open(part, words));
        match begun {
            Some(Json::String(text)) if !text.is_empty() => track.delta(0, part, Delta::Text(text)),
            Some(input @ Json::Object(_)) => track.delta(0, part, Delta::Input(input.to_string())),
            _ => {}
        }
        // Some put the signature here.
        if let Some(Json::String(signature)) = block.take("signature") {
            sign(signature, part, track);
        }
        track.list_rest(&block, "content", &["type", "id", "name"], OWN);
    }

    fn delta(&mut self, mut delta: Object, track: &mut Track) {
        let kind = delta.text("type").unwrap_or_default().to_owned();
        match (&mut self.block, kind.as_str()) {
            (Some(Block::Kept { input, .. }), "input_json_delta") => {
                input.push_str(delta.text("partial_json").unwrap_or_default());
            }
            (Some(Block::Kept { value, .. }), _) => {
                delta.take("type");
                for (key, more) in delta.0 {
                    value.take(&key);
                    value.put(key, more);
                }
            }
            (Some(Block::Open(part, words)), kind) => {
                let (part, words) = (*part, *words);
                let mut take = |key: &str| match delta.take(key) {
                    Some(Json::String(text)) => Some(text).filter(|text| !text.is_empty()),
                    _ => None,
                };
                let delta = match kind {
                    "text_delta" => take("text").map(Delta::Text),
                    "thinking_delta" => take("thinking").map(Delta::Text),
                    "input_json_delta" => take("partial_json").map(Delta::Input),
                    "signature_delta" => {
                        take("signature").into_iter().for_each(|signature| sign(signature, part, track));
                        None
                    }
                    "citations_delta" => {
                        let citation = delta.get("citation").and_then(block::read_citation);
                        let reason = match citation {
                            Some(_) => "its address is told, its place in the provider's index is not",
                            None => "it points into a document of the request",
                        };
                        track.losses.add("content.citations", OWN, reason);
                        match citation {
                            Some(citation) if words && self.cited.len() < CITED_BOUND => {
                                self.cited.push(citation);
                                None
                            }
                            citation => citation.map(Delta::Citation),
                        }
                    }
                    _ => {
                        track.losses.add(format!("content.{kind}"), OWN, shortfall::ONLY_OWN);
                        None
                    }
                };
                delta.into_iter().for_each(|delta| track.delta(0, part, delta));
            }
            (None, _) => {}
        }
    }

    fn close(&mut self, track: &mut Track) {
        match self.block.take() {
            Some(Block::Open(part, _)) => {
                let cited = self.cited.drain(..).map(Delta::Citation);
                cited.for_each(|citation| track.delta(0, part, citation));
                track.close(0, part);
            }
            Some(Block::Kept { mut value, input }) => {
                if let Ok(input) = Json::parse(input.as_bytes()) {
                    value.take("input");
                    value.put("input", input);
                }
                let content = Content::Foreign { dialect: OWN, at: "messages.content", value: value.into() };
                track.whole(0, Part::new(content));
            }
            None => {}
        }
    }
}

fn sign(signature: String, part: u32, track: &mut Track) {
    let token = mark::unwrap(signature, OWN, OpaqueKind::Signature);
    if let Some(token) = token.filter(|token| !token.value.is_empty()) {
        track.delta(0, part, Delta::Opaque(token));
    }
}

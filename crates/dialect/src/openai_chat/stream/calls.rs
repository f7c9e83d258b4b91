//! A call in pieces.
//!
//! In: pieces of a choice's calls. Out: events on the [`Track`]. Which call a piece belongs to is told by its index, by its id,
//! or by its place; it must never be guessed against the id.

use super::{
    decode::{Choice, OWN},
    input::Input,
};
use crate::{
    event::{Delta, Opening},
    openai_chat::message::{self, says_anything},
    translate::Track,
    tree::{Json, Object},
};

#[derive(Debug)]
pub(super) struct Call {
    pub(super) index: Option<u64>,
    pub(super) id: String,
    pub(super) part: u32,
    pub(super) input: Input,
}

impl Choice {
    pub(super) fn read_call(&mut self, mut fields: Object, track: &mut Track) {
        let index = fields.get("index").and_then(Json::as_u64);
        // `empty-id-repeated`: it says nothing.
        let id = fields.text("id").unwrap_or_default().to_owned();
        let token = message::reasoning::read_google(fields.get("extra_content"));
        if token.is_some() {
            fields.take("extra_content");
        }
        let custom = fields
            .get("function")
            .is_none_or(|function| fields.text("type") == Some("custom") && !says_anything(function));
        let unused = fields.take(if custom { "function" } else { "custom" });
        let Some(Json::Object(mut body)) = fields.take(if custom { "custom" } else { "function" }) else {
            if !id.is_empty() || token.is_some() {
                track.losses.add("choices.delta.tool_calls", OWN, "a call without a function");
            }
            return;
        };
        if unused.is_some_and(|body| says_anything(&body)) {
            track.losses.add("choices.delta.tool_calls.custom", OWN, "a call is a function or a custom tool");
        }
        let name = body.text("name").unwrap_or_default().to_owned();
        let input = match body.take(if custom { "input" } else { "arguments" }) {
            Some(Json::String(text)) => text,
            Some(Json::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        track.list_rest(&fields, "choices.delta.tool_calls", &["index", "id", "type"], OWN);
        track.list_rest(&body, "choices.delta.tool_calls.function", &["name"], OWN);
        // Without an index (`call-without-index`), another id or a name begins another call; a position says nothing across chunks.
        let known = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id),
            None if name.is_empty() => self.calls.len().checked_sub(1),
            None => None,
        };
        // Some number every call nought: a new id with a name is a new call, whatever came of the one before.
        let same = |at: &usize| id.is_empty() || name.is_empty() || self.calls[*at].id == id;
        if let Some(before) = known.filter(|at| !same(at)) {
            track.close(self.index, self.calls[before].part);
        }
        let known = known.filter(same);
        let at = match known {
            Some(at) => at,
            None => {
                self.close_flow(track);
                self.close_whole_calls(track);
                let id = if id.is_empty() { track.mint_call_id() } else { id };
                let opening = Opening::ToolCall { id: id.clone(), name, custom };
                let Some(part) = track.open(self.index, opening) else { return };
                (self.said, self.called) = (true, true);
                self.calls.push(Call { index, id, part, input: Input::default() });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[at];
        if let Some(token) = token {
            track.delta(self.index, call.part, Delta::Opaque(token));
        }
        if !input.is_empty() {
            call.input.follow(&input);
            track.delta(self.index, call.part, Delta::Input(input));
        }
    }

    /// A client that cannot take overlapping calls need not wait for those that are complete.
    fn close_whole_calls(&mut self, track: &mut Track) {
        for call in self.calls.iter().filter(|call| call.input.whole) {
            track.close(self.index, call.part);
        }
    }
}

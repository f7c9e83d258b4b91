//! What encoding a request did to its tools, undone in the answer: fitted names, and free text that went out as JSON.
//!
//! In: events or a reply, with what was sent for what. Out: the same in the client's own names and kinds. A call's
//! wrapping can only be taken off when all of it has come: nothing else is held back.

use std::borrow::Cow;

use crate::{
    chat::{ChatReply, Content},
    event::{ChatEvent, Delta, Opening},
    translate::Renamed,
    tree::Json,
};

#[derive(Debug)]
pub(crate) struct Undo {
    customs: Vec<String>,
    renamed: Vec<Renamed>,
    /// Wrapped calls under way: candidate, part, and what has come of their input.
    open: Vec<(u32, u32, String)>,
}

impl Undo {
    pub(crate) fn new(customs: Vec<String>, renamed: Vec<Renamed>) -> Undo {
        Undo { customs, renamed, open: Vec::new() }
    }

    pub(crate) fn pass(&mut self, event: &ChatEvent, mut write: impl FnMut(&ChatEvent)) {
        match event {
            _ if self.customs.is_empty() && self.renamed.is_empty() => write(event),
            ChatEvent::Opened { candidate, part, opening: Opening::ToolCall { id, name, custom } } => {
                let name = restore(name, &self.renamed).to_owned();
                let wrapped = !custom && self.customs.contains(&name);
                if wrapped {
                    self.open.push((*candidate, *part, String::new()));
                }
                let opening = Opening::ToolCall { id: id.clone(), name, custom: *custom || wrapped };
                write(&ChatEvent::Opened { candidate: *candidate, part: *part, opening });
            }
            ChatEvent::Delta { candidate, part, delta: Delta::Input(more) } => {
                match self.open.iter_mut().find(|open| (open.0, open.1) == (*candidate, *part)) {
                    Some((_, _, input)) => input.push_str(more),
                    None => write(event),
                }
            }
            ChatEvent::Closed { candidate, part } => {
                let at = self.open.iter().position(|open| (open.0, open.1) == (*candidate, *part));
                if let Some(at) = at {
                    let (candidate, part, input) = self.open.remove(at);
                    let input = unwrap(&input);
                    if !input.is_empty() {
                        write(&ChatEvent::Delta { candidate, part, delta: Delta::Input(input) });
                    }
                }
                write(event);
            }
            _ => write(event),
        }
    }
}

fn restore<'a>(sent: &'a str, renamed: &'a [Renamed]) -> &'a str {
    renamed.iter().find(|row| row.sent == sent).map_or(sent, |row| &row.asked)
}

/// `{"input": text}` is the text; a model that wrote something else is passed on as it wrote.
fn unwrap(input: &str) -> String {
    let parsed = Json::parse(input.as_bytes()).ok().and_then(Json::into_object);
    parsed.as_ref().and_then(|object| object.text("input")).unwrap_or(input).to_owned()
}

pub(crate) fn undo_in_reply<'a>(
    reply: &'a ChatReply,
    customs: &[String],
    renamed: &[Renamed],
) -> Cow<'a, ChatReply> {
    if customs.is_empty() && renamed.is_empty() {
        return Cow::Borrowed(reply);
    }
    let mut reply = reply.clone();
    for part in reply.candidates.iter_mut().flat_map(|candidate| &mut candidate.parts) {
        if let Content::ToolCall { name, input, custom, .. } = &mut part.content {
            *name = restore(name, renamed).to_owned();
            if !*custom && customs.contains(name) {
                *custom = true;
                *input = unwrap(input);
            }
        }
    }
    Cow::Owned(reply)
}

//! Calls of custom tools that went out as functions, as free text again.
//!
//! In: events or a reply, and the names of the request's custom tools. Out: the same, with those calls unwrapped. A call's
//! wrapping can only be taken off when all of it has come: nothing else is held back.

use std::borrow::Cow;

use crate::{
    chat::{ChatReply, Content},
    event::{ChatEvent, Delta, Opening},
    tree::Json,
};

#[derive(Debug)]
pub(crate) struct Customs {
    names: Vec<String>,
    /// Calls under way: candidate, part, and what has come of their input.
    open: Vec<(u32, u32, String)>,
}

impl Customs {
    pub(crate) fn new(names: Vec<String>) -> Customs {
        Customs { names, open: Vec::new() }
    }

    pub(crate) fn pass(&mut self, event: &ChatEvent, mut write: impl FnMut(&ChatEvent)) {
        if self.names.is_empty() {
            return write(event);
        }
        match event {
            ChatEvent::Opened { candidate, part, opening: Opening::ToolCall { id, name, custom: false } }
                if self.names.contains(name) =>
            {
                self.open.push((*candidate, *part, String::new()));
                let opening = Opening::ToolCall { id: id.clone(), name: name.clone(), custom: true };
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

/// `{"input": text}` is the text; a model that wrote something else is passed on as it wrote.
fn unwrap(input: &str) -> String {
    let parsed = Json::parse(input.as_bytes()).ok().and_then(Json::into_object);
    parsed.as_ref().and_then(|object| object.text("input")).unwrap_or(input).to_owned()
}

pub(crate) fn unwrap_reply<'a>(reply: &'a ChatReply, names: &[String]) -> Cow<'a, ChatReply> {
    if names.is_empty() {
        return Cow::Borrowed(reply);
    }
    let mut reply = reply.clone();
    for part in reply.candidates.iter_mut().flat_map(|candidate| &mut candidate.parts) {
        if let Content::ToolCall { name, input, custom, .. } = &mut part.content
            && !*custom
            && names.contains(name)
        {
            *custom = true;
            *input = unwrap(input);
        }
    }
    Cow::Owned(reply)
}

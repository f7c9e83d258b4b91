//! The canonical form of a streamed answer.
//!
//! In: the frames of a dialect, through its decoder. Out: events in this order, which the tests check:
//!
//! ```text
//! Started  (Opened  Delta*  Closed)*  Stopped  Usage*  Ended      parts of a candidate may overlap; several candidates, too
//! ```
//!
//! `Started` is the first and comes once. A part is opened once, numbered from nought within its candidate, and closed
//! before its candidate stops. `Usage` may come at any time after `Started`; each replaces the one before. `Ended` is the
//! last, comes once, and never without the dialect's own end. `Failed` may take its place; nothing follows either.

use std::sync::Arc;

use crate::{
    ParsedError, Usage,
    chat::{Citation, Opaque, Part, Stop},
};

#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    Started {
        id: String,
        model: String,
        created_s: Option<u64>,
    },
    /// A part begins. A `Whole` one has no deltas.
    Opened {
        candidate: u32,
        part: u32,
        opening: Opening,
    },
    Delta {
        candidate: u32,
        part: u32,
        delta: Delta,
    },
    Closed {
        candidate: u32,
        part: u32,
    },
    /// The candidate is finished.
    Stopped {
        candidate: u32,
        stop: Stop,
    },
    Usage(Usage),
    /// The dialect's own end was seen.
    Ended,
    /// The provider told an error inside the stream.
    Failed(ParsedError),
}

/// What kind of part begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    Text,
    Reasoning,
    Refusal,
    ToolCall {
        id: String,
        name: String,
        custom: bool,
    },
    /// A part that comes in one piece: a picture, a server tool's result.
    Whole(Box<Part>),
}

/// More of a part that is open.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text, thinking or refusal, whatever the part is.
    Text(String),
    /// More of a call's input.
    Input(String),
    Opaque(Opaque),
    Citation(Citation),
}

impl ChatEvent {
    /// Says whose its token is, where it has one.
    pub fn made_by(&mut self, maker: &Arc<str>) {
        match self {
            ChatEvent::Delta { delta: Delta::Opaque(token), .. } => {
                token.maker.get_or_insert_with(|| maker.clone());
            }
            ChatEvent::Opened { opening: Opening::Whole(part), .. } => part.made_by(maker),
            _ => {}
        }
    }

    /// What it says, in bytes, near enough for a bound.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            ChatEvent::Delta { delta, .. } => match delta {
                Delta::Text(text) | Delta::Input(text) => text.len(),
                Delta::Opaque(token) => token.value.len(),
                Delta::Citation(citation) => {
                    citation.url.len() + citation.quote.as_ref().map_or(0, String::len)
                }
            },
            ChatEvent::Opened { opening: Opening::Whole(part), .. } => part.bytes(),
            _ => 0,
        }
    }
}

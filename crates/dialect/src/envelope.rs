//! The outside of a request body: which model, stream or not, and where the few editable values stand.
//!
//! In: the received body. Out: an [`Envelope`] with byte spans, and [`Spliced`] slices of the same buffer with the
//! named edits in between. It must never re-serialise what it was not asked to change.

use std::ops::Range;

use bytes::Bytes;

use crate::Door;

/// What the outside of a request body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The model asked for; empty where the dialect carries it in the path.
    pub model: String,
    /// `"stream": true` in the body; always false where the dialect carries it in the path.
    pub stream: bool,
    /// The client itself asked for usage in the stream (`stream_options.include_usage: true`).
    pub wants_usage: bool,
    /// A stored object that this request builds on (`previous_response_id`, `conversation`): only the channel that made it has it.
    pub stored: Option<String>,
    /// Span of the model's JSON value, quotes included.
    pub(crate) model_span: Option<Range<usize>>,
    /// Span of the value of `stream_options`, `null` included.
    pub(crate) stream_options_span: Option<Range<usize>>,
    /// Offset of the object's closing brace.
    pub(crate) close: usize,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeekError {
    /// The body is empty.
    Empty,
    /// Not JSON at all: the parser's words with line and column.
    NotJson(String),
    /// JSON, but not an object.
    NotObject,
    MissingModel,
    /// A field that Sluice must read has the wrong type, or stands twice: its name, and what was expected.
    BadField { field: &'static str, expected: &'static str },
}

/// The named edits of the relay lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// Send this model name in place of the client's.
    pub model: Option<&'a str>,
    /// Make sure that `stream_options.include_usage` is true.
    pub ask_usage: bool,
}

/// A body as slices, to be written one after the other.
#[derive(Clone, Debug, Default)]
pub struct Spliced {
    pub parts: Vec<Bytes>,
}

impl Spliced {
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads the outside of a body that came in through `door`.
pub fn peek(door: Door, body: &[u8]) -> Result<Envelope, PeekError> {
    let _ = (door, body);
    todo!()
}

/// The body with the edits made: untouched slices of `body` around the new values.
pub fn splice(body: &Bytes, envelope: &Envelope, edits: &Edits<'_>) -> Spliced {
    let _ = (body, envelope, edits);
    todo!()
}

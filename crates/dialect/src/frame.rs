//! Cutting a stream into frames without holding it: SSE events, or the elements of a JSON array.
//!
//! In: bytes as they came. Out: where a frame ends, and the data in it. A frame's bytes are all that came since the
//! frame before, so the frames put together are the stream. It must never copy a frame that lies whole in a chunk.

mod elements;
mod events;
mod long;

use std::borrow::Cow;

pub(crate) use long::LongFrame;

/// How a streamed body is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sse,
    /// Gemini without `alt=sse`: one JSON array, an element a frame.
    JsonArray,
    /// Not a stream: one JSON document (an error told with status 200, for one).
    Document,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Tells the framing from the first bytes of a body, whatever its content type says; `None`: more bytes are needed
/// (only white space or a byte order mark so far).
pub fn sniff(start: &[u8]) -> Option<Framing> {
    if start.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(start) {
        return None;
    }
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace())?;
    Some(match first {
        b'[' => Framing::JsonArray,
        // The first letters of `data`, `event`, `id` and `retry`, and a comment: no JSON starts like that.
        b'd' | b'e' | b'i' | b'r' | b':' => Framing::Sse,
        _ => Framing::Document,
    })
}

/// Finds the ends of frames; keeps its place between chunks.
#[derive(Debug)]
pub(crate) enum Scan {
    Events(events::Scan),
    Elements(elements::Scan),
}

impl Scan {
    pub(crate) fn new(framing: Framing) -> Scan {
        match framing {
            Framing::Sse => Scan::Events(events::Scan::default()),
            Framing::JsonArray => Scan::Elements(elements::Scan::new(true)),
            Framing::Document => Scan::Elements(elements::Scan::new(false)),
        }
    }

    /// Goes on through the stream. `Some(n)`: the frame under way ends after `n` of these bytes, and the next call
    /// must begin there; `None`: it goes on beyond them.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Scan::Events(scan) => scan.find_end(bytes),
            Scan::Elements(scan) => scan.find_end(bytes),
        }
    }

    /// The array or the document has ended: what follows is no frame.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Scan::Elements(scan) if scan.is_over())
    }

    /// The frame under way is whole, only a byte that may belong to its line end is awaited.
    pub(crate) fn awaits_line_feed(&self) -> bool {
        matches!(self, Scan::Events(scan) if scan.awaits_line_feed())
    }
}

/// What a frame carries.
#[derive(Debug, Default)]
pub(crate) struct Content<'a> {
    /// The value of the `event:` line.
    pub(crate) event: Option<&'a [u8]>,
    /// The data lines joined, or the element; `None`: comments, ids, blank lines, white space.
    pub(crate) data: Option<Cow<'a, [u8]>>,
    /// The closing bracket of the array.
    pub(crate) last: bool,
}

/// Reads one whole frame.
pub(crate) fn read_content(framing: Framing, frame: &[u8]) -> Content<'_> {
    match framing {
        Framing::Sse => events::read(frame.strip_prefix(BYTE_ORDER_MARK).unwrap_or(frame)),
        Framing::JsonArray => elements::read(frame, true),
        Framing::Document => elements::read(frame, false),
    }
}

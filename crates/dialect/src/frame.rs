//! Cutting a stream into frames without holding it: SSE events, or the elements of a JSON array.

/// How a streamed body is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Sse,
    /// Gemini without `alt=sse`: one JSON array, an element a frame.
    JsonArray,
    /// Not a stream: one JSON document (an error told with status 200, for one).
    Document,
}

/// Tells the framing from the first bytes of a body, whatever its content type says; `None`: more bytes are needed
/// (only white space or a byte order mark so far).
pub fn sniff(start: &[u8]) -> Option<Framing> {
    let _ = start;
    todo!()
}

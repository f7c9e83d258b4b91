//! Events of a stream in their framing: server-sent events, or the elements of one JSON array.
//!
//! In: event names and JSON; out: bytes, and where each event ends, because each is a packet of its own. It must
//! never look into the JSON.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Lf,
    Crlf,
    /// Gemini without `alt=sse`.
    Array,
}

pub(crate) struct Frames {
    framing: Framing,
    /// A comment goes before each event.
    comments: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Elements of the array so far.
    elements: usize,
}

impl Frames {
    pub(crate) fn new(framing: Framing, comments: bool) -> Frames {
        Frames { framing, comments, bytes: Vec::new(), ends: Vec::new(), elements: 0 }
    }

    /// Appends an event whose data `write` appends to the buffer.
    pub(crate) fn event(&mut self, name: Option<&str>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.framing == Framing::Array {
            self.bytes.extend_from_slice(if self.elements == 0 { b"[" } else { b",\r\n" });
            self.elements += 1;
            write(&mut self.bytes);
        } else {
            if self.comments {
                self.comment_line(": a comment");
                self.end_line();
            }
            if let Some(name) = name {
                self.bytes.extend_from_slice(b"event: ");
                self.bytes.extend_from_slice(name.as_bytes());
                self.end_line();
            }
            self.bytes.extend_from_slice(b"data: ");
            write(&mut self.bytes);
            self.end_line();
            self.end_line();
        }
        self.ends.push(self.bytes.len());
    }

    /// Appends a sign of life that carries nothing.
    pub(crate) fn comment(&mut self, text: &str) {
        if self.framing == Framing::Array {
            // The only thing that may stand between elements.
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.comment_line(text);
            self.end_line();
        }
        self.ends.push(self.bytes.len());
    }

    /// Appends what closes the array.
    pub(crate) fn close(&mut self) {
        if self.framing == Framing::Array {
            self.bytes.extend_from_slice(if self.elements == 0 { b"[]" } else { b"]" });
            self.ends.push(self.bytes.len());
        }
    }

    /// The events since the last `clear`, each with its framing.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    pub(crate) fn all(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn comment_line(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.end_line();
    }

    fn end_line(&mut self) {
        let end: &[u8] = if self.framing == Framing::Crlf { b"\r\n" } else { b"\n" };
        self.bytes.extend_from_slice(end);
    }
}

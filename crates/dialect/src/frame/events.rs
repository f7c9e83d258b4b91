//! Server-sent events: a frame ends with its blank line.
//!
//! Line ends may be LF, CRLF or CR, also mixed. Where a CR ends a chunk, the frame waits for the byte after it
//! (its LF may follow), but not in a stream whose lines end with CR alone: so the cut does not depend on the chunks.

use std::borrow::Cow;

use memchr::memchr2;

use super::Content;

#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The current line has bytes.
    line_begun: bool,
    /// A CR was the last byte: what it ended.
    after_cr: Option<Ended>,
    /// The line before ended with CR alone.
    bare_cr: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Line,
    Frame,
}

impl Scan {
    pub(super) fn awaits_line_feed(&self) -> bool {
        self.after_cr == Some(Ended::Frame)
    }

    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if let Some(ended) = self.after_cr {
                let line_feed = *bytes.get(at)? == b'\n';
                self.after_cr = None;
                self.bare_cr = !line_feed;
                at += usize::from(line_feed);
                if ended == Ended::Frame {
                    return Some(at);
                }
            }
            let rest = &bytes[at..];
            let Some(length) = memchr2(b'\n', b'\r', rest) else {
                self.line_begun |= !rest.is_empty();
                return None;
            };
            let blank = length == 0 && !self.line_begun;
            self.line_begun = false;
            at += length + 1;
            if rest[length] == b'\n' {
                self.bare_cr = false;
                if blank {
                    return Some(at);
                }
            } else if blank && self.bare_cr {
                return Some(at);
            } else {
                self.after_cr = Some(if blank { Ended::Frame } else { Ended::Line });
            }
        }
    }
}

/// Reads the fields of a frame; its last line may lack its end.
pub(super) fn read(frame: &[u8]) -> Content<'_> {
    let mut content = Content::default();
    let mut rest = frame;
    while !rest.is_empty() {
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        read_line(&rest[..length], &mut content);
        // The LF of a CRLF then looks like one more empty line, which says nothing here.
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    content
}

fn read_line<'a>(line: &'a [u8], content: &mut Content<'a>) {
    if let Some(value) = value_of(line, b"data") {
        content.data = Some(match content.data.take() {
            None => Cow::Borrowed(value),
            Some(before) => {
                let mut joined = before.into_owned();
                joined.push(b'\n');
                joined.extend_from_slice(value);
                Cow::Owned(joined)
            }
        });
    } else if let Some(value) = value_of(line, b"event") {
        content.event = Some(value);
    }
}

fn value_of<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(field)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

//! The elements of a top-level JSON array, or one JSON document, found by brackets and strings alone.
//!
//! A frame begins with the bracket or comma before its element, so that a stream cut between two frames can be
//! closed with `]`. The closing bracket is a frame without data; after it there are none.

use std::borrow::Cow;

use memchr::memchr2;

use super::{BYTE_ORDER_MARK, Content};

#[derive(Debug)]
pub(crate) struct Scan {
    array: bool,
    opened: bool,
    place: Place,
    depth: u64,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before an element.
    Before,
    /// In an object or array.
    Inside,
    InString,
    /// In a number or a word.
    InScalar,
    /// After the array or the document.
    After,
}

impl Scan {
    pub(super) fn new(array: bool) -> Scan {
        Scan { array, opened: false, place: Place::Before, depth: 0, escaped: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.place == Place::After
    }

    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self.place {
                Place::After => return None,
                Place::InString => match self.find_quote(&bytes[at..]) {
                    Some(quote) => {
                        at += quote;
                        self.place = Place::Inside;
                        if self.depth == 0 {
                            return self.end_element(at);
                        }
                    }
                    None => return None,
                },
                Place::InScalar => {
                    let byte = bytes[at];
                    // A document that starts as a word is no JSON: it has no end that could be found.
                    if self.array && (byte.is_ascii_whitespace() || matches!(byte, b',' | b']')) {
                        return self.end_element(at);
                    }
                    at += 1;
                }
                Place::Before => {
                    let byte = bytes[at];
                    at += 1;
                    if self.begin(byte) {
                        return Some(at);
                    }
                }
                Place::Inside => {
                    let byte = bytes[at];
                    at += 1;
                    match byte {
                        b'"' => self.place = Place::InString,
                        b'{' | b'[' => self.depth += 1,
                        b'}' | b']' => {
                            self.depth -= 1;
                            if self.depth == 0 {
                                return self.end_element(at);
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        None
    }

    /// Takes a byte before an element; true: it closed the array.
    fn begin(&mut self, byte: u8) -> bool {
        match byte {
            b'[' if self.array && !self.opened => self.opened = true,
            b']' if self.array => {
                self.place = Place::After;
                return true;
            }
            b'{' | b'[' => {
                self.depth = 1;
                self.place = Place::Inside;
            }
            b'"' => self.place = Place::InString,
            b',' if self.array => {}
            _ if byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(&byte) => {}
            _ => self.place = Place::InScalar,
        }
        false
    }

    fn end_element(&mut self, at: usize) -> Option<usize> {
        self.place = if self.array { Place::Before } else { Place::After };
        self.depth = 0;
        Some(at)
    }

    /// The offset after the closing quote.
    fn find_quote(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            at += memchr2(b'"', b'\\', &bytes[at..])? + 1;
            if bytes[at - 1] == b'"' {
                return Some(at);
            }
            self.escaped = true;
        }
        None
    }
}

/// The bytes between elements: white space, a byte order mark, and at most one bracket or comma. Returns how many
/// there are, and whether the separator was among them.
pub(super) fn skip_separator(bytes: &[u8], array: bool, mut separated: bool) -> (usize, bool) {
    let element = bytes.iter().position(|byte| {
        let separates = array && !separated && matches!(byte, b'[' | b',');
        separated |= separates;
        !separates && !byte.is_ascii_whitespace() && !BYTE_ORDER_MARK.contains(byte)
    });
    (element.unwrap_or(bytes.len()), separated)
}

pub(super) fn read(frame: &[u8], array: bool) -> Content<'_> {
    let (start, _) = skip_separator(frame, array, false);
    match frame[start..].trim_ascii_end() {
        [] => Content::default(),
        b"]" if array => Content { last: true, ..Content::default() },
        data => Content { data: Some(Cow::Borrowed(data)), ..Content::default() },
    }
}

//! Going over JSON text, one value at a time.
//!
//! In: bytes that are UTF-8, or will be checked for it. Out: where values begin and end; `None` where the text is no
//! JSON. It must accept exactly what serde_json skips (`skip_test.rs` holds it to that), and never recurse: an open
//! object or array costs one bit.

use std::ops::Range;

use super::scan::string_end;

/// A place in the text.
pub(super) struct Cursor<'a> {
    json: &'a [u8],
    at: usize,
}

/// A member's name, as it stands.
pub(super) struct Key {
    /// What stands between its quotes.
    pub(super) span: Range<usize>,
    /// There is a backslash in it.
    pub(super) escaped: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(json: &'a [u8]) -> Cursor<'a> {
        Cursor { json, at: 0 }
    }

    /// Goes over an object; `member` is told each key and where its value stands, and may refuse it.
    pub(super) fn each_member(
        &mut self,
        mut member: impl FnMut(Key, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.skip(b'{')?;
        if self.peek() == b'}' {
            return self.skip(b'}');
        }
        loop {
            let key = self.skip_key()?;
            member(key, self.skip_value()?)?;
            if self.peek() == b'}' {
                return self.skip(b'}');
            }
            self.skip(b',')?;
        }
    }

    /// Goes over an array; `element` is told where each value stands.
    pub(super) fn each_element(&mut self, mut element: impl FnMut(Range<usize>)) -> Option<()> {
        self.skip(b'[')?;
        if self.peek() == b']' {
            return self.skip(b']');
        }
        loop {
            element(self.skip_value()?);
            if self.peek() == b']' {
                return self.skip(b']');
            }
            self.skip(b',')?;
        }
    }

    /// There is nothing more but white space.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek();
        self.at == self.json.len()
    }

    /// Goes over one value of any kind.
    pub(super) fn skip_value(&mut self) -> Option<Range<usize>> {
        let mut open = Nesting::default();
        let first = self.peek();
        let start = self.at;
        let mut next = first;
        loop {
            match next {
                b'"' => {
                    self.skip_string()?;
                }
                b'{' => {
                    self.at += 1;
                    if self.peek() == b'}' {
                        self.at += 1;
                    } else {
                        self.skip_key()?;
                        open.push(true);
                        next = self.peek();
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    next = self.peek();
                    if next == b']' {
                        self.at += 1;
                    } else {
                        open.push(false);
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.skip_number()?,
                b't' => self.skip_word(b"true")?,
                b'f' => self.skip_word(b"false")?,
                b'n' => self.skip_word(b"null")?,
                _ => return None,
            }
            // A value has ended, and perhaps what it stands in.
            loop {
                let Some(in_object) = open.top() else { return Some(start..self.at) };
                match (self.peek(), in_object) {
                    (b',', true) => {
                        self.at += 1;
                        self.skip_key()?;
                        break;
                    }
                    (b',', false) => {
                        self.at += 1;
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return None,
                }
            }
            next = self.peek();
        }
    }

    /// The next byte that is no white space; nought at the end, which begins nothing either.
    #[inline]
    fn peek(&mut self) -> u8 {
        loop {
            match self.json.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    #[inline]
    fn skip(&mut self, byte: u8) -> Option<()> {
        if self.peek() != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// A key and its colon.
    #[inline]
    fn skip_key(&mut self) -> Option<Key> {
        if self.peek() != b'"' {
            return None;
        }
        let start = self.at + 1;
        let escaped = self.skip_string()?;
        let span = start..self.at - 1;
        self.skip(b':')?;
        Some(Key { span, escaped })
    }

    /// A string from its first quote to its last; whether there is a backslash in it.
    fn skip_string(&mut self) -> Option<bool> {
        let (length, escaped) = string_end(self.json.get(self.at + 1..)?)?;
        self.at += 1 + length;
        Some(escaped)
    }

    fn skip_number(&mut self) -> Option<()> {
        self.take(b"-");
        if self.take(b"0") {
            if self.json.get(self.at).is_some_and(u8::is_ascii_digit) {
                return None;
            }
        } else {
            self.skip_digits()?;
        }
        if self.take(b".") {
            self.skip_digits()?;
        }
        if self.take(b"eE") {
            self.take(b"+-");
            self.skip_digits()?;
        }
        Some(())
    }

    fn skip_digits(&mut self) -> Option<()> {
        let length = self.json[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        (length > 0).then_some(())
    }

    /// Takes the next byte if it is one of these.
    #[inline]
    fn take(&mut self, bytes: &[u8]) -> bool {
        let taken = self.json.get(self.at).is_some_and(|next| bytes.contains(next));
        self.at += usize::from(taken);
        taken
    }

    #[inline]
    fn skip_word(&mut self, word: &[u8]) -> Option<()> {
        self.json[self.at..].starts_with(word).then(|| self.at += word.len())
    }
}

/// The objects and arrays that are open, a bit for each: set for an object.
#[derive(Default)]
struct Nesting {
    depth: usize,
    /// The innermost ones, the last of them lowest.
    inner: u64,
    /// The others, in full words.
    outer: Vec<u64>,
}

impl Nesting {
    #[inline]
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(object);
        self.depth += 1;
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost is an object; `None` when nothing is open.
    #[inline]
    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.inner & 1 == 1)
    }
}

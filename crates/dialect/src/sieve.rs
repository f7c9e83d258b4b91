//! A small digest of a JSON document of any size.
//!
//! In: the document's bytes in pieces. Out: a JSON document with the members of interest only, their long strings cut
//! short, for the ordinary reading; and whether the document was whole. It must never hold more than
//! [`DIGEST_BOUND`] bytes of it, and never recurse. Keys are compared as they stand: no provider escapes its keys.

use memchr::memchr2;

use crate::text::{Delivered, Of, Texts, find};

/// What is left of a document when content is skipped is a few hundred bytes; an error with all its details some
/// thousands.
const DIGEST_BOUND: usize = 64 * 1024;
/// Long enough for ids, models, and the point of an error message.
const STRING_BOUND: usize = 256;
/// No member of interest has a longer name.
const KEY_BOUND: usize = 64;
/// No whole number that means something is longer.
const SCALAR_BOUND: usize = 64;
/// Far deeper than any reply; a deeper one is taken for broken.
const DEPTH_BOUND: usize = 512;

/// Members of an object, with what is kept of each. An array is looked through: the same holds for its elements.
pub(crate) type Members = &'static [(&'static str, Keep)];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    /// All of it, long strings cut.
    Whole,
    /// Only whether there is something: `true`, or `null` for `null`, `""`, `[]` and `{}`.
    Mark,
    /// An object's members as marks, whatever their names.
    Marks,
    Only(Members),
    Nothing,
}

impl Keep {
    fn of_element(self) -> Keep {
        match self {
            Keep::Whole | Keep::Marks | Keep::Only(_) => self,
            Keep::Mark | Keep::Nothing => Keep::Nothing,
        }
    }

    fn of_member(self, key: &[u8]) -> Keep {
        match self {
            Keep::Whole => Keep::Whole,
            Keep::Marks => Keep::Mark,
            Keep::Only(members) => members
                .iter()
                .find(|(name, _)| name.as_bytes() == key)
                .map_or(Keep::Nothing, |(_, keep)| *keep),
            Keep::Mark | Keep::Nothing => Keep::Nothing,
        }
    }

    fn writes(self) -> bool {
        matches!(self, Keep::Whole | Keep::Marks | Keep::Only(_))
    }
}

/// An object or array that is open.
#[derive(Debug)]
struct Level {
    object: bool,
    keep: Keep,
    empty: bool,
    /// Something was written into it, so a comma comes next.
    written: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    InKey,
    InString,
    InScalar,
    Done,
    Broken,
}

/// What a sieve found.
#[derive(Debug, Default)]
pub(crate) struct Sifted {
    /// The document's structure is whole.
    pub(crate) whole: bool,
    /// `None`: not whole, or too much of interest.
    pub(crate) digest: Option<Vec<u8>>,
    /// The texts that were not kept.
    pub(crate) delivered: Delivered,
}

#[derive(Debug)]
pub(crate) struct Sieve {
    place: Place,
    levels: Vec<Level>,
    /// What is kept of the value under way, or of the next one.
    keep: Keep,
    key: Vec<u8>,
    texts: Texts,
    /// What the string under way is part of, if it is a text.
    of: Option<Of>,
    delivered: Delivered,
    out: Vec<u8>,
    overflown: bool,
    /// Of the string or scalar under way: bytes read into the digest, or (skipped) whether there were any.
    length: usize,
    blank: bool,
    cut: bool,
    escaped: bool,
    hex_left: u8,
    hex: u16,
    /// The first half of a surrogate pair came last: no cut here.
    half_pair: bool,
}

impl Sieve {
    pub(crate) fn new(members: Members, texts: Texts) -> Sieve {
        Sieve {
            place: Place::Value,
            levels: Vec::new(),
            keep: Keep::Only(members),
            key: Vec::new(),
            texts,
            of: None,
            delivered: Delivered::default(),
            out: Vec::new(),
            overflown: false,
            length: 0,
            blank: true,
            cut: false,
            escaped: false,
            hex_left: 0,
            hex: 0,
            half_pair: false,
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.place != Place::Broken {
            let taken = match self.place {
                Place::InString => self.take_string(bytes),
                Place::InKey => self.take_key(bytes),
                Place::InScalar => self.take_scalar(bytes),
                _ => {
                    self.take_structure(bytes[0]);
                    1
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// The texts that were skipped so far.
    pub(crate) fn delivered(&self) -> &Delivered {
        &self.delivered
    }

    pub(crate) fn finish(mut self) -> Sifted {
        if self.place == Place::InScalar && self.levels.is_empty() {
            self.end_value();
        }
        let whole = self.place == Place::Done;
        let digest = (whole && !self.overflown).then_some(self.out);
        Sifted { whole, digest, delivered: self.delivered }
    }

    fn take_structure(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() {
            return;
        }
        match (self.place, byte) {
            (Place::Value | Place::ValueOrEnd, b'{' | b'[') => self.open(byte == b'{'),
            (Place::ValueOrEnd, b']') | (Place::KeyOrEnd, b'}') => self.close(),
            (Place::Value | Place::ValueOrEnd, b'"') => {
                self.begin_value();
                self.place = Place::InString;
                if self.keep.writes() {
                    self.put(b"\"");
                }
            }
            (Place::Value | Place::ValueOrEnd, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.begin_value();
                self.place = Place::InScalar;
                self.blank = byte == b'n';
                self.take_scalar(&[byte]);
            }
            (Place::KeyOrEnd | Place::Key, b'"') => {
                self.key.clear();
                self.place = Place::InKey;
            }
            (Place::Colon, b':') => self.place = Place::Value,
            (Place::CommaOrEnd, b',') => match self.levels.last() {
                Some(level) if level.object => self.place = Place::Key,
                Some(level) => {
                    self.keep = level.keep.of_element();
                    self.place = Place::Value;
                }
                None => self.place = Place::Broken,
            },
            (Place::CommaOrEnd, b'}' | b']') => {
                if self.levels.last().is_some_and(|level| level.object == (byte == b'}')) {
                    self.close();
                } else {
                    self.place = Place::Broken;
                }
            }
            // A byte order mark before the document.
            (Place::Value, 0xEF | 0xBB | 0xBF) if self.levels.is_empty() => {}
            _ => self.place = Place::Broken,
        }
    }

    /// The comma and the bookkeeping before an array's element or the document; a member's were done at its key.
    fn begin_value(&mut self) {
        (self.length, self.blank, self.cut, self.escaped) = (0, true, false, false);
        (self.hex_left, self.half_pair) = (0, false);
        let writes = self.keep.writes();
        let Some(level) = self.levels.last_mut() else { return };
        level.empty = false;
        if !level.object && writes && std::mem::replace(&mut level.written, true) {
            self.put(b",");
        }
    }

    fn open(&mut self, object: bool) {
        if self.levels.len() == DEPTH_BOUND {
            self.place = Place::Broken;
            return;
        }
        self.begin_value();
        if self.keep.writes() {
            self.put(if object { b"{" } else { b"[" });
        }
        self.levels.push(Level { object, keep: self.keep, empty: true, written: false });
        self.keep = self.keep.of_element();
        self.place = if object { Place::KeyOrEnd } else { Place::ValueOrEnd };
    }

    fn close(&mut self) {
        let Some(level) = self.levels.pop() else {
            self.place = Place::Broken;
            return;
        };
        self.keep = level.keep;
        if level.keep.writes() {
            self.put(if level.object { b"}" } else { b"]" });
        }
        self.blank = level.empty;
        self.end_value();
    }

    fn end_value(&mut self) {
        if matches!(self.keep, Keep::Mark) {
            self.put(if self.blank { b"null" } else { b"true" });
        }
        self.place = if self.levels.is_empty() { Place::Done } else { Place::CommaOrEnd };
    }

    fn take_key(&mut self, bytes: &[u8]) -> usize {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'"' {
                self.end_key();
                return at + 1;
            } else {
                self.escaped = byte == b'\\';
            }
            if self.key.len() <= KEY_BOUND {
                self.key.push(byte);
            }
        }
        bytes.len()
    }

    fn end_key(&mut self) {
        self.place = Place::Colon;
        let Some(level) = self.levels.last_mut() else { return };
        level.empty = false;
        let fits = self.key.len() <= KEY_BOUND;
        self.of = find(self.texts, &self.key);
        self.keep = if fits { level.keep.of_member(&self.key) } else { Keep::Nothing };
        if matches!(self.keep, Keep::Nothing) {
            return;
        }
        let comma: &[u8] = if std::mem::replace(&mut level.written, true) { b",\"" } else { b"\"" };
        self.put(comma);
        let key = std::mem::take(&mut self.key);
        self.put(&key);
        self.put(b"\":");
        self.key = key;
    }

    fn take_scalar(&mut self, bytes: &[u8]) -> usize {
        let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let end = bytes.iter().position(|byte| !goes_on(byte));
        let taken = end.unwrap_or(bytes.len());
        if self.keep.writes() {
            let kept = taken.min(SCALAR_BOUND.saturating_sub(self.length));
            self.length += kept;
            self.put(&bytes[..kept]);
        }
        if end.is_some() {
            self.end_value();
        }
        taken
    }

    fn take_string(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            if !self.keep.writes() || self.cut {
                if self.escaped {
                    self.escaped = false;
                    self.count(&bytes[at..=at]);
                    at += 1;
                    continue;
                }
                let Some(length) = memchr2(b'"', b'\\', &bytes[at..]) else {
                    self.blank = false;
                    self.count(&bytes[at..]);
                    return bytes.len();
                };
                let skipped = length + usize::from(bytes[at + length] == b'\\');
                self.count(&bytes[at..at + skipped]);
                self.blank &= length == 0 && bytes[at] == b'"';
                at += length + 1;
                if bytes[at - 1] == b'"' {
                    self.end_string();
                    return at;
                }
                self.escaped = true;
                continue;
            }
            if self.hex_left == 0 && !self.escaped {
                if byte == b'"' {
                    self.end_string();
                    return at + 1;
                }
                let boundary = byte & 0xC0 != 0x80 && !self.half_pair;
                if self.length >= STRING_BOUND && boundary {
                    self.cut = true;
                    continue;
                }
            }
            self.keep_string_byte(byte);
            at += 1;
        }
        at
    }

    /// Counts what is skipped of a text.
    fn count(&mut self, bytes: &[u8]) {
        if let Some(of) = self.of {
            self.delivered.add(of, bytes);
        }
    }

    /// Copies a byte of a string, and keeps track of where it may be cut.
    fn keep_string_byte(&mut self, byte: u8) {
        if self.hex_left > 0 {
            self.hex = self.hex << 4 | (byte as char).to_digit(16).unwrap_or(0) as u16;
            self.hex_left -= 1;
            self.half_pair = self.hex_left == 0 && (0xD800..0xDC00).contains(&self.hex);
        } else if self.escaped {
            self.escaped = false;
            self.half_pair = false;
            if byte == b'u' {
                (self.hex_left, self.hex) = (4, 0);
            }
        } else if byte == b'\\' {
            self.escaped = true;
        } else {
            self.half_pair = false;
        }
        self.length += 1;
        self.put(&[byte]);
    }

    fn end_string(&mut self) {
        if self.keep.writes() {
            self.put(b"\"");
        }
        self.end_value();
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.overflown || self.out.len() + bytes.len() > DIGEST_BOUND {
            self.overflown = true;
        } else {
            self.out.extend_from_slice(bytes);
        }
    }
}

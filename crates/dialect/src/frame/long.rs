//! A frame too long to be held: its bytes pass, and only a digest of its data is kept.
//!
//! In: the frame's bytes in pieces. Out: its event name and a small JSON document with the members of interest. It
//! must never hold more than the sieve's bound, however long the frame is.

use memchr::memchr2;

use super::{BYTE_ORDER_MARK, Framing, elements};
use crate::{
    sieve::{Members, Sieve},
    text::{Delivered, Texts},
};

/// Field and event names that mean something are far shorter; the rest of a longer one is not kept.
const NAME_BOUND: usize = 64;

#[derive(Debug)]
pub(crate) struct LongFrame {
    framing: Framing,
    sieve: Sieve,
    event: Option<Vec<u8>>,
    place: Place,
    name: Vec<u8>,
    data_lines: u32,
    length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the name of a line's field.
    Name,
    /// After the colon, where one space does not count.
    Colon(Field),
    Value(Field),
    /// Before the element, or (true) after the bracket or comma before it.
    Separator(bool),
    Element,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Other,
}

impl LongFrame {
    pub(crate) fn new(framing: Framing, members: Members, texts: Texts) -> LongFrame {
        let place = match framing {
            Framing::Sse => Place::Name,
            Framing::JsonArray | Framing::Document => Place::Separator(false),
        };
        let sieve = Sieve::new(members, texts);
        LongFrame { framing, sieve, event: None, place, name: Vec::new(), data_lines: 0, length: 0 }
    }

    /// How much of the frame has passed.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while let Some(&byte) = bytes.first() {
            let mut taken = 1;
            match self.place {
                Place::Element => {
                    taken = bytes.len();
                    self.sieve.feed(bytes);
                }
                Place::Separator(separated) => {
                    let array = self.framing == Framing::JsonArray;
                    let (skipped, separated) = elements::skip_separator(bytes, array, separated);
                    taken = skipped;
                    let found = skipped < bytes.len();
                    self.place = if found { Place::Element } else { Place::Separator(separated) };
                }
                Place::Name => match byte {
                    b'\n' | b'\r' => self.end_line(),
                    b':' => self.place = Place::Colon(self.begin_field()),
                    _ if self.name.len() < NAME_BOUND => self.name.push(byte),
                    _ => {}
                },
                Place::Colon(field) => {
                    self.place = Place::Value(field);
                    taken = usize::from(byte == b' ');
                }
                Place::Value(field) => {
                    let end = memchr2(b'\n', b'\r', bytes);
                    taken = end.map_or(bytes.len(), |end| end + 1);
                    self.take_value(field, &bytes[..end.unwrap_or(bytes.len())]);
                    if end.is_some() {
                        self.place = Place::Name;
                    }
                }
            }
            bytes = &bytes[taken..];
        }
    }

    fn begin_field(&mut self) -> Field {
        let name = std::mem::take(&mut self.name);
        match name.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&name) {
            b"data" => {
                if self.data_lines > 0 {
                    self.sieve.feed(b"\n");
                }
                self.data_lines += 1;
                Field::Data
            }
            b"event" => {
                self.event = Some(Vec::new());
                Field::Event
            }
            _ => Field::Other,
        }
    }

    /// A line without a colon; the blank one, and what follows a CR, too.
    fn end_line(&mut self) {
        self.begin_field();
    }

    fn take_value(&mut self, field: Field, value: &[u8]) {
        match field {
            Field::Data => self.sieve.feed(value),
            Field::Event => {
                let event = self.event.get_or_insert_default();
                event.extend(value.iter().take(NAME_BOUND.saturating_sub(event.len())));
            }
            Field::Other => {}
        }
    }

    /// The event's name, the digest if the data was one whole JSON document, and the texts in it.
    pub(crate) fn finish(self) -> (Option<Vec<u8>>, Option<Vec<u8>>, Delivered) {
        let sifted = self.sieve.finish();
        (self.event, sifted.digest, sifted.delivered)
    }
}

//! The same reading by serde_json alone: what the skipper must agree with.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

type Found<'a, const N: usize> = ([Option<&'a str>; N], [bool; N]);

pub(super) fn read_object<'a, const N: usize>(
    json: &'a [u8],
    names: [&str; N],
) -> Result<Found<'a, N>, String> {
    let json = std::str::from_utf8(json).map_err(|error| error.to_string())?;
    let mut found = ([None; N], [false; N]);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let note = |key: &str, value: &'a str| {
        if let Some(at) = names.iter().position(|name| *name == key) {
            found.1[at] |= found.0[at].replace(value).is_some();
        }
    };
    let read = deserializer.deserialize_map(Object(note)).and_then(|()| deserializer.end());
    read.map_err(|error| error.to_string())?;
    Ok(found)
}

pub(super) fn each_element<'a>(json: &'a str, visit: impl FnMut(&'a str)) -> Option<()> {
    serde_json::Deserializer::from_str(json).deserialize_seq(Array(visit)).ok()
}

pub(super) fn any_member(json: &str, mut claim: impl FnMut(&str, &str) -> bool) -> bool {
    let mut any = false;
    let read = serde_json::Deserializer::from_str(json)
        .deserialize_map(Object(|key: &str, value| any = any || claim(key, value)));
    read.is_ok() && any
}

pub(super) fn is_whole(json: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json).is_ok()
}

struct Object<F>(F);

impl<'de, F: FnMut(&str, &'de str)> Visitor<'de> for Object<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            (self.0)(&key, map.next_value::<&'de RawValue>()?.get());
        }
        Ok(())
    }
}

struct Array<F>(F);

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Array<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

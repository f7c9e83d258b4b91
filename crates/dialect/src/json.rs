//! Looking into JSON without building it: the named members of an object, the elements of an array.
//!
//! In: JSON text. Out: slices of the same text, one per value asked for. Values that nobody asked for are skipped
//! without recursion, so nesting cannot overflow the stack. Strings are compared in their raw form where possible:
//! providers cut emoji in two, and half a surrogate pair must not make a whole frame unreadable.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The values of `names` at the top level of an object.
pub(crate) struct Members<'a, const N: usize> {
    /// The raw text of each value; an explicit `null` is there as `null`. The last one wins.
    pub(crate) values: [Option<&'a str>; N],
    /// Which of the names stood more than once.
    pub(crate) twice: [bool; N],
}

/// Reads a whole JSON object; anything after it is an error.
pub(crate) fn read_object<'a, const N: usize>(
    json: &'a str,
    names: [&str; N],
) -> Result<Members<'a, N>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_map(Named { names })?;
    deserializer.end()?;
    Ok(members)
}

/// The values of `names`, or `None` when this is no JSON object.
pub(crate) fn members<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    read_object(json, names).ok().map(|members| members.values)
}

/// Calls `visit` with the raw text of each element; `None` when this is no JSON array.
pub(crate) fn each_element<'a>(json: &'a str, visit: impl FnMut(&'a str)) -> Option<()> {
    serde_json::Deserializer::from_str(json).deserialize_seq(Elements { visit }).ok()
}

/// Whether a member for which `claim(name, raw value)` holds stands in the object.
pub(crate) fn any_member(json: &str, claim: impl FnMut(&str, &str) -> bool) -> bool {
    serde_json::Deserializer::from_str(json).deserialize_map(AnyMember { claim }).unwrap_or(false)
}

/// Whole, well-formed JSON and nothing after it.
pub(crate) fn is_whole(json: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// Absent, `null`, `""`, `[]` or `{}`: said, but nothing said.
pub(crate) fn is_blank(json: Option<&str>) -> bool {
    let Some(json) = json else { return true };
    match json.as_bytes().first() {
        None | Some(b'n') => true,
        Some(b'"') => json.len() <= 2,
        Some(b'[' | b'{') => json[1..].trim_ascii_start().len() <= 1,
        Some(_) => false,
    }
}

/// The value is exactly this string.
pub(crate) fn is_string(json: Option<&str>, expected: &str) -> bool {
    raw_string(json) == Some(expected)
}

/// A string's text between its quotes, escapes untouched.
pub(crate) fn raw_string(json: Option<&str>) -> Option<&str> {
    json?.strip_prefix('"')?.strip_suffix('"')
}

/// A string's text; when its escapes are broken, as it stands.
pub(crate) fn text(json: Option<&str>) -> Option<Cow<'_, str>> {
    let raw = raw_string(json)?;
    if !raw.contains('\\') {
        return Some(Cow::Borrowed(raw));
    }
    Some(serde_json::from_str::<String>(json?).map_or(Cow::Borrowed(raw), Cow::Owned))
}

/// A number that is no count is ignored: no call uses a thousand million tokens, and a provider's bug of that size
/// must not become a charge.
pub(crate) const MAX_COUNT: u64 = 1_000_000_000;

/// A token count. Negative, fractional and absurd numbers are no counts; `12.0` is twelve.
pub(crate) fn count(json: Option<&str>) -> Option<u64> {
    let json = json?;
    let number = match json.parse::<u64>() {
        Ok(number) => number,
        Err(_) => {
            let float: f64 = json.parse().ok()?;
            if !(float.fract() == 0.0 && (0.0..=MAX_COUNT as f64).contains(&float)) {
                return None;
            }
            float as u64
        }
    };
    (number <= MAX_COUNT).then_some(number)
}

struct Named<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for Named<'_, N> {
    type Value = Members<'de, N>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Members { values: [None; N], twice: [false; N] };
        while let Some(position) = map.next_key_seed(Position { names: &self.names })? {
            match position {
                Some(at) => {
                    let value: &'de RawValue = map.next_value()?;
                    found.twice[at] |= found.values[at].replace(value.get()).is_some();
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// A key, as its position among the names. Serde hands over the key unescaped, so `"mod\u0065l"` is found too.
struct Position<'n> {
    names: &'n [&'n str],
}

impl<'de> DeserializeSeed<'de> for Position<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Position<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|name| *name == key))
    }
}

struct Elements<F> {
    visit: F,
}

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            (self.visit)(element.get());
        }
        Ok(())
    }
}

struct AnyMember<F> {
    claim: F,
}

impl<'de, F: FnMut(&str, &str) -> bool> Visitor<'de> for AnyMember<F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        let mut any = false;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            let value: &'de RawValue = map.next_value()?;
            any = any || (self.claim)(&key, value.get());
        }
        Ok(any)
    }
}

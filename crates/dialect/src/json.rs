//! Looking into JSON without building it: the named members of an object, the elements of an array.
//!
//! In: JSON text. Out: slices of the same text, one per value asked for. Values that nobody asked for are skipped
//! without recursion, so nesting cannot overflow the stack. Strings are compared in their raw form where possible:
//! providers cut emoji in two, and half a surrogate pair must not make a whole frame unreadable.

mod scan;
mod skip;
#[cfg(test)]
mod skip_test;
mod utf8;
#[cfg(test)]
mod utf8_test;

use std::{borrow::Cow, ops::Range};

use serde::de::IgnoredAny;
use skip::{Cursor, Key};

/// The values of `names` at the top level of an object.
pub(crate) struct Members<'a, const N: usize> {
    /// The raw text of each value; an explicit `null` is there as `null`. The last one wins.
    pub(crate) values: [Option<&'a str>; N],
    /// Which of the names stood more than once.
    pub(crate) twice: [bool; N],
}

/// Reads a whole JSON object; `None` when it is none, when anything follows it, or when it is not UTF-8.
pub(crate) fn read_object<'a, const N: usize>(json: &'a [u8], names: [&str; N]) -> Option<Members<'a, N>> {
    if !utf8::is_valid(json) {
        return None;
    }
    let found = find(json, names)?;
    let values = found.spans.map(|span| std::str::from_utf8(&json[span?]).ok());
    Some(Members { values, twice: found.twice })
}

/// Why text is no JSON, in the words of serde_json, with line and column.
#[cold]
pub(crate) fn explain(json: &[u8]) -> String {
    /// Any object at all: it asks for no member, so it skips them all.
    #[derive(serde::Deserialize)]
    struct Object {}
    let error = match std::str::from_utf8(json) {
        Err(error) => return error.to_string(),
        Ok(json) if json.trim_ascii_start().starts_with('{') => serde_json::from_str::<Object>(json).err(),
        Ok(json) => serde_json::from_str::<IgnoredAny>(json).err(),
    };
    // Without an error the two would differ in what they accept: `skip_test.rs` looks for that.
    error.map_or_else(|| "not JSON".to_owned(), |error| error.to_string())
}

/// The values of `names`, or `None` when this is no JSON object.
pub(crate) fn members<'a, const N: usize>(json: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    let found = find(json.as_bytes(), names)?;
    Some(found.spans.map(|span| Some(&json[span?])))
}

/// Calls `visit` with the raw text of each element; `None` when this is no JSON array.
pub(crate) fn each_element<'a>(json: &'a str, mut visit: impl FnMut(&'a str)) -> Option<()> {
    Cursor::new(json.as_bytes()).each_element(|span| visit(&json[span]))
}

/// Whether a member for which `claim(name, raw value)` holds stands in the object.
pub(crate) fn any_member(json: &str, mut claim: impl FnMut(&str, &str) -> bool) -> bool {
    let mut any = false;
    let read = Cursor::new(json.as_bytes()).each_member(|key, value| {
        let raw = &json[key.span.clone()];
        let name =
            if key.escaped { Cow::Owned(unescape(json.as_bytes(), &key)?) } else { Cow::Borrowed(raw) };
        any = any || claim(&name, &json[value]);
        Some(())
    });
    read.is_some() && any
}

/// Whole, well-formed JSON and nothing after it.
pub(crate) fn is_whole(json: &str) -> bool {
    let mut cursor = Cursor::new(json.as_bytes());
    cursor.skip_value().is_some() && cursor.is_at_end()
}

struct Found<const N: usize> {
    spans: [Option<Range<usize>>; N],
    twice: [bool; N],
}

/// Where the values of `names` stand in a whole object.
fn find<const N: usize>(json: &[u8], names: [&str; N]) -> Option<Found<N>> {
    let mut found = Found { spans: [const { None }; N], twice: [false; N] };
    let mut cursor = Cursor::new(json);
    cursor.each_member(|key, value| {
        if let Some(at) = position(json, &key, &names)? {
            found.twice[at] |= found.spans[at].replace(value).is_some();
        }
        Some(())
    })?;
    cursor.is_at_end().then_some(found)
}

/// Which of the names the key is: `"mod\u0065l"` is found, too. `None` where its escapes are broken.
#[inline]
fn position(json: &[u8], key: &Key, names: &[&str]) -> Option<Option<usize>> {
    let raw = &json[key.span.clone()];
    if key.escaped {
        let key = unescape(json, key)?;
        return Some(names.iter().position(|name| **name == key));
    }
    Some(names.iter().position(|name| name.as_bytes() == raw))
}

/// A key with escapes, unescaped; `None` where they make half a surrogate pair.
#[cold]
fn unescape(json: &[u8], key: &Key) -> Option<String> {
    serde_json::from_slice(&json[key.span.start - 1..=key.span.end]).ok()
}

/// The member whose value is at `value`: its name, the colon and the value.
pub(crate) fn member_span(json: &[u8], value: Range<usize>) -> Range<usize> {
    // Before a value stand its colon and the name in quotes; a name that was asked for has no quote within.
    let colon = json[..value.start].trim_ascii_end().len().saturating_sub(1);
    let closing = json[..colon].trim_ascii_end().len().saturating_sub(1);
    let opening = json[..closing].iter().rposition(|byte| *byte == b'"').unwrap_or(closing);
    opening..value.end
}

/// What must go so that these members of one object are gone, each with a comma: members that stand side by side share theirs.
pub(crate) fn cuts(json: &[u8], mut members: Vec<Range<usize>>) -> Vec<Range<usize>> {
    members.sort_by_key(|member| member.start);
    let mut groups: Vec<Range<usize>> = Vec::new();
    for member in members {
        match groups.last_mut() {
            // Within what goes already.
            Some(group) if member.start < group.end => group.end = group.end.max(member.end),
            Some(group) if json[group.end..member.start].trim_ascii() == b"," => group.end = member.end,
            _ => groups.push(member),
        }
    }
    groups.into_iter().map(|group| with_comma(json, group)).collect()
}

/// Members side by side, with the comma behind them, or else the one before.
fn with_comma(json: &[u8], members: Range<usize>) -> Range<usize> {
    let behind = json[members.end..].len() - json[members.end..].trim_ascii_start().len();
    if json.get(members.end + behind) == Some(&b',') {
        return members.start..members.end + behind + 1;
    }
    let before = json[..members.start].trim_ascii_end();
    if before.ends_with(b",") { before.len() - 1..members.end } else { members }
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

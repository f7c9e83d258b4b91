//! JSON by template: a text with `@` where a value goes.
//!
//! In: a template and its values; out: bytes appended to a buffer. It makes the shapes of the dialects readable
//! as they are on the wire, and allocates nothing. It must never leave a string unquoted that came from outside.

use std::io::Write;

pub(crate) enum Slot<'a> {
    /// A number, or digits inside an id.
    Num(u64),
    /// A JSON string.
    Text(&'a str),
    /// Ready JSON.
    Raw(&'a str),
}

/// Appends the template with its `@`s replaced.
pub(crate) fn fill(out: &mut Vec<u8>, template: &str, slots: &[Slot<'_>]) {
    let mut slots = slots.iter();
    let mut parts = template.split('@');
    out.extend_from_slice(parts.next().unwrap_or("").as_bytes());
    for part in parts {
        match slots.next() {
            // Writing to memory does not fail.
            Some(Slot::Num(number)) => drop(write!(out, "{number}")),
            Some(Slot::Text(text)) => quote(out, text),
            Some(Slot::Raw(json)) => out.extend_from_slice(json.as_bytes()),
            None => debug_assert!(false, "too few values for {template}"),
        }
        out.extend_from_slice(part.as_bytes());
    }
    debug_assert!(slots.next().is_none(), "too many values for {template}");
}

/// Like `fill`, into a new string.
pub(crate) fn filled(template: &str, slots: &[Slot<'_>]) -> String {
    let mut out = Vec::with_capacity(template.len() * 2);
    fill(&mut out, template, slots);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a JSON string.
fn quote(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

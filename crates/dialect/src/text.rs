//! How much text there is, for when nobody says how many tokens it was.
//!
//! In: request bodies, and replies as they go by. Out: a [`Prompt`] and what was [`Delivered`]: bytes counted, and a small
//! sample for a tokenizer. They must stay small however long the text is, and cost next to nothing: every stream has one,
//! and nearly none is ever asked.

use memchr::{memchr, memchr2};

use crate::{Dialect, Door, Operation};

/// What is kept of a text, in bytes; the rest of it is taken to be like that. Some five hundred tokens say well enough how
/// many bytes each has.
pub(crate) const SAMPLE: usize = 2048;
/// Places of a long prompt that the sample is taken from: it begins in one language and goes on in another.
const STRIPES: usize = 8;
/// A shorter string is no picture.
const SHORTEST_INLINE: usize = 256;
/// Tokens that a picture, a sound or a file is assumed to have, and bytes of base64 for each one beyond: right within a few
/// times for pictures and for documents of many pages.
const INLINE_TOKENS: u64 = 1_000;
const INLINE_BYTES_PER_TOKEN: u64 = 256;

/// What a string is part of, by the name of its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Output,
    Reasoning,
}

/// The members that hold what a model wrote.
pub(crate) type Texts = &'static [(&'static str, Of)];

const CHAT: Texts = &[
    ("content", Of::Output),
    ("arguments", Of::Output),
    ("refusal", Of::Output),
    ("input", Of::Output),
    ("reasoning_content", Of::Reasoning),
    ("reasoning", Of::Reasoning),
    ("thinking", Of::Reasoning),
];
/// Of other operations and dialects, and of legacy completions: in chat, `text` repeats what `reasoning` says.
const OTHERS: Texts = &[
    ("text", Of::Output),
    ("arguments", Of::Output),
    ("refusal", Of::Output),
    ("partial_json", Of::Output),
    ("thinking", Of::Reasoning),
];

pub(crate) fn texts_of(door: Door) -> Texts {
    match (door.dialect, door.operation) {
        (Dialect::OpenaiChat, Operation::Chat) => CHAT,
        _ => OTHERS,
    }
}

/// The member's place among the texts.
pub(crate) fn find(texts: Texts, member: &[u8]) -> Option<Of> {
    texts.iter().find(|(name, _)| name.as_bytes() == member).map(|(_, of)| *of)
}

/// What was written into a reply so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    output: u64,
    reasoning: u64,
    sample: Vec<u8>,
}

impl Delivered {
    /// Bytes of what a reader sees, as they stand in JSON.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Bytes of reasoning.
    pub fn reasoning(&self) -> u64 {
        self.reasoning
    }

    /// How both begin, and how many of their bytes that is.
    pub fn sample(&self) -> (String, u64) {
        (unescape(&self.sample), self.sample.len() as u64)
    }

    /// Counts the raw text of a string.
    pub(crate) fn add(&mut self, of: Of, raw: &[u8]) {
        match of {
            Of::Output => self.output += raw.len() as u64,
            Of::Reasoning => self.reasoning += raw.len() as u64,
        }
        let room = SAMPLE - self.sample.len();
        if room > 0 {
            self.sample.extend_from_slice(&raw[..raw.len().min(room)]);
        }
    }

    /// Counts the texts of a delta. Nearly every one begins in one of these ways and has only the one text: no need to look at
    /// its other members.
    pub(crate) fn count_delta(&mut self, starts: &[(&str, Of)], texts: Texts, json: &str) {
        for (start, of) in starts {
            let Some(text) = json.strip_prefix(start).map(str::as_bytes) else { continue };
            if let Some(end) = string_end(text, 0)
                && text.get(end + 1) == Some(&b'}')
            {
                return self.add(*of, &text[..end]);
            }
        }
        self.count(texts, json);
    }

    /// Counts every text in a piece of JSON.
    pub(crate) fn count(&mut self, texts: Texts, json: &str) {
        each_string(json.as_bytes(), |member, raw| {
            if let Some(of) = find(texts, member) {
                self.add(of, raw);
            }
        });
    }

    pub(crate) fn append(&mut self, other: &Delivered) {
        self.output += other.output;
        self.reasoning += other.reasoning;
        let room = SAMPLE - self.sample.len();
        self.sample.extend_from_slice(&other.sample[..other.sample.len().min(room)]);
    }
}

/// What a request gives a model to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Bytes of text, as they stand in JSON.
    pub text: u64,
    pub messages: u64,
    /// Bytes of pictures, sounds and files that stand in the body.
    pub inline_bytes: u64,
    /// What these are assumed to be in tokens, and those that are only named.
    pub inline_tokens: u64,
    sample: Vec<u8>,
}

impl Prompt {
    /// Looks through the body of a request.
    pub fn of(body: &[u8]) -> Prompt {
        let mut prompt = Prompt::default();
        let mut spans: Vec<&[u8]> = Vec::new();
        each_string(body, |member, raw| {
            if is_inline(member, raw) {
                prompt.inline_bytes += raw.len() as u64;
                prompt.inline_tokens += INLINE_TOKENS + raw.len() as u64 / INLINE_BYTES_PER_TOKEN;
            } else if POINTS.contains(&member) {
                prompt.inline_tokens += INLINE_TOKENS;
            } else if member == b"role" {
                prompt.messages += 1;
            } else if !SILENT.contains(&member) {
                prompt.text += raw.len() as u64;
                spans.push(raw);
            }
        });
        prompt.sample = sample(&spans, prompt.text as usize);
        prompt
    }

    /// Text from all over it, and how many of its bytes that is.
    pub fn sample(&self) -> (String, u64) {
        (unescape(&self.sample), self.sample.len() as u64)
    }
}

/// Members whose strings no model reads.
const SILENT: [&[u8]; 26] = [
    b"model",
    b"type",
    b"id",
    b"tool_call_id",
    b"call_id",
    b"tool_use_id",
    b"media_type",
    b"mimeType",
    b"mime_type",
    b"format",
    b"detail",
    b"status",
    b"user",
    b"tool_choice",
    b"reasoning_effort",
    b"effort",
    b"summary",
    b"service_tier",
    b"encoding_format",
    b"previous_response_id",
    b"conversation",
    b"signature",
    b"thoughtSignature",
    b"encrypted_content",
    b"include",
    b"stop",
];
/// Members that name what the provider fetches itself.
const POINTS: [&[u8]; 6] = [b"url", b"image_url", b"file_url", b"file_id", b"fileUri", b"file_uri"];

fn is_inline(member: &[u8], raw: &[u8]) -> bool {
    if raw.len() < SHORTEST_INLINE {
        return false;
    }
    let start = &raw[..64];
    if start.starts_with(b"data:") {
        return true;
    }
    let base64 =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'\\');
    matches!(member, b"data" | b"file_data") && start.iter().all(base64)
}

/// So much of a text, from all over it.
fn sample(spans: &[&[u8]], total: usize) -> Vec<u8> {
    let mut kept = Vec::with_capacity(total.min(SAMPLE));
    if total <= SAMPLE {
        spans.iter().for_each(|span| kept.extend_from_slice(span));
        return kept;
    }
    let mut stripes = (0..STRIPES).map(|stripe| {
        let from = stripe * (total / STRIPES);
        from..from + SAMPLE / STRIPES
    });
    let Some(mut stripe) = stripes.next() else { return kept };
    let mut passed = 0;
    for span in spans {
        let end = passed + span.len();
        while stripe.start < end {
            let (from, to) = (stripe.start.max(passed) - passed, stripe.end.min(end) - passed);
            kept.extend_from_slice(&span[from..to]);
            if stripe.end > end {
                stripe.start = end;
                break;
            }
            let Some(next) = stripes.next() else { return kept };
            stripe = next;
        }
        passed = end;
    }
    kept
}

/// Calls `visit` with the member's name and the raw text of each string that is a value. A string in an array has the name
/// before it. Whatever is no JSON is looked through as if it were.
pub(crate) fn each_string<'a>(json: &'a [u8], mut visit: impl FnMut(&'a [u8], &'a [u8])) {
    let (mut member, mut at): (&[u8], usize) = (b"", 0);
    while let Some(quote) = memchr(b'"', &json[at..]) {
        let begin = at + quote + 1;
        let Some(end) = string_end(json, begin) else { return };
        at = end + 1;
        let string = &json[begin..end];
        match json[at..].iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b':') => member = string,
            _ => visit(member, string),
        }
    }
}

/// Where the closing quote of a string stands that begins at `begin`.
fn string_end(json: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The text that raw JSON stands for. It may be cut anywhere, and made of many strings.
fn unescape(raw: &[u8]) -> String {
    let mut text = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let (byte, length) = match rest.get(at + 1) {
            Some(b'u') => match unit(&rest[at..]) {
                Some(unit) if (0xD800..0xDC00).contains(&unit) => {
                    let low = unit_after(&rest[at + 6..]);
                    let pair = [unit, low.unwrap_or(0)];
                    let text_of = char::decode_utf16(pair).next().and_then(Result::ok).unwrap_or('\u{FFFD}');
                    text.extend_from_slice(text_of.encode_utf8(&mut [0; 4]).as_bytes());
                    (None, if low.is_some() { 12 } else { 6 })
                }
                Some(unit) => {
                    let text_of = char::from_u32(u32::from(unit)).unwrap_or('\u{FFFD}');
                    text.extend_from_slice(text_of.encode_utf8(&mut [0; 4]).as_bytes());
                    (None, 6)
                }
                None => (None, rest.len() - at),
            },
            Some(b'n') => (Some(b'\n'), 2),
            Some(b't') => (Some(b'\t'), 2),
            Some(b'r') => (Some(b'\r'), 2),
            Some(byte) => (Some(*byte), 2),
            None => (None, 1),
        };
        text.extend(byte);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    String::from_utf8_lossy(&text).into_owned()
}

/// The code unit of `\uXXXX`.
fn unit(raw: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(raw.get(2..6)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

/// The second half of a pair, where it follows.
fn unit_after(raw: &[u8]) -> Option<u16> {
    let unit = raw.starts_with(b"\\u").then(|| unit(raw))??;
    (0xDC00..0xE000).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_its_json_says_wherever_it_was_cut() {
        let whole = r#"a\n\u00e9\ud83d\ude00\"z"#.replace("\\\\", "\\");
        assert_eq!(unescape(whole.as_bytes()), "a\né😀\"z");
        for at in 0..whole.len() {
            let text = unescape(&whole.as_bytes()[..at]);
            assert!("a\né😀\"z".starts_with(text.trim_end_matches('\u{FFFD}')), "{at}: {text:?}");
        }
        assert_eq!(unescape("é中".as_bytes().split_last().unwrap().1), "é\u{FFFD}");
    }

    #[test]
    fn a_prompt_is_its_text_without_its_pictures() {
        let picture = "A".repeat(100_000);
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"be brief"}},{{"role":"user","content":[
               {{"type":"text","text":"what is this?"}},
               {{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}},
               {{"type":"image_url","image_url":{{"url":"https://example.com/a.png"}}}}]}}],
               "source":{{"type":"base64","media_type":"image/png","data":"{picture}"}}}}"#
        );
        let prompt = Prompt::of(body.as_bytes());
        assert_eq!((prompt.text, prompt.messages), (21, 2));
        assert_eq!(prompt.sample(), ("be briefwhat is this?".to_owned(), 21));
        assert!(prompt.inline_bytes > 200_000, "{prompt:?}");
        assert!((3_000..5_000).contains(&prompt.inline_tokens), "{prompt:?}");
    }

    #[test]
    fn a_long_prompt_is_sampled_from_all_over_it() {
        let parts: Vec<String> = (0..100)
            .map(|part| format!("{{\"content\":\"{}\"}}", format!("{part:02}").repeat(200)))
            .collect();
        let body = format!("[{}]", parts.join(","));
        let prompt = Prompt::of(body.as_bytes());
        let (sample, length) = prompt.sample();
        assert_eq!((prompt.text, length), (40_000, SAMPLE as u64));
        for part in ["00", "12", "25", "37", "50", "62", "75", "87"] {
            assert!(sample.contains(&part.repeat(100)), "{part}");
        }
    }

    #[test]
    fn a_delta_that_begins_as_most_do_is_counted_as_any_other() {
        let starts = [(r#"{"content":""#, Of::Output)];
        for delta in [
            r#"{"content":"a\"b"}"#,
            r#"{"content":"ab","reasoning":"c"}"#,
            r#"{"content":"ab" }"#,
            r#"{"content":""}"#,
            r#"{"content":"ab"#,
            r#"{"content":null}"#,
        ] {
            let (mut short, mut full) = (Delivered::default(), Delivered::default());
            short.count_delta(&starts, CHAT, delta);
            full.count(CHAT, delta);
            assert_eq!(short, full, "{delta}");
        }
    }

    #[test]
    fn what_was_written_is_counted_and_little_of_it_kept() {
        let mut delivered = Delivered::default();
        for _ in 0..1_000 {
            delivered.count(CHAT, r#"{"role":"assistant","content":"12345","reasoning_content":"abc"}"#);
        }
        assert_eq!((delivered.output(), delivered.reasoning()), (5_000, 3_000));
        assert_eq!(delivered.sample().1, SAMPLE as u64);
    }
}

//! The loops over the inside of strings, where nearly all of a document's bytes are.
//!
//! In: bytes. Out: how many of them need no look. No unsafe code here: vectors are the library's, or made by the compiler
//! of a loop that is plain enough.

use memchr::memchr2;
use wide::u8x16;

/// A vector on every processor.
const LANES: usize = 16;
/// Most runs end within this; the search by longer vectors costs more than that to begin.
const SHORT: usize = 4 * LANES;

/// Where a string ends, which begins before `text`: behind its last quote; and whether there is a backslash in it.
/// `None`: it does not end, or has in it what no string may have.
pub(super) fn string_end(text: &[u8]) -> Option<(usize, bool)> {
    // `next`: what was not looked at yet, for an escape may reach into the next vector.
    let (mut at, mut next, mut escaped, mut plain) = (0, 0, false, 0);
    while let Some(chunk) = text[at..].first_chunk::<LANES>() {
        let mut special = specials(chunk) & from(next, at);
        if special == 0 {
            plain += LANES;
            at += LANES;
            if plain == SHORT {
                at += long_plain_length(text.get(at..)?);
                plain = 0;
            }
            continue;
        }
        while special != 0 {
            let found = at + special.trailing_zeros() as usize;
            if text[found] == b'"' {
                return Some((found + 1, escaped));
            }
            next = found + escape_length(&text[found..])?;
            escaped = true;
            special &= from(next, at);
        }
        plain = 0;
        at += LANES;
    }
    at = at.max(next);
    loop {
        match text.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            byte if is_special(*byte) => {
                at += escape_length(&text[at..])?;
                escaped = true;
            }
            _ => at += 1,
        }
    }
}

/// The bits of a vector at `at` that stand for `next` and what follows.
#[inline]
fn from(next: usize, at: usize) -> u32 {
    u32::MAX.checked_shl(next.saturating_sub(at) as u32).unwrap_or(0)
}

/// The length of the escape that stands here.
#[inline]
fn escape_length(text: &[u8]) -> Option<usize> {
    match text {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => {
            Some(6)
        }
        _ => None,
    }
}

/// How many bytes there are before the first that means something in a string: `"`, `\`, or a control character.
#[inline(never)]
fn long_plain_length(text: &[u8]) -> usize {
    let length = memchr2(b'"', b'\\', text).unwrap_or(text.len());
    if holds_control(&text[..length]) {
        return text.iter().take_while(|byte| **byte >= b' ').count();
    }
    length
}

fn holds_control(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<LANES>() else { return text.iter().any(|byte| *byte < b' ') };
    let (chunks, _) = text.as_chunks::<LANES>();
    let mut lowest = *last;
    for chunk in chunks {
        for at in 0..LANES {
            lowest[at] = lowest[at].min(chunk[at]);
        }
    }
    lowest.into_iter().fold(u8::MAX, u8::min) < b' '
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// A bit for each byte that is special.
#[inline]
fn specials(chunk: &[u8; LANES]) -> u32 {
    let text = u8x16::new(*chunk);
    let control = text.min(u8x16::splat(b' ' - 1)).simd_eq(text);
    let special = control | text.simd_eq(u8x16::splat(b'"')) | text.simd_eq(u8x16::splat(b'\\'));
    special.to_bitmask()
}

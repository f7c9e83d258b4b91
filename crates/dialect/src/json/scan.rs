//! The loops over the inside of strings, where nearly all of a document's bytes are.
//!
//! In: bytes. Out: how many of them need no look. No unsafe code here: vectors are the library's, or made by the compiler
//! of a loop that is plain enough.

use memchr::memchr2;
use wide::u8x16;

/// A vector on every processor.
const LANES: usize = 16;
/// Keys and most short values end within this; the search by longer vectors costs more than that to begin.
const SHORT: usize = 4 * LANES;

/// How many bytes there are before the first that means something in a string: `"`, `\`, or a control character.
#[inline]
pub(super) fn plain_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<LANES>() {
        if let Some(special) = first_special(chunk) {
            return at + special;
        }
        at += LANES;
        if at == SHORT {
            return at + long_plain_length(&text[at..]);
        }
    }
    at + text[at..].iter().take_while(|byte| !is_special(**byte)).count()
}

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

#[inline]
fn first_special(chunk: &[u8; LANES]) -> Option<usize> {
    let text = u8x16::new(*chunk);
    let control = text.min(u8x16::splat(b' ' - 1)).simd_eq(text);
    let special = control | text.simd_eq(u8x16::splat(b'"')) | text.simd_eq(u8x16::splat(b'\\'));
    let mask = special.to_bitmask();
    (mask != 0).then(|| mask.trailing_zeros() as usize)
}

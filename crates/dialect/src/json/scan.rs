//! The loops over the inside of strings, where nearly all of a document's bytes are.
//!
//! In: bytes. Out: how many of them need no look. The loops must stay as plain as they are: then the compiler makes
//! vector code of them, with no unsafe code here.

use memchr::memchr2;

const WORD: usize = 8;
/// Keys and most short values end within so many words; the search by vectors costs more than that to begin.
const SHORT: usize = 4 * WORD;
/// A vector on every processor.
const LANES: usize = 16;

/// How many bytes there are before the first that means something in a string: `"`, `\`, or a control character.
#[inline]
pub(super) fn plain_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = text[at..].first_chunk::<WORD>() {
        let special = mark_specials(u64::from_le_bytes(*word));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += WORD;
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

/// With this bit turned, `"` (and only `"`) comes right after the control characters.
const TURN: u8 = 2;
const FIRST_PLAIN: u8 = (b'"' ^ TURN) + 1;

fn is_special(byte: u8) -> bool {
    byte ^ TURN < FIRST_PLAIN || byte == b'\\'
}

/// The high bit of each byte that is special. (A borrow can mark bytes above the lowest that is: only that one counts.)
#[inline]
fn mark_specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let turned = word ^ (ONES * TURN as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let low = turned.wrapping_sub(ONES * FIRST_PLAIN as u64) & !turned;
    (low | slash.wrapping_sub(ONES) & !slash) & (ONES << 7)
}

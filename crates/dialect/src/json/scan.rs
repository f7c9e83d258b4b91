//! The loops over the inside of strings, where nearly all of a document's bytes are.
//!
//! In: bytes. Out: how many of them need no look. Must stay free of branches inside a chunk: then the compiler makes
//! vector code of it, with no unsafe code here.

/// Four vectors of the smallest kind; with more, a hit costs more than the loop saves.
const CHUNK: usize = 64;
/// What the compiler takes for a vector on every processor.
const LANES: usize = 16;
const WORD: usize = 8;
/// Keys and most values end within so many words; a chunk would be too much for them.
const SHORT: usize = 2 * WORD;

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
            at += plain_chunks(&text[at..]);
        }
    }
    at + text[at..].iter().take_while(|byte| !is_special(**byte)).count()
}

/// How many bytes the whole chunks make before the first that holds something.
#[inline(never)]
fn plain_chunks(text: &[u8]) -> usize {
    let (chunks, _) = text.as_chunks::<CHUNK>();
    chunks.iter().take_while(|chunk| !holds_special(chunk)).count() * CHUNK
}

/// With the second bit turned, `"` comes right after the control characters (and only `"`).
const TURN: u8 = 2;
const FIRST_PLAIN: u8 = (b'"' ^ TURN) + 1;

fn is_special(byte: u8) -> bool {
    byte ^ TURN < FIRST_PLAIN || byte == b'\\'
}

#[inline]
fn holds_special(chunk: &[u8; CHUNK]) -> bool {
    let (mut low, mut slash) = ([u8::MAX; LANES], [u8::MAX; LANES]);
    for lanes in chunk.as_chunks::<LANES>().0 {
        for at in 0..LANES {
            low[at] = low[at].min(lanes[at] ^ TURN);
            slash[at] = slash[at].min(lanes[at] ^ b'\\');
        }
    }
    (0..LANES).fold(false, |any, at| any | (low[at] < FIRST_PLAIN) | (slash[at] == 0))
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

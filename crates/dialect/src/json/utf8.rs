//! Whether bytes are UTF-8, a block at a time.
//!
//! In: bytes. Out: what `str::from_utf8` says of them. That one goes byte by byte wherever text is not ASCII, which
//! cost more than all other reading of a long prompt in French or Chinese.

const BLOCK: usize = 64;
/// So many bytes ahead of it can ask something of a byte.
const AHEAD: usize = 3;
const WINDOW: usize = AHEAD + BLOCK;

pub(super) fn is_valid(bytes: &[u8]) -> bool {
    // A character begins here, or nothing.
    let mut at = 0;
    loop {
        at += ascii_length(&bytes[at..]);
        let Some(block) = bytes[at..].first_chunk::<BLOCK>() else {
            return std::str::from_utf8(&bytes[at..]).is_ok();
        };
        let valid = match at.checked_sub(AHEAD).and_then(|begin| bytes[begin..].first_chunk()) {
            Some(window) => is_valid_block(window),
            None => is_valid_block(&begin_with(block)),
        };
        if !valid {
            return false;
        }
        // A character that goes on after the block is taken again, with the next one.
        let [.., third, second, last] = block;
        at += BLOCK;
        at -= match (third, second, last) {
            (_, _, 0xC0..) => 1,
            (_, 0xE0.., _) => 2,
            (0xF0.., _, _) => 3,
            _ => 0,
        };
    }
}

/// How many bytes the whole blocks of ASCII make before another.
fn ascii_length(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    blocks.iter().take_while(|block| block.is_ascii()).count() * BLOCK
}

#[cold]
fn begin_with(block: &[u8; BLOCK]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window[AHEAD..].copy_from_slice(block);
    window
}

/// Whether each byte of the window's block is as the bytes ahead of it ask.
#[inline(never)]
fn is_valid_block(window: &[u8; WINDOW]) -> bool {
    const GOES_ON: u8 = 0x80;
    let (mut bad, mut narrow) = (0, false);
    for at in AHEAD..WINDOW {
        let byte = window[at];
        // In the highest bit, which is set from C0, E0 and F0 on.
        let asked = window[at - 1].saturating_sub(0xC0 - GOES_ON)
            | window[at - 2].saturating_sub(0xE0 - GOES_ON)
            | window[at - 3].saturating_sub(0xF0 - GOES_ON);
        bad |= asked ^ (byte & !(byte << 1));
        narrow |= (byte & 0xFE == 0xC0) | (byte == 0xE0) | (byte == 0xED) | (byte >= 0xF0);
    }
    bad & GOES_ON == 0 && (!narrow || keeps_to_ranges(window))
}

/// Whether no byte makes a character longer than need be, half a surrogate pair, or one beyond the last.
#[inline(never)]
fn keeps_to_ranges(window: &[u8; WINDOW]) -> bool {
    let mut bad = false;
    for at in AHEAD..WINDOW {
        let (lead, byte) = (window[at - 1], window[at]);
        bad |= (byte & 0xFE == 0xC0) | (byte >= 0xF5);
        bad |= ((lead == 0xE0) & (byte < 0xA0)) | ((lead == 0xED) & (byte >= 0xA0));
        bad |= ((lead == 0xF0) & (byte < 0x90)) | ((lead == 0xF4) & (byte >= 0x90));
    }
    !bad
}

//! Halves of surrogate pairs, which a Rust string cannot hold.
//!
//! In: a half that came alone, because a provider cut an emoji in two. Out: two characters that stand for it in a
//! string, and the half again when it is written. The client joins the halves, as it would have without us.

/// A noncharacter: text of the outside never has it. What follows tells which half it is.
const MARK: char = '\u{FFFF}';

/// Where the 2,048 halves stand in the private plane.
const BASE: u32 = 0x10_F000;

const SURROGATES: u32 = 0xD800;

/// The first byte of the mark.
pub(super) const FIRST_BYTE: u8 = 0xEF;

pub(super) fn push(surrogate: u32, out: &mut String) {
    out.push(MARK);
    out.extend(char::from_u32(BASE + (surrogate - SURROGATES)));
}

/// The half that the text begins with, and how many bytes stand for it.
pub(super) fn read(text: &str) -> Option<(u32, usize)> {
    let letter = text.strip_prefix(MARK)?.chars().next()?;
    let offset = u32::from(letter).checked_sub(BASE).filter(|offset| *offset < 0x800)?;
    Some((SURROGATES + offset, MARK.len_utf8() + letter.len_utf8()))
}

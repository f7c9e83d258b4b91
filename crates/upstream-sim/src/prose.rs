//! The text of an answer, in the pieces in which it is streamed.
//!
//! In: the model asked for and the script's wishes; out: piece after piece. The plain answer is the same pieces
//! put together, so that a test can compare the two. It must never depend on time or chance.

use crate::script::Script;

/// Content events when the script does not say.
const EVENTS: usize = 5;
/// Words in a piece, so that the opening sentence just fills the usual events.
const PIECE_WORDS: usize = 3;
/// Words of the answer when it is streamed word by word: the opening and the refrain, once.
const WORDS: usize = 55;

const REFRAIN: &str = "Nothing behind this address can think, but it streams like the real thing: \
                       word by word, with usage at the end. What comes in goes out, and every request \
                       is counted once. Ask again and you will hear the same.";
const WIDE_REFRAIN: &str = "Grüße aus der Schleuse: 水門が開く 🌊 über Brücken, naïve façades, \
                            и вода идёт дальше 🚢 …";

/// The opening sentence, which names the model.
pub(crate) fn opening(model: &str) -> String {
    let model = if model.is_empty() { "no model" } else { model };
    format!("Hello from the Sluice demo. You asked for {model}, and this is its friendly understudy.")
}

pub(crate) struct Prose<'a> {
    words: Words<'a>,
    /// Pieces still to come.
    left: usize,
    shape: Shape<'a>,
    is_first: bool,
    huge_line: Option<usize>,
}

type Words<'a> = std::iter::Chain<std::str::Split<'a, char>, std::iter::Cycle<std::str::Split<'a, char>>>;

enum Shape<'a> {
    /// A few whole words each, about 20 bytes.
    Phrases,
    Words,
    /// Exactly so many bytes each; what was cut off a word waits in the string.
    Bytes(usize, String),
    /// A given text, cut into the pieces that are left.
    Given(&'a str),
}

impl<'a> Prose<'a> {
    /// `opening` comes from the function above; `given` is a text that replaces the prose.
    pub(crate) fn new(script: &Script, opening: &'a str, given: Option<&'a str>) -> Prose<'a> {
        let refrain: &'a str = if script.wants_wide_text() { WIDE_REFRAIN } else { REFRAIN };
        let (shape, usual) = match (given, script.size) {
            (Some(text), _) => (Shape::Given(text), EVENTS),
            (None, Some(size)) => (Shape::Bytes(size, String::new()), EVENTS),
            (None, None) if script.words => (Shape::Words, WORDS),
            (None, None) => (Shape::Phrases, EVENTS),
        };
        let mut words = opening.split(' ').chain(refrain.split(' ').cycle());
        if script.wants_wide_text() {
            // Without the opening, so that also a short answer has wide characters to cut.
            words.by_ref().take(opening.split(' ').count()).for_each(drop);
        }
        Prose {
            words,
            left: script.events.unwrap_or(usual),
            shape,
            is_first: true,
            huge_line: script.huge_line,
        }
    }

    /// Puts the next piece into `piece`; false when there is none.
    pub(crate) fn next(&mut self, piece: &mut String) -> bool {
        piece.clear();
        if self.left == 0 {
            return false;
        }
        let is_first = std::mem::replace(&mut self.is_first, false);
        match &mut self.shape {
            Shape::Phrases => {
                for _ in 0..PIECE_WORDS {
                    next_word(&mut self.words, is_first && piece.is_empty(), piece);
                }
            }
            Shape::Words => next_word(&mut self.words, is_first, piece),
            Shape::Bytes(size, rest) => {
                while rest.len() < *size {
                    next_word(&mut self.words, is_first && rest.is_empty(), rest);
                }
                let end = rest.floor_char_boundary(*size);
                piece.extend(rest.drain(..end));
                // Where a wide character did not fit.
                piece.extend(std::iter::repeat_n('.', *size - end));
            }
            Shape::Given(text) => {
                let end = text.ceil_char_boundary(text.len().div_ceil(self.left));
                piece.push_str(&text[..end]);
                *text = &text[end..];
            }
        }
        if is_first && let Some(size) = self.huge_line {
            piece.extend(std::iter::repeat_n('~', size.saturating_sub(piece.len())));
        }
        self.left -= 1;
        true
    }

    /// Puts the text into fewer pieces.
    pub(crate) fn at_most(&mut self, pieces: usize) {
        self.left = self.left.min(pieces);
    }

    /// The whole text.
    pub(crate) fn whole(mut self) -> String {
        let (mut text, mut piece) = (String::new(), String::new());
        while self.next(&mut piece) {
            text.push_str(&piece);
        }
        text
    }
}

fn next_word(words: &mut Words<'_>, is_first: bool, piece: &mut String) {
    if !is_first {
        piece.push(' ');
    }
    piece.push_str(words.next().unwrap_or("…"));
}

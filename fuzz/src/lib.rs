//! The laws that every input must keep, one module per kind of reader; the targets in `fuzz_targets` only name them.
//!
//! In: bytes that nobody checked. Out: nothing, or a panic whose words say which law was broken. It must never demand
//! of strange input what only good input has: a refusal is always an answer.

pub mod error;
pub mod peek;
pub mod plain;
pub mod reply;
pub mod request;
pub mod seeds;
pub mod stream;
pub mod tap;

// The checkers of the tests.
#[path = "../../crates/dialect/tests/it/gather.rs"]
#[allow(dead_code)] // Only decoding and encoding are needed here.
mod gather;
#[path = "../../crates/dialect/tests/it/grammar.rs"]
#[allow(unused_imports)] // Its own test is not built here.
mod grammar;
#[path = "../../crates/dialect/tests/it/watch.rs"]
#[allow(dead_code)] // As above.
mod watch;

use dialect::{Accounting, Dialect, Framing, Operation};

/// The first bytes of an input say how the rest is to be taken: seeds have them, too.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn take(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.take() % all.len()]
    }
}

const FRAMINGS: [Framing; 3] = [Framing::Sse, Framing::JsonArray, Framing::Document];
const ACCOUNTINGS: [Accounting; 2] = [Accounting::Standard, Accounting::ReasoningApart];
const DIALECTS: [Dialect; 4] = Dialect::ALL;
const OPERATIONS: [Operation; 8] = Operation::ALL;

/// The bytes in pieces of these sizes, over and over; a size of nought is one of 256.
fn cut(bytes: &[u8], sizes: [usize; 2]) -> Vec<&[u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for size in sizes.into_iter().cycle() {
        if rest.is_empty() {
            return pieces;
        }
        let size = if size == 0 { 256 } else { size };
        let (piece, more) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// Byte by byte, as far as that does not take the time that other inputs need: it costs as much as hundreds of them.
fn single(bytes: &[u8]) -> Vec<&[u8]> {
    let (start, rest) = bytes.split_at(bytes.len().min(SINGLE_BYTES));
    start.chunks(1).chain(Some(rest).filter(|rest| !rest.is_empty())).collect()
}

/// Two or three events.
const SINGLE_BYTES: usize = 300;

//! What of an upstream's stream has arrived at the gateway, by the bytes that it took.

use dialect::Usage;

use crate::{
    said::Said,
    script::{Reply, Tail},
    upstream::Call,
    wire::{Kind, Piece},
};

/// What of a stream has arrived.
pub(crate) struct Arrived<'a> {
    /// Whole events.
    pub(crate) whole: Vec<&'a Piece>,
    pub(crate) content: bool,
    pub(crate) ended: bool,
    pub(crate) error: Option<Said>,
    pub(crate) usage: Option<Usage>,
}

pub(crate) fn arrived(call: &Call) -> Arrived<'_> {
    let Reply::Stream(pieces) = &call.script.reply else { panic!("not a stream") };
    let clean = call.tail_at.is_some() && call.script.tail == Tail::End;
    let mut arrived = Arrived { whole: Vec::new(), content: false, ended: false, error: None, usage: None };
    for (end, piece) in pieces {
        // Only at a clean end may the last event lack its blank line.
        let comment = piece.bytes.starts_with(b":");
        let text = if comment { piece.bytes.len() } else { piece.bytes.trim_ascii_end().len() };
        let least = if clean { *end - piece.bytes.len() + text } else { *end };
        let open = is_open(piece, call) && !clean;
        if least > call.bytes_taken() || open || arrived.error.is_some() {
            break;
        }
        if let Kind::Error(said) = piece.kind {
            arrived.error = Some(said);
            continue;
        }
        arrived.whole.push(piece);
        arrived.content |= matches!(piece.kind, Kind::Content | Kind::End | Kind::Close);
        arrived.ended |= matches!(piece.kind, Kind::End | Kind::Close);
        arrived.usage = piece.usage.or(arrived.usage);
    }
    arrived
}

/// An event without its blank line: it goes on, for all that anybody knows.
fn is_open(piece: &Piece, call: &Call) -> bool {
    !call.asked.array && !piece.bytes.ends_with(b"\n")
}

/// Where and when the last whole event was in, pings not counted.
pub(crate) fn last_event(pieces: &[(usize, Piece)], call: &Call) -> Option<(usize, u64)> {
    let event = |piece: &Piece| piece.kind != Kind::Ping && !is_open(piece, call);
    let (end, _) = pieces.iter().rfind(|(end, piece)| *end <= call.bytes_taken() && event(piece))?;
    call.taken_at(*end).map(|at| (*end, at))
}

/// When the event was in after which nothing may follow.
pub(crate) fn closed_at(pieces: &[(usize, Piece)], call: &Call) -> Option<u64> {
    taken_at(pieces, call, |kind| matches!(kind, Kind::Close | Kind::Error(_)))
}

/// When the event was in with which the answer was whole, though more could follow.
pub(crate) fn ended_at(pieces: &[(usize, Piece)], call: &Call) -> Option<u64> {
    taken_at(pieces, call, |kind| kind == Kind::End)
}

fn taken_at(pieces: &[(usize, Piece)], call: &Call, which: fn(Kind) -> bool) -> Option<u64> {
    let (end, piece) = pieces.iter().find(|(_, piece)| which(piece.kind))?;
    call.taken_at(*end).filter(|_| !is_open(piece, call))
}

//! What a stream is, from its first chunk.
//!
//! In: a chunk. Out: the track's beginning, with what of the chunks' outside is not told. The first and the last must do
//! for all.

use super::decode::OWN;
use crate::{
    translate::Track,
    tree::{Json, Object},
};

/// Members of a chunk that are read, or say nothing of the answer.
pub(super) const KNOWN: [&str; 9] = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "citations",
    // `padding` against who counts bytes: OpenAI's and Mistral's.
    "obfuscation",
    "p",
];

pub(super) fn start(data: &str, chunk: &Object, track: &mut Track) {
    if !track.is_started() {
        track.list_members(data, "", &KNOWN, OWN);
        let created = chunk.get("created").and_then(Json::as_u64);
        track.start(chunk.text("id").unwrap_or_default(), chunk.text("model").unwrap_or_default(), created);
    }
}

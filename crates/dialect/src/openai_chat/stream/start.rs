//! What a stream is, from its first chunk.
//!
//! In: a chunk. Out: the track's beginning, with what of the chunks' outside is not told. The first must do for all.

use super::decode::OWN;
use crate::{
    translate::Track,
    tree::{Json, Number, Object},
};

/// Members of a chunk that are read, or say nothing of the answer.
const KNOWN: [&str; 11] = [
    "x_groq",
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "system_fingerprint",
    "citations",
    // `padding` against who counts bytes: OpenAI's and Mistral's.
    "obfuscation",
    "p",
];

pub(super) fn start(data: &str, chunk: &Object, track: &mut Track) {
    if !track.is_started() {
        // All chunks are alike on the outside: the first tells what the others have, too.
        if let Ok(Json::Object(whole)) = Json::parse(data.as_bytes()) {
            track.list_rest(&whole, "", &KNOWN, OWN);
        }
        let created = number(chunk.get("created"));
        track.start(chunk.text("id").unwrap_or_default(), chunk.text("model").unwrap_or_default(), created);
    }
}

pub(super) fn number(value: Option<&Json>) -> Option<u64> {
    match value {
        Some(Json::Number(number)) => Number::as_u64(number),
        _ => None,
    }
}

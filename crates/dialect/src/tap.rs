//! Watching a reply go by: usage, end, error. The bytes are forwarded as they came.

use bytes::Bytes;

use crate::{Accounting, Door, Framing, ParsedError, Usage};

/// How a tap is set up.
#[derive(Clone, Copy, Debug)]
pub struct TapOptions {
    pub door: Door,
    pub accounting: Accounting,
    /// Take the usage-only chunk out of a chat stream: Sluice asked for it, the client did not.
    pub strip_usage: bool,
}

/// What one call of [`Tap::feed`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Whole frames completed by this chunk, pings and comments not counted.
    pub events: u32,
    /// A frame is under way (bytes are held back, or an oversized frame is passing).
    pub mid_frame: bool,
}

/// Watches a streamed reply.
#[derive(Debug)]
pub struct Tap {}

impl Tap {
    pub fn new(options: TapOptions, framing: Framing) -> Tap {
        let _ = (options, framing);
        todo!()
    }

    /// Takes bytes as they came and appends to `out` what may go to the client now.
    pub fn feed(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Flow {
        let _ = (chunk, out);
        todo!()
    }

    /// The upstream ended cleanly: settles what a last frame without its blank line says, and appends it.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        let _ = out;
        todo!()
    }

    /// A frame with content, or the dialect's end, was seen: not a ping, not a lifecycle frame, not an error.
    pub fn meaningful(&self) -> bool {
        todo!()
    }

    /// The dialect's end was seen: if the upstream ends now, the answer is whole.
    pub fn ended(&self) -> bool {
        todo!()
    }

    /// Nothing may follow any more (`[DONE]`, `message_stop`, `response.completed` …).
    pub fn closed(&self) -> bool {
        todo!()
    }

    /// The first error event: its frame's bytes (not forwarded by `feed`) and what it says. Nothing is forwarded after it.
    pub fn error(&self) -> Option<(&Bytes, &ParsedError)> {
        todo!()
    }

    /// Bytes of a frame that was cut off were already forwarded: it must be closed before anything else is written.
    pub fn broken_frame_sent(&self) -> bool {
        todo!()
    }

    /// The number for an event that Sluice adds (Responses' `sequence_number`).
    pub fn next_sequence(&self) -> u64 {
        todo!()
    }

    /// Frames that were forwarded (for a JSON array: elements).
    pub fn forwarded_any(&self) -> bool {
        todo!()
    }

    pub fn usage(&self) -> Option<Usage> {
        todo!()
    }

    /// The id of a stored object in the reply (Responses: `response.id`).
    pub fn stored_id(&self) -> Option<&str> {
        todo!()
    }
}

/// Watches a plain (not streamed) reply: the same facts from one JSON document, held in bounded memory.
#[derive(Debug)]
pub struct PlainTap {}

impl PlainTap {
    pub fn new(options: TapOptions) -> PlainTap {
        let _ = options;
        todo!()
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        let _ = chunk;
        todo!()
    }

    /// To be called once, when the body has ended.
    pub fn finish(&mut self) {
        todo!()
    }

    pub fn usage(&self) -> Option<Usage> {
        todo!()
    }

    pub fn stored_id(&self) -> Option<&str> {
        todo!()
    }

    /// The document is an error told with status 200: an `error` and none of the dialect's content.
    pub fn error(&self) -> Option<&ParsedError> {
        todo!()
    }

    /// The document is whole, well-formed JSON.
    pub fn whole(&self) -> bool {
        todo!()
    }
}

//! A streamed chat completion, both ways.
//!
//! In: a chunk's data, or an event. Out: the other. Chunks are keyed by the call's index, which some providers leave
//! out; nothing may be written for a call that was never opened.

mod calls;
mod decode;
mod encode;
mod input;
mod start;

pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;

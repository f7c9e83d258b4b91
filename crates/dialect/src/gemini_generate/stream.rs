//! A streamed generateContent answer, both ways.
//!
//! In: a chunk's data, or an event. Out: the other. The end of the stream is its only end.

mod decode;
mod encode;

pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;

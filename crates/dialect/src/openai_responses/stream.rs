//! A streamed response, both ways.
//!
//! In: an event's data, or a canonical event. Out: the other. Items are known by their place in the output: some
//! providers change their ids on the way.

mod decode;
mod encode;
mod shape;

pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;

//! A streamed message of Anthropic's, both ways.
//!
//! In: an event's data, or a canonical event. Out: the other. Blocks follow one another, each started and stopped once.

mod decode;
mod encode;

pub(crate) use decode::Decoder;
pub(crate) use encode::Encoder;

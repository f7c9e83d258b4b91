//! A chat completions request, both ways.
//!
//! In: its body, or the canonical request. Out: the other. Fields that are not understood must go into the extras.

mod closed;
mod decode;
mod encode;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

//! A Responses request, both ways.
//!
//! In: its body, or the canonical request. Out: the other. What leans on a stored object must never be ignored.

mod decode;
mod encode;

pub(crate) use decode::decode;
pub(super) use decode::read_tool;
pub(crate) use encode::encode;

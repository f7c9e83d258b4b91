//! A messages request, both ways.
//!
//! In: its body, or the canonical request. Out: the other. Fields that are not understood must go into the extras.

mod decode;
mod encode;
mod schema;
mod thinking;
mod turns;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

//! A generateContent request, both ways.
//!
//! In: its body, or the canonical request. Out: the other. Model and stream stand in the path, never in the body.

mod config;
mod decode;
mod encode;
mod schema;

pub(crate) use decode::decode;
pub(crate) use encode::{UNSIGNED, encode};

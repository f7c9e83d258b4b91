//! A part of Gemini's contents, as it stands in requests and in answers.
//!
//! In: a part, or a canonical one. Out: the other. The signature of a part must stay with it.

mod decode;
mod encode;

pub(super) use decode::decode;
pub(super) use encode::{encode, no_token, signature, write_call};

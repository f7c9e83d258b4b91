//! A message of chat completions, as it stands in requests and in answers.
//!
//! In: a message object, or a canonical turn. Out: the other. Thinking must be taken once, though providers say it in
//! two fields.

pub(crate) mod content;
mod decode;
mod encode;
pub(super) mod reasoning;
mod sources;

pub(crate) use decode::read_citation;
pub(super) use decode::{decode, read_assistant, read_cache, says_anything};
pub(super) use encode::{OLD_CALLS, encode, put_answer, put_old_call, write_citation};
pub(super) use sources::read_sources;

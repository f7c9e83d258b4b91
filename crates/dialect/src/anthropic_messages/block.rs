//! A content block of Anthropic's messages, as it stands in requests and in answers.
//!
//! In: a block, or a canonical part. Out: the other. A signature must come back as it was given out.

mod decode;
mod encode;

pub(super) use decode::{decode, read_citation};
pub(crate) use decode::{decode_all, read_cache};
pub(super) use encode::{encode, encode_all, put_tokens, write_cache, write_citation};

//! An item of Responses, as it stands in inputs and in outputs.
//!
//! In: an item, or canonical parts. Out: the other. Calls and their thinking are items beside the messages; encrypted
//! thinking goes back with them.

mod content;
mod decode;
mod encode;

pub(super) use content::read_part;
pub(super) use decode::{Kind, decode, read_output};
pub(super) use encode::{Ids, encode_input, put_output, write_citation, write_reasoning};

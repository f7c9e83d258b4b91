//! x
use crate::{chat::*, loss::Losses, translate::*, tree::*};
pub(crate) fn decode(_: Json) -> Result<ChatReply, Untranslatable> { Ok(Default::default()) }
pub(crate) fn encode(_: &ChatReply, _: &Telling, _: &mut Losses) -> Object { Default::default() }

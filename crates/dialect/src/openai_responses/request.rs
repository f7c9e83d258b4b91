//! x
use crate::{chat::*, loss::Losses, translate::*, tree::*};
pub(crate) fn decode(body: Json) -> Result<ChatRequest, Untranslatable> { let _ = body; Ok(Default::default()) }
pub(crate) fn encode(_: &ChatRequest, _: &Target<'_>, _: &mut Losses) -> Result<Object, Untranslatable> { Ok(Default::default()) }

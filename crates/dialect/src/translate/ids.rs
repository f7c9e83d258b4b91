//! Ids of calls that a dialect would refuse, fitted to it.
//!
//! In: a request, the dialect it goes to and the target. Out: the request with other ids; `None` where all fit, which is the
//! rule. A call and its result must keep one id, and the same id must become the same one in every turn: caches depend on it.

use super::{Target, calls::Digest};
use crate::{
    Dialect,
    chat::{ChatRequest, Content, Part},
};

/// OpenAI's bounds: of chat completions, and of Responses.
const CHAT_BOUND: usize = 40;
const RESPONSES_BOUND: usize = 64;

/// All of the ids that a provider with `nine-letter-ids` takes.
const NINE: usize = 9;

fn fits(id: &str, dialect: Dialect, nine: bool) -> bool {
    match dialect {
        Dialect::OpenaiChat if nine => {
            id.len() == NINE && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }
        Dialect::OpenaiChat => id.len() <= CHAT_BOUND,
        Dialect::OpenaiResponses => id.len() <= RESPONSES_BOUND,
        Dialect::AnthropicMessages => {
            !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        }
        Dialect::GeminiGenerate => true,
    }
}

pub(super) fn fit(request: &ChatRequest, dialect: Dialect, target: &Target<'_>) -> Option<ChatRequest> {
    let nine = target.nine_letter_ids && dialect == Dialect::OpenaiChat;
    let odd = |part: &Part| match &part.content {
        Content::ToolCall { id, .. } | Content::ToolResult { call_id: id, .. } => !fits(id, dialect, nine),
        _ => false,
    };
    if !request.turns.iter().flat_map(|turn| &turn.parts).any(odd) {
        return None;
    }
    let mut request = request.clone();
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::ToolCall { id, .. } | Content::ToolResult { call_id: id, .. } = &mut part.content
            && !fits(id, dialect, nine)
        {
            let digest = Digest::default().with(id.as_bytes());
            // 62⁹ is enough that two of one conversation do not meet.
            *id = if nine { digest.letters(NINE) } else { format!("call_{}", digest.name()) };
        }
    }
    Some(request)
}

//! How many tokens a request has: what the endpoints that count take, and what they answer.
//!
//! In: a request that is to be counted, or the count. Out: the same in another dialect. It must never take anything that is
//! no count for one.

use super::{Encoded, FromPath, Target, Untranslatable, decode_tree, encode_tree, read};
use crate::{
    Dialect,
    chat::ChatRequest,
    fields::Fields,
    json,
    tree::{Json, Object, object},
};

/// Where Gemini has the whole request. Beside it the endpoint takes bare contents.
const GEMINI_REQUEST: &str = "generateContentRequest";

/// What an endpoint takes of a request: whatever else stands there is refused, and changes no count.
fn takes(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        // OpenAI, "Get input token counts". Chat has no such endpoint.
        Dialect::OpenaiChat | Dialect::OpenaiResponses => &[
            "model",
            "input",
            "previous_response_id",
            "conversation",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "text",
            "reasoning",
            "truncation",
            "personality",
        ],
        // Anthropic, "Count tokens in a Message".
        Dialect::AnthropicMessages => &[
            "model",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "cache_control",
        ],
        // Google, "Counting tokens": all that a GenerateContentRequest has.
        Dialect::GeminiGenerate => &[
            "contents",
            "systemInstruction",
            "tools",
            "toolConfig",
            "safetySettings",
            "generationConfig",
            "cachedContent",
        ],
    }
}

pub fn decode_counted(
    dialect: Dialect,
    body: &[u8],
    path: FromPath<'_>,
) -> Result<ChatRequest, Untranslatable> {
    let mut body = read(body)?;
    if dialect == Dialect::GeminiGenerate {
        let mut fields = Fields::of(body, "")?.camel();
        body = match fields.json(GEMINI_REQUEST) {
            Some(request) => request,
            None => fields.into_object().into(),
        };
    }
    decode_tree(dialect, body, path)
}

pub fn encode_counted(
    dialect: Dialect,
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<Encoded, Untranslatable> {
    let (mut body, losses, renamed) = encode_tree(dialect, request, target)?;
    body.0.retain(|(key, _)| takes(dialect).contains(&&**key));
    if dialect == Dialect::GeminiGenerate {
        // It must name the model once more, and in full.
        body.put("model", format!("models/{}", target.model));
        body = object([(GEMINI_REQUEST, body.into())]);
    }
    Ok(Encoded { body: Json::Object(body).to_string().into_bytes(), losses, renamed })
}

/// The count in an answer; `None`: it is none.
pub fn read_count(dialect: Dialect, answer: &[u8]) -> Option<u64> {
    let [count] = json::members(std::str::from_utf8(answer).ok()?.trim_ascii(), [member(dialect)])?;
    json::count(count)
}

/// An answer with this count.
pub fn write_count(dialect: Dialect, tokens: u64) -> Vec<u8> {
    let mut answer = Object::default();
    if matches!(dialect, Dialect::OpenaiChat | Dialect::OpenaiResponses) {
        answer.put("object", "response.input_tokens");
    }
    answer.put(member(dialect), tokens);
    Json::Object(answer).to_string().into_bytes()
}

fn member(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AnthropicMessages => "input_tokens",
        Dialect::GeminiGenerate => "totalTokens",
    }
}

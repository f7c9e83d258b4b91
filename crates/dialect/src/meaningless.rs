//! Fields that mean nothing outside their own dialect, so that leaving them out is no loss.
//!
//! In: a field's path. Out: why nobody misses it. A field belongs here only if no answer can differ for want of it.

use crate::Dialect;

/// One field, and the reason why it is not listed as a loss.
pub struct Meaningless {
    pub dialect: Dialect,
    pub field: &'static str,
    pub reason: &'static str,
}

const fn row(dialect: Dialect, field: &'static str, reason: &'static str) -> Meaningless {
    Meaningless { dialect, field, reason }
}

use Dialect::{
    AnthropicMessages as Anthropic, GeminiGenerate as Gemini, OpenaiChat as Chat,
    OpenaiResponses as Responses,
};

pub const MEANINGLESS: &[Meaningless] = &[
    row(
        Chat,
        "stream_options.include_obfuscation",
        "padding of frames against guessing by length; nothing of the answer",
    ),
    row(Chat, "prompt_cache_key", "finds OpenAI's cache; the answer is the same without it"),
    row(Chat, "prompt_cache_retention", "how long OpenAI's cache keeps the prompt"),
    row(Chat, "prompt_cache_options", "how OpenAI's cache treats the prompt"),
    row(Responses, "stream_options.include_obfuscation", "padding of frames against guessing by length"),
    row(Responses, "stream_options.include_usage", "usage is always told in this dialect"),
    row(Responses, "prompt_cache_key", "finds OpenAI's cache; the answer is the same without it"),
    row(Responses, "prompt_cache_retention", "how long OpenAI's cache keeps the prompt"),
    row(Responses, "prompt_cache_options", "how OpenAI's cache treats the prompt"),
    row(Chat, "stream", "Gemini says it in the path"),
    row(Chat, "stream_options", "its members are rows of their own; usage is always told elsewhere"),
    row(Responses, "stream", "Gemini says it in the path"),
    row(Responses, "stream_options", "its members are rows of their own"),
    row(Anthropic, "stream", "Gemini says it in the path"),
    row(Responses, "input.id", "OpenAI's name for an item; calls and results are joined by `call_id`"),
    row(Responses, "input.reasoning.id", "OpenAI's name for an item that goes nowhere else"),
    row(Responses, "input.reasoning.status", "what became of the item in an answer that is over"),
    row(
        Responses,
        "input.reasoning.summary",
        "its text is carried, or thinking is listed: this is its division in paragraphs",
    ),
    row(Gemini, "contents.parts.fileData.mimeType", "whoever fetches the address learns it there"),
    row(Responses, "input.status", "what became of the item in an answer that is over"),
    row(Chat, "created", "when the answer was made: the client has just got it"),
    row(Responses, "response.created_at", "when the answer was made: the client has just got it"),
    row(Chat, "system_fingerprint", "names the build of the provider's servers"),
    row(Chat, "x_groq", "Groq's name for the request, and its usage, which is read there"),
    row(Chat, "time_info", "Cerebras' clock: how long it waited and took"),
    row(Chat, "usage.queue_time", "how long it waited at the provider"),
    row(Chat, "usage.prompt_time", "how long the provider read"),
    row(Chat, "usage.completion_time", "how long the provider wrote"),
    row(Chat, "usage.total_time", "how long the provider took"),
    row(Anthropic, "inference_geo", "where the provider computes; the channel decides that here"),
];

/// Members of a response (`response.*`) that repeat the request, or tell of its handling.
pub const ECHO: [&str; 31] = [
    "object",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "top_logprobs",
    "max_output_tokens",
    "max_tool_calls",
    "text",
    "reasoning",
    "metadata",
    "store",
    "truncation",
    "user",
    "previous_response_id",
    "conversation",
    "background",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "completed_at",
    "presence_penalty",
    "frequency_penalty",
    "output_text",
    "billing",
    "prompt_cache_options",
    "content_filters",
    "moderation",
];

pub fn reason(dialect: Dialect, field: &str) -> Option<&'static str> {
    if dialect == Responses && field.strip_prefix("response.").is_some_and(|name| ECHO.contains(&name)) {
        return Some("it repeats the request, or tells of its handling");
    }
    let found = MEANINGLESS.iter().find(|row| row.dialect == dialect && row.field == field);
    found.map(|row| row.reason)
}

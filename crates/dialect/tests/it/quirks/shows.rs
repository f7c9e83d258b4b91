//! What makes a quirk a quirk: whether a reply has the departure, by the quirk's name.

use serde_json::Value;

use super::heard::{Heard, Said};

type Shows = fn(&Reply) -> bool;

/// A reply, taken apart once for all questions.
pub(crate) struct Reply<'a> {
    heard: &'a Heard,
    said: Said,
    chunks: Vec<Value>,
    event_names: Vec<String>,
}

impl Reply<'_> {
    pub(crate) fn of(heard: &Heard) -> Reply<'_> {
        let events = heard.events();
        let event_names = events.iter().filter_map(|event| event.name.clone()).collect();
        let chunks = events.into_iter().map(|event| event.json).filter(Value::is_object).collect();
        Reply { heard, said: heard.say(), chunks, event_names }
    }

    fn choices(&self) -> impl Iterator<Item = &Value> {
        self.chunks.iter().flat_map(|chunk| chunk["choices"].as_array().into_iter().flatten())
    }

    fn messages(&self) -> impl Iterator<Item = &Value> {
        let key = if self.heard.streamed { "delta" } else { "message" };
        self.choices().filter_map(move |choice| choice.get(key))
    }

    fn calls(&self) -> impl Iterator<Item = &Value> {
        self.messages().flat_map(|message| message["tool_calls"].as_array().into_iter().flatten())
    }

    fn usage(&self) -> &Value {
        self.said.usage.as_ref().unwrap_or(&Value::Null)
    }

    fn counts(&self) -> Option<(u64, u64, u64)> {
        let usage = self.usage();
        Some((
            usage["prompt_tokens"].as_u64()?,
            usage["completion_tokens"].as_u64()?,
            usage["total_tokens"].as_u64()?,
        ))
    }

    fn reasoning(&self) -> u64 {
        self.usage()["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or(0)
    }

    fn answered(&self) -> bool {
        self.heard.status == 200 && self.said.error.is_none()
    }

    fn chat(&self) -> bool {
        self.heard.dialect() == dialect::Dialect::OpenaiChat
    }

    fn finishes(&self) -> usize {
        self.choices().filter(|choice| choice["finish_reason"].is_string()).count()
    }

    /// The choices up to and with the first that says why it stopped, and those after it.
    fn after_finish(&self) -> Vec<&Value> {
        self.choices().skip_while(|choice| !choice["finish_reason"].is_string()).skip(1).collect()
    }

    fn error(&self) -> &Value {
        self.chunks.first().map_or(&Value::Null, |body| &body["error"])
    }

    fn header(&self, name: &str) -> &str {
        self.heard.headers.get(name).map_or("-", String::as_str)
    }

    fn kind(&self) -> &str {
        self.header("content-type")
    }

    fn has_text(&self, key: &str) -> bool {
        self.messages().any(|message| message[key].as_str().is_some_and(|text| !text.is_empty()))
    }
}

fn is_given(value: &Value) -> bool {
    !value.is_null()
}

pub(crate) const QUIRKS: &[(&str, Shows)] = &[
    // Usage.
    ("reasoning-apart", |r| {
        r.reasoning() > 0 && r.counts().is_some_and(|(p, c, total)| p + c + r.reasoning() == total)
    }),
    ("reasoning-unnamed", |r| r.reasoning() == 0 && r.counts().is_some_and(|(p, c, total)| p + c < total)),
    ("cached-beyond-prompt", |r| {
        let cached = r.usage()["prompt_tokens_details"]["cached_tokens"].as_u64();
        r.counts().zip(cached).is_some_and(|((prompt, ..), cached)| cached > prompt)
    }),
    ("reasoning-beyond-completion", |r| {
        r.counts().is_some_and(|(p, c, total)| r.reasoning() > c && p + c == total)
    }),
    ("num-cached-tokens", |r| r.usage()["num_cached_tokens"].as_u64() > Some(0)),
    ("cached-tokens-on-top", |r| r.usage()["cached_tokens"].as_u64() > Some(0)),
    ("cache-hit-and-miss", |r| r.usage()["prompt_cache_hit_tokens"].is_u64()),
    ("x-groq-usage", |r| r.chunks.iter().any(|chunk| chunk["x_groq"]["usage"].is_object())),
    ("usage-on-every-chunk", |r| {
        r.heard.streamed && r.chunks.len() > 2 && r.chunks.iter().all(|chunk| chunk["usage"].is_object())
    }),
    ("usage-beside-choice", |r| {
        let full = |chunk: &&Value| chunk["choices"].as_array().is_some_and(|list| !list.is_empty());
        r.heard.streamed && r.chunks.iter().filter(full).any(|chunk| chunk["usage"].is_object())
    }),
    ("usage-after-finish", |r| {
        r.heard.streamed
            && r.after_finish().iter().any(|choice| !is_given(&choice["finish_reason"]))
            && r.chunks.last().is_some_and(|chunk| chunk["usage"].is_object())
    }),
    ("reasoning-uncounted", |r| {
        r.chat()
            && r.answered()
            && !r.said.thoughts.is_empty()
            && r.usage().is_object()
            && r.reasoning() == 0
            && r.usage()["completion_tokens_details"]["reasoning_tokens"].is_null()
    }),
    ("usage-breakdown", |r| {
        r.chunks.iter().any(|body| body["usage_breakdown"]["models"].as_array().is_some_and(|m| m.len() > 1))
    }),
    // How it ends.
    ("no-done", |r| r.chat() && r.heard.streamed && r.answered() && r.finishes() > 0 && !r.said.closed),
    ("finish-twice", |r| r.heard.streamed && r.finishes() > 1),
    ("finish-with-content", |r| {
        let speaks = |choice: &Value| {
            is_given(&choice["finish_reason"])
                && choice["delta"]["content"].as_str().is_some_and(|text| !text.is_empty())
        };
        r.heard.streamed && r.choices().any(speaks)
    }),
    ("finish-unsaid", |r| {
        !r.heard.streamed
            && r.answered()
            && r.usage().is_object()
            && r.choices().next().is_some()
            && r.finishes() == 0
    }),
    ("stop-though-called", |r| r.said.finish.as_deref() == Some("stop") && !r.said.calls.is_empty()),
    ("message-beside-delta", |r| {
        r.heard.streamed
            && r.choices().any(|choice| choice["delta"].is_object() && choice["message"].is_object())
    }),
    ("error-event", |r| r.event_names.iter().any(|name| name == "error")),
    ("error-in-200", |r| r.heard.status == 200 && !r.heard.streamed && r.error().is_object()),
    // What it is made of.
    ("call-without-index", |r| r.heard.streamed && r.calls().any(|call| call.get("index").is_none())),
    ("call-in-one-piece", |r| {
        let whole = |call: &Value| {
            let input = call["function"]["arguments"].as_str().unwrap_or_default();
            call["function"]["name"].is_string() && serde_json::from_str::<Value>(input).is_ok()
        };
        r.heard.streamed && r.calls().any(whole)
    }),
    ("empty-id-repeated", |r| r.heard.streamed && r.calls().any(|call| call["id"] == "")),
    ("call-without-id", |r| !r.heard.streamed && r.calls().any(|call| call["id"] == "")),
    ("arguments-missing", |r| r.calls().any(|call| call["function"].get("arguments").is_none())),
    ("content-in-parts", |r| r.messages().any(|message| message["content"].is_array())),
    ("reasoning-content", |r| r.has_text("reasoning_content")),
    ("reasoning-as-text", |r| r.has_text("reasoning")),
    ("reasoning-details", |r| {
        r.messages().any(|m| m["reasoning_details"].as_array().is_some_and(|details| !details.is_empty()))
    }),
    ("details-unnamed", |r| {
        let named = ["anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1"];
        let details = r.messages().flat_map(|m| m["reasoning_details"].as_array().into_iter().flatten());
        let token = |detail: &Value| detail["signature"].is_string() || detail["data"].is_string();
        details.filter(|detail| token(detail)).any(|d| !named.iter().any(|name| d["format"] == *name))
    }),
    ("signature-on-message", |r| {
        r.messages().any(|message| message["extra_content"]["google"]["thought_signature"].is_string())
    }),
    ("citations-on-top", |r| r.chunks.iter().any(|chunk| chunk["citations"].is_array())),
    ("cost-in-usage", |r| !r.usage()["cost"].is_null() || !r.usage()["cost_in_usd_ticks"].is_null()),
    ("role-on-every-chunk", |r| {
        let roles = r.messages().filter(|message| message["role"].is_string()).count();
        r.heard.streamed && roles > 1
    }),
    ("comments", |r| r.heard.streamed && r.heard.raw().lines().any(|line| line.starts_with(':'))),
    ("filter-results-first", |r| {
        r.heard.streamed && r.chunks.first().is_some_and(|chunk| chunk["prompt_filter_results"].is_array())
    }),
    ("message-missing", |r| {
        !r.heard.streamed && r.answered() && r.choices().any(|choice| choice.get("message").is_none())
    }),
    ("content-missing", |r| {
        !r.heard.streamed && r.messages().any(|message| message.get("content").is_none())
    }),
    ("padding", |r| r.chunks.iter().any(|chunk| chunk["p"].is_string())),
    ("carriage-returns", |r| r.heard.streamed && r.heard.raw().contains("\r\n\r\n")),
    ("object-missing", |r| {
        r.heard.streamed && r.chunks.iter().any(|c| c["choices"].is_array() && c.get("object").is_none())
    }),
    // Responses.
    ("done-after-completed", |r| {
        r.said.closed
            && r.heard.raw().contains("data: [DONE]")
            && r.event_names.is_empty()
            && r.chunks.iter().any(|event| event["type"] == "response.completed")
    }),
    ("chat-in-responses", |r| {
        r.heard.dialect() == dialect::Dialect::OpenaiResponses
            && r.chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk")
            && r.heard.streamed
    }),
    // Errors.
    ("error-as-text", |r| r.heard.failed() && r.error().is_string()),
    ("bad-key-as-400", |r| {
        r.heard.status == 400
            && r.said.error.as_deref().is_some_and(|words| words.starts_with("Incorrect API key"))
    }),
    ("error-in-detail", |r| {
        r.heard.failed() && r.chunks.iter().any(|body| body["detail"].is_string() && body["error"].is_null())
    }),
    ("error-code-a-number", |r| r.chat() && r.heard.failed() && r.error()["code"].is_u64()),
    ("error-within-error", |r| r.heard.failed() && r.error()["metadata"]["raw"].is_string()),
    ("no-endpoints", |r| {
        r.heard.status == 404
            && r.said.error.as_deref().is_some_and(|words| words.starts_with("No endpoints found"))
    }),
    ("model-retired", |r| r.heard.status == 400 && r.error()["code"] == "model_decommissioned"),
    ("error-labelled-stream", |r| r.heard.failed() && r.kind().starts_with("text/event-stream")),
    ("error-labelled-octets", |r| r.heard.failed() && r.kind() == "application/octet-stream"),
    ("reset-as-a-moment", |r| {
        r.heard.status == 429 && r.header("x-ratelimit-reset").parse::<u64>().is_ok_and(|ms| ms > 1 << 40)
    }),
    ("retry-after-nought", |r| {
        r.header("retry-after-ms") == "0" && r.header("retry-after").parse::<u64>().is_ok_and(|s| s > 0)
    }),
];

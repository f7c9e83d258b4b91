//! A whole chat completion, both ways.
//!
//! In: its body, or a canonical reply. Out: the other. A stop reason that was not said must not be made up
//! (`finish-unsaid`).

use crate::{
    Accounting, Dialect, Usage,
    chat::{Candidate, ChatReply, Content, Part, Stop, StopReason},
    fields::{Fields, list_extras, put_extras},
    loss::Losses,
    openai_chat::message,
    translate::{Calls, Telling, Untranslatable},
    tree::{Json, Object, object},
    usage,
};

const OWN: Dialect = Dialect::OpenaiChat;

pub(crate) fn decode(body: Json, accounting: Accounting) -> Result<ChatReply, Untranslatable> {
    let mut calls = Calls::of_answer(&body, "id");
    let mut fields = Fields::of(body, "")?;
    let mut reply = ChatReply {
        id: fields.text("id").ok().flatten().unwrap_or_default(),
        model: fields.text("model").ok().flatten().unwrap_or_default(),
        created_s: fields.count("created").ok().flatten(),
        service_tier: fields.text("service_tier").ok().flatten(),
        ..ChatReply::default()
    };
    fields.json("object");
    if let Some(usage) = fields.json("usage") {
        let usage = usage.to_string();
        reply.usage = usage::openai::read(&usage, accounting);
        usage::unread::read(OWN, &usage, &mut reply.extras);
    }
    let choices = fields.array("choices")?.ok_or_else(|| fields.wrong("choices", "an array"))?;
    if choices.is_empty() && reply.usage.is_none() {
        return Err(fields.wrong("choices", "an array with an answer in it"));
    }
    for choice in choices {
        reply.candidates.push(decode_choice(Fields::of(choice, "choices")?, &mut calls)?);
    }
    cite(&mut fields, &mut reply);
    fields.rest(OWN, &mut reply.extras);
    Ok(reply)
}

/// `citations-on-top` are of the first answer's words.
fn cite(fields: &mut Fields, reply: &mut ChatReply) {
    let Some(sources) = fields
        .peek("citations")
        .and_then(|citations| message::read_sources(citations, fields.peek("search_results")))
    else {
        return;
    };
    let parts = reply.candidates.first_mut().map(|candidate| &mut candidate.parts);
    let text = parts.into_iter().flatten().find_map(|part| match &mut part.content {
        Content::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = text {
        citations.extend(sources);
        fields.json("citations");
    }
}

fn decode_choice(mut fields: Fields, calls: &mut Calls) -> Result<Candidate, Untranslatable> {
    let mut candidate = Candidate::default();
    fields.json("index");
    let reason = fields.text("finish_reason")?.filter(|reason| !reason.is_empty());
    if reason.as_deref().is_some_and(is_failure) {
        return Err(fields.wrong("finish_reason", "an answer's end: the provider failed"));
    }
    // `message-missing`: it was filtered.
    if let Some(mut message) = fields.object("message", "messages")? {
        message.json("role");
        message::read_assistant(&mut message, &mut candidate.parts, calls)?;
        message.rest(OWN, &mut candidate.extras);
    }
    candidate.stop = reason.map(|reason| read_stop(&reason, &candidate.parts));
    fields.rest(OWN, &mut candidate.extras);
    Ok(candidate)
}

/// Some providers tell in the place of a reason that they broke down (OpenRouter, Mistral; Zhipu).
pub(super) fn is_failure(word: &str) -> bool {
    matches!(word, "error" | "network_error")
}

pub(super) fn read_stop(word: &str, parts: &[Part]) -> Stop {
    let called = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let refused = parts.iter().any(|part| matches!(part.content, Content::Refusal { .. }));
    read_reason(word, called, refused)
}

pub(super) fn read_reason(word: &str, called: bool, refused: bool) -> Stop {
    let reason = match word {
        // Several providers say `stop` though they called a tool, and clients go by the reason (`stop-though-called`).
        "stop" | "eos" if called => StopReason::ToolCalls,
        "stop" | "eos" if refused => StopReason::Refused,
        "stop" | "eos" => StopReason::EndTurn,
        "tool_calls" | "function_call" => StopReason::ToolCalls,
        "length" => StopReason::MaxOutput,
        "model_length" => StopReason::ContextFull,
        "content_filter" | "sensitive" => StopReason::Filtered,
        _ => StopReason::Other,
    };
    let detail = (reason == StopReason::Other).then(|| word.to_owned());
    Stop { detail, ..Stop::new(reason) }
}

/// `refused`: the refusal was told in words of its own. `old`: to a client that reads `function_call`.
pub(super) fn write_reason(stop: &Stop, refused: bool, old: bool) -> &'static str {
    match stop.reason {
        StopReason::ToolCalls if old => "function_call",
        StopReason::Refused if refused => "stop",
        StopReason::EndTurn | StopReason::StopSequence | StopReason::Paused | StopReason::Other => "stop",
        StopReason::Refused => "content_filter",
        StopReason::ToolCalls => "tool_calls",
        StopReason::MaxOutput | StopReason::ContextFull => "length",
        StopReason::Filtered => "content_filter",
        StopReason::BrokenCall => "stop",
    }
}

pub(super) fn list_stop(stop: &Stop, losses: &mut Losses) {
    match stop.reason {
        StopReason::Paused => {
            losses.add("stop_reason", OWN, "it cannot say that the turn is only paused");
        }
        StopReason::BrokenCall | StopReason::Other => {
            losses.add("stop_reason", OWN, "it has no word for this reason to stop");
        }
        _ => {}
    }
    if stop.sequence.is_some() {
        losses.add("stop_sequence", OWN, "it does not tell which stop sequence was met");
    }
    if stop.detail.is_some() {
        losses.add("stop_details", OWN, "it has no place for the provider's own words");
    }
}

pub(crate) fn encode(reply: &ChatReply, telling: &Telling, losses: &mut Losses) -> Object {
    list_extras(&reply.extras, OWN, losses);
    let mut body = object([
        ("id", telling.id(&reply.id).into()),
        ("object", "chat.completion".into()),
        ("created", reply.created_s.unwrap_or(telling.now_s).into()),
        ("model", telling.model(&reply.model).into()),
    ]);
    let mut choices = Vec::new();
    for (at, candidate) in reply.candidates.iter().enumerate() {
        list_extras(&candidate.extras, OWN, losses);
        let mut message = object([("role", "assistant".into())]);
        message::put_answer(&candidate.parts, &mut message, losses);
        if telling.old_functions {
            message::put_old_call(&mut message, losses);
        }
        put_extras(&candidate.extras, OWN, "messages", &mut message);
        let mut choice = object([("index", (at as u64).into()), ("message", message.into())]);
        if let Some(stop) = &candidate.stop {
            list_stop(stop, losses);
        }
        let refused = candidate.parts.iter().any(|part| matches!(part.content, Content::Refusal { .. }));
        let reason = candidate
            .stop
            .as_ref()
            .map_or(Json::Null, |stop| write_reason(stop, refused, telling.old_functions).into());

        choice.put("finish_reason", reason);
        put_extras(&candidate.extras, OWN, "choices", &mut choice);
        choices.push(choice.into());
    }
    body.put("choices", choices);
    body.put_some(
        "usage",
        reply.usage.as_ref().map(|usage| {
            let mut usage = write_usage(usage);
            usage::unread::put_back(&reply.extras, OWN, &mut usage);
            usage
        }),
    );
    body.put_some("service_tier", reply.service_tier.as_ref());
    put_extras(&reply.extras, OWN, "", &mut body);
    body
}

/// In OpenAI's accounting: the whole includes its parts.
pub(crate) fn write_usage(usage: &Usage) -> Object {
    let totals = usage.totals();
    let mut fields = object([
        ("prompt_tokens", totals.input.into()),
        ("completion_tokens", totals.output.into()),
        ("total_tokens", totals.input.saturating_add(totals.output).into()),
    ]);
    let mut input = object([("cached_tokens", usage.cache_read.into())]);
    input.put_some("cache_write_tokens", Some(totals.written).filter(|count| *count > 0));
    input.put("audio_tokens", usage.audio_input);
    input.put_some("image_tokens", Some(usage.image_input).filter(|count| *count > 0));
    let mut output =
        object([("reasoning_tokens", usage.reasoning.into()), ("audio_tokens", usage.audio_output.into())]);
    output.put_some("image_tokens", Some(usage.image_output).filter(|count| *count > 0));
    fields.put("prompt_tokens_details", input).put("completion_tokens_details", output);
    fields
}

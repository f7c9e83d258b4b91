//! A whole message of Anthropic's, both ways.
//!
//! In: its body, or a canonical reply. Out: the other. One answer is all it has place for.

use crate::{
    Dialect, Usage,
    anthropic_messages::block,
    chat::{Candidate, ChatReply, Content, Stop, StopReason},
    fields::{Fields, put_extras},
    loss::Losses,
    shortfall,
    translate::{Telling, Untranslatable},
    tree::{Json, Object, object},
    usage::{anthropic::Counts, unread},
};

const OWN: Dialect = Dialect::AnthropicMessages;

pub(crate) fn decode(body: Json) -> Result<ChatReply, Untranslatable> {
    let mut fields = Fields::of(body, "")?;
    let mut reply = ChatReply {
        id: fields.text("id").ok().flatten().unwrap_or_default(),
        model: fields.text("model").ok().flatten().unwrap_or_default(),
        ..ChatReply::default()
    };
    fields.json("type");
    fields.json("role");
    if let Some(usage) = fields.json("usage") {
        let mut counts = Counts::default();
        let text = usage.to_string();
        counts.overwrite(&text);
        reply.usage = counts.sum_up();
        unread::read(OWN, &text, &mut reply.extras);
        reply.service_tier =
            usage.as_object().and_then(|usage| usage.text("service_tier")).map(str::to_owned);
    }
    let content = fields.json("content").ok_or_else(|| fields.wrong("content", "an array"))?;
    let mut candidate = Candidate { parts: block::decode_all(content)?, ..Candidate::default() };
    let (reason, sequence) = (fields.text("stop_reason")?, fields.text("stop_sequence")?);
    candidate.stop = reason.map(|reason| read_stop(&reason, sequence));
    reply.candidates.push(candidate);
    fields.rest(OWN, &mut reply.extras);
    Ok(reply)
}

pub(super) fn read_stop(word: &str, sequence: Option<String>) -> Stop {
    let reason = match word {
        "end_turn" => StopReason::EndTurn,
        "stop_sequence" => StopReason::StopSequence,
        "tool_use" => StopReason::ToolCalls,
        "max_tokens" => StopReason::MaxOutput,
        "model_context_window_exceeded" => StopReason::ContextFull,
        "refusal" => StopReason::Refused,
        "pause_turn" => StopReason::Paused,
        _ => StopReason::Other,
    };
    let detail = (reason == StopReason::Other).then(|| word.to_owned());
    Stop { reason, sequence, detail }
}

pub(super) fn write_reason(stop: &Stop) -> &'static str {
    match stop.reason {
        StopReason::EndTurn | StopReason::BrokenCall | StopReason::Other => "end_turn",
        StopReason::StopSequence => "stop_sequence",
        StopReason::ToolCalls => "tool_use",
        StopReason::MaxOutput => "max_tokens",
        StopReason::ContextFull => "model_context_window_exceeded",
        StopReason::Filtered | StopReason::Refused => "refusal",
        StopReason::Paused => "pause_turn",
    }
}

pub(super) fn list_stop(stop: &Stop, losses: &mut Losses) {
    if matches!(stop.reason, StopReason::BrokenCall | StopReason::Other) {
        losses.add("finish_reason", OWN, "it has no word for this reason to stop");
    }
    if stop.detail.is_some() {
        losses.add("finish_message", OWN, "it has no place for the provider's own words");
    }
}

pub(crate) fn encode(reply: &ChatReply, telling: &Telling, losses: &mut Losses) -> Object {
    let none = Candidate::default();
    let candidate = shortfall::list_other_answers(reply, OWN, losses).unwrap_or(&none);
    let mut blocks = Vec::new();
    for part in &candidate.parts {
        shortfall::list_answer_part(part, OWN, losses);
        let thinks = matches!(part.content, Content::Reasoning { .. });
        let calls = matches!(part.content, Content::ToolCall { .. });
        if calls {
            block::put_tokens(&part.opaque, &mut blocks);
        }
        match block::encode(part, losses) {
            Ok(block) => blocks.extend(block.map(Json::Object)),
            Err(_) => losses.add("content", OWN, shortfall::ONLY_OWN),
        }
        if !thinks && !calls {
            block::put_tokens(&part.opaque, &mut blocks);
        }
    }
    let mut body = object([
        ("id", telling.id(&reply.id).into()),
        ("type", "message".into()),
        ("role", "assistant".into()),
        ("model", telling.model(&reply.model).into()),
        ("content", blocks.into()),
    ]);
    if let Some(stop) = &candidate.stop {
        list_stop(stop, losses);
    }
    let reason = candidate.stop.as_ref().map_or(Json::Null, |stop| write_reason(stop).into());
    let sequence = candidate.stop.as_ref().and_then(|stop| stop.sequence.as_ref());
    body.put("stop_reason", reason).put("stop_sequence", sequence.map_or(Json::Null, Json::from));
    let counts = reply.usage.unwrap_or_default();
    shortfall::list_usage(&counts, OWN, losses);
    let mut usage = write_usage(&counts);
    usage.put_some("service_tier", reply.service_tier.as_ref());
    unread::put_back(&reply.extras, OWN, &mut usage);
    body.put("usage", usage);
    put_extras(&reply.extras, OWN, "", &mut body);
    body
}

/// In Anthropic's accounting: the input leaves the cache out.
pub(super) fn write_usage(usage: &Usage) -> Object {
    let totals = usage.totals();
    let cached = usage.cache_read.saturating_add(totals.written);
    let mut fields = object([
        ("input_tokens", totals.input.saturating_sub(cached).into()),
        ("cache_creation_input_tokens", totals.written.into()),
        ("cache_read_input_tokens", usage.cache_read.into()),
        ("output_tokens", totals.output.into()),
    ]);
    if totals.written > 0 {
        let split = object([
            ("ephemeral_5m_input_tokens", usage.cache_write.into()),
            ("ephemeral_1h_input_tokens", usage.cache_write_1h.into()),
        ]);
        fields.put("cache_creation", split);
    }
    if usage.reasoning > 0 {
        fields.put("output_tokens_details", object([("thinking_tokens", usage.reasoning.into())]));
    }
    fields
}

//! A whole generateContent answer, both ways.
//!
//! In: its body, or a canonical reply. Out: the other. `STOP` says nothing of calls: the parts do.

use crate::{
    Dialect, Usage,
    chat::{Candidate, ChatReply, Content, Extra, Part, Stop, StopReason},
    fields::{Fields, NO_PLACE, list_extras, put_extras},
    gemini_generate::{
        grounding::{self, Sources, Words},
        part,
    },
    loss::Losses,
    shortfall,
    translate::{Calls, Telling, Untranslatable},
    tree::{Json, Object, object},
    usage,
};

const OWN: Dialect = Dialect::GeminiGenerate;

pub(crate) fn decode(body: Json) -> Result<ChatReply, Untranslatable> {
    let mut calls = Calls::of_answer(&body, "responseId");
    let mut fields = Fields::of(body, "")?.camel();
    let mut reply = ChatReply {
        id: fields.text("responseId").ok().flatten().unwrap_or_default(),
        model: fields.text("modelVersion").ok().flatten().unwrap_or_default(),
        ..ChatReply::default()
    };
    if let Some(usage) = fields.json("usageMetadata") {
        let usage = usage.to_string();
        reply.usage = usage::gemini::read(&usage);
        usage::unread::read(OWN, &usage, &mut reply.extras);
    }
    for candidate in fields.array("candidates")?.unwrap_or_default() {
        reply.candidates.push(decode_candidate(Fields::of(candidate, "candidates")?.camel(), &mut calls)?);
    }
    let blocked = fields.peek("promptFeedback").and_then(Json::as_object).and_then(|f| f.text("blockReason"));
    match blocked {
        Some(reason) if reply.candidates.is_empty() => {
            let stop = Stop { detail: Some(reason.to_owned()), ..Stop::new(StopReason::Filtered) };
            reply.candidates.push(Candidate { stop: Some(stop), ..Candidate::default() });
        }
        None if reply.candidates.is_empty() && reply.usage.is_none() => {
            return Err(fields.wrong("candidates", "an array"));
        }
        _ => {}
    }
    fields.rest(OWN, &mut reply.extras);
    Ok(reply)
}

fn decode_candidate(mut fields: Fields, calls: &mut Calls) -> Result<Candidate, Untranslatable> {
    let mut candidate = Candidate::default();
    fields.json("index");
    if let Some(content) = fields.object("content", "candidates.content")? {
        let mut content = content.camel();
        for part in content.array("parts")?.unwrap_or_default() {
            candidate.parts.push(part::decode(part, calls)?);
        }
        content.json("role");
        content.rest(OWN, &mut candidate.extras);
    }
    let detail = fields.text("finishMessage").ok().flatten();
    let called = candidate.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    candidate.stop = fields.json("finishReason").map(|reason| read_stop(&reason, detail, called));
    if let Some(grounding) = fields.peek("groundingMetadata").and_then(Json::as_object) {
        grounding::cite(grounding, &mut candidate.parts);
    }
    fields.rest(OWN, &mut candidate.extras);
    Ok(candidate)
}

/// Whether a word stands where the reason would be that says there is none yet.
pub(super) fn is_unspecified(reason: &Json) -> bool {
    match reason {
        Json::String(word) => word == "FINISH_REASON_UNSPECIFIED",
        Json::Number(number) => number.as_str() == "0",
        other => other.is_blank(),
    }
}

pub(super) fn read_stop(reason: &Json, detail: Option<String>, called: bool) -> Stop {
    let word = match reason {
        Json::String(word) => word.as_str(),
        // Transcripts of Vertex have the numbers of the enum.
        Json::Number(number) if number.as_str() == "1" => "STOP",
        Json::Number(number) if number.as_str() == "2" => "MAX_TOKENS",
        Json::Number(number) if number.as_str() == "3" => "SAFETY",
        _ => "OTHER",
    };
    let reason = match word {
        "STOP" if called => StopReason::ToolCalls,
        "STOP" => StopReason::EndTurn,
        "MAX_TOKENS" => StopReason::MaxOutput,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => StopReason::Filtered,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE" => StopReason::BrokenCall,
        _ => StopReason::Other,
    };
    let plain = matches!(word, "STOP" | "MAX_TOKENS" | "SAFETY" | "MALFORMED_FUNCTION_CALL" | "OTHER");
    let detail = detail.or_else(|| (!plain).then(|| word.to_owned()));
    Stop { reason, sequence: None, detail }
}

pub(super) fn write_reason(stop: &Stop) -> &'static str {
    match stop.reason {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolCalls | StopReason::Paused => "STOP",
        StopReason::MaxOutput | StopReason::ContextFull => "MAX_TOKENS",
        StopReason::Filtered | StopReason::Refused => "SAFETY",
        StopReason::BrokenCall => "MALFORMED_FUNCTION_CALL",
        StopReason::Other => "OTHER",
    }
}

pub(super) fn list_stop(stop: &Stop, losses: &mut Losses) {
    if stop.reason == StopReason::Paused {
        losses.add("stop_reason", OWN, "it cannot say that the turn is only paused");
    }
    if stop.sequence.is_some() {
        losses.add("stop_sequence", OWN, "it does not tell which stop sequence was met");
    }
}

pub(crate) fn encode(reply: &ChatReply, telling: &Telling, losses: &mut Losses) -> Object {
    list_extras(&reply.extras, OWN, losses);
    let mut candidates = Vec::new();
    for (at, candidate) in reply.candidates.iter().enumerate() {
        list_extras(&candidate.extras, OWN, losses);
        let mut parts = Vec::new();
        let (mut words, mut sources) = (Words::default(), Sources::default());
        let mut called = false;
        for part in &candidate.parts {
            put_part(part, &mut called, &mut parts, losses);
            if let Content::Text { text, citations } = &part.content {
                words.begin();
                words.say(text);
                for citation in citations {
                    sources.add(citation, &words);
                    shortfall::list_quote(citation, OWN, losses);
                }
            }
        }
        let mut content = object([("parts", parts.into()), ("role", "model".into())]);
        put_extras(&candidate.extras, OWN, "candidates.content", &mut content);
        let mut fields = object([("content", content.into())]);
        if let Some(stop) = &candidate.stop {
            list_stop(stop, losses);
            fields.put("finishReason", write_reason(stop));
            fields.put_some("finishMessage", stop.detail.as_ref());
        }
        fields.put("index", at as u64);
        let raw = |extra: &Extra| extra.dialect == OWN && extra.key == "groundingMetadata";
        let sources = sources.write().filter(|_| !candidate.extras.0.iter().any(raw));
        fields.put_some("groundingMetadata", sources);
        put_extras(&candidate.extras, OWN, "candidates", &mut fields);
        candidates.push(fields.into());
    }
    let mut body = object([("candidates", candidates.into())]);
    let mut counts = reply.usage.as_ref().map(write_usage).unwrap_or_default();
    usage::unread::put_back(&reply.extras, OWN, &mut counts);
    body.put_some("usageMetadata", Some(counts).filter(|counts| !counts.is_empty()));
    reply.usage.iter().for_each(|usage| shortfall::list_usage(usage, OWN, losses));
    if reply.service_tier.as_ref().is_some_and(|tier| !tier.is_empty()) {
        losses.add("service_tier", OWN, NO_PLACE);
    }
    body.put("modelVersion", telling.model(&reply.model)).put("responseId", telling.id(&reply.id));
    put_extras(&reply.extras, OWN, "", &mut body);
    body
}

/// A part of an answer, with the token that the client keeps for us. `called`: a call stands before it.
pub(super) fn put_part(part: &Part, called: &mut bool, parts: &mut Vec<Json>, losses: &mut Losses) {
    shortfall::list_answer_part(part, OWN, losses);
    match part::encode(part, losses) {
        Ok(Some(mut fields)) => {
            let calls = matches!(part.content, Content::ToolCall { .. });
            let first_call = calls && !std::mem::replace(called, true);
            let token = part::signature(&part.opaque).or_else(|| first_call.then(part::no_token));
            fields.put_some("thoughtSignature", token);
            parts.push(fields.into());
        }
        Ok(None) => shortfall::lose_part(part, OWN, losses),
        Err(_) => losses.add("content", OWN, shortfall::ONLY_OWN),
    }
}

/// In Gemini's accounting: the prompt includes the cache, the candidates leave the thoughts out.
pub(super) fn write_usage(usage: &Usage) -> Object {
    let totals = usage.totals();
    let mut fields = object([
        ("promptTokenCount", totals.input.into()),
        ("candidatesTokenCount", totals.output.saturating_sub(usage.reasoning).into()),
        ("totalTokenCount", totals.input.saturating_add(totals.output).into()),
    ]);
    fields.put_some("cachedContentTokenCount", Some(usage.cache_read).filter(|count| *count > 0));
    fields.put_some("thoughtsTokenCount", Some(usage.reasoning).filter(|count| *count > 0));
    for (key, audio, image) in [
        ("promptTokensDetails", usage.audio_input, usage.image_input),
        ("candidatesTokensDetails", usage.audio_output, usage.image_output),
    ] {
        let details: Vec<Json> = [("AUDIO", audio), ("IMAGE", image)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| object([("modality", name.into()), ("tokenCount", count.into())]).into())
            .collect();
        fields.put_some(key, Some(details).filter(|details| !details.is_empty()));
    }
    fields
}

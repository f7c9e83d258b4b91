//! A whole response, both ways.
//!
//! In: its body, or a canonical reply. Out: the other. What it repeats of the request says nothing of the answer.

use crate::{
    Accounting, Dialect, Usage,
    chat::{Candidate, ChatReply, Content, Stop, StopReason},
    fields::{Fields, put_extras},
    loss::Losses,
    meaningless,
    openai_responses::item::{self, Ids},
    shortfall,
    translate::{Telling, Untranslatable},
    tree::{Json, Object, object},
    usage,
};

const OWN: Dialect = Dialect::OpenaiResponses;

/// Members of a response that are read of its last event in a stream.
pub(super) const READ: [&str; 8] =
    ["id", "model", "created_at", "output", "status", "incomplete_details", "usage", "error"];

pub(crate) fn decode(body: Json) -> Result<ChatReply, Untranslatable> {
    let mut fields = Fields::of(body, "response")?;
    meaningless::ECHO.iter().for_each(|name| drop(fields.json(name)));
    let mut reply = ChatReply {
        id: fields.text("id").ok().flatten().unwrap_or_default(),
        model: fields.text("model").ok().flatten().unwrap_or_default(),
        created_s: fields.count("created_at").ok().flatten(),
        service_tier: fields.text("service_tier").ok().flatten(),
        ..ChatReply::default()
    };
    if let Some(usage) = fields.json("usage") {
        let usage = usage.to_string();
        reply.usage = read_usage(&usage);
        usage::unread::read(OWN, &usage, &mut reply.extras);
    }
    let mut candidate = Candidate::default();
    for item in fields.array("output")?.ok_or_else(|| fields.wrong("output", "an array"))? {
        candidate.parts.extend(item::read_output(item)?);
    }
    let status = fields.text("status")?;
    if status.as_deref().is_some_and(is_failure) {
        return Err(fields.wrong("status", "that of an answer: the provider failed"));
    }
    let details = fields.json("incomplete_details");
    let called = candidate.parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    let refused = candidate.parts.iter().any(|part| matches!(part.content, Content::Refusal { .. }));
    candidate.stop =
        status.as_deref().and_then(|status| read_stop(status, details.as_ref(), called, refused));
    reply.candidates.push(candidate);
    fields.rest(OWN, &mut reply.extras);
    Ok(reply)
}

pub(super) fn read_usage(usage: &str) -> Option<Usage> {
    usage::openai::read(usage, Accounting::Standard)
}

/// What was written until then is no answer.
pub(super) fn is_failure(status: &str) -> bool {
    matches!(status, "failed" | "cancelled")
}

pub(super) fn read_stop(status: &str, details: Option<&Json>, called: bool, refused: bool) -> Option<Stop> {
    let word = details.and_then(Json::as_object).and_then(|details| details.text("reason"));
    Some(match (status, word) {
        ("in_progress" | "queued", _) => return None,
        ("incomplete", Some("max_output_tokens")) => Stop::new(StopReason::MaxOutput),
        ("incomplete", Some("content_filter")) => Stop::new(StopReason::Filtered),
        ("incomplete", word) => Stop { detail: word.map(str::to_owned), ..Stop::new(StopReason::Other) },
        ("completed", _) if called => Stop::new(StopReason::ToolCalls),
        ("completed", _) if refused => Stop::new(StopReason::Refused),
        ("completed", _) => Stop::new(StopReason::EndTurn),
        (status, _) => Stop { detail: Some(status.to_owned()), ..Stop::new(StopReason::Other) },
    })
}

/// The status, and the reason of an incomplete one. `refusal`: the answer says in words that it refuses.
fn write_stop(stop: Option<&Stop>, refusal: bool) -> (&'static str, Option<&'static str>) {
    match stop.map(|stop| stop.reason) {
        Some(StopReason::MaxOutput | StopReason::ContextFull) => ("incomplete", Some("max_output_tokens")),
        Some(StopReason::Filtered) => ("incomplete", Some("content_filter")),
        // Without such words it would read as an answer that is done, and has nothing to say.
        Some(StopReason::Refused) if !refusal => ("incomplete", Some("content_filter")),
        Some(StopReason::BrokenCall) => ("failed", None),
        // It may be gone on with: it is not done.
        Some(StopReason::Paused) | None => ("incomplete", None),
        _ => ("completed", None),
    }
}

pub(super) fn list_stop(stop: &Stop, losses: &mut Losses) {
    if matches!(stop.reason, StopReason::Paused | StopReason::Other) {
        losses.add("stop_reason", OWN, "it has no word for this reason to stop");
    }
    if stop.sequence.is_some() {
        losses.add("stop_sequence", OWN, "it does not tell which stop sequence was met");
    }
    if stop.detail.is_some() {
        losses.add("stop_details", OWN, "it has no place for the provider's own words");
    }
}

pub(crate) fn encode(reply: &ChatReply, telling: &Telling, losses: &mut Losses) -> Object {
    let none = Candidate::default();
    let candidate = shortfall::list_other_answers(reply, OWN, losses).unwrap_or(&none);
    if let Some(stop) = &candidate.stop {
        list_stop(stop, losses);
    }
    let id = telling.id(&reply.id);
    let mut ids = Ids::new(id);
    let mut output = Vec::new();
    for part in &candidate.parts {
        item::put_output(part, &mut ids, &mut output, losses);
    }
    let head =
        Head { id, model: telling.model(&reply.model), created_s: reply.created_s.unwrap_or(telling.now_s) };
    let mut body = write(&head, Progress::Over(candidate.stop.as_ref()), output, reply.usage.as_ref());
    if let Some((_, Json::Object(usage))) = body.0.iter_mut().find(|(name, _)| name == "usage") {
        usage::unread::put_back(&reply.extras, OWN, usage);
    }
    body.put_some("service_tier", reply.service_tier.as_ref());
    put_extras(&reply.extras, OWN, "response", &mut body);
    body
}

pub(super) struct Head<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) created_s: u64,
}

pub(super) enum Progress<'a> {
    Under,
    Over(Option<&'a Stop>),
}

/// A response object. Clients read members that repeat the request, and expect them to be there.
pub(super) fn write(
    head: &Head<'_>,
    progress: Progress<'_>,
    output: Vec<Json>,
    usage: Option<&Usage>,
) -> Object {
    let (status, reason) = match progress {
        Progress::Under => ("in_progress", None),
        Progress::Over(stop) => write_stop(stop, output.iter().any(is_refusal)),
    };
    let details = reason.map_or(Json::Null, |reason| object([("reason", reason.into())]).into());
    let error = if status == "failed" {
        let message = "The model called a tool in a way that its provider could not read.";
        object([("code", "server_error".into()), ("message", message.into())]).into()
    } else {
        Json::Null
    };
    object([
        ("id", head.id.into()),
        ("object", "response".into()),
        ("created_at", head.created_s.into()),
        ("status", status.into()),
        ("error", error),
        ("incomplete_details", details),
        ("instructions", Json::Null),
        ("model", head.model.into()),
        ("output", output.into()),
        ("parallel_tool_calls", true.into()),
        ("tool_choice", "auto".into()),
        ("tools", Vec::new().into()),
        ("temperature", Json::Null),
        ("top_p", Json::Null),
        ("metadata", Object::default().into()),
        ("usage", usage.map_or(Json::Null, |usage| write_usage(usage).into())),
    ])
}

/// Whether an item of the output has a refusal in it.
fn is_refusal(item: &Json) -> bool {
    let content = item.as_object().and_then(|item| item.get("content")).and_then(Json::as_array);
    let kinds = content.into_iter().flatten().filter_map(|part| part.as_object()?.text("type"));
    kinds.into_iter().any(|kind| kind == "refusal")
}

fn write_usage(usage: &Usage) -> Object {
    let totals = usage.totals();
    let mut input = object([("cached_tokens", usage.cache_read.into())]);
    input.put_some("cache_write_tokens", Some(totals.written).filter(|count| *count > 0));
    input.put_some("audio_tokens", Some(usage.audio_input).filter(|count| *count > 0));
    input.put_some("image_tokens", Some(usage.image_input).filter(|count| *count > 0));
    let mut output = object([("reasoning_tokens", usage.reasoning.into())]);
    output.put_some("audio_tokens", Some(usage.audio_output).filter(|count| *count > 0));
    output.put_some("image_tokens", Some(usage.image_output).filter(|count| *count > 0));
    object([
        ("input_tokens", totals.input.into()),
        ("input_tokens_details", input.into()),
        ("output_tokens", totals.output.into()),
        ("output_tokens_details", output.into()),
        ("total_tokens", totals.input.saturating_add(totals.output).into()),
    ])
}

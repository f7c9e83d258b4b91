//! From a turn to messages.
//!
//! In: a canonical turn. Out: its messages (a tool turn makes several). Pictures in a tool's result must not vanish:
//! they follow in a user message.

use std::slice;

use super::{
    content::write_part,
    reasoning::{write_detail, write_google},
};
use crate::{
    Dialect,
    chat::{Citation, Content, Opaque, Part, Role, Turn},
    fields::{NO_PLACE, list_extras, put_extras},
    loss::Losses,
    shortfall,
    translate::{Replay, Target, Untranslatable},
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiChat;

pub(crate) fn encode(
    turn: &Turn,
    target: &Target<'_>,
    messages: &mut Vec<Json>,
    losses: &mut Losses,
) -> Result<()> {
    if target.replay == Replay::Details {
        list_extras(&turn.extras, OWN, losses);
        turn.parts.iter().for_each(|part| shortfall::list_answer_part(part, OWN, losses));
    } else {
        shortfall::list_turn(turn, OWN, losses);
    }
    let role = match turn.role {
        Role::Tool => return write_results(&turn.parts, target.plain_chat, messages, losses),
        Role::System => "system",
        Role::Developer if target.plain_chat => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let mut message = object([("role", role.into())]);
    if turn.role == Role::Assistant {
        let (thinking, said): (Vec<&Part>, Vec<&Part>) = turn.parts.iter().partition(|part| thinks(part));
        put_thinking(&thinking, target.replay, &mut message, losses);
        put_said(&said, target, &mut message, losses)?;
    } else {
        let parts: Vec<&Part> = turn.parts.iter().collect();
        let content = write_content(&parts, target.plain_chat, losses)?;
        message.put_some(
            "content",
            Some(content).filter(|content| !parts.is_empty() && *content != Json::Array(Vec::new())),
        );
    }
    put_extras(&turn.extras, OWN, "messages", &mut message);
    if message.0.len() == 1 {
        // Nothing but the role: the provider would refuse a message that says nothing.
        return Ok(());
    }
    message.put_some("name", turn.name.as_ref());
    messages.push(message.into());
    Ok(())
}

fn thinks(part: &Part) -> bool {
    match &part.content {
        Content::Reasoning { .. } => true,
        Content::Foreign { dialect, at, .. } => *dialect == OWN && *at == "messages.reasoning_details",
        _ => false,
    }
}

/// Earlier thinking, as far as the provider wants it back.
fn put_thinking(thinking: &[&Part], replay: Replay, message: &mut Object, losses: &mut Losses) {
    match replay {
        Replay::Nothing if thinking.is_empty() => {}
        Replay::Nothing => losses.add("messages.reasoning", OWN, "this provider does not take thinking back"),
        Replay::Text => {
            let text: String = thinking.iter().filter_map(|part| reasoning_text(part)).collect();
            message.put_some("reasoning_content", Some(text).filter(|text| !text.is_empty()));
            if thinking.iter().any(|part| !part.opaque.is_empty() || reasoning_text(part).is_none()) {
                losses.add(
                    "messages.reasoning_details",
                    OWN,
                    "this provider takes the words of thinking alone",
                );
            }
        }
        Replay::Details => {
            let details = thinking.iter().enumerate().map(|(at, part)| match &part.content {
                Content::Foreign { value, .. } => value.clone(),
                content => {
                    let text = if let Content::Reasoning { text } = content { text } else { "" };
                    write_detail(text, &part.opaque, at as u32, false).into()
                }
            });
            let details: Vec<Json> = details.collect();
            message.put_some("reasoning_details", Some(details).filter(|details| !details.is_empty()));
        }
    }
}

fn reasoning_text(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Reasoning { text } => Some(text),
        _ => None,
    }
}

/// One plain text is a string; anything else an array, unless the provider only takes strings.
fn write_content(parts: &[&Part], joined: bool, losses: &mut Losses) -> Result<Json> {
    let texts: Option<Vec<&str>> = parts
        .iter()
        .map(|part| match &part.content {
            Content::Text { text, .. } if !part.extras.0.iter().any(|extra| extra.dialect == OWN) => {
                Some(text.as_str())
            }
            _ => None,
        })
        .collect();
    match texts {
        Some(texts) if texts.len() == 1 || joined => return Ok(texts.join("\n\n").into()),
        _ => {}
    }
    let mut elements = Vec::new();
    for part in parts {
        if let Content::Foreign { dialect: OWN, at: "messages.content", value } = &part.content {
            elements.push(value.clone());
        } else if matches!(part.content, Content::Foreign { .. }) {
            shortfall::list_part(part, OWN, losses);
        } else {
            let mut element = write_part(part)?;
            put_extras(&part.extras, OWN, "messages.content", &mut element);
            elements.push(element.into());
        }
    }
    Ok(elements.into())
}

/// What an assistant said in an earlier turn.
fn put_said(said: &[&Part], target: &Target<'_>, message: &mut Object, losses: &mut Losses) -> Result<()> {
    let (joined, replay) = (target.plain_chat, target.replay);
    let mut content = Vec::new();
    let mut calls = Vec::new();
    let mut refusal = String::new();
    for part in said {
        match &part.content {
            Content::ToolCall { .. } => {
                let google = write_google(&part.opaque, false).filter(|_| replay == Replay::Details);
                calls.push(write_call(part, google, joined).into());
            }
            Content::Refusal { text } => refusal.push_str(text),
            Content::Foreign { dialect: OWN, at: "messages.audio", value } => {
                message.put("audio", value);
            }
            Content::Foreign { dialect: OWN, at: "messages.content", .. } | Content::Text { .. } => {
                content.push(*part);
            }
            _ => losses.add("messages.content", OWN, "only its own dialect has such a part"),
        }
    }
    if !content.is_empty() {
        message.put("content", write_content(&content, joined, losses)?);
    } else if !calls.is_empty() || !refusal.is_empty() || message.get("audio").is_some() {
        message.put("content", Json::Null);
    } else if message.0.len() > 1 {
        // Thinking alone: an answer that may be missing must have calls beside it.
        message.put("content", "");
    }
    message.put_some("refusal", Some(refusal).filter(|text| !text.is_empty()));
    message.put_some("tool_calls", Some(calls).filter(|calls: &Vec<Json>| !calls.is_empty()));
    Ok(())
}

/// `google`: with the token of the call. `plain`: for a provider that knows functions only.
fn write_call(part: &Part, google: Option<Object>, plain: bool) -> Object {
    let Content::ToolCall { id, name, input, custom } = &part.content else { return Object::default() };
    let wrapped = Json::from(object([("input", input.into())])).to_string();
    let input = if *custom && plain { &wrapped } else { input };
    let mut call = if *custom && !plain {
        let custom = object([("name", name.into()), ("input", input.into())]);
        object([("id", id.into()), ("type", "custom".into()), ("custom", custom.into())])
    } else {
        let input = if input.is_empty() { "{}" } else { input };
        let mut function = object([("name", name.into()), ("arguments", input.into())]);
        put_extras(&part.extras, OWN, "messages.tool_calls.function", &mut function);
        object([("id", id.into()), ("type", "function".into()), ("function", function.into())])
    };
    call.put_some("extra_content", google);
    put_extras(&part.extras, OWN, "messages.tool_calls", &mut call);
    call
}

fn write_results(results: &[Part], named: bool, messages: &mut Vec<Json>, losses: &mut Losses) -> Result<()> {
    let mut shown: Vec<Json> = Vec::new();
    for result in results {
        let Content::ToolResult { call_id, name, parts, is_error, .. } = &result.content else { continue };
        let (mut texts, mut media) = (Vec::new(), 0);
        for part in parts {
            match &part.content {
                Content::Text { text, .. } => texts.push(text.clone()),
                Content::Image { .. } | Content::File { .. } | Content::Audio { .. } => {
                    media += 1;
                    shown.push(write_part(part)?.into());
                }
                _ => losses.add("messages.content.tool_result", OWN, "only its own dialect has such a part"),
            }
        }
        if media > 0 {
            texts.push(format!("[{media} attached below]"));
        }
        let mut text = texts.join("\n");
        if *is_error && !text.starts_with("Error") {
            text = format!("Error: {text}");
        }
        let mut message =
            object([("role", "tool".into()), ("tool_call_id", call_id.into()), ("content", text.into())]);
        if named {
            message.put_some("name", name.as_ref());
        }
        put_extras(&result.extras, OWN, "messages", &mut message);
        messages.push(message.into());
    }
    if !shown.is_empty() {
        messages.push(object([("role", "user".into()), ("content", shown.into())]).into());
    }
    Ok(())
}

/// An answer's message, with everything that a client may read and keep.
pub(crate) fn put_answer(parts: &[Part], message: &mut Object, losses: &mut Losses) {
    let (mut text, mut thinking, mut refusal) = (String::new(), String::new(), String::new());
    let mut characters = 0;
    let (mut calls, mut details, mut annotations, mut images) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let signed = parts.iter().any(|part| match &part.content {
        Content::Reasoning { .. } => part.opaque.iter().any(Opaque::stands_alone),
        Content::Foreign { dialect: OWN, at, .. } => *at == "messages.reasoning_details",
        _ => false,
    });
    for part in parts {
        shortfall::list_answer_part(part, OWN, losses);
        match &part.content {
            Content::Text { text: more, citations } => {
                let said = more.chars().count() as u64;
                annotations
                    .extend(citations.iter().map(|citation| write_citation(citation, characters, said)));
                characters += said;
                message.put_some("extra_content", write_google(&part.opaque, true));
                list_tokens(part, "messages.content.signature", losses);
                text.push_str(more);
            }
            Content::Reasoning { text: more } => {
                thinking.push_str(more);
                if signed {
                    details.push(write_detail(more, &part.opaque, details.len() as u32, true).into());
                }
            }
            Content::Refusal { text: more } => refusal.push_str(more),
            Content::ToolCall { .. } => {
                list_tokens(part, "messages.tool_calls.signature", losses);
                calls.push(write_call(part, write_google(&part.opaque, true), false).into());
            }
            Content::Image { .. } => match write_part(part) {
                Ok(image) => images.push(image.into()),
                Err(_) => shortfall::lose_part(part, OWN, losses),
            },
            Content::Foreign { dialect: OWN, at: "messages.audio", value } => {
                message.put("audio", value);
            }
            Content::Foreign { dialect: OWN, at: "messages.reasoning_details", value } => {
                details.push(value.clone());
            }
            Content::Audio { .. }
            | Content::File { .. }
            | Content::ToolResult { .. }
            | Content::Foreign { .. } => shortfall::lose_part(part, OWN, losses),
        }
    }
    let silent = text.is_empty() && (!calls.is_empty() || !refusal.is_empty());
    message.put("content", if silent { Json::Null } else { text.into() });
    message.put("refusal", if refusal.is_empty() { Json::Null } else { refusal.into() });
    for (key, list) in [
        ("annotations", annotations),
        ("images", images),
        ("tool_calls", calls),
        ("reasoning_details", details),
    ] {
        message.put_some(key, Some(list).filter(|list: &Vec<Json>| !list.is_empty()));
    }
    message.put_some("reasoning_content", Some(thinking).filter(|text| !text.is_empty()));
}

/// The call of an answer as OpenAI's first functions told it: one, and without an id.
pub(crate) fn put_old_call(message: &mut Object, losses: &mut Losses) {
    let Some(Json::Array(calls)) = message.take("tool_calls") else { return };
    if calls.len() > 1 {
        losses.add("messages.tool_calls", OWN, OLD_CALLS);
    }
    let call = calls.into_iter().next().and_then(Json::into_object);
    message.put_some("function_call", call.and_then(|mut call| call.take("function")));
}

pub(crate) const OLD_CALLS: &str = "a client that offers `functions` reads one call: the first was sent";

/// Chat has a place for Gemini's tokens alone, beside thinking.
fn list_tokens(part: &Part, field: &'static str, losses: &mut Losses) {
    let homeless =
        |token: &Opaque| token.stands_alone() && write_google(slice::from_ref(token), true).is_none();
    if part.opaque.iter().any(homeless) {
        losses.add(field, OWN, NO_PLACE);
    }
}

/// `before`: characters of the message before the text that is cited; `said`: of that text. Clients refuse an annotation
/// without a place or a title.
pub(crate) fn write_citation(citation: &Citation, before: u64, said: u64) -> Json {
    let (start, end) = citation.span.unwrap_or((0, said));
    let mut fields = object([
        ("start_index", start.saturating_add(before).into()),
        ("end_index", end.saturating_add(before).into()),
        ("url", (&citation.url).into()),
        ("title", citation.title.as_ref().unwrap_or(&citation.url).into()),
    ]);
    fields.put_some("content", citation.quote.as_ref());
    object([("type", "url_citation".into()), ("url_citation", fields.into())]).into()
}

//! From a message object to a turn.
//!
//! In: one message. Out: a [`Turn`]. The order of an assistant's parts is thinking, words, calls: chat says no other.

use super::{content::read_content, reasoning};
use crate::{
    Dialect,
    chat::{CacheMark, Citation, Content, Part, Role, Turn},
    fields::{Fields, malformed},
    translate::{Calls, Untranslatable},
    tree::Json,
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiChat;
const AT: &str = "messages";

/// `calls`: those of the conversation so far.
pub(crate) fn decode(message: Json, calls: &mut Calls) -> Result<Turn> {
    let mut fields = Fields::of(message, AT)?;
    let role = match fields.need_text("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => return read_result(fields, calls),
        _ => return Err(malformed("messages.role", "system, developer, user, assistant or tool")),
    };
    let mut turn = Turn::new(role, Vec::new());
    turn.name = fields.text("name")?;
    if role == Role::Assistant {
        read_assistant(&mut fields, &mut turn.parts, calls)?;
    } else {
        read_content(fields.json("content"), &mut turn.parts)?;
    }
    if let (Some(mark), Some(last)) = (read_cache(&mut fields)?, turn.parts.last_mut()) {
        last.cache = Some(mark);
    }
    fields.rest(OWN, &mut turn.extras);
    Ok(turn)
}

fn read_result(mut fields: Fields, calls: &mut Calls) -> Result<Turn> {
    let name = fields.text("name")?;
    let call_id = match fields.text("tool_call_id")? {
        Some(id) => id,
        // The legacy function message has a name alone.
        None => calls.answer(None, name.as_deref().unwrap_or_default()),
    };
    let mut parts = Vec::new();
    read_content(fields.json("content"), &mut parts)?;
    let mut part = Part::new(Content::ToolResult { call_id, name, parts, is_error: false, custom: false });
    part.cache = read_cache(&mut fields)?;
    fields.rest(OWN, &mut part.extras);
    Ok(Turn::new(Role::Tool, vec![part]))
}

/// What an assistant said, in a request or in an answer.
pub(crate) fn read_assistant(fields: &mut Fields, parts: &mut Vec<Part>, calls: &mut Calls) -> Result<()> {
    read_reasoning(fields, parts)?;
    let before = parts.len();
    read_content(fields.json("content"), parts)?;
    // `""` beside tool calls says nothing.
    let blank = |part: &Part| matches!(&part.content, Content::Text { text, .. } if text.is_empty());
    if parts.len() == before + 1 && blank(&parts[before]) {
        parts.pop();
    }
    read_citations(fields, &mut parts[before..])?;
    let words = parts.len();
    if let Some(text) = fields.text("refusal")?.filter(|text| !text.is_empty()) {
        parts.push(Part::new(Content::Refusal { text }));
    }
    for image in fields.array("images")?.unwrap_or_default() {
        read_content(Some(Json::Array(vec![image])), parts)?;
    }
    if let Some(audio) = fields.json("audio") {
        parts.push(Part::new(Content::Foreign { dialect: OWN, at: "messages.audio", value: audio }));
    }
    for call in fields.array("tool_calls")?.unwrap_or_default() {
        parts.push(read_call(Fields::of(call, "messages.tool_calls")?, calls)?);
    }
    // Some say all fields of all messages, and mean nothing by the empty ones.
    let called = fields.peek("function_call").is_some_and(says_anything);
    if let (Some(call), true) = (fields.object("function_call", "messages.function_call")?, called) {
        parts.push(read_function(call, None, calls)?);
    }
    // Gemini's door signs the message (`signature-on-message`): its last words, or its first call where it has none.
    if let Some(token) = reasoning::read_google(fields.peek("extra_content")) {
        fields.json("extra_content");
        let signed = if words > before { words - 1 } else { before };
        match parts.get_mut(signed) {
            Some(part) => part.opaque.push(token),
            None => parts.push(Part { opaque: vec![token], ..Part::text("") }),
        }
    }
    Ok(())
}

/// A body of a call with more than empty fields.
pub(crate) fn says_anything(body: &Json) -> bool {
    match body {
        Json::Object(body) => body.0.iter().any(|(_, value)| !value.is_blank()),
        Json::Null => false,
        _ => true,
    }
}

fn read_reasoning(fields: &mut Fields, parts: &mut Vec<Part>) -> Result<()> {
    let said = [fields.json("reasoning_content"), fields.json("reasoning")];
    let details = fields.array("reasoning_details")?.unwrap_or_default();
    let text = said.into_iter().flatten().find_map(|value| match value {
        Json::String(text) if !text.is_empty() => Some(text),
        _ => None,
    });
    let before = parts.len();
    let shares = reasoning::read_details(details, parts);
    let words = parts[before..].iter_mut().filter_map(|part| match &mut part.content {
        Content::Reasoning { text } => Some(text),
        _ => None,
    });
    let mut words: Vec<&mut String> = words.collect();
    // A stream's details may have the tokens alone; the words were told beside them.
    if let Some(text) = text
        && words.iter().all(|words| words.is_empty())
    {
        let told = shares.iter().flatten().fold(0_usize, |sum, share| sum.saturating_add(*share));
        if words.len() > 1 && told == text.chars().count() {
            let mut rest = text.chars();
            for (words, share) in words.into_iter().zip(shares) {
                words.extend(rest.by_ref().take(share.unwrap_or_default()));
            }
        } else {
            match words.first_mut() {
                Some(first) => **first = text,
                None => parts.insert(before, Part::reasoning(text, Vec::new())),
            }
        }
    }
    Ok(())
}

fn read_call(mut fields: Fields, calls: &mut Calls) -> Result<Part> {
    let id = fields.text("id")?;
    fields.json("index");
    let kind = fields.text("type")?;
    let token = reasoning::read_google(fields.peek("extra_content"));
    if token.is_some() {
        fields.json("extra_content");
    }
    let mut part = if kind.as_deref() == Some("custom") {
        let mut custom = fields.need_object("custom", "messages.tool_calls.custom")?;
        let (name, input) = (custom.need_text("name")?, custom.text("input")?.unwrap_or_default());
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| calls.call(None, &name));
        Part::new(Content::ToolCall { id, name, input, custom: true })
    } else {
        if !fields.peek("custom").is_some_and(says_anything) {
            fields.json("custom");
        }
        read_function(fields.need_object("function", "messages.tool_calls.function")?, id, calls)?
    };
    part.opaque.extend(token);
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

fn read_function(mut function: Fields, id: Option<String>, calls: &mut Calls) -> Result<Part> {
    let mut part = read_named(&mut function, id, calls)?;
    function.rest(OWN, &mut part.extras);
    Ok(part)
}

fn read_named(function: &mut Fields, id: Option<String>, calls: &mut Calls) -> Result<Part> {
    let name = function.need_text("name")?;
    let input = match function.json("arguments") {
        // `arguments-missing`.
        None => String::new(),
        Some(Json::String(text)) => text,
        // Some providers forget that it is a string.
        Some(other) => other.to_string(),
    };
    let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| calls.call(None, &name));
    Ok(Part::new(Content::ToolCall { id, name, input, custom: false }))
}

/// `annotations: [{"type":"url_citation","url_citation":{…}}]` belong to the text.
fn read_citations(fields: &mut Fields, parts: &mut [Part]) -> Result<()> {
    let Some(Content::Text { citations, .. }) = parts.first_mut().map(|part| &mut part.content) else {
        return Ok(());
    };
    let annotations = fields.array("annotations")?.unwrap_or_default();
    citations.extend(annotations.iter().filter_map(read_citation));
    // A file that is cited has no place among sources; of several kinds, the others are told all the same.
    if citations.len() < annotations.len() {
        let unread = annotations.into_iter().filter(|annotation| read_citation(annotation).is_none());
        fields.put_back("annotations", unread.collect::<Vec<_>>().into());
    }
    Ok(())
}

/// Of chat (nested in `url_citation`) and of Responses (flat).
pub(crate) fn read_citation(annotation: &Json) -> Option<Citation> {
    let outer = annotation.as_object()?;
    let fields = outer.get("url_citation").and_then(Json::as_object).unwrap_or(outer);
    let place = |key: &str| fields.get(key).and_then(Json::as_u64);
    Some(Citation {
        url: fields.text("url")?.to_owned(),
        title: fields.text("title").map(str::to_owned),
        quote: fields.text("content").map(str::to_owned),
        span: place("start_index").zip(place("end_index")),
    })
}

/// Anthropic's mark, which several chat providers take, too.
pub(crate) fn read_cache(fields: &mut Fields) -> Result<Option<CacheMark>> {
    let Some(mut mark) = fields.object("cache_control", "cache_control")? else { return Ok(None) };
    Ok(Some(CacheMark { ttl: mark.text("ttl")? }))
}

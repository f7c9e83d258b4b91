//! From a message object to a turn.
//!
//! In: one message. Out: a [`Turn`]. The order of an assistant's parts is thinking, words, calls: chat says no other.

use super::{content::read_content, reasoning};
use crate::{
    Dialect,
    chat::{CacheMark, Citation, Content, Part, Role, Turn},
    fields::{Fields, malformed},
    translate::{Untranslatable, mint_call_id},
    tree::Json,
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiChat;
const AT: &str = "messages";

pub(crate) fn decode(message: Json) -> Result<Turn> {
    let mut fields = Fields::of(message, AT)?;
    let role = match fields.need_text("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => return read_result(fields),
        _ => return Err(malformed("messages.role", "system, developer, user, assistant or tool")),
    };
    let mut turn = Turn::new(role, Vec::new());
    turn.name = fields.text("name")?;
    if role == Role::Assistant {
        read_assistant(&mut fields, &mut turn.parts, "")?;
    } else {
        read_content(fields.json("content"), &mut turn.parts)?;
    }
    if let (Some(mark), Some(last)) = (read_cache(&mut fields)?, turn.parts.last_mut()) {
        last.cache = Some(mark);
    }
    fields.rest(OWN, &mut turn.extras);
    Ok(turn)
}

fn read_result(mut fields: Fields) -> Result<Turn> {
    let name = fields.text("name")?;
    let call_id = match fields.text("tool_call_id")? {
        Some(id) => id,
        // The legacy function message has a name alone.
        None => mint_call_id(name.as_deref().unwrap_or_default(), 1),
    };
    let mut parts = Vec::new();
    read_content(fields.json("content"), &mut parts)?;
    let mut part = Part::new(Content::ToolResult { call_id, name, parts, is_error: false, custom: false });
    part.cache = read_cache(&mut fields)?;
    fields.rest(OWN, &mut part.extras);
    Ok(Turn::new(Role::Tool, vec![part]))
}

/// What an assistant said, in a request or in an answer, whose id calls without one are named after.
pub(crate) fn read_assistant(fields: &mut Fields, parts: &mut Vec<Part>, answer: &str) -> Result<()> {
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
    for (number, call) in (1..).zip(fields.array("tool_calls")?.unwrap_or_default()) {
        let mint = Mint { answer, number };
        parts.push(read_call(Fields::of(call, "messages.tool_calls")?, mint)?);
    }
    if let Some(call) = fields.object("function_call", "messages.function_call")? {
        parts.push(read_function(call, None, Mint { answer, number: 1 })?);
    }
    // Gemini's door signs the message (`signature-on-message`): its last words, or its first call where it has none.
    let signed = if words > before { words - 1 } else { before };
    if let (Some(token), Some(part)) =
        (reasoning::read_google(fields.peek("extra_content")), parts.get_mut(signed))
    {
        fields.json("extra_content");
        part.opaque.push(token);
    }
    Ok(())
}

fn read_reasoning(fields: &mut Fields, parts: &mut Vec<Part>) -> Result<()> {
    let said = [fields.json("reasoning_content"), fields.json("reasoning")];
    let details = fields.array("reasoning_details")?.unwrap_or_default();
    let text = said.into_iter().flatten().find_map(|value| match value {
        Json::String(text) if !text.is_empty() => Some(text),
        _ => None,
    });
    let before = parts.len();
    reasoning::read_details(details, parts);
    let words = parts[before..].iter_mut().filter_map(|part| match &mut part.content {
        Content::Reasoning { text } => Some(text),
        _ => None,
    });
    let mut words: Vec<&mut String> = words.collect();
    // A stream's details may have the tokens alone; the words were told beside them.
    if let Some(text) = text
        && words.iter().all(|words| words.is_empty())
    {
        match words.first_mut() {
            Some(first) => **first = text,
            None => parts.insert(before, Part::reasoning(text, Vec::new())),
        }
    }
    Ok(())
}

/// What a call is named after that has no id of its own (`call-without-id`).
#[derive(Clone, Copy)]
struct Mint<'a> {
    answer: &'a str,
    number: u32,
}

fn read_call(mut fields: Fields, mint: Mint) -> Result<Part> {
    let id = fields.text("id")?;
    fields.json("index");
    let kind = fields.text("type")?;
    let extra = fields.json("extra_content");
    let mut part = if kind.as_deref() == Some("custom") {
        let mut custom = fields.need_object("custom", "messages.tool_calls.custom")?;
        let (name, input) = (custom.need_text("name")?, custom.text("input")?.unwrap_or_default());
        Part::new(Content::ToolCall { id: id.unwrap_or_default(), name, input, custom: true })
    } else {
        read_function(fields.need_object("function", "messages.tool_calls.function")?, id, mint)?
    };
    part.opaque.extend(reasoning::read_google(extra.as_ref()));
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

fn read_function(mut function: Fields, id: Option<String>, mint: Mint) -> Result<Part> {
    let mut part = read_named(&mut function, id, mint)?;
    function.rest(OWN, &mut part.extras);
    Ok(part)
}

fn read_named(function: &mut Fields, id: Option<String>, mint: Mint) -> Result<Part> {
    let name = function.need_text("name")?;
    let input = match function.json("arguments") {
        // `arguments-missing`.
        None => String::new(),
        Some(Json::String(text)) => text,
        // Some providers forget that it is a string.
        Some(other) => other.to_string(),
    };
    // A request's turn has no id: there the name must do, as it does for results that have a name alone.
    let seed = if mint.answer.is_empty() { &name } else { mint.answer };
    let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| mint_call_id(seed, mint.number));
    Ok(Part::new(Content::ToolCall { id, name, input, custom: false }))
}

/// `annotations: [{"type":"url_citation","url_citation":{…}}]` belong to the text.
fn read_citations(fields: &mut Fields, parts: &mut [Part]) -> Result<()> {
    let Some(Content::Text { citations, .. }) = parts.first_mut().map(|part| &mut part.content) else {
        return Ok(());
    };
    for annotation in fields.array("annotations")?.unwrap_or_default() {
        citations.extend(read_citation(&annotation));
    }
    Ok(())
}

/// Of chat (nested in `url_citation`) and of Responses (flat).
pub(crate) fn read_citation(annotation: &Json) -> Option<Citation> {
    let outer = annotation.as_object()?;
    let fields = outer.get("url_citation").and_then(Json::as_object).unwrap_or(outer);
    let place = |key: &str| match fields.get(key) {
        Some(Json::Number(number)) => number.as_u64(),
        _ => None,
    };
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

//! From items to parts.
//!
//! In: an item of an input or an output. Out: its parts, and whose turn they are. An item of an unknown type is kept as it
//! came.

use super::content::read_part;
use crate::{
    Dialect,
    chat::{Content, Opaque, OpaqueKind, Part, Role, Source},
    fields::{Fields, malformed},
    mark,
    openai_responses::namespace,
    translate::Untranslatable,
    tree::{Json, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiResponses;
const AT: &str = "input";

/// Whose item it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message(Role),
    /// Something an assistant did: it belongs to the turn under way.
    Deed,
    Result,
}

pub(crate) fn decode(item: Json) -> Result<(Kind, Vec<Part>)> {
    let mut fields = Fields::of(item, AT)?;
    let kind = fields.text("type")?.unwrap_or_else(|| {
        // Both may come without their type; nobody speaks in a reference.
        let names = fields.peek("id").is_some() && fields.peek("role").is_none();
        if names { "item_reference" } else { "message" }.to_owned()
    });
    match kind.as_str() {
        "message" => read_message(fields),
        "reasoning" => Ok((Kind::Deed, vec![read_reasoning(fields)?])),
        "function_call" => Ok((Kind::Deed, vec![read_call(fields, "arguments", false)?])),
        "custom_tool_call" => Ok((Kind::Deed, vec![read_call(fields, "input", true)?])),
        "function_call_output" => Ok((Kind::Result, vec![read_result(fields, false)?])),
        "custom_tool_call_output" => Ok((Kind::Result, vec![read_result(fields, true)?])),
        _ => {
            let result = kind.ends_with("_output") || kind == "mcp_approval_response";
            let mut value = object([("type", kind.into())]);
            value.0.extend(fields.into_object().0);
            let part = Part::new(Content::Foreign { dialect: OWN, at: AT, value: value.into() });
            Ok((if result { Kind::Result } else { Kind::Deed }, vec![part]))
        }
    }
}

fn read_message(mut fields: Fields) -> Result<(Kind, Vec<Part>)> {
    let role = match fields.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        _ => return Err(malformed("input.role", "user, assistant, system or developer")),
    };
    let mut parts = match fields.json("content") {
        Some(Json::String(text)) => vec![Part::text(text)],
        Some(Json::Array(parts)) => parts.into_iter().map(read_part).collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
        Some(_) => return Err(fields.wrong("content", "a string or an array of parts")),
    };
    let id = read_id(&mut fields)?;
    fields.json("status");
    if let Some(first) = parts.first_mut() {
        first.opaque.extend(id);
        fields.rest(OWN, &mut first.extras);
    }
    Ok((Kind::Message(role), parts))
}

fn read_id(fields: &mut Fields) -> Result<Option<Opaque>> {
    let id = fields.text("id")?;
    Ok(id.map(|value| Opaque { dialect: OWN, kind: OpaqueKind::Id, value, maker: None }))
}

fn read_reasoning(mut fields: Fields) -> Result<Part> {
    let texts = |list: Option<&Json>| -> Vec<String> {
        let list = list.and_then(Json::as_array).unwrap_or_default();
        list.iter().filter_map(|piece| piece.as_object()?.text("text").map(str::to_owned)).collect()
    };
    let (summary, content) = (texts(fields.peek("summary")), texts(fields.peek("content")));
    // What one text cannot say stays as it came; the text is told to all.
    if summary.len() <= 1 {
        fields.json("summary");
    }
    if content.is_empty() {
        fields.json("content");
    }
    let text = if summary.is_empty() { content } else { summary }.join("\n\n");
    let mut opaque: Vec<Opaque> = read_id(&mut fields)?.into_iter().collect();
    let encrypted = fields.text("encrypted_content")?.filter(|value| !value.is_empty());
    opaque.extend(encrypted.and_then(|value| mark::unwrap(value, OWN, OpaqueKind::Encrypted)));
    fields.json("status");
    let mut part = Part::reasoning(text, opaque);
    let mut extras = Default::default();
    fields.rest(OWN, &mut extras);
    for extra in &mut extras.0 {
        extra.at = "input.reasoning";
    }
    part.extras = extras;
    Ok(part)
}

fn read_call(mut fields: Fields, input: &str, custom: bool) -> Result<Part> {
    let name = fields.need_text("name")?;
    let namespace = fields.text("namespace")?;
    if namespace.as_ref() == Some(&name) {
        fields.put_back("namespace", (&name).into());
    }
    let content = Content::ToolCall {
        id: fields.need_text("call_id")?,
        name: namespace::join(namespace.as_deref(), name),
        input: fields.text(input)?.unwrap_or_default(),
        custom,
    };
    let mut part = Part::new(content);
    part.opaque.extend(read_id(&mut fields)?);
    fields.json("status");
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

fn read_result(mut fields: Fields, custom: bool) -> Result<Part> {
    let call_id = fields.need_text("call_id")?;
    let parts = match fields.json("output") {
        Some(Json::String(text)) => vec![Part::text(text)],
        Some(Json::Array(parts)) => parts.into_iter().map(read_part).collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
        Some(_) => return Err(fields.wrong("output", "a string or an array of parts")),
    };
    let mut part = Part::new(Content::ToolResult { call_id, name: None, parts, is_error: false, custom });
    part.opaque.extend(read_id(&mut fields)?);
    fields.json("status");
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

/// The parts of an output, all of one answer. A picture that was drawn is a picture to everybody.
pub(crate) fn read_output(item: Json) -> Result<Vec<Part>> {
    let drawn = item.as_object().filter(|item| item.text("type") == Some("image_generation_call"));
    if drawn.and_then(|item| item.text("result")).is_none() {
        return decode(item).map(|(_, parts)| parts);
    }
    let mut fields = Fields::of(item, AT)?;
    let (data, format) = (fields.need_text("result")?, fields.text("output_format")?);
    let mime = format!("image/{}", format.as_deref().unwrap_or("png"));
    let mut part = Part::new(Content::Image { source: Source::Inline { mime, data }, detail: None });
    part.opaque.extend(read_id(&mut fields)?);
    fields.json("type");
    fields.json("status");
    fields.rest(OWN, &mut part.extras);
    Ok(vec![part])
}

//! From Gemini's parts to canonical ones.
//!
//! In: a part. Out: a [`Part`]. Calls mostly come without ids: they are numbered ([`Calls`]).

use crate::{
    Dialect,
    chat::{Content, Extras, Opaque, OpaqueKind, Part, Source},
    fields::Fields,
    mark, shortfall,
    translate::{Calls, Untranslatable},
    tree::{Json, Object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::GeminiGenerate;
const AT: &str = "contents.parts";

pub(crate) fn decode(part: Json, calls: &mut Calls) -> Result<Part> {
    let mut fields = Fields::of(part, AT)?.camel();
    let signature = fields.text("thoughtSignature")?.filter(|token| !token.is_empty());
    let signed = signature.is_some();
    let token = signature.and_then(read_token);
    let thought = fields.bool("thought")?.unwrap_or(false);
    let mut extras = Extras::default();
    // A picture in a thought is a draft: nobody else can tell it from the answer's own.
    let draft = thought && (fields.peek("inlineData").is_some() || fields.peek("fileData").is_some());
    let content = if draft {
        return Ok(its_own(fields, thought, token));
    } else if let Some(text) = fields.text("text")? {
        if thought { Content::Reasoning { text } } else { Content::Text { text, citations: Vec::new() } }
    } else if let Some(call) = fields.object("functionCall", "contents.parts.functionCall")? {
        read_call(call, calls, &mut extras)?
    } else if let Some(result) = fields.object("functionResponse", "contents.parts.functionResponse")? {
        read_result(result.camel(), calls, &mut extras)?
    } else if let Some(blob) = fields.object("inlineData", "contents.parts.inlineData")? {
        let mut blob = blob.camel();
        let (mime, data) = (blob.need_text("mimeType")?, blob.text("data")?.unwrap_or_default());
        let name = blob.text("displayName")?;
        blob.rest(OWN, &mut extras);
        medium(Source::Inline { mime: mime.clone(), data }, Some(&mime), name)
    } else if let Some(file) = fields.object("fileData", "contents.parts.fileData")? {
        let mut file = file.camel();
        let (url, mime) = (file.need_text("fileUri")?, file.text("mimeType")?);
        let kept = url.starts_with("gs://") || url.starts_with("files/") || url.contains("googleapis.com/");
        let source = if kept {
            Source::Stored { dialect: OWN, id: url, mime: mime.clone() }
        } else {
            Source::Url { url, mime: mime.clone() }
        };
        let name = file.text("displayName")?;
        file.rest(OWN, &mut extras);
        medium(source, mime.as_deref(), name)
    } else if fields.peek("thought").is_some() || (thought || signed) && fields.is_empty() {
        Content::Reasoning { text: String::new() }
    } else {
        return Ok(its_own(fields, thought, token));
    };
    let mut part = Part { extras, ..Part::new(content) };
    part.opaque.extend(token);
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

/// A part that only this dialect has, with what was taken out of it.
fn its_own(fields: Fields, thought: bool, token: Option<Opaque>) -> Part {
    let mut value = fields.into_object();
    value.put_some("thought", thought.then_some(true));
    value.put_some("thoughtSignature", token.map(|token| token.value));
    Part::new(Content::Foreign { dialect: OWN, at: AT, value: value.into() })
}

fn medium(source: Source, mime: Option<&str>, name: Option<String>) -> Content {
    match mime.and_then(|mime| mime.split_once('/')).map(|(kind, _)| kind) {
        Some("image") => Content::Image { source, detail: None },
        Some("audio") => Content::Audio { source },
        _ => Content::File { source, name },
    }
}

fn read_call(mut call: Fields, calls: &mut Calls, extras: &mut Extras) -> Result<Content> {
    let name = call.need_text("name")?;
    let id = calls.call(call.text("id")?, &name);
    let input = call.json("args").map(|args| args.to_string()).unwrap_or_default();
    call.rest(OWN, extras);
    Ok(Content::ToolCall { id, name, input, custom: false })
}

/// `{"output": text}` and `{"error": text}` are the text; any other object is told as JSON.
fn read_result(mut result: Fields, calls: &mut Calls, extras: &mut Extras) -> Result<Content> {
    let name = result.need_text("name")?;
    let call_id = calls.answer(result.text("id")?.filter(|id| !id.is_empty()), &name);
    let response = result.json("response").unwrap_or_default();
    let single = |key: &str| match &response {
        Json::Object(Object(members)) if members.len() == 1 => response.as_object()?.text(key),
        _ => None,
    };
    let (text, is_error) = match (single("output").or(single("result")), single("error")) {
        (Some(text), _) => (text.to_owned(), false),
        (None, Some(text)) => (text.to_owned(), true),
        (None, None) => (response.to_string(), false),
    };
    let mut parts = vec![Part::text(text)];
    for part in result.array("parts")?.unwrap_or_default() {
        parts.push(decode(part, &mut Calls::default())?);
    }
    result.rest(OWN, extras);
    Ok(Content::ToolResult { call_id, name: Some(name), parts, is_error, custom: false })
}

/// A token of another dialect that a client of ours kept is told by its mark, inside the base64 of this one.
fn read_token(value: String) -> Option<Opaque> {
    if let Some(text) = shortfall::decode_text(&value).filter(|text| text.starts_with(mark::MARK)) {
        return mark::unwrap(text, OWN, OpaqueKind::Signature);
    }
    Some(Opaque { dialect: OWN, kind: OpaqueKind::Signature, value, maker: None })
}

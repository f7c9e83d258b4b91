//! From content blocks to parts.
//!
//! In: a string or an array of blocks. Out: parts. A block of an unknown type must be kept as it came.

use crate::{
    Dialect,
    chat::{CacheMark, Citation, Content, OpaqueKind, Part, Source},
    fields::{Fields, malformed},
    mark,
    translate::Untranslatable,
    tree::Json,
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::AnthropicMessages;
const AT: &str = "messages.content";

pub(crate) fn decode_all(content: Json) -> Result<Vec<Part>> {
    match content {
        Json::String(text) => Ok(vec![Part::text(text)]),
        Json::Array(blocks) => blocks.into_iter().map(decode).collect(),
        _ => Err(malformed(AT, "a string or an array of blocks")),
    }
}

pub(crate) fn decode(block: Json) -> Result<Part> {
    let mut fields = Fields::of(block, AT)?;
    let kind = fields.need_text("type")?;
    let mut part = match kind.as_str() {
        "text" => {
            let text = fields.need_text("text")?;
            let citations = fields.peek("citations").and_then(Json::as_array).unwrap_or_default();
            let citations = citations.iter().filter_map(read_citation).collect();
            Part::new(Content::Text { text, citations })
        }
        "image" => {
            let source = read_source(fields.need_object("source", "messages.content.source")?)?;
            Part::new(Content::Image { source, detail: None })
        }
        "document" => {
            match fields.peek("source").and_then(Json::as_object).and_then(|source| source.text("type")) {
                // Blocks within a block: only its own dialect has that.
                Some("content") => return Ok(keep(fields, kind)),
                _ => {
                    let source = read_source(fields.need_object("source", "messages.content.source")?)?;
                    Part::new(Content::File { source, name: fields.text("title")? })
                }
            }
        }
        "tool_use" => Part::new(Content::ToolCall {
            id: fields.need_text("id")?,
            name: fields.need_text("name")?,
            input: fields.json("input").map(|input| input.to_string()).unwrap_or_default(),
            custom: false,
        }),
        "tool_result" => Part::new(Content::ToolResult {
            call_id: fields.need_text("tool_use_id")?,
            name: None,
            is_error: fields.bool("is_error")?.unwrap_or(false),
            parts: match fields.json("content") {
                Some(content) => decode_all(content)?,
                None => Vec::new(),
            },
            custom: false,
        }),
        "thinking" => {
            let signature = fields.text("signature")?.filter(|signature| !signature.is_empty());
            let token = signature.and_then(|signature| mark::unwrap(signature, OWN, OpaqueKind::Signature));
            Part::reasoning(fields.need_text("thinking")?, token.into_iter().collect())
        }
        "redacted_thinking" => {
            let token = mark::unwrap(fields.need_text("data")?, OWN, OpaqueKind::Encrypted);
            Part::reasoning("", token.into_iter().collect())
        }
        _ => return Ok(keep(fields, kind)),
    };
    part.cache = read_cache(&mut fields)?;
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

fn keep(fields: Fields, kind: String) -> Part {
    let mut value = crate::tree::object([("type", kind.into())]);
    value.0.extend(fields.into_object().0);
    Part::new(Content::Foreign { dialect: OWN, at: AT, value: value.into() })
}

fn read_source(mut source: Fields) -> Result<Source> {
    Ok(match source.need_text("type")?.as_str() {
        "base64" => Source::Inline { mime: source.need_text("media_type")?, data: source.need_text("data")? },
        "url" => Source::Url { url: source.need_text("url")?, mime: None },
        "file" => Source::Stored { dialect: OWN, id: source.need_text("file_id")?, mime: None },
        "text" => Source::Text { text: source.need_text("data")? },
        _ => return Err(malformed("messages.content.source.type", "base64, url, file or text")),
    })
}

/// Citations of web pages have an address; the others point into the request's own documents.
pub(crate) fn read_citation(citation: &Json) -> Option<Citation> {
    let citation = citation.as_object()?;
    Some(Citation {
        url: citation.text("url")?.to_owned(),
        title: citation.text("title").map(str::to_owned),
        quote: citation.text("cited_text").map(str::to_owned),
        span: None,
    })
}

pub(crate) fn read_cache(fields: &mut Fields) -> Result<Option<CacheMark>> {
    let Some(mut mark) = fields.object("cache_control", "cache_control")? else { return Ok(None) };
    Ok(Some(CacheMark { ttl: mark.text("ttl")? }))
}

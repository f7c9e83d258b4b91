//! Content parts of Responses.
//!
//! In: a part of a message or of a tool's output. Out: a canonical part, and back. An unknown one is kept as it came.

use super::encode::write_citations;
use crate::{
    Dialect,
    chat::{
        Content, Part, Source,
        source::{guess_mime, read_url, write_url},
    },
    fields::Fields,
    openai_chat::message::read_citation,
    shortfall,
    translate::Untranslatable,
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiResponses;
const AT: &str = "input.content";

pub(crate) fn read_part(part: Json) -> Result<Part> {
    let mut fields = Fields::of(part, AT)?;
    let kind = fields.need_text("type")?;
    let content = match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            let annotations = fields.peek("annotations").and_then(Json::as_array).unwrap_or_default();
            let citations: Vec<_> = annotations.iter().filter_map(read_citation).collect();
            if citations.len() == annotations.len() {
                fields.json("annotations");
            }
            if fields.peek("logprobs").is_some_and(Json::is_blank) {
                fields.json("logprobs");
            }
            Content::Text { text: fields.need_text("text")?, citations }
        }
        "refusal" => Content::Refusal { text: fields.need_text("refusal")? },
        "input_image" => {
            let detail = fields.text("detail")?;
            // The first that is said; another one beside it is left, and listed.
            let source = if let Some(url) = fields.text("image_url")? {
                read_url(url, None)
            } else if let Some(id) = fields.text("file_id")? {
                Source::Stored { dialect: OWN, id, mime: None }
            } else {
                return Err(fields.wrong("image_url", "an address, or a file_id"));
            };
            Content::Image { source, detail }
        }
        "input_file" => {
            let name = fields.text("filename")?;
            let source = if let Some(data) = fields.text("file_data")? {
                match read_url(data, None) {
                    Source::Url { url, .. } => {
                        Source::Inline { mime: guess_mime(name.as_deref()).to_owned(), data: url }
                    }
                    source => source,
                }
            } else if let Some(url) = fields.text("file_url")? {
                Source::Url { url, mime: None }
            } else if let Some(id) = fields.text("file_id")? {
                Source::Stored { dialect: OWN, id, mime: None }
            } else {
                return Err(fields.wrong("file_data", "data, an address, or a file_id"));
            };
            Content::File { source, name }
        }
        "input_audio" => {
            let mut audio = fields.need_object("input_audio", "input.content.input_audio")?;
            let mime = format!("audio/{}", audio.need_text("format")?);
            Content::Audio { source: Source::Inline { mime, data: audio.need_text("data")? } }
        }
        _ => {
            let mut value = fields.into_object();
            value.put("type", kind);
            return Ok(Part::new(Content::Foreign { dialect: OWN, at: AT, value: value.into() }));
        }
    };
    let mut part = Part::new(content);
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

/// A part of an input message, or of a tool's output.
pub(super) fn write_part(part: &Part, assistant: bool) -> Result<Option<Object>> {
    let unsupported = |field: &str, reason| {
        Err(Untranslatable::Unsupported { field: format!("messages.content.{field}"), dialect: OWN, reason })
    };
    Ok(Some(match &part.content {
        Content::Text { text, .. } if !assistant => {
            object([("type", "input_text".into()), ("text", text.into())])
        }
        Content::Text { text, citations } => {
            let mut fields = object([("type", "output_text".into()), ("text", text.into())]);
            let annotations = write_citations(citations, text);
            fields.put_some("annotations", Some(annotations).filter(|list| !list.is_empty()));
            fields
        }
        Content::Refusal { text } => object([("type", "refusal".into()), ("refusal", text.into())]),
        Content::Image { source, detail } => {
            let mut fields = object([("type", "input_image".into())]);
            match source {
                Source::Stored { dialect: Dialect::OpenaiChat | OWN, id, .. } => fields.put("file_id", id),
                source => match write_url(source) {
                    Some(url) => fields.put("image_url", url),
                    None => return unsupported("image", "the picture is kept by another provider"),
                },
            };
            fields.put_some("detail", detail.as_ref());
            fields
        }
        Content::File { source, name } => {
            let mut fields = object([("type", "input_file".into())]);
            match source {
                Source::Text { text } => {
                    let text = shortfall::entitle(name.as_deref(), text);
                    return Ok(Some(object([("type", "input_text".into()), ("text", text.into())])));
                }
                Source::Stored { dialect: Dialect::OpenaiChat | OWN, id, .. } => fields.put("file_id", id),
                Source::Stored { .. } => return unsupported("file", "the file is kept by another provider"),
                Source::Url { url, .. } => fields.put("file_url", url),
                Source::Inline { .. } => fields.put_some("file_data", write_url(source)),
            };
            fields.put_some("filename", name.as_ref());
            fields
        }
        Content::Audio { .. } => return unsupported("audio", "it does not listen"),
        Content::Foreign { dialect: OWN, at: AT, value: Json::Object(value) } => value.clone(),
        _ => return Ok(None),
    }))
}

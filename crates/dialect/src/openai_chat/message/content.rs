//! Content parts of chat completions.
//!
//! In: a string or an array of parts. Out: canonical parts, and back. An unknown part must be kept as it came.

use crate::{
    Dialect,
    chat::{
        Content, Extras, Part, Source,
        source::{audio_format, guess_mime, read_url, write_url},
    },
    fields::{Fields, malformed, put_extras},
    shortfall,
    translate::Untranslatable,
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::OpenaiChat;
const AT: &str = "messages.content";

pub(crate) fn read_content(content: Option<Json>, parts: &mut Vec<Part>) -> Result<()> {
    match content {
        // `content-missing`, beside calls.
        None => {}
        Some(Json::String(text)) => parts.push(Part::text(text)),
        Some(Json::Array(elements)) => {
            for element in elements {
                parts.push(read_part(element)?);
            }
        }
        Some(_) => return Err(malformed(AT, "a string or an array of parts")),
    }
    Ok(())
}

fn read_part(element: Json) -> Result<Part> {
    if let Json::String(text) = element {
        return Ok(Part::text(text));
    }
    let mut fields = Fields::of(element, AT)?;
    let kind = fields.need_text("type")?;
    let mut extras = Extras::default();
    let content = match kind.as_str() {
        "text" => Content::Text { text: fields.need_text("text")?, citations: Vec::new() },
        "refusal" => Content::Refusal { text: fields.need_text("refusal")? },
        "image_url" => read_image(&mut fields, &mut extras)?,
        "input_audio" => {
            let mut audio = fields.need_object("input_audio", "messages.content.input_audio")?;
            let mime = format!("audio/{}", audio.need_text("format")?);
            let data = audio.need_text("data")?;
            audio.rest(OWN, &mut extras);
            Content::Audio { source: Source::Inline { mime, data } }
        }
        "file" => read_file(&mut fields, &mut extras)?,
        "video_url" => {
            let mut video = fields.need_object("video_url", "messages.content.video_url")?;
            let source = read_url(video.need_text("url")?, Some("video/mp4"));
            Content::File { source, name: None }
        }
        // Mistral's (`content-in-parts`).
        "thinking" => {
            fields.json("closed");
            Content::Reasoning { text: read_thinking(fields.json("thinking")) }
        }
        _ => {
            let mut value = fields.into_object();
            value.put("type", kind);
            return Ok(Part::new(Content::Foreign { dialect: OWN, at: AT, value: value.into() }));
        }
    };
    let mut part = Part { extras, ..Part::new(content) };
    part.cache = super::read_cache(&mut fields)?;
    fields.rest(OWN, &mut part.extras);
    Ok(part)
}

/// `[{"type":"text","text":…}]`, or the text itself.
pub(crate) fn read_thinking(thinking: Option<Json>) -> String {
    match thinking {
        Some(Json::String(text)) => text,
        Some(Json::Array(pieces)) => {
            pieces.iter().filter_map(|piece| piece.as_object()?.text("text")).collect()
        }
        _ => String::new(),
    }
}

fn read_image(fields: &mut Fields, extras: &mut Extras) -> Result<Content> {
    let mut image = match fields.json("image_url") {
        Some(Json::String(url)) => Fields::new(object([("url", url.into())]), "messages.content.image_url"),
        Some(other) => Fields::of(other, "messages.content.image_url")?,
        None => return Err(malformed("messages.content.image_url", "an object with a url")),
    };
    let source = read_url(image.need_text("url")?, None);
    let detail = image.text("detail")?;
    image.rest(OWN, extras);
    Ok(Content::Image { source, detail })
}

fn read_file(fields: &mut Fields, extras: &mut Extras) -> Result<Content> {
    let mut file = fields.need_object("file", "messages.content.file")?;
    let name = file.text("filename")?;
    let source = if let Some(data) = file.text("file_data")? {
        match read_url(data, None) {
            // Without a `data:` head it is the bare base64, and only the name tells what it is.
            Source::Url { url, .. } if !url.contains("://") => {
                Source::Inline { mime: guess_mime(name.as_deref()).to_owned(), data: url }
            }
            source => source,
        }
    } else if let Some(id) = file.text("file_id")? {
        Source::Stored { dialect: OWN, id, mime: None }
    } else {
        return Err(malformed("messages.content.file", "file_data or file_id"));
    };
    file.rest(OWN, extras);
    Ok(Content::File { source, name })
}

/// A part for a message; an error names what chat completions have no place for.
pub(crate) fn write_part(part: &Part) -> std::result::Result<Object, Untranslatable> {
    let unsupported = |field: &str, reason| {
        Err(Untranslatable::Unsupported { field: format!("{AT}.{field}"), dialect: OWN, reason })
    };
    Ok(match &part.content {
        Content::Text { text, .. } => object([("type", "text".into()), ("text", text.into())]),
        Content::Refusal { text } => object([("type", "refusal".into()), ("refusal", text.into())]),
        Content::Image { source, detail } => {
            let Some(url) = write_url(source) else {
                return unsupported("image", "it takes pictures by address or inline only");
            };
            let mut image = object([("url", url.into())]);
            image.put_some("detail", detail.as_ref());
            put_extras(&part.extras, OWN, "messages.content.image_url", &mut image);
            object([("type", "image_url".into()), ("image_url", image.into())])
        }
        Content::Audio { source: Source::Inline { mime, data } } => {
            let audio = object([("data", data.into()), ("format", audio_format(mime).into())]);
            object([("type", "input_audio".into()), ("input_audio", audio.into())])
        }
        Content::Audio { .. } => return unsupported("audio", "it takes sound inline only"),
        Content::File { source, name } => {
            let mut file = Object::default();
            match source {
                Source::Inline { .. } => file.put_some("file_data", write_url(source)),
                Source::Stored { dialect: Dialect::OpenaiChat | Dialect::OpenaiResponses, id, .. } => {
                    file.put("file_id", id)
                }
                Source::Text { text } => {
                    let text = shortfall::entitle(name.as_deref(), text);
                    return Ok(object([("type", "text".into()), ("text", text.into())]));
                }
                Source::Url { url, mime } if mime.as_deref().is_some_and(|m| m.starts_with("video/")) => {
                    let video = object([("url", url.into())]);
                    return Ok(object([("type", "video_url".into()), ("video_url", video.into())]));
                }
                Source::Url { .. } | Source::Stored { .. } => {
                    return unsupported("file", "it takes files inline, or kept by OpenAI");
                }
            };
            file.put_some("filename", name.as_ref());
            put_extras(&part.extras, OWN, "messages.content.file", &mut file);
            object([("type", "file".into()), ("file", file.into())])
        }
        _ => return unsupported("part", "it is no content part there"),
    })
}

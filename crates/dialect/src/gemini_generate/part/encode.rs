//! From canonical parts to Gemini's.
//!
//! In: a part. Out: a part of contents. Arguments and results must be objects there.

use crate::{
    Dialect,
    chat::{Content, Opaque, Part, Source},
    fields::put_extras,
    loss::Losses,
    mark, shortfall,
    translate::Untranslatable,
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::GeminiGenerate;

/// A part; `None`: there is none for it. The signature is the caller's to put.
pub(crate) fn encode(part: &Part, losses: &mut Losses) -> Result<Option<Object>> {
    let mut fields = match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => object([("text", text.into())]),
        Content::Reasoning { text } => object([("text", text.into()), ("thought", true.into())]),
        Content::Image { source, detail } => {
            if detail.is_some() {
                losses.add("messages.content.image_url.detail", OWN, "it decides itself how closely to look");
            }
            write_source(source, "image/png", "image")?
        }
        Content::Audio { source } => write_source(source, "audio/wav", "audio")?,
        Content::File { source, name } => {
            if name.is_some() {
                // Vertex has one; here a field that is not known is refused.
                losses.add("messages.content.file.filename", OWN, "it has no name for a file");
            }
            write_source(source, "application/pdf", "file")?
        }
        Content::ToolCall { id, name, input, custom } => {
            let mut call = write_call(id, name, input, *custom, losses);
            put_extras(&part.extras, OWN, "contents.parts.functionCall", &mut call);
            object([("functionCall", call.into())])
        }
        Content::Foreign { dialect: OWN, at: "contents.parts", value: Json::Object(value) } => value.clone(),
        Content::ToolResult { .. } | Content::Foreign { .. } => return Ok(None),
    };
    for (key, at) in [("inlineData", "contents.parts.inlineData"), ("fileData", "contents.parts.fileData")] {
        if let Some(Json::Object(inner)) =
            fields.0.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
        {
            put_extras(&part.extras, OWN, at, inner);
        }
    }
    put_extras(&part.extras, OWN, "contents.parts", &mut fields);
    Ok(Some(fields))
}

pub(crate) fn write_call(id: &str, name: &str, input: &str, custom: bool, losses: &mut Losses) -> Object {
    let args = shortfall::input_object(input, custom, OWN, losses);
    let mut call = Object::default();
    call.put_some("id", Some(id).filter(|id| !id.is_empty()));
    call.put("name", name).put("args", args);
    call
}

/// Where a client shall keep no token: the first call of an answer never stands without.
pub(crate) fn no_token() -> String {
    shortfall::encode_text(mark::NO_TOKEN)
}

/// The signature of a part, as a client keeps it: its own as it is, another's in the same alphabet.
pub(crate) fn signature(tokens: &[Opaque]) -> Option<String> {
    let kept = |token: &&Opaque| token.stands_alone();
    let token = tokens.iter().filter(kept).find(|token| token.dialect == OWN).or(tokens.iter().find(kept))?;
    Some(if token.dialect == OWN {
        token.value.clone()
    } else {
        shortfall::encode_text(&mark::wrap(token, OWN))
    })
}

fn write_source(source: &Source, usual: &str, field: &str) -> Result<Object> {
    let file = |url: &str, mime: &Option<String>| {
        let mut file = Object::default();
        let guess = || guess_mime(url).unwrap_or(usual).to_owned();
        file.put("mimeType", mime.clone().unwrap_or_else(guess)).put("fileUri", url);
        object([("fileData", file.into())])
    };
    let blob = |mime: &str, data: String| {
        let blob = object([("mimeType", mime.into()), ("data", data.into())]);
        object([("inlineData", blob.into())])
    };
    Ok(match source {
        Source::Inline { mime, data } => blob(mime, data.clone()),
        Source::Text { text } => blob("text/plain", shortfall::encode_text(text)),
        Source::Url { url, mime } => file(url, mime),
        Source::Stored { dialect: OWN, id, mime } => file(id, mime),
        Source::Stored { .. } => {
            return Err(Untranslatable::Unsupported {
                field: format!("messages.content.{field}"),
                dialect: OWN,
                reason: "the file is kept by another provider",
            });
        }
    })
}

/// An address is sent with a type, and mostly tells it by its end.
fn guess_mime(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    Some(match path.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "txt" => "text/plain",
        _ => return None,
    })
}

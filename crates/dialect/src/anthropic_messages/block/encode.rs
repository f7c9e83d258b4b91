//! From parts to content blocks.
//!
//! In: parts. Out: blocks. No text of white space alone, no token of another provider in a request: both are refused.

use crate::{
    Dialect,
    chat::{CacheMark, Citation, Content, Opaque, OpaqueKind, Part, Source},
    fields::put_extras,
    loss::Losses,
    mark, shortfall,
    translate::Untranslatable,
    tree::{Json, Object, object},
};

type Result<T> = std::result::Result<T, Untranslatable>;

const OWN: Dialect = Dialect::AnthropicMessages;

/// Parts of a request: only the provider's own tokens go to it.
pub(crate) fn encode_all(parts: &[Part], blocks: &mut Vec<Json>, losses: &mut Losses) -> Result<()> {
    for part in parts {
        if let Content::Text { text, .. } | Content::Refusal { text } = &part.content
            && text.trim().is_empty()
        {
            if part.cache.is_some() {
                losses.add(
                    "messages.content.cache_control",
                    OWN,
                    "there are no words that it could stand on",
                );
            }
            continue;
        }
        if let Content::Reasoning { text } = &part.content
            && !part.opaque.iter().any(|token| token.dialect == OWN)
        {
            if !text.is_empty() {
                losses.add(
                    "messages.reasoning",
                    OWN,
                    "thinking without this provider's signature is refused",
                );
            }
            continue;
        }
        let mut block = encode(part, losses)?;
        // The provider checks the token of a source, and another's have none.
        let lent = matches!(part.content, Content::Text { .. }) && !shortfall::cites(part, OWN);
        if let Some(block) = block.as_mut().filter(|_| lent) {
            block.take("citations");
        }
        blocks.extend(block.map(Json::Object));
    }
    Ok(())
}

/// A part as a block, for a request or an answer; `None`: there is none for it.
pub(crate) fn encode(part: &Part, losses: &mut Losses) -> Result<Option<Object>> {
    let mut block = match &part.content {
        Content::Text { text, .. } if text.is_empty() => return Ok(None),
        Content::Text { text, citations } => {
            let mut block = object([("type", "text".into()), ("text", text.into())]);
            let raw = shortfall::cites(part, OWN);
            let citations: Vec<Json> = citations.iter().map(write_citation).collect();
            block.put_some("citations", Some(citations).filter(|list| !list.is_empty() && !raw));
            block
        }
        Content::Refusal { text } => object([("type", "text".into()), ("text", text.into())]),
        Content::Image { source, detail } => {
            if detail.is_some() {
                losses.add("messages.content.image_url.detail", OWN, "it decides itself how closely to look");
            }
            object([("type", "image".into()), ("source", write_source(source, "image")?.into())])
        }
        Content::File { source, name } => {
            let mut block =
                object([("type", "document".into()), ("source", write_source(source, "file")?.into())]);
            block.put_some("title", name.as_ref());
            block
        }
        Content::Audio { .. } => return unsupported("audio", "it does not listen"),
        Content::ToolCall { id, name, input, custom } => {
            let input = shortfall::input_object(input, *custom, OWN, losses);
            object([
                ("type", "tool_use".into()),
                ("id", id.into()),
                ("name", name.into()),
                ("input", input.into()),
            ])
        }
        Content::ToolResult { call_id, parts, is_error, .. } => {
            let mut block = object([("type", "tool_result".into()), ("tool_use_id", call_id.into())]);
            let mut content = Vec::new();
            encode_all(parts, &mut content, losses)?;
            block.put_some("content", Some(content).filter(|content| !content.is_empty()));
            block.put_some("is_error", Some(true).filter(|_| *is_error));
            block
        }
        // Clients keep an empty block, and are refused with it.
        Content::Reasoning { text } if text.is_empty() && !part.opaque.iter().any(Opaque::stands_alone) => {
            return Ok(None);
        }
        Content::Reasoning { text } => write_thinking(text, &part.opaque),
        Content::Foreign { dialect: OWN, value: Json::Object(value), .. } => value.clone(),
        Content::Foreign { .. } => return Ok(None),
    };
    block.put_some("cache_control", part.cache.as_ref().map(write_cache));
    put_extras(&part.extras, OWN, "messages.content", &mut block);
    Ok(Some(block))
}

fn unsupported<T>(field: &str, reason: &'static str) -> Result<T> {
    Err(Untranslatable::Unsupported { field: format!("messages.content.{field}"), dialect: OWN, reason })
}

/// Thinking with its one token: the provider's own, or another's for the client to keep.
fn write_thinking(text: &str, tokens: &[Opaque]) -> Object {
    let token = tokens
        .iter()
        .find(|token| token.dialect == OWN)
        .or_else(|| tokens.iter().find(|token| token.stands_alone()));
    match token {
        Some(token) if text.is_empty() && (token.dialect != OWN || token.kind == OpaqueKind::Encrypted) => {
            write_token(token)
        }
        token => object([
            ("type", "thinking".into()),
            ("thinking", text.into()),
            (
                "signature",
                token.map_or_else(|| mark::NO_TOKEN.to_owned(), |token| mark::wrap(token, OWN)).into(),
            ),
        ]),
    }
}

fn write_token(token: &Opaque) -> Object {
    object([("type", "redacted_thinking".into()), ("data", mark::wrap(token, OWN).into())])
}

/// Tokens of a part that is no thinking have no place in its block: the client keeps them in blocks of their own.
pub(crate) fn put_tokens(tokens: &[Opaque], blocks: &mut Vec<Json>) {
    let foreign = tokens.iter().filter(|token| token.dialect != OWN && token.stands_alone());
    blocks.extend(foreign.map(|token| Json::Object(write_token(token))));
}

fn write_source(source: &Source, field: &str) -> Result<Object> {
    Ok(match source {
        Source::Inline { mime, data } if field == "file" && mime.starts_with("text/") => {
            let Some(text) = shortfall::decode_text(data) else {
                return unsupported(field, "the document says it is text, and is none");
            };
            object([("type", "text".into()), ("media_type", "text/plain".into()), ("data", text.into())])
        }
        Source::Inline { mime, data } => {
            object([("type", "base64".into()), ("media_type", mime.into()), ("data", data.into())])
        }
        Source::Url { url, .. } if url.starts_with("https://") || url.starts_with("http://") => {
            object([("type", "url".into()), ("url", url.into())])
        }
        Source::Url { .. } => return unsupported(field, "it fetches http addresses only"),
        Source::Text { text } => {
            object([("type", "text".into()), ("media_type", "text/plain".into()), ("data", text.into())])
        }
        Source::Stored { dialect: OWN, id, .. } => object([("type", "file".into()), ("file_id", id.into())]),
        Source::Stored { .. } => return unsupported(field, "the file is kept by another provider"),
    })
}

pub(crate) fn write_cache(mark: &CacheMark) -> Object {
    let mut fields = object([("type", "ephemeral".into())]);
    fields.put_some("ttl", mark.ttl.as_ref());
    fields
}

pub(crate) fn write_citation(citation: &Citation) -> Json {
    let mut fields = object([("type", "web_search_result_location".into()), ("url", (&citation.url).into())]);
    fields.put("title", citation.title.as_ref().map_or(Json::Null, Json::from));
    fields.put("cited_text", citation.quote.clone().unwrap_or_default());
    fields.put("encrypted_index", mark::NO_TOKEN);
    fields.into()
}

//! `reasoning_details`, the shape in which OpenRouter carries other languages' thinking through chat completions.
//!
//! In: one detail, or a reasoning part. Out: the other. A token whose language is not named stays as it came.

use crate::{
    Dialect,
    chat::{Content, Opaque, OpaqueKind, Part},
    mark,
    tree::{Json, Object, object},
};

const FORMATS: [(&str, Dialect); 3] = [
    ("anthropic-claude-v1", Dialect::AnthropicMessages),
    ("google-gemini-v1", Dialect::GeminiGenerate),
    ("openai-responses-v1", Dialect::OpenaiResponses),
];

/// What one detail says, in a message or in a stream.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) text: String,
    pub(crate) opaque: Vec<Opaque>,
    /// How many characters of the words that were told beside the details are this one's.
    pub(crate) share: Option<usize>,
    /// Tokens whose language is not known.
    pub(crate) unknown: bool,
}

pub(crate) fn read_detail(detail: &Object) -> Detail {
    let text = detail.text("text").or(detail.text("summary")).unwrap_or_default().to_owned();
    let format = detail.text("format").unwrap_or_default();
    let dialect = FORMATS.iter().find(|(name, _)| *name == format).map(|(_, dialect)| *dialect);
    let mut opaque = Vec::new();
    let (mut unknown, mut share) = (false, None);
    let tokens =
        [("signature", OpaqueKind::Signature), ("data", OpaqueKind::Encrypted), ("id", OpaqueKind::Id)];
    for (key, kind) in tokens {
        let Some(value) = detail.text(key).filter(|value| !value.is_empty()) else { continue };
        // Gemini has one kind of token; OpenRouter calls it encrypted when no text goes with it.
        let kind = match dialect {
            Some(Dialect::GeminiGenerate) if kind == OpaqueKind::Encrypted => OpaqueKind::Signature,
            _ => kind,
        };
        match dialect {
            Some(Dialect::OpenaiResponses) | None if kind == OpaqueKind::Id && dialect.is_none() => {}
            Some(Dialect::AnthropicMessages | Dialect::GeminiGenerate) if kind == OpaqueKind::Id => {}
            Some(_) if value.starts_with(mark::MARK) => {
                share = share.or(mark::share(value));
                opaque.extend(mark::unwrap(value.to_owned(), Dialect::OpenaiChat, kind));
            }
            Some(dialect) => opaque.push(Opaque { dialect, kind, value: value.to_owned(), maker: None }),
            None => unknown = true,
        }
    }
    Detail { text, opaque, share, unknown }
}

/// The details of a message as parts, and the share of each in the words beside them.
pub(crate) fn read_details(details: Vec<Json>, parts: &mut Vec<Part>) -> Vec<Option<usize>> {
    let mut shares = Vec::new();
    for mut object in details.into_iter().filter_map(Json::into_object) {
        let detail = read_detail(&object);
        if !detail.unknown {
            parts.push(Part::reasoning(detail.text, detail.opaque));
            shares.push(detail.share);
            continue;
        }
        // A token of nobody's (`details-unnamed`) stays as it came; the words beside it are anybody's.
        if !detail.text.is_empty() {
            parts.push(Part::reasoning(detail.text, Vec::new()));
            shares.push(None);
            object.take("text");
            object.take("summary");
        }
        let at = "messages.reasoning_details";
        parts.push(Part::new(Content::Foreign { dialect: Dialect::OpenaiChat, at, value: object.into() }));
    }
    shares
}

/// A detail for a token in a stream, to which that many characters of the words beside it belong.
pub(crate) fn write_token(token: &Opaque, index: u32, characters: u64) -> Object {
    let mut detail = write_detail("", std::slice::from_ref(token), index, true);
    let wrapped = |value: &Json| matches!(value, Json::String(text) if text.starts_with(mark::MARK));
    if characters > 0
        && let Some((_, value)) = detail.0.iter_mut().find(|(_, value)| wrapped(value))
    {
        *value = mark::wrap_with_share(token, Dialect::OpenaiChat, characters).into();
    }
    detail
}

/// A detail for a reasoning part's tokens of one dialect. `kept`: for a client, who keeps them for us.
pub(crate) fn write_detail(text: &str, opaque: &[Opaque], index: u32, kept: bool) -> Object {
    let mut detail = Object::default();
    let encrypted = opaque.iter().any(|token| token.kind == OpaqueKind::Encrypted);
    if encrypted && text.is_empty() {
        detail.put("type", "reasoning.encrypted");
    } else {
        detail.put("type", "reasoning.text").put("text", text);
    }
    // A name alone would come back as a thought that its provider does not know.
    let opaque = if opaque.iter().any(Opaque::stands_alone) { opaque } else { &[] };
    for token in opaque {
        let key = match token.kind {
            OpaqueKind::Signature => "signature",
            OpaqueKind::Encrypted => "data",
            OpaqueKind::Id => "id",
        };
        let kept = kept && token.stands_alone();
        detail.put(key, if kept { mark::wrap(token, Dialect::OpenaiChat) } else { token.value.clone() });
    }
    let named =
        opaque.first().and_then(|token| FORMATS.iter().find(|(_, dialect)| *dialect == token.dialect));
    if let Some((name, _)) = named {
        detail.put("format", *name);
    }
    detail.put("index", index);
    detail
}

/// `extra_content.google.thought_signature`, where Gemini's own chat door carries the token of a part.
pub(crate) fn read_google(extra: Option<&Json>) -> Option<Opaque> {
    let value = extra?.as_object()?.get("google")?.as_object()?.text("thought_signature")?;
    let (dialect, kind) = (Dialect::GeminiGenerate, OpaqueKind::Signature);
    if value.starts_with(mark::MARK) {
        return mark::unwrap(value.to_owned(), Dialect::OpenaiChat, kind);
    }
    Some(Opaque { dialect, kind, value: value.to_owned(), maker: None })
}

/// The token of a part that is no thinking. `kept`: for a client, who keeps it for us.
pub(crate) fn write_google(tokens: &[Opaque], kept: bool) -> Option<Object> {
    let google =
        |token: &&Opaque| token.dialect == Dialect::GeminiGenerate && token.kind == OpaqueKind::Signature;
    let token = tokens.iter().find(google)?;
    let value = if kept { mark::wrap(token, Dialect::OpenaiChat) } else { token.value.clone() };
    Some(object([("google", object([("thought_signature", value.into())]).into())]))
}

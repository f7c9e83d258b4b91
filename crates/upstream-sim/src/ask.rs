//! The little of a request body that decides how it is answered.
//!
//! In: the body; out: an `Ask`. Everything else in the body is skipped unread. It must never refuse a body that
//! is JSON: what the fields mean is the caller's affair.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Default)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    /// A Responses caller wants the thinking back in a form that it can keep.
    pub(crate) wants_encrypted: bool,
    /// The first tool offered.
    pub(crate) tool: Option<String>,
    /// Inputs of an embeddings or moderations call.
    pub(crate) inputs: usize,
    pub(crate) dimensions: Option<usize>,
    pub(crate) wants_base64: bool,
}

#[derive(Deserialize, Default)]
struct Peek<'a> {
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stream: Option<&'a RawValue>,
    #[serde(default, borrow)]
    stream_options: Option<&'a RawValue>,
    #[serde(default, borrow)]
    include: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tools: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    requests: Option<&'a RawValue>,
    #[serde(default, borrow)]
    dimensions: Option<&'a RawValue>,
    #[serde(default, borrow)]
    encoding_format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Ask {
    /// `None` when the body is not a JSON object.
    pub(crate) fn read(body: &[u8]) -> Option<Ask> {
        if body.is_empty() {
            return Some(Ask::default());
        }
        let peek: Peek<'_> = serde_json::from_slice(body).ok()?;
        Some(Ask {
            model: value(peek.model).unwrap_or_default(),
            stream: value(peek.stream).unwrap_or_default(),
            include_usage: value::<StreamOptions>(peek.stream_options).is_some_and(|o| o.include_usage),
            wants_encrypted: value::<Vec<String>>(peek.include)
                .is_some_and(|asked| asked.iter().any(|name| name == "reasoning.encrypted_content")),
            tool: peek.tools.and_then(first_tool),
            inputs: inputs(peek.input.or(peek.requests)),
            dimensions: value(peek.dimensions),
            wants_base64: value::<String>(peek.encoding_format).is_some_and(|f| f == "base64"),
        })
    }
}

fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// How many inputs: a list of texts or token lists counts each; a text or one list of tokens counts as one.
fn inputs(raw: Option<&RawValue>) -> usize {
    match value::<Vec<&RawValue>>(raw) {
        Some(list)
            if list.first().is_some_and(|first| !first.get().starts_with(|c: char| c.is_ascii_digit())) =>
        {
            list.len()
        }
        _ => 1,
    }
}

/// The name of the first tool, wherever the dialect puts it.
fn first_tool(raw: &RawValue) -> Option<String> {
    let tools: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
    let first = tools.get(0)?;
    let declared =
        ["functionDeclarations", "function_declarations"].iter().find_map(|key| first.get(key)?.get(0));
    let holder = declared.or_else(|| first.get("function")).unwrap_or(first);
    holder.get("name")?.as_str().map(str::to_owned)
}

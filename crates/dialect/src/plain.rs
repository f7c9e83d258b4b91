//! What a plain (not streamed) reply says: one JSON document.
//!
//! In: the document, or its digest. Out: usage, id, error, and whether there is content. Counting tokens and reading a
//! stored response use nothing: their numbers must not become a charge.

use crate::{
    Dialect, Door, Operation, ParsedError, TapOptions, Usage,
    error::parse_error,
    json::{each_element, is_blank, is_string, members, text},
    sieve::{Keep, Members, Sieve},
    usage::{anthropic::Counts, gemini, openai},
};

/// Watches a plain (not streamed) reply: the same facts from one JSON document, held in bounded memory.
#[derive(Debug)]
pub struct PlainTap {
    options: TapOptions,
    sieve: Option<Sieve>,
    whole: bool,
    plain: Plain,
}

impl PlainTap {
    pub fn new(options: TapOptions) -> PlainTap {
        let sieve = Some(Sieve::new(PLAIN_MEMBERS));
        PlainTap { options, sieve, whole: false, plain: Plain::default() }
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        if let Some(sieve) = &mut self.sieve {
            sieve.feed(chunk);
        }
    }

    /// To be called once, when the body has ended.
    pub fn finish(&mut self) {
        let Some(sieve) = self.sieve.take() else { return };
        let sifted = sieve.finish();
        self.whole = sifted.whole;
        if let Some(digest) = sifted.digest {
            self.plain = read(&self.options, &String::from_utf8_lossy(&digest));
        }
    }

    pub fn usage(&self) -> Option<Usage> {
        self.plain.usage
    }

    pub fn stored_id(&self) -> Option<&str> {
        self.plain.stored_id.as_deref()
    }

    /// The document is an error told with status 200: an `error` and none of the dialect's content.
    pub fn error(&self) -> Option<&ParsedError> {
        self.plain.error.as_ref()
    }

    /// The document is whole, well-formed JSON. (Of what is skipped, only the structure is looked at.)
    pub fn whole(&self) -> bool {
        self.whole
    }
}

#[derive(Debug, Default)]
pub(crate) struct Plain {
    pub(crate) usage: Option<Usage>,
    pub(crate) stored_id: Option<String>,
    /// An error and none of the dialect's content.
    pub(crate) error: Option<ParsedError>,
    pub(crate) content: bool,
}

/// What is kept of a plain reply: of its content only whether there is some.
pub(crate) const PLAIN_MEMBERS: Members = &[
    ("id", Keep::Whole),
    ("object", Keep::Whole),
    ("type", Keep::Whole),
    ("error", Keep::Whole),
    ("code", Keep::Whole),
    ("message", Keep::Whole),
    ("param", Keep::Whole),
    ("usage", Keep::Whole),
    ("usageMetadata", Keep::Whole),
    ("x_groq", Keep::Only(&[("usage", Keep::Whole)])),
    // What the dialects call their content, whichever the door.
    ("choices", Keep::Mark),
    ("data", Keep::Mark),
    ("results", Keep::Mark),
    ("output", Keep::Mark),
    ("content", Keep::Mark),
    ("candidates", Keep::Mark),
    ("promptFeedback", Keep::Mark),
    ("embedding", Keep::Mark),
    ("embeddings", Keep::Mark),
];

pub(crate) fn read(options: &TapOptions, document: &str) -> Plain {
    let mut document = document.trim_ascii();
    // Gemini without `alt=sse` wraps an error in an array of one.
    if document.starts_with('[') {
        let mut first = None;
        each_element(document, |element| first = first.or(Some(element)));
        document = first.unwrap_or(document);
    }
    let Door { dialect, operation } = options.door;
    let content = has_content(dialect, document);
    let error = if content || operation == Operation::Stored { None } else { read_error(document) };
    let counted = !matches!(operation, Operation::CountTokens | Operation::Stored);
    let usage = if counted { read_usage(options, document) } else { None };
    let stores = dialect == Dialect::OpenaiResponses && operation == Operation::Chat;
    let stored_id = members(document, ["id"])
        .filter(|_| stores)
        .and_then(|[id]| text(id))
        .filter(|id| !id.is_empty())
        .map(|id| id.into_owned());
    Plain { usage, stored_id, error, content }
}

fn has_content(dialect: Dialect, document: &str) -> bool {
    match dialect {
        Dialect::OpenaiChat => has_some(document, ["choices", "data", "results"]),
        Dialect::OpenaiResponses => has_some(document, ["output"]),
        Dialect::AnthropicMessages => has_some(document, ["content"]),
        Dialect::GeminiGenerate => {
            has_some(document, ["candidates", "promptFeedback", "embedding", "embeddings"])
        }
    }
}

fn has_some<const N: usize>(document: &str, names: [&str; N]) -> bool {
    members(document, names).is_some_and(|values| values.into_iter().any(|value| !is_blank(value)))
}

/// `error` says something, or the document calls itself an error (Mistral's and vLLM's `"object":"error"`).
fn read_error(document: &str) -> Option<ParsedError> {
    let [error, object, kind] = members(document, ["error", "object", "type"])?;
    let claims = !is_blank(error) || is_string(object, "error") || is_string(kind, "error");
    if claims { parse_error(document.as_bytes()) } else { None }
}

fn read_usage(options: &TapOptions, document: &str) -> Option<Usage> {
    let [usage, metadata, groq] = members(document, ["usage", "usageMetadata", "x_groq"])?;
    match options.door.dialect {
        Dialect::OpenaiChat => {
            usage.and_then(|usage| openai::read(usage, options.accounting)).or_else(|| {
                let [usage] = members(groq?, ["usage"])?;
                openai::read(usage?, options.accounting)
            })
        }
        Dialect::OpenaiResponses => openai::read(usage?, crate::Accounting::Standard),
        Dialect::AnthropicMessages => {
            let mut counts = Counts::default();
            counts.overwrite(usage?);
            counts.sum_up()
        }
        Dialect::GeminiGenerate => gemini::read(metadata?),
    }
}

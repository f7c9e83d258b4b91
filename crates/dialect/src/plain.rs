//! What a plain (not streamed) reply says: one JSON document.
//!
//! In: the document, or its digest. Out: usage, id, error, and whether there is content. Counting tokens and reading a
//! stored response use nothing: their numbers must not become a charge.

use std::borrow::Cow;

use crate::{
    Dialect, Door, Operation, ParsedError, TapOptions, Usage,
    error::parse_error,
    json::{self, each_element, is_blank, is_string, members, text},
    sieve::{Keep, Members, Sieve},
    text::{Delivered, texts_of},
    usage::{anthropic::Counts, gemini, openai},
};

/// Watches a plain (not streamed) reply: the same facts from one JSON document, held in bounded memory.
#[derive(Debug)]
pub struct PlainTap {
    options: TapOptions,
    sieve: Option<Sieve>,
    whole: bool,
    plain: Plain,
    delivered: Delivered,
}

/// What was written into a document that is all there.
pub fn read_delivered(door: Door, document: &[u8]) -> Delivered {
    let mut sieve = Sieve::new(PLAIN_MEMBERS, texts_of(door));
    sieve.feed(document);
    sieve.finish().delivered
}

impl PlainTap {
    pub fn new(options: TapOptions) -> PlainTap {
        let sieve = Some(Sieve::new(PLAIN_MEMBERS, texts_of(options.door)));
        PlainTap { options, sieve, whole: false, plain: Plain::default(), delivered: Delivered::default() }
    }

    /// The facts of a document that is all there: one pass over it, and no digest.
    pub fn of_whole(options: TapOptions, document: &[u8]) -> PlainTap {
        // The strict check is many times faster than the lossy one, and nearly always enough.
        let document = match std::str::from_utf8(document) {
            Ok(document) => Cow::Borrowed(document),
            Err(_) => String::from_utf8_lossy(document),
        };
        let (plain, whole) = read(&options, &document);
        PlainTap { options, sieve: None, whole, plain, delivered: Delivered::default() }
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
        (self.whole, self.delivered) = (sifted.whole, sifted.delivered);
        if let Some(digest) = sifted.digest {
            self.plain = read(&self.options, &String::from_utf8_lossy(&digest)).0;
        }
    }

    pub fn usage(&self) -> Option<Usage> {
        self.plain.usage
    }

    /// What was written so far; of a document that was fed.
    pub fn delivered(&self) -> &Delivered {
        self.sieve.as_ref().map_or(&self.delivered, Sieve::delivered)
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

/// What the document says, and whether it is whole.
pub(crate) fn read(options: &TapOptions, document: &str) -> (Plain, bool) {
    let mut document = document.trim_ascii();
    let mut whole = true;
    // Gemini without `alt=sse` wraps an error in an array of one.
    if document.starts_with('[') {
        let mut first = None;
        whole = each_element(document, |element| first = first.or(Some(element))).is_some();
        document = first.unwrap_or(document);
    }
    let Door { dialect, operation } = options.door;
    // Everything in one pass: this runs for every plain answer.
    let [a, b, c, d] = content_members(dialect);
    let names = [a, b, c, d, usage_member(dialect), "x_groq", "id", "error", "object", "type"];
    let Some([a, b, c, d, usage, groq, id, error, object, kind]) = members(document, names) else {
        return (Plain::default(), json::is_whole(document) && whole);
    };
    let content = [a, b, c, d].into_iter().any(|value| !is_blank(value));
    // `error-in-200`: `error` says something, or the document calls itself an error (Mistral's and vLLM's `"object":"error"`).
    let claims = !is_blank(error) || is_string(object, "error") || is_string(kind, "error");
    let refused = claims && !content && operation != Operation::Stored;
    let counted = !matches!(operation, Operation::CountTokens | Operation::Stored);
    let stores = dialect == Dialect::OpenaiResponses && operation == Operation::Chat;
    let plain = Plain {
        usage: if counted { read_usage(options, usage, groq) } else { None },
        stored_id: text(id.filter(|_| stores)).filter(|id| !id.is_empty()).map(|id| id.into_owned()),
        error: if refused { parse_error(document.as_bytes()) } else { None },
        content,
    };
    (plain, whole)
}

/// The members that hold a dialect's content, whatever the operation; short lists repeat their last.
fn content_members(dialect: Dialect) -> [&'static str; 4] {
    match dialect {
        Dialect::OpenaiChat => ["choices", "data", "results", "results"],
        Dialect::OpenaiResponses => ["output"; 4],
        Dialect::AnthropicMessages => ["content"; 4],
        Dialect::GeminiGenerate => ["candidates", "promptFeedback", "embedding", "embeddings"],
    }
}

fn usage_member(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AnthropicMessages => "usage",
        Dialect::GeminiGenerate => "usageMetadata",
    }
}

fn read_usage(options: &TapOptions, usage: Option<&str>, groq: Option<&str>) -> Option<Usage> {
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
        Dialect::GeminiGenerate => gemini::read(usage?),
    }
}

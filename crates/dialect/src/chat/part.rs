//! The pieces that turns and answers are made of.
//!
//! In: one content part, block or item of a dialect. Out: a [`Part`]. It must never hold a decoded picture: inline data
//! stays the base64 it came as.

use std::sync::Arc;

use super::Extras;
use crate::{Dialect, tree::Json};

#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub content: Content,
    pub cache: Option<CacheMark>,
    /// Tokens that only their own dialect can read, and wants back unchanged with this part.
    pub opaque: Vec<Opaque>,
    pub extras: Extras,
}

impl Part {
    pub fn new(content: Content) -> Part {
        Part { content, cache: None, opaque: Vec::new(), extras: Extras::default() }
    }

    pub fn text(text: impl Into<String>) -> Part {
        Part::new(Content::Text { text: text.into(), citations: Vec::new() })
    }

    pub fn reasoning(text: impl Into<String>, opaque: Vec<Opaque>) -> Part {
        Part { opaque, ..Part::new(Content::Reasoning { text: text.into() }) }
    }

    pub(crate) fn made_by(&mut self, maker: &Arc<str>) {
        for token in &mut self.opaque {
            token.maker.get_or_insert_with(|| maker.clone());
        }
    }

    /// What it says, in bytes, near enough for a bound.
    pub fn bytes(&self) -> usize {
        let said = match &self.content {
            Content::Text { text, .. } | Content::Reasoning { text } | Content::Refusal { text } => {
                text.len()
            }
            Content::ToolCall { input, .. } => input.len(),
            Content::Image { source, .. } | Content::Audio { source } | Content::File { source, .. } => {
                match source {
                    Source::Inline { data, .. } | Source::Text { text: data } => data.len(),
                    Source::Url { url, .. } => url.len(),
                    Source::Stored { .. } => 0,
                }
            }
            Content::ToolResult { parts, .. } => parts.iter().map(Part::bytes).sum(),
            Content::Foreign { value, .. } => value.to_string().len(),
        };
        let extras = self.extras.0.iter().map(|extra| extra.key.len() + extra.value.to_string().len());
        said + extras.sum::<usize>() + self.opaque.iter().map(|token| token.value.len()).sum::<usize>()
    }

    /// The token of `kind` that `dialect` gave out with this part.
    pub(crate) fn opaque_of(&self, dialect: Dialect, kind: OpaqueKind) -> Option<&str> {
        let mut own = self.opaque.iter().filter(|opaque| opaque.dialect == dialect && opaque.kind == kind);
        own.next().map(|opaque| opaque.value.as_str())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text {
        text: String,
        citations: Vec<Citation>,
    },
    Image {
        source: Source,
        /// OpenAI's `detail`.
        detail: Option<String>,
    },
    Audio {
        source: Source,
    },
    /// A document, or any medium that is neither picture nor sound.
    File {
        source: Source,
        name: Option<String>,
    },
    ToolCall {
        id: String,
        name: String,
        /// JSON text; for a custom tool free text.
        input: String,
        custom: bool,
    },
    ToolResult {
        call_id: String,
        /// The tool's name, where the dialect says it.
        name: Option<String>,
        parts: Vec<Part>,
        is_error: bool,
        custom: bool,
    },
    /// Thinking that may be read; empty where only its token was given out.
    Reasoning {
        text: String,
    },
    Refusal {
        text: String,
    },
    /// What only one dialect has, as it came: server tools with their results, containers, executed code.
    Foreign {
        dialect: Dialect,
        /// Where it stood, for the list of losses.
        at: &'static str,
        value: Json,
    },
}

/// Where the data of a medium is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Url {
        url: String,
        mime: Option<String>,
    },
    /// Base64.
    Inline {
        mime: String,
        data: String,
    },
    /// Plain text of a document.
    Text {
        text: String,
    },
    /// A file kept by the provider of one dialect.
    Stored {
        dialect: Dialect,
        id: String,
        mime: Option<String>,
    },
}

/// A token that means something to its own dialect alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    pub dialect: Dialect,
    pub kind: OpaqueKind,
    pub value: String,
    /// Whose it is, where that is known: of two providers of one dialect neither can read the other's.
    pub maker: Option<Arc<str>>,
}

impl Opaque {
    /// It says by itself what it stands for; a name does so only where the provider keeps what it names.
    pub fn stands_alone(&self) -> bool {
        self.kind != OpaqueKind::Id
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpaqueKind {
    /// Signs the part it stands on.
    Signature,
    /// Thinking that nobody may read.
    Encrypted,
    /// The provider's name for the part.
    Id,
}

impl OpaqueKind {
    pub const fn name(self) -> &'static str {
        match self {
            OpaqueKind::Signature => "signature",
            OpaqueKind::Encrypted => "encrypted",
            OpaqueKind::Id => "id",
        }
    }

    pub fn from_name(name: &str) -> Option<OpaqueKind> {
        let all = [OpaqueKind::Signature, OpaqueKind::Encrypted, OpaqueKind::Id];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// The prompt up to here is worth keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// Anthropic's `5m` or `1h`.
    pub ttl: Option<String>,
}

/// A source of what a text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citation {
    pub url: String,
    pub title: Option<String>,
    /// The words of the source.
    pub quote: Option<String>,
    /// Start and end in the text, in characters.
    pub span: Option<(u64, u64)>,
}

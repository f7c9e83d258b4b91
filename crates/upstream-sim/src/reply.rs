//! What an answer says, whatever the dialect that says it.
//!
//! In: request and script; out: a `Reply` that the dialects put into their shapes. It must never hold shapes.

use crate::script::UsageScript;
use crate::served::Usage;

/// What the reasoning says, when the script asks for some.
pub(crate) const REASONING: [&str; 2] =
    ["The caller wants an answer.", " There is no model here, so a friendly sentence will do."];
/// Tokens of it that are reported.
pub(crate) const REASONING_TOKENS: u64 = 7;
/// The signature of a thinking block: opaque, only ever handed back.
pub(crate) const SIGNATURE: &str = "c2x1aWNlLXNpbS1zaWduYXR1cmU=";
/// The arguments of a tool call, unless the script says others.
pub(crate) const TOOL_ARGUMENTS: &str = r#"{"city":"Lisbon","unit":"celsius"}"#;
/// What a busy answer says before its call.
pub(crate) const PREFACE: &str = "Let me look that up.";
/// The tool called when the request offers none.
pub(crate) const TOOL_NAME: &str = "get_weather";

/// One answer before it has a shape.
pub(crate) struct Reply<'a> {
    /// Number of the request; makes the ids of the answers differ.
    pub(crate) id: u64,
    pub(crate) model: &'a str,
    /// Unix seconds.
    pub(crate) created: u64,
    /// Chat streams report usage only when asked to.
    pub(crate) include_usage: bool,
    pub(crate) usage: UsageScript,
    /// What is reported unless the script says otherwise; streams count the output up as it goes.
    pub(crate) counted: Usage,
    /// The call to be made instead of saying something.
    pub(crate) tool: Option<Call<'a>>,
    /// A sentence before the call, and the call once more beside it.
    pub(crate) busy: bool,
    /// What a tool said, to be quoted.
    pub(crate) quoted: Option<String>,
    pub(crate) reasoning: bool,
    /// Responses gives thinking out in a form to keep only to those who ask for it.
    pub(crate) encrypts: bool,
}

/// A call of a tool.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    /// A JSON object.
    pub(crate) arguments: &'a str,
}

/// What goes into the usage field.
pub(crate) enum Reported {
    Absent,
    Null,
    Tokens(Usage),
}

impl Reply<'_> {
    /// `output` is what was counted so far.
    pub(crate) fn reported(&self, output: u64) -> Reported {
        match self.usage {
            UsageScript::None => Reported::Absent,
            UsageScript::Null => Reported::Null,
            UsageScript::Fixed(input, output) => Reported::Tokens(Usage { input, output }),
            UsageScript::Counted => Reported::Tokens(Usage { input: self.counted.input, output }),
        }
    }

    /// Tokens of reasoning within the output.
    pub(crate) fn reasoning_tokens(&self, usage: Usage) -> u64 {
        if self.reasoning { REASONING_TOKENS.min(usage.output) } else { 0 }
    }

    /// Output tokens for so many bytes of text.
    pub(crate) fn tokens_of(&self, text_bytes: usize) -> u64 {
        let said = text_bytes.div_ceil(4) as u64;
        said + if self.reasoning { REASONING_TOKENS } else { 0 }
    }
}

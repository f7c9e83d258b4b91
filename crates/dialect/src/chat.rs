//! The canonical form of a chat: what at least two dialects share, in one shape.
//!
//! In: requests and plain replies, decoded from any dialect. Out: the same, to be encoded in another. What only one
//! dialect has rides in [`Extras`] under its name, opaque tokens in [`Opaque`]; neither may ever reach another one.

mod part;
pub(crate) mod source;
mod tools;

pub use part::{CacheMark, Citation, Content, Opaque, OpaqueKind, Part, Source};
pub(crate) use tools::custom_names;
pub use tools::{Function, NAMESPACE_MARK, Tool, ToolChoice};

use std::sync::Arc;

use crate::{
    Dialect, Usage,
    tree::{Json, Number},
};

/// A request, whatever the language it was asked in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    pub model: String,
    pub stream: bool,
    /// The client wants usage in its stream; only OpenAI's chat asks, the others always tell.
    pub wants_usage: bool,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    /// The tools were told as OpenAI's first functions: such a client reads one `function_call`, and no `tool_calls`.
    pub old_functions: bool,
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn.
    pub parallel_calls: Option<bool>,
    /// Most tokens that may be written, reasoning included.
    pub max_output: Option<u64>,
    pub temperature: Option<Number>,
    pub top_p: Option<Number>,
    pub top_k: Option<Number>,
    pub presence_penalty: Option<Number>,
    pub frequency_penalty: Option<Number>,
    pub seed: Option<Number>,
    /// Alternatives wanted per token; nought is the token's own probability alone.
    pub logprobs: Option<u64>,
    pub stop: Vec<String>,
    /// How many answers are wanted.
    pub candidates: Option<u64>,
    pub format: Option<Format>,
    pub verbosity: Option<String>,
    pub thinking: Thinking,
    /// The user behind the caller, for the provider's abuse watch.
    pub end_user: Option<String>,
    pub metadata: Option<Json>,
    pub service_tier: Option<String>,
    /// One mark for the whole prompt.
    pub cache: Option<CacheMark>,
    /// What requests with the same beginning have in common.
    pub cache_key: Option<String>,
    pub extras: Extras,
}

/// Who speaks. A tool turn holds the results of all calls of the turn before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
    /// A name that tells speakers of one role apart.
    pub name: Option<String>,
    pub extras: Extras,
}

impl ChatRequest {
    /// The instructions that the conversation begins with, and what follows them.
    pub(crate) fn leading(&self) -> (&[Turn], &[Turn]) {
        let leads = |turn: &&Turn| matches!(turn.role, Role::System | Role::Developer);
        self.turns.split_at(self.turns.iter().take_while(leads).count())
    }

    /// The request without tokens that another provider of `dialect` gave out; `None`: there are none.
    pub fn without_tokens_of_others(&self, dialect: Dialect, maker: &str) -> Option<ChatRequest> {
        let foreign = |token: &Opaque| {
            token.dialect == dialect && token.maker.as_deref().is_some_and(|named| named != maker)
        };
        let parts = self.turns.iter().flat_map(|turn| &turn.parts);
        if !parts.flat_map(|part| &part.opaque).any(foreign) {
            return None;
        }
        let mut request = self.clone();
        for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            part.opaque.retain(|token| !foreign(token));
        }
        Some(request)
    }
}

impl ChatReply {
    /// Says whose its tokens are.
    pub fn made_by(&mut self, maker: &Arc<str>) {
        let parts = self.candidates.iter_mut().flat_map(|candidate| &mut candidate.parts);
        parts.for_each(|part| part.made_by(maker));
    }
}

impl Turn {
    pub fn new(role: Role, parts: Vec<Part>) -> Turn {
        Turn { role, parts, name: None, extras: Extras::default() }
    }
}

/// The form an answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    Text,
    /// Some JSON object.
    JsonObject,
    JsonSchema {
        name: Option<String>,
        description: Option<String>,
        schema: Json,
        strict: Option<bool>,
    },
}

/// How much the model shall think, and what of it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    pub mode: Option<ThinkingMode>,
    pub effort: Option<Effort>,
    pub shown: Option<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingMode {
    Off,
    /// The model decides.
    Adaptive,
    /// Tokens.
    Budget(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    pub const ALL: [Effort; 6] =
        [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];

    pub const fn name(self) -> &'static str {
        match self {
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Xhigh => "xhigh",
            Effort::Max => "max",
        }
    }

    pub fn from_name(name: &str) -> Option<Effort> {
        Effort::ALL.into_iter().find(|effort| effort.name().eq_ignore_ascii_case(name))
    }

    /// Tokens that stand for the effort where only a budget can be said (PROTOCOLS.md 4: least bad, not exact).
    pub const fn budget(self) -> u64 {
        match self {
            Effort::Minimal => 512,
            Effort::Low => 1024,
            Effort::Medium => 8192,
            Effort::High => 24_576,
            Effort::Xhigh | Effort::Max => 32_768,
        }
    }

    /// The least effort whose budget is no smaller.
    pub fn of_budget(budget: u64) -> Effort {
        Effort::ALL.into_iter().find(|effort| effort.budget() >= budget).unwrap_or(Effort::Max)
    }
}

/// How much of the thinking the client wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Hidden,
    Auto,
    Concise,
    Detailed,
}

/// A field that only one dialect has.
#[derive(Clone, Debug, PartialEq)]
pub struct Extra {
    pub dialect: Dialect,
    /// The object it stands in: `messages.content`, empty for the top.
    pub at: &'static str,
    pub key: String,
    pub value: Json,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras(pub Vec<Extra>);

impl Extras {
    pub fn add(&mut self, dialect: Dialect, at: &'static str, key: impl Into<String>, value: Json) {
        self.0.push(Extra { dialect, at, key: key.into(), value });
    }
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatReply {
    pub id: String,
    pub model: String,
    /// When it was made, in seconds since 1970, where the provider says so.
    pub created_s: Option<u64>,
    pub candidates: Vec<Candidate>,
    pub usage: Option<Usage>,
    pub service_tier: Option<String>,
    pub extras: Extras,
}

/// One of the answers asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    pub parts: Vec<Part>,
    /// `None`: the provider did not say why it stopped.
    pub stop: Option<Stop>,
    pub extras: Extras,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub reason: StopReason,
    /// The stop sequence that was met, where the provider tells.
    pub sequence: Option<String>,
    /// The provider's own word, where it says more than the reason.
    pub detail: Option<String>,
}

impl Stop {
    pub fn new(reason: StopReason) -> Stop {
        Stop { reason, sequence: None, detail: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    EndTurn,
    StopSequence,
    ToolCalls,
    MaxOutput,
    ContextFull,
    /// A filter of the provider took over.
    Filtered,
    /// The model declined.
    Refused,
    /// A server tool needs another request to go on.
    Paused,
    BrokenCall,
    Other,
}

//! From one dialect to another: requests, whole replies, streams.
//!
//! In: bytes of one dialect. Out: the canonical form, and the bytes of another dialect with the losses. It must never
//! know a pair of dialects: a codec speaks its own language and the canonical one.

mod calls;
mod count;
mod decoder;
mod encoder;
mod frames;
mod ids;
mod names;
mod retell;
mod sequence;
mod shown;
mod undo;
mod whole;

pub(crate) use calls::Calls;
pub use count::{decode_counted, encode_counted, read_count, write_count};
pub use decoder::StreamDecoder;
pub(crate) use decoder::{CANDIDATE_BOUND, Track};
pub use encoder::StreamEncoder;
pub(crate) use frames::{put_frame, put_object};
pub use names::Renamed;
pub(crate) use sequence::Sequence;

use std::sync::Arc;

use crate::{
    Accounting, Dialect, anthropic_messages,
    chat::{ChatReply, ChatRequest, Effort},
    gemini_generate, indispensable,
    loss::Losses,
    openai_chat, openai_responses,
    tree::{Json, Object},
};

/// Why a translation cannot be made at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untranslatable {
    /// The sender's fault: the body is no JSON, or a field is not what the dialect says.
    Malformed { field: String, expected: &'static str },
    /// Without this field the request would ask for something else, and `dialect` has no place for it.
    Unsupported { field: String, dialect: Dialect, reason: &'static str },
}

/// What is known of the model a request goes to. Models differ more than dialects do.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The channel's name of the model.
    pub model: &'a str,
    /// The most it can write, where that is known; sent where the dialect demands a limit and the client named none.
    pub max_output: Option<u64>,
    /// The most it may write for this caller, however much he asks for.
    pub ceiling: Option<u64>,
    pub thinking: ThinkingForm,
    /// The efforts that it knows, the least first; none: it cannot be told.
    pub efforts: &'static [Effort],
    /// The least and the most tokens that it can be told to think.
    pub budgets: (u64, u64),
    /// It cannot be told not to think.
    pub always_thinks: bool,
    /// It may think although nothing was said of it.
    pub thinks_unasked: bool,
    pub sampling: Sampling,
    /// Its answer can be held to a JSON schema.
    pub schemas: bool,
    /// What a chat provider wants back of earlier thinking.
    pub replay: Replay,
    /// A chat provider that only knows what all of them know: `max_tokens`, no developer role, content as one string.
    pub plain_chat: bool,
    /// The provider tells the usage of a stream when asked, and may be asked; some tell it unasked and refuse the option.
    pub asks_usage: bool,
    /// Fields that a chat provider refuses, of those that the codec writes; after a dot those of messages.
    pub refuses: &'static [&'static str],
    /// The provider's `seed` is called `random_seed`.
    pub random_seed: bool,
    /// The provider takes only ids of calls that are nine letters and digits.
    pub nine_letter_ids: bool,
    /// The operator's choice: leave out tools that only another provider runs, and list them, where refusing is the rule.
    pub drops_server_tools: bool,
    /// System turns may stand in the middle of an Anthropic conversation.
    pub mid_system: bool,
}

impl Default for Target<'_> {
    fn default() -> Self {
        Target::UNKNOWN
    }
}

impl Target<'_> {
    /// A model of which nothing is known: what is safe for most.
    pub const UNKNOWN: Target<'static> = Target {
        model: "",
        max_output: None,
        ceiling: None,
        thinking: ThinkingForm::Budget,
        efforts: &[Effort::Low, Effort::Medium, Effort::High],
        budgets: (0, u64::MAX),
        always_thinks: false,
        thinks_unasked: true,
        sampling: Sampling::Free,
        schemas: true,
        replay: Replay::Nothing,
        plain_chat: false,
        asks_usage: true,
        refuses: &[],
        random_seed: false,
        nine_letter_ids: false,
        drops_server_tools: false,
        mid_system: false,
    };

    /// What no answer may be longer than.
    pub(crate) fn most(&self) -> Option<u64> {
        [self.max_output, self.ceiling].into_iter().flatten().min()
    }
}

/// Which sampling options a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Those of its dialect.
    Free,
    /// A temperature or `top_p`, not both.
    OneOfTwo,
    /// None but the usual values.
    Nothing,
}

/// What of earlier thinking goes back to a chat provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    Nothing,
    /// `reasoning_content` (DeepSeek, Moonshot, Zhipu).
    Text,
    /// `reasoning_details`, with the tokens of the languages behind it (OpenRouter).
    Details,
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingForm {
    /// A number of tokens (Claude 4.5 and older, Gemini 2.5).
    Budget,
    /// An effort (newer Claude: adaptive; Gemini 3: levels).
    Effort,
    Never,
}

/// Bytes of a dialect, and what they could not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub body: Vec<u8>,
    pub losses: Losses,
    /// Tools that were sent under other names: the answer must be told with these in [`Telling::renamed`].
    pub renamed: Vec<Renamed>,
}

/// What the path of a request says where its dialect has it there.
#[derive(Clone, Copy, Debug, Default)]
pub struct FromPath<'a> {
    pub model: &'a str,
    pub stream: bool,
}

/// How an answer is told to the client.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    /// The name the client asked for; empty: the provider's.
    pub model: String,
    /// Where the provider gave the answer no id.
    pub id: String,
    /// Where the provider did not say when it was made.
    pub now_s: u64,
    /// The client asked for usage in its stream.
    pub wants_usage: bool,
    /// Custom tools of the request: their calls went out as functions and come back as free text.
    pub custom_tools: Vec<String>,
    /// What [`Encoded::renamed`] said of the request.
    pub renamed: Vec<Renamed>,
    /// A chat client that offered functions, and reads `function_call`.
    pub old_functions: bool,
    /// A Gemini client that did not say `alt=sse`: its stream is one JSON array.
    pub json_array: bool,
}

fn read(body: &[u8]) -> Result<Json, Untranslatable> {
    // What is wrong with its syntax was said when it was peeked at.
    let expected = "JSON, of a depth and a number of values that make a conversation";
    Json::parse(body).map_err(|_| Untranslatable::Malformed { field: String::new(), expected })
}

pub fn decode_request(
    dialect: Dialect,
    body: &[u8],
    path: FromPath<'_>,
) -> Result<ChatRequest, Untranslatable> {
    decode_tree(dialect, read(body)?, path)
}

fn decode_tree(dialect: Dialect, body: Json, path: FromPath<'_>) -> Result<ChatRequest, Untranslatable> {
    match dialect {
        Dialect::OpenaiChat => openai_chat::request::decode(body),
        Dialect::OpenaiResponses => openai_responses::request::decode(body),
        Dialect::AnthropicMessages => anthropic_messages::request::decode(body),
        Dialect::GeminiGenerate => gemini_generate::request::decode(body, path),
    }
}

/// Whether a client of `from` could read what a channel of `to` answers to this request.
pub fn check_answer(request: &ChatRequest, from: Dialect, to: Dialect) -> Result<(), Untranslatable> {
    indispensable::check_answer(request, from, to)
}

pub fn encode_request(
    dialect: Dialect,
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<Encoded, Untranslatable> {
    let (body, losses, renamed) = encode_tree(dialect, request, target)?;
    Ok(Encoded { body: Json::Object(body).to_string().into_bytes(), losses, renamed })
}

fn encode_tree(
    dialect: Dialect,
    request: &ChatRequest,
    target: &Target<'_>,
) -> Result<(Object, Losses, Vec<Renamed>), Untranslatable> {
    let retold = retell::retell(request, dialect);
    let (request, told_in_words) = match &retold {
        Some((request, fields)) => (request, fields.as_slice()),
        None => (request, [].as_slice()),
    };
    let handed_over = shown::hand_over(request, dialect);
    let request = handed_over.as_ref().unwrap_or(request);
    indispensable::check(request, dialect, target)?;
    let fitted = names::fit(request, dialect);
    let (request, renamed) = match &fitted {
        Some((request, renamed)) => (request, renamed.clone()),
        None => (request, Vec::new()),
    };
    let numbered = ids::fit(request, dialect, target);
    let request = numbered.as_ref().unwrap_or(request);
    let mut losses = Losses::default();
    for field in told_in_words {
        losses.add(*field, dialect, "it has no such block: its words were sent as text");
    }
    losses.add_set([("messages.content.media", handed_over.is_some())], dialect, shown::SENT_AS_USERS);
    let body = match dialect {
        Dialect::OpenaiChat => openai_chat::request::encode(request, target, &mut losses),
        Dialect::OpenaiResponses => openai_responses::request::encode(request, target, &mut losses),
        Dialect::AnthropicMessages => anthropic_messages::request::encode(request, target, &mut losses),
        Dialect::GeminiGenerate => gemini_generate::request::encode(request, target, &mut losses),
    }?;
    Ok((body, losses, renamed))
}

pub fn decode_reply(
    dialect: Dialect,
    body: &[u8],
    accounting: Accounting,
) -> Result<ChatReply, Untranslatable> {
    let tree = read(body)?;
    match dialect {
        Dialect::OpenaiChat => openai_chat::reply::decode(tree, accounting),
        Dialect::OpenaiResponses => openai_responses::reply::decode(tree),
        Dialect::AnthropicMessages => anthropic_messages::reply::decode(tree),
        Dialect::GeminiGenerate => gemini_generate::reply::decode(tree),
    }
}

pub fn encode_reply(dialect: Dialect, reply: &ChatReply, telling: &Telling) -> Encoded {
    let mut losses = Losses::default();
    let reply = &*undo::undo_in_reply(reply, &telling.custom_tools, &telling.renamed);
    let body = match dialect {
        Dialect::OpenaiChat => openai_chat::reply::encode(reply, telling, &mut losses),
        Dialect::OpenaiResponses => openai_responses::reply::encode(reply, telling, &mut losses),
        Dialect::AnthropicMessages => anthropic_messages::reply::encode(reply, telling, &mut losses),
        Dialect::GeminiGenerate => gemini_generate::reply::encode(reply, telling, &mut losses),
    };
    Encoded { body: Json::Object(body).to_string().into_bytes(), losses, renamed: Vec::new() }
}

/// A whole answer for a client that asked for a stream: all of its frames. `named`: gets the texts of
/// [`StreamEncoder::named_texts`].
pub fn encode_reply_as_stream(
    dialect: Dialect,
    reply: ChatReply,
    telling: Telling,
    named: impl FnOnce(Vec<(String, String)>),
) -> Encoded {
    let (mut losses, mut body) = (Losses::default(), Vec::new());
    let events = whole::events(reply, dialect, &mut losses);
    let mut encoder = StreamEncoder::new(dialect, telling);
    let (end, told) = events.split_last().unzip();
    told.into_iter().flatten().for_each(|event| encoder.write(event, &mut body));
    named(encoder.named_texts());
    end.into_iter().for_each(|event| encoder.write(event, &mut body));
    losses.append(encoder.losses().clone());
    Encoded { body, losses, renamed: Vec::new() }
}

/// The texts of a whole answer that a client may name by an id instead of sending them (Responses).
pub fn named_texts(dialect: Dialect, answer: &[u8]) -> Vec<(String, String)> {
    if dialect != Dialect::OpenaiResponses {
        return Vec::new();
    }
    let answer = Json::parse(answer).ok().and_then(Json::into_object);
    let items = answer.as_ref().and_then(|answer| answer.get("output")).and_then(Json::as_array);
    openai_responses::reference::texts_of(items.unwrap_or_default())
}

/// The request with texts in place of their ids, where `find` knows them; `None`: as it is.
pub fn put_named_texts(
    request: &ChatRequest,
    find: impl FnMut(&str) -> Option<Arc<str>>,
) -> Option<ChatRequest> {
    openai_responses::reference::resolve(request, find)
}

impl Telling {
    pub(crate) fn id<'a>(&'a self, said: &'a str) -> &'a str {
        if said.is_empty() { &self.id } else { said }
    }

    pub(crate) fn model<'a>(&'a self, said: &'a str) -> &'a str {
        if self.model.is_empty() { said } else { &self.model }
    }
}

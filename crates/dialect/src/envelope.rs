//! The outside of a request body: which model, stream or not, and where the few editable values stand.
//!
//! In: the received body. Out: an [`Envelope`] with byte spans, and [`Spliced`] slices of the same buffer with the
//! named edits in between. It must never re-serialise what it was not asked to change.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Dialect, Door, Operation, OutputLimit, ThinkingEdit, chat::ThinkingMode, foreign, json, limit,
    loss::Losses, mark, thinking,
};

/// What the outside of a request body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The model asked for; empty where the dialect carries it in the path, and where a moderation names none.
    pub model: String,
    /// `"stream": true` in the body; always false where the dialect carries it in the path.
    pub stream: bool,
    /// The client itself asked for usage in the stream (`stream_options.include_usage: true`).
    pub wants_usage: bool,
    /// A stored object that this request builds on (`previous_response_id`, `conversation`): only the channel that made it has it.
    pub stored: Option<String>,
    /// The client does not wait: the answer is made in the background, and is asked for as a stored object later.
    pub background: bool,
    /// Most tokens that the client wants written for each answer, where it says so in its dialect's own words.
    pub max_output: Option<u64>,
    /// Answers that the client wants; at least one.
    pub choices: u64,
    /// Models that shall answer where that one cannot (`models`), in order; without repetition, and without the first.
    pub fallbacks: Vec<String>,
    /// Thinking of another dialect may stand in the conversation, with Sluice's mark.
    pub marked: bool,
    /// Where another model's name goes.
    model_gap: Option<Gap>,
    /// What makes `include_usage` true; `None` when it is, and where the dialect has no such option.
    usage_gap: Option<Gap>,
    /// The list of [`Envelope::fallbacks`] as a member.
    fallbacks_span: Option<Range<usize>>,
    /// The body names its model in that list only: where it goes out, it must be named in the usual place.
    listed_only: bool,
}

/// A place in the body, and the fixed text that takes it (before the new value, if there is one).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gap {
    span: Range<usize>,
    text: &'static str,
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeekError {
    /// The body is empty.
    Empty,
    /// Not JSON at all: the parser's words with line and column.
    NotJson(String),
    /// JSON, but not an object.
    NotObject,
    MissingModel,
    /// A field that Sluice must read has the wrong type, or stands twice: its name, and what was expected.
    BadField {
        field: &'static str,
        expected: &'static str,
    },
}

/// The named edits of the relay lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// Send this model name in place of the client's; in what Gemini is to count it is one of `models/…`.
    pub model: Option<&'a str>,
    /// Make sure that `stream_options.include_usage` is true.
    pub ask_usage: bool,
    /// Let no answer be longer.
    pub output_limit: Option<OutputLimit>,
    /// Name one model and not the list of them (`models`): whoever goes through it does not pass it on.
    pub one_model: bool,
    /// Ask for this much thinking, where the caller does not say it in the body.
    pub thinking: Option<ThinkingEdit<'a>>,
    /// Leave out what another dialect's provider thought, which this one would refuse.
    pub own_thinking: Option<OwnThinking>,
}

/// Of what dialect the thinking is that may stay.
#[derive(Clone, Copy, Debug)]
pub struct OwnThinking {
    pub dialect: Dialect,
    /// Gemini: the model refuses calls without a signature.
    pub signs_calls: bool,
}

/// A body as slices, to be written one after the other.
#[derive(Clone, Debug, Default)]
pub struct Spliced {
    pub parts: Vec<Bytes>,
    /// What the edits had to leave out, or could not say.
    pub losses: Losses,
}

impl Spliced {
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

const ONCE: &str = "one value (it stands twice)";
/// Models that a request may name beside the first: more would never be tried.
const MOST_FALLBACKS: usize = 16;
const FIELDS: [&str; 13] = [
    "model",
    "stream",
    "stream_options",
    "previous_response_id",
    "conversation",
    "background",
    "models",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "generationConfig",
    "n",
    "best_of",
];

/// Which fields a door has in its body.
struct Reads {
    model: bool,
    model_required: bool,
    stream: bool,
    usage_option: bool,
    stored: bool,
    fallbacks: bool,
}

fn choose_fields(door: Door) -> Reads {
    let in_path = door.dialect == Dialect::GeminiGenerate || door.operation == Operation::Stored;
    let streams = !in_path && matches!(door.operation, Operation::Chat | Operation::Completions);
    Reads {
        model: !in_path,
        model_required: !in_path && door.operation != Operation::Moderations,
        stream: streams,
        usage_option: streams && door.dialect == Dialect::OpenaiChat,
        stored: !in_path && door.dialect == Dialect::OpenaiResponses,
        fallbacks: matches!(door.operation, Operation::Chat | Operation::CountTokens),
    }
}

/// Reads the outside of a body that came in through `door`. A stored object's request may have no body at all.
pub fn peek(door: Door, body: &[u8]) -> Result<Envelope, PeekError> {
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return if door.operation == Operation::Stored {
            Ok(Envelope::default())
        } else {
            Err(PeekError::Empty)
        };
    };
    if *first != b'{' {
        return Err(match std::str::from_utf8(body) {
            Ok(text) if json::is_whole(text) => PeekError::NotObject,
            _ => PeekError::NotJson(json::explain(body)),
        });
    }
    let found = json::read_object(body, FIELDS).ok_or_else(|| PeekError::NotJson(json::explain(body)))?;
    let reads = choose_fields(door);
    let read = [
        reads.model,
        reads.stream,
        reads.usage_option,
        reads.stored,
        reads.stored,
        reads.stored,
        reads.fallbacks,
    ];
    for at in 0..read.len() {
        if read[at] && found.twice[at] {
            return Err(PeekError::BadField { field: FIELDS[at], expected: ONCE });
        }
    }
    let [model, stream, stream_options, previous, conversation, background, models, wanted @ ..] =
        found.values;
    let close = body.trim_ascii_end().len() - 1;

    let (max_output, choices) = read_wanted(door.dialect, wanted);
    let marked = mark::may_stand_in(body, door);
    let mut envelope = Envelope { max_output, choices, marked, ..Envelope::default() };
    let listed = if reads.fallbacks { read_fallbacks(body, models)? } else { None };
    let required = reads.model_required && listed.is_none();
    if reads.model {
        (envelope.model, envelope.model_gap) = read_model(body, model, required, close)?;
    }
    if let Some((names, span)) = listed {
        envelope.list(names, span, reads.model);
    }
    if reads.stream {
        envelope.stream = read_bool(stream, "stream")?;
    }
    if reads.usage_option {
        envelope.usage_gap = read_usage_option(body, stream_options, close)?;
        envelope.wants_usage = envelope.usage_gap.is_none();
    }
    if reads.stored {
        envelope.stored = read_stored(previous, conversation)?;
        envelope.background = read_bool(background, "background")?;
    }
    if door == Door::new(Dialect::GeminiGenerate, Operation::CountTokens) {
        envelope.model_gap = read_counted_model(body);
    }
    Ok(envelope)
}

impl Envelope {
    /// Whether the body has a list of models.
    pub fn lists_models(&self) -> bool {
        self.listed_only || self.fallbacks_span.is_some()
    }

    /// Takes up a list of models that stands at `span`. `in_body`: so does the model, or should.
    fn list(&mut self, names: Vec<String>, span: Range<usize>, in_body: bool) {
        let mut names = names.into_iter();
        self.listed_only = in_body && self.model.is_empty();
        if self.listed_only {
            self.model = names.next().unwrap_or_default();
        }
        match &mut self.model_gap {
            // Where nothing stands for the model, it takes the list's place.
            Some(gap) if self.listed_only && gap.span.is_empty() => *gap = Gap { span, text: "\"model\":" },
            _ => self.fallbacks_span = Some(span),
        }
        for name in names {
            if name != self.model && !self.fallbacks.contains(&name) {
                self.fallbacks.push(name);
            }
        }
    }
}

/// Names, and where the list of them stands: the whole member.
type Names = (Vec<String>, Range<usize>);

/// The models that shall be tried.
fn read_fallbacks(body: &[u8], models: Option<&str>) -> Result<Option<Names>, PeekError> {
    let Some(raw) = models.filter(|raw| *raw != "null") else { return Ok(None) };
    let bad = PeekError::BadField { field: "models", expected: "a list of 1 to 16 names of models" };
    match serde_json::from_str::<Vec<String>>(raw) {
        Ok(names)
            if (1..=MOST_FALLBACKS).contains(&names.len()) && names.iter().all(|name| !name.is_empty()) =>
        {
            Ok(Some((names, json::member_span(body, locate(body, raw)))))
        }
        _ => Err(bad),
    }
}

fn read_model(
    body: &[u8],
    model: Option<&str>,
    required: bool,
    close: usize,
) -> Result<(String, Option<Gap>), PeekError> {
    match model {
        None if required => Err(PeekError::MissingModel),
        None => {
            let empty = body[..close].trim_ascii_end().ends_with(b"{");
            let text = if empty { "\"model\":" } else { ",\"model\":" };
            Ok((String::new(), Some(Gap { span: close..close, text })))
        }
        Some("null") if !required => {
            Ok((String::new(), Some(Gap { span: locate(body, model.unwrap_or_default()), text: "" })))
        }
        Some(raw) => match serde_json::from_str::<String>(raw) {
            Ok(name) if !name.is_empty() => Ok((name, Some(Gap { span: locate(body, raw), text: "" }))),
            _ => Err(PeekError::BadField { field: "model", expected: "a non-empty string" }),
        },
    }
}

/// Where Gemini's model stands a second time: in the whole request that is to be counted.
fn read_counted_model(body: &[u8]) -> Option<Gap> {
    let [request, snake] = json::members(
        std::str::from_utf8(body).ok()?.trim_ascii(),
        ["generateContentRequest", "generate_content_request"],
    )?;
    let [model] = json::members(request.or(snake)?, ["model"])?;
    Some(Gap { span: locate(body, model?), text: "" })
}

/// How much is wanted, in the dialect's own words: what another dialect calls a limit binds nobody here, and nought is none.
fn read_wanted(dialect: Dialect, wanted: [Option<&str>; 6]) -> (Option<u64>, u64) {
    let [max_tokens, max_completion_tokens, max_output_tokens, config, n, best_of] = wanted;
    let named = |value: Option<&str>| json::count(value).filter(|count| *count > 0);
    let (limit, choices) = match dialect {
        Dialect::OpenaiChat => {
            let limit = named(max_tokens).max(named(max_completion_tokens));
            (limit, named(n).max(named(best_of)))
        }
        Dialect::OpenaiResponses => (named(max_output_tokens), None),
        Dialect::AnthropicMessages => (named(max_tokens), None),
        Dialect::GeminiGenerate => {
            let config =
                config.and_then(|config| json::members(config, ["maxOutputTokens", "candidateCount"]));
            let [limit, choices] = config.unwrap_or_default();
            (named(limit), named(choices))
        }
    };
    (limit, choices.unwrap_or(1))
}

fn read_bool(value: Option<&str>, field: &'static str) -> Result<bool, PeekError> {
    match value {
        None | Some("null" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(PeekError::BadField { field, expected: "true, false or null" }),
    }
}

/// Where to write so that usage is asked for; `None` when the client did that itself.
fn read_usage_option(body: &[u8], options: Option<&str>, close: usize) -> Result<Option<Gap>, PeekError> {
    let Some(options) = options else {
        let text = ",\"stream_options\":{\"include_usage\":true}";
        return Ok(Some(Gap { span: close..close, text }));
    };
    let span = locate(body, options);
    if json::is_blank(Some(options)) && matches!(options.as_bytes()[0], b'n' | b'{') {
        return Ok(Some(Gap { span, text: "{\"include_usage\":true}" }));
    }
    let Some(found) = json::read_object(options.as_bytes(), ["include_usage"]) else {
        return Err(PeekError::BadField { field: "stream_options", expected: "an object or null" });
    };
    if found.twice[0] {
        return Err(PeekError::BadField { field: "stream_options.include_usage", expected: ONCE });
    }
    let [include] = found.values;
    if read_bool(include, "stream_options.include_usage")? {
        return Ok(None);
    }
    Ok(Some(match include {
        Some(value) => Gap { span: locate(body, value), text: "true" },
        None => Gap { span: span.start + 1..span.start + 1, text: "\"include_usage\":true," },
    }))
}

fn read_stored(previous: Option<&str>, conversation: Option<&str>) -> Result<Option<String>, PeekError> {
    let read = |value: Option<&str>| serde_json::from_str::<String>(value?).ok();
    match previous {
        None | Some("null") => {}
        Some(_) => {
            let bad = PeekError::BadField { field: "previous_response_id", expected: "a string or null" };
            return read(previous).map(Some).ok_or(bad);
        }
    }
    let bad =
        PeekError::BadField { field: "conversation", expected: "a string, an object with an id, or null" };
    match conversation {
        None | Some("null") => Ok(None),
        Some(object) if object.starts_with('{') => {
            json::members(object, ["id"]).and_then(|[id]| read(id)).map(Some).ok_or(bad)
        }
        Some(_) => read(conversation).map(Some).ok_or(bad),
    }
}

/// The span of `part`, which is a slice of `body`.
pub(crate) fn locate(body: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.len()
}

/// The body with the edits made: untouched slices of `body` around the new values. `envelope` must be what [`peek`]
/// said of this body.
pub fn splice(body: &Bytes, envelope: &Envelope, edits: &Edits<'_>) -> Spliced {
    let mut changes: Vec<(Range<usize>, Bytes)> = Vec::new();
    let model = edits.model.or((edits.one_model && envelope.listed_only).then_some(envelope.model.as_str()));
    let list = envelope.fallbacks_span.as_ref().filter(|_| edits.one_model);
    let mut cut: Vec<Range<usize>> = list.cloned().into_iter().collect();
    if let (Some(model), Some(gap)) = (model, &envelope.model_gap) {
        // A text can always be written.
        let value = serde_json::to_string(model).unwrap_or_default();
        changes.push((gap.span.clone(), Bytes::from([gap.text, &value].concat())));
    }
    if let (true, Some(gap)) = (edits.ask_usage, &envelope.usage_gap) {
        changes.push((gap.span.clone(), Bytes::from_static(gap.text.as_bytes())));
    }
    let own = edits.own_thinking.filter(|_| envelope.marked).map(|own| foreign::changes(body, own));
    let unthinking = own.as_ref().is_some_and(|own| own.unthinking);
    let mut losses = Losses::default();
    if let Some(own) = own {
        changes.extend(own.changes);
        cut.extend(own.cut);
        losses.append(own.losses);
    }
    if let (true, Some(wish)) = (unthinking, &edits.thinking)
        && wish.thinking.mode != Some(ThinkingMode::Off)
    {
        losses.add("thinking", wish.dialect, foreign::BARE);
    }
    let wish = edits.thinking.as_ref().filter(|_| !unthinking);
    let thinking = wish.map(|edit| thinking::changes(body, envelope.max_output, edit));
    let limits_output = thinking.as_ref().is_some_and(|told| told.limits_output);
    if let Some(told) = thinking {
        changes.extend(told.changes);
        cut.extend(told.cut);
        losses.append(told.losses);
    }
    let limit = edits.output_limit.as_ref().filter(|_| !limits_output);
    if let (Some(limit), None) = (limit, wish) {
        changes.extend(limit::changes(body, limit));
    }
    changes.extend(json::cuts(body, cut).into_iter().map(|span| (span, Bytes::new())));
    let parts = make(body, changes);
    let (Some(limit), Some(_)) = (limit, wish) else { return Spliced { parts, losses } };
    // It may stand in the same object as the wish to think, and is written into what that made.
    let body = Bytes::from(parts.concat());
    Spliced { parts: make(&body, limit::changes(&body, limit)), losses }
}

fn make(body: &Bytes, mut changes: Vec<(Range<usize>, Bytes)>) -> Vec<Bytes> {
    if changes.is_empty() {
        return vec![body.clone()];
    }
    changes.sort_by_key(|(span, _)| (span.start, span.end));
    let mut parts = Vec::with_capacity(2 * changes.len() + 1);
    let mut copied = 0;
    for (span, text) in changes {
        parts.push(body.slice(copied..span.start));
        // The members before it may all have been cut.
        let first = text.starts_with(b",")
            && parts.iter().flatten().rfind(|b| !b.is_ascii_whitespace()) == Some(&b'{');
        parts.push(if first { text.slice(1..) } else { text });
        copied = span.end;
    }
    parts.push(body.slice(copied..));
    parts.retain(|part| !part.is_empty());
    parts
}

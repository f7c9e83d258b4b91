//! Telling a request how much to think, where the caller said it elsewhere: in the model's name.
//!
//! In: a body, the wish, and what is known of the model. Out: what to write where. The words are those of the dialect's encoder.
//! It must never change what the body itself says of thinking: that is more exact than any name.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Dialect, anthropic_messages,
    chat::{ChatRequest, Effort, Shown, Thinking, ThinkingMode},
    envelope::locate,
    gemini_generate, json,
    limit::insertion,
    loss::Losses,
    openai_chat, openai_responses,
    translate::Target,
    tree::{Json, Object},
};

/// A wish for thinking, for a body of `dialect`.
#[derive(Clone, Copy, Debug)]
pub struct ThinkingEdit<'a> {
    pub dialect: Dialect,
    pub thinking: Thinking,
    pub target: Target<'a>,
}

/// What becomes of a body.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) changes: Vec<(Range<usize>, Bytes)>,
    /// Members that must go: with thinking on, the provider refuses them.
    pub(crate) cut: Vec<Range<usize>>,
    /// The limit of the output was set here: none may be set on top of it.
    pub(crate) limits_output: bool,
    /// What the model does not take of the wish, or of the body because of it.
    pub(crate) losses: Losses,
}

impl Thinking {
    /// The same wish in words that `dialect` has, with what the model thinks to be read where it can be asked for.
    pub fn worded(self, dialect: Dialect) -> Thinking {
        let thinks = self.mode != Some(ThinkingMode::Off);
        match dialect {
            // They know no thinking without an effort.
            Dialect::OpenaiChat | Dialect::OpenaiResponses => Thinking {
                effort: self.effort.or((self.mode == Some(ThinkingMode::Adaptive)).then_some(Effort::Medium)),
                ..self
            },
            Dialect::AnthropicMessages | Dialect::GeminiGenerate => {
                Thinking { shown: self.shown.or(thinks.then_some(Shown::Auto)), ..self }
            }
        }
    }
}

pub(crate) fn changes(body: &[u8], max_output: Option<u64>, edit: &ThinkingEdit<'_>) -> Told {
    let ThinkingEdit { dialect, thinking, target } = edit;
    if says_how_much(body, *dialect) {
        return Told::default();
    }
    let max_output = max_output.map(|wanted| target.most().map_or(wanted, |most| wanted.min(most)));
    let wish = ChatRequest { thinking: thinking.worded(*dialect), max_output, ..ChatRequest::default() };
    let mut losses = Losses::default();
    let words = match dialect {
        Dialect::OpenaiChat => openai_chat::request::encode(&wish, target, &mut losses),
        Dialect::OpenaiResponses => openai_responses::request::encode(&wish, target, &mut losses),
        Dialect::AnthropicMessages => anthropic_messages::request::encode(&wish, target, &mut losses),
        Dialect::GeminiGenerate => gemini_generate::request::encode(&wish, target, &mut losses),
    };
    // An empty conversation says nothing that a dialect could lack.
    let Ok(words) = words else { return Told::default() };
    let mut told = match dialect {
        Dialect::OpenaiChat => only(put(body, "reasoning_effort", words.get("reasoning_effort"))),
        Dialect::OpenaiResponses => only(put_within(body, "reasoning", "effort", &words)),
        Dialect::GeminiGenerate => only(put_within(body, "generationConfig", "thinkingConfig", &words)),
        Dialect::AnthropicMessages => of_anthropic(body, max_output, &words),
    };
    losses.append(told.losses);
    told.losses = losses;
    told
}

/// Whether the body itself says how much to think: that is more exact than the wish.
fn says_how_much(body: &[u8], dialect: Dialect) -> bool {
    match dialect {
        // What some of its providers added to it is said to think, too.
        Dialect::OpenaiChat => {
            ["reasoning_effort", "reasoning", "thinking"].into_iter().any(|name| says(body, name).is_some())
        }
        Dialect::OpenaiResponses => says_within(body, "reasoning", "effort"),
        Dialect::GeminiGenerate => says_within(body, "generationConfig", "thinkingConfig"),
        Dialect::AnthropicMessages => says(body, "thinking").is_some(),
    }
}

fn says<'b>(body: &'b [u8], name: &'static str) -> Option<&'b str> {
    json::read_object(body, [name])?.values[0].filter(|said| *said != "null")
}

fn says_within(body: &[u8], outer: &'static str, name: &str) -> bool {
    let said = says(body, outer).and_then(|outer| json::members(outer, [name]));
    said.is_some_and(|[said]| said.is_some_and(|said| said != "null"))
}

fn only(change: Option<(Range<usize>, Bytes)>) -> Told {
    Told { changes: change.into_iter().collect(), ..Told::default() }
}

fn of_anthropic(body: &[u8], max_output: Option<u64>, words: &Object) -> Told {
    let names = ["temperature", "top_p", "top_k", "max_tokens"];
    let Some(found) = json::read_object(body, names) else { return Told::default() };
    let [temperature, top_p, top_k, limit] = found.values;
    let mut told = only(put(body, "thinking", words.get("thinking")));
    told.changes.extend(put_within(body, "output_config", "effort", words));
    let thinks = words.get("thinking").and_then(Json::as_object).and_then(|thinking| thinking.text("type"));
    if !matches!(thinks, None | Some("disabled")) {
        // Beside each what it is where nobody sets it.
        for (field, said, usual) in
            [("temperature", temperature, 1.0), ("top_p", top_p, 1.0), ("top_k", top_k, 0.0)]
        {
            let Some(value) = said else { continue };
            told.cut.push(json::member_span(body, locate(body, value)));
            if value != "null" && value.parse() != Ok(usual) {
                let reason = "a model that thinks takes none";
                told.losses.add(field, Dialect::AnthropicMessages, reason);
            }
        }
    }
    let raised = words.get("max_tokens").filter(|limit| **limit != max_output.unwrap_or_default().into());
    if let (Some(raised), Some(limit)) = (raised, limit) {
        told.changes.push((locate(body, limit), Bytes::from(raised.to_string())));
        told.limits_output = true;
    }
    told
}

/// Sets a member of the body, unless it says something.
fn put(body: &[u8], name: &str, value: Option<&Json>) -> Option<(Range<usize>, Bytes)> {
    let value = value?.to_string();
    let [said] = json::read_object(body, [name])?.values;
    match said {
        Some(null) if null == "null" => Some((locate(body, null), Bytes::from(value))),
        Some(_) => None,
        None => {
            let close = body.trim_ascii_end().len() - 1;
            Some((close..close, insertion(body, close, name, &value)))
        }
    }
}

/// Sets a member of an object of the body, unless it says something. `words` have it in the same place.
fn put_within(body: &[u8], outer: &'static str, name: &str, words: &Object) -> Option<(Range<usize>, Bytes)> {
    let value = words.get(outer)?.as_object()?.get(name)?.to_string();
    let whole = format!("{{\"{name}\":{value}}}");
    let [said] = json::read_object(body, [outer])?.values;
    let Some(said) = said else {
        let close = body.trim_ascii_end().len() - 1;
        return Some((close..close, insertion(body, close, outer, &whole)));
    };
    let at = locate(body, said);
    if said == "null" {
        return Some((at, Bytes::from(whole)));
    }
    match json::members(said, [name])? {
        [None] => Some((at.end - 1..at.end - 1, insertion(body, at.end - 1, name, &value))),
        [Some(null)] if null == "null" => Some((locate(body, null), Bytes::from(value))),
        [Some(_)] => None,
    }
}

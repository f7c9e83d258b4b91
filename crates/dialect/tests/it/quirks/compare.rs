//! What Sluice makes of a reply, against what it says.

use std::fmt::Write;

use dialect::{
    Accounting, Dialect, Framing, ParsedError, Usage,
    chat::{ChatReply, Citation, Content},
    event::ChatEvent,
    loss::Losses,
    parse_error,
    translate::{StreamDecoder, Telling, decode_reply, encode_reply},
};
use serde_json::Value;

use super::heard::{Call, Heard, Said};
use crate::{
    gather::{decode, encode, gather},
    watch::{describe_error, describe_usage, watch, watch_plain},
};

/// What both lanes make of a reply.
#[derive(Default)]
struct Made {
    /// The bytes that reach a client of the same dialect.
    relayed: Vec<u8>,
    usage: Option<Usage>,
    /// Something was said that cannot be taken back: no other channel is asked.
    begun: bool,
    ended: bool,
    closed: bool,
    error: Option<ParsedError>,
    /// What a client of another dialect is told.
    reply: Option<ChatReply>,
    losses: Vec<String>,
    failed: bool,
}

fn read(heard: &Heard) -> Made {
    if heard.failed() {
        return Made { error: parse_error(&heard.bytes), ..Made::default() };
    }
    let (dialect, accounting) = (heard.dialect(), heard.options.accounting);
    if !heard.streamed {
        let tap = watch_plain(heard.options, &[&heard.bytes]);
        let reply = decode_reply(dialect, &heard.bytes, accounting).ok();
        let error = tap.error().cloned();
        let telling = Telling::default();
        let losses =
            reply.as_ref().map(|reply| encode_reply(Dialect::AnthropicMessages, reply, &telling).losses);
        return Made {
            relayed: heard.bytes.clone(),
            usage: tap.usage(),
            begun: error.is_none(),
            ended: tap.whole(),
            closed: tap.whole(),
            error,
            losses: losses.as_ref().map(name).unwrap_or_default(),
            failed: reply.is_none(),
            reply,
        };
    }
    let watched = watch(heard.options, Framing::Sse, &[&heard.bytes]);
    let mut decoder = StreamDecoder::new(dialect, Framing::Sse, accounting);
    let mut events = Vec::new();
    decoder.feed(&heard.bytes, &mut events);
    decoder.finish(&mut events);
    Made {
        usage: watched.tap.usage(),
        begun: watched.tap.meaningful(),
        ended: watched.tap.ended(),
        closed: watched.tap.closed(),
        error: watched.tap.error().map(|(_, error)| error.clone()),
        relayed: watched.out,
        losses: name(decoder.losses()),
        failed: matches!(events.last(), Some(ChatEvent::Failed(_))),
        reply: Some(gather(&events)),
    }
}

fn name(losses: &Losses) -> Vec<String> {
    losses.rows().iter().map(|loss| loss.field.to_string()).collect()
}

fn calls(reply: &ChatReply) -> Vec<Call> {
    let parts = reply.candidates.first().map(|candidate| &*candidate.parts).unwrap_or_default();
    let calls = parts.iter().filter_map(|part| match part.content.clone() {
        Content::ToolCall { id, name, input, .. } => Some(Call { id, name, input, index: None }),
        _ => None,
    });
    calls.collect()
}

fn texts(reply: &ChatReply) -> (String, String) {
    let (mut text, mut thoughts) = (String::new(), String::new());
    for part in reply.candidates.first().map(|candidate| &*candidate.parts).unwrap_or_default() {
        match &part.content {
            Content::Text { text: said, .. } => text += said,
            Content::Reasoning { text: said } => thoughts += said,
            _ => {}
        }
    }
    (text, thoughts)
}

fn cited(reply: &ChatReply) -> Vec<Citation> {
    let parts = reply.candidates.first().map(|candidate| &*candidate.parts).unwrap_or_default();
    let citations = parts.iter().filter_map(|part| match &part.content {
        Content::Text { citations, .. } => Some(citations.clone()),
        _ => None,
    });
    citations.flatten().collect()
}

/// What is wrong; nothing, if all is well.
pub(crate) fn compare(heard: &Heard) -> Vec<String> {
    let (made, said) = (read(heard), heard.say());
    let mut wrong = Vec::new();
    // Two departures so far from the dialect that they are not understood; their facts say what becomes of them.
    let foreign = heard.events().iter().all(|event| event.json["object"] == "chat.completion.chunk")
        && heard.dialect() == Dialect::OpenaiResponses;
    let known = matches!(heard.dialect(), Dialect::OpenaiChat | Dialect::OpenaiResponses);
    if let Some(words) = &said.error {
        let told = made.error.as_ref().map(|error| &error.message);
        if !told.is_some_and(|told| told.contains(&words[..words.len().min(1000)])) {
            wrong.push(format!("it says {words:?}, and Sluice {told:?}"));
        }
        if !heard.bytes.starts_with(&made.relayed) {
            wrong.push("what came before the error is not relayed as it was".to_owned());
        }
        return wrong;
    }
    if let Some(error) = &made.error {
        wrong.push(format!("it is no error, and Sluice reads {error:?}"));
    }
    if made.relayed != heard.bytes {
        wrong.push("it is not relayed as it came".to_owned());
    }
    if foreign || !known {
        return wrong;
    }
    compare_usage(made.usage, &said, heard.options.accounting, &mut wrong);
    if heard.streamed {
        let ended = said.closed || said.finish.is_some();
        if (made.ended, made.closed) != (ended, said.closed) {
            wrong.push(format!("ended {}, closed {}", made.ended, made.closed));
        }
    }
    compare_words(&made, &said, &mut wrong);
    wrong
}

fn compare_words(made: &Made, said: &Said, wrong: &mut Vec<String>) {
    let Some(reply) = &made.reply else { return wrong.push("it is not translated".to_owned()) };
    if reply.usage != made.usage {
        wrong.push(format!("the lanes count {:?} and {:?}", made.usage, reply.usage));
    }
    let (text, thoughts) = texts(reply);
    if text != said.text {
        wrong.push(format!("text {text:?} for {:?}", said.text));
    }
    if thoughts != said.thoughts {
        wrong.push(format!("thoughts {thoughts:?} for {:?}", said.thoughts));
    }
    if !said.sources.is_empty() && cited(reply).iter().map(|source| &source.url).ne(&said.sources) {
        wrong.push(format!("cited {:?} for {:?}", cited(reply), said.sources));
    }
    let told = calls(reply);
    let ids: std::collections::BTreeSet<_> = told.iter().map(|call| &*call.id).collect();
    if ids.len() != told.len() || ids.contains("") {
        wrong.push(format!("calls cannot be told apart: {ids:?}"));
    }
    let same = |(told, said): (&Call, &Call)| {
        (said.id.is_empty() || told.id == said.id) && told.name == said.name && told.input == said.input
    };
    if told.len() != said.calls.len() || !told.iter().zip(&said.calls).all(same) {
        wrong.push(format!("calls {told:?} for {:?}", said.calls));
    }
    let stops = reply.candidates.first().is_some_and(|candidate| candidate.stop.is_some());
    if stops != (said.finish.is_some() || said.closed) {
        wrong.push(format!("stop {stops}, and finish is {:?}", said.finish));
    }
}

fn compare_usage(usage: Option<Usage>, said: &Said, accounting: Accounting, wrong: &mut Vec<String>) {
    let Some(stated) = &said.usage else {
        if usage.is_some() {
            wrong.push(format!("nothing was counted, and Sluice reads {usage:?}"));
        }
        return;
    };
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let either = |one: &str, other: &str| count(&stated[one]).max(count(&stated[other]));
    let detail = |side: &str, name: &str| {
        let [one, other] = if side == "in" { ["prompt", "input"] } else { ["completion", "output"] };
        [one, other]
            .map(|word| count(&stated[format!("{word}_tokens_details")][name]))
            .into_iter()
            .max()
            .unwrap_or(0)
    };
    let (prompt, completion) =
        (either("prompt_tokens", "input_tokens"), either("completion_tokens", "output_tokens"));
    let cached =
        ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"].map(|name| count(&stated[name]));
    let cached = cached.into_iter().max().unwrap_or(0).max(detail("in", "cached_tokens")).min(prompt);
    let (reasoning, visible) = match accounting {
        Accounting::Standard => {
            let reasoning = detail("out", "reasoning_tokens").min(completion);
            (reasoning, completion - reasoning)
        }
        Accounting::ReasoningApart => (count(&stated["total_tokens"]) - prompt - completion, completion),
    };
    let Some(usage) = usage else { return wrong.push(format!("{stated} is not read")) };
    let read_input =
        usage.input + usage.cache_read + usage.cache_write + usage.audio_input + usage.image_input;
    let read_output = usage.output + usage.audio_output + usage.image_output;
    let read = [usage.total(), read_input, usage.cache_read, usage.reasoning, read_output];
    let total = stated["total_tokens"].as_u64().unwrap_or(prompt + completion);
    if read != [total, prompt, cached, reasoning, visible] {
        wrong.push(format!("usage {usage:?} for {stated}"));
    }
}

/// What a client of a dialect is told: a stream where it was one.
pub(crate) fn tell(heard: &Heard, dialect: Dialect) -> String {
    let telling = Telling { id: "told-1".into(), ..Telling::default() };
    let (own, accounting) = (heard.dialect(), heard.options.accounting);
    let told = if heard.streamed {
        encode(dialect, &decode(own, Framing::Sse, accounting, &[&heard.bytes]), &telling)
    } else {
        encode_reply(dialect, &decode_reply(own, &heard.bytes, accounting).unwrap(), &telling).body
    };
    String::from_utf8(told).unwrap()
}

/// What stands in the `.facts` beside a fixture.
pub(crate) fn describe(heard: &Heard) -> String {
    let made = read(heard);
    let mut facts = String::new();
    let mut line = |text: String| writeln!(facts, "{}", text.trim_end()).unwrap();
    let error = made.error.as_ref().map_or("error: -".to_owned(), describe_error);
    if heard.failed() {
        line(error);
        return facts;
    }
    line(format!("relayed: {} of {} bytes", made.relayed.len(), heard.bytes.len()));
    let says = [("begun", made.begun), ("ended", made.ended), ("closed", made.closed)];
    let says: Vec<_> = says.into_iter().filter(|(_, said)| *said).map(|(name, _)| name).collect();
    line(format!("says: {}", says.join(", ")));
    line(describe_usage(made.usage));
    line(error);
    let Some(reply) = made.reply.filter(|_| !made.failed) else {
        line("translated: a failure".to_owned());
        return facts;
    };
    let (text, thoughts) = texts(&reply);
    line(format!("thoughts: {thoughts:?}"));
    line(format!("text: {text:?}"));
    for call in calls(&reply) {
        line(format!("call: {} {} {}", call.id, call.name, call.input));
    }
    for source in cited(&reply) {
        line(format!("cited: {} {:?}", source.url, source.title));
    }
    let parts = reply.candidates.first().map(|candidate| &*candidate.parts).unwrap_or_default();
    for token in parts.iter().flat_map(|part| &part.opaque) {
        line(format!("token: {:?} {:?} {}", token.dialect, token.kind, token.value));
    }
    let stop = reply.candidates.first().and_then(|candidate| candidate.stop.as_ref());
    line(stop.map_or("stop: -".to_owned(), |stop| format!("stop: {:?}", stop.reason)));
    line(format!("lost: {}", if made.losses.is_empty() { "-".to_owned() } else { made.losses.join(", ") }));
    facts
}

//! What the client received, held against what the upstream sent: the same bytes, but for named edits, and errors in
//! words of its own dialect.

use dialect::Dialect;
use gateway::ending::Ending;
use serde_json::Value;

use crate::{
    arrived::arrived, ask::Ask, client::Over, model::Story, script::Reply, upstream::Call, wire::Kind,
};

/// What a waiting stream's client reads.
pub(crate) const COMMENT: &[u8] = b": waiting for the provider\n\n";
/// Frames longer than this pass in parts.
const LONG: usize = 64 * 1024;

/// What is wrong with what the client received.
pub(crate) fn faults(story: &Story<'_>, ending: Ending) -> Vec<String> {
    let (visit, ask) = (story.visit, story.ask);
    let mut wrong = Vec::new();
    let Some(_) = visit.head_at else { return wrong };
    let stayed = visit.over.is_some_and(|(_, over)| over == Over::Whole);
    let aborted = visit.over.is_some_and(|(_, over)| over == Over::Aborted);
    if visit.status != 200 {
        if stayed && !is_error(ask.dialect, &visit.received()) {
            wrong.push(format!("no error of the dialect: {:?}", lossy(&visit.received())));
        }
        return wrong;
    }
    let answer = story.answer();
    match answer.map(|call| (call, &call.script.reply)) {
        // A stream is told as one, also where the provider answered with a document.
        Some((call, _)) if call.is_translated(ask) && is_document(call) && ask.stream => {
            if aborted {
                wrong.push("a stream broke off without words".to_owned());
            }
            told_faults(story, ending, stayed, &mut wrong);
        }
        Some((call, _)) if call.is_translated(ask) && !story.head_came_first() && is_document(call) => {
            let told = serde_json::from_slice::<Value>(&visit.received());
            if aborted || stayed && (told.is_err() || is_error(ask.dialect, &visit.received())) {
                wrong.push(format!("no answer of the dialect: {:?}", lossy(&visit.received())));
            }
        }
        Some((call, Reply::Document { .. })) if !story.head_came_first() => {
            let (received, sent) = (visit.received(), &call.script.body[..]);
            // Blanks that came while a stream was waited for need not be handed on.
            let skipped = if ask.stream { sent.len() - sent.trim_ascii_start().len() } else { 0 };
            let (received, sent) = match sent.starts_with(&received) {
                true => (&received[..], sent),
                false => (received.trim_ascii_start(), &sent[skipped..]),
            };
            if !sent.starts_with(received) {
                wrong.push("a plain answer was changed".to_owned());
            }
            if stayed && received.len() != sent.len() {
                wrong.push(format!("{} of {} bytes, and a clean end", received.len(), sent.len()));
            }
            if aborted == (ending == Ending::Completed)
                && !matches!(ending, Ending::ClientLeft | Ending::Shutdown)
            {
                wrong.push(format!("aborted {aborted}, but {ending:?}"));
            }
        }
        _ => {
            if aborted {
                wrong.push("a stream broke off without words".to_owned());
            }
            let answer = answer.filter(|call| matches!(call.script.reply, Reply::Stream(_)));
            if answer.is_some_and(|call| call.is_translated(ask)) {
                told_faults(story, ending, stayed, &mut wrong);
            } else {
                stream_faults(story, answer, ending, stayed, &mut wrong);
            }
        }
    }
    wrong
}

fn stream_faults(
    story: &Story<'_>,
    answer: Option<&Call>,
    ending: Ending,
    stayed: bool,
    wrong: &mut Vec<String>,
) {
    let ask = story.ask;
    let core = without_comments(story, wrong);
    let (expected, ends, least) = answer.map_or((Vec::new(), vec![0], 0), |call| forwarded(ask, call));
    let end = ends.iter().copied().rfind(|end| core.starts_with(&expected[..*end])).unwrap_or(0);
    let mut rest = &core[end..];
    if end < least && stayed {
        wrong.push(format!("held back: {end} of {least} bytes that came whole"));
    }
    // A long event passes in parts; if it breaks off it is closed before anything else is said.
    let long = ends.iter().copied().find(|next| *next > end).unwrap_or(expected.len()) - end > LONG;
    if long {
        let same = rest.iter().zip(&expected[end..]).take_while(|(a, b)| a == b).count();
        if same > 0 && same >= rest.len().min(LONG) {
            rest = &rest[same..];
        }
    }
    // An event that came without its blank line was closed; one blank line more than needed is nothing to a client.
    if rest.iter().any(|byte| !byte.is_ascii_whitespace()) {
        rest = rest.trim_ascii_start();
    }
    if ask.array {
        // Nothing can be said within an element that has passed in part.
        if !long || rest.is_empty() {
            array_faults(&core, ending, stayed, wrong);
        }
        return;
    }
    let error = is_error_event(ask.dialect, rest);
    if !rest.is_empty() && !error {
        wrong.push(format!("neither the upstream's nor one error: {:?}", lossy(rest)));
    }
    if ending == Ending::Completed && !rest.is_empty() {
        wrong.push(format!("completed, and yet: {:?}", lossy(rest)));
    }
    if ending != Ending::Completed && stayed && !error {
        wrong.push(format!(
            "{ending:?} in silence, after {:?}",
            lossy(&core[core.len().saturating_sub(80)..])
        ));
    }
}

fn is_document(call: &Call) -> bool {
    matches!(call.script.reply, Reply::Document { .. })
}

/// A stream that was told in the caller's dialect: one end or one error, and it comes last.
fn told_faults(story: &Story<'_>, ending: Ending, stayed: bool, wrong: &mut Vec<String>) {
    let core = without_comments(story, wrong);
    if story.ask.array {
        return array_faults(&core, ending, stayed, wrong);
    }
    let text = String::from_utf8_lossy(&core).replace("\r\n", "\n");
    let events: Vec<&str> = text.split_inclusive("\n\n").collect();
    let is_error = |event: &&str| is_error_event(story.ask.dialect, event.as_bytes());
    let is_end = |event: &&str| match story.ask.dialect {
        Dialect::OpenaiChat => event.contains("[DONE]"),
        Dialect::OpenaiResponses => {
            event.starts_with("event: response.completed") || event.starts_with("event: response.incomplete")
        }
        Dialect::AnthropicMessages => event.starts_with("event: message_stop"),
        Dialect::GeminiGenerate => event.contains("\"finishReason\""),
    };
    let (ends, errors) = (
        events.iter().filter(|event| is_end(event)).count(),
        events.iter().filter(|event| is_error(event)).count(),
    );
    let last = events.last();
    let right = match ending {
        _ if !stayed => ends + errors <= 1,
        Ending::Completed => ends == 1 && errors == 0 && last.is_some_and(is_end),
        _ => ends == 0 && errors == 1 && last.is_some_and(is_error),
    };
    if !right {
        wrong.push(format!(
            "{ending:?} with {ends} ends and {errors} errors: {:?}",
            lossy(&core[core.len().saturating_sub(300)..])
        ));
    }
}

/// The bytes that may pass of an answer, where its whole events end in them, and how many must have passed.
fn forwarded(ask: &Ask, call: &Call) -> (Vec<u8>, Vec<usize>, usize) {
    let Reply::Stream(pieces) = &call.script.reply else { return (Vec::new(), vec![0], 0) };
    let strip = call.asked.usage && !ask.wants_usage;
    let arrived = arrived(call);
    // Nothing may follow the end: pieces after it need not pass.
    let close = arrived.whole.iter().position(|piece| piece.kind == Kind::Close);
    let must = close.map_or(arrived.whole.len(), |close| close + 1);
    let (mut bytes, mut ends, mut least, mut begun) = (Vec::new(), vec![0], 0, 0);
    for (nth, (end, piece)) in pieces.iter().enumerate() {
        if matches!(piece.kind, Kind::Error(_)) {
            break;
        }
        let there = &call.script.body[begun.min(call.script.body.len())..(*end).min(call.script.body.len())];
        begun = *end;
        if strip && piece.kind == Kind::Usage {
            continue;
        }
        bytes.extend_from_slice(there);
        // At a clean end the last event may lack its blank line.
        if there.len() >= piece.bytes.trim_ascii_end().len() {
            ends.push(bytes.len());
        }
        if nth < must {
            least = bytes.len();
        }
    }
    (bytes, ends, least)
}

/// The bytes without our own comments, which come only to a client that has waited.
fn without_comments(story: &Story<'_>, wrong: &mut Vec<String>) -> Vec<u8> {
    let eager = story.visit.paused_ms == 0;
    let mut core = Vec::new();
    let mut before = story.calls.first().map_or(story.ask.at, |call| call.at);
    // What the provider says of another candidate begins the answer, and may be nothing in the caller's dialect.
    if !story.head_came_first() && story.answer().is_some_and(|call| call.is_translated(story.ask)) {
        before = story.visit.head_at.map_or(before, |head_at| before.max(head_at));
    }
    for (at, bytes) in &story.visit.frames {
        let blank = story.ask.array && core.is_empty() && &bytes[..] == b"\n";
        if &bytes[..] == COMMENT || blank {
            if at - before < 10_000 && eager {
                wrong.push(format!("a comment after {} ms", at - before));
            }
        } else {
            core.extend_from_slice(bytes);
        }
        if at - before > 10_000 && eager && !story.ask.array && !passes_in_parts(story) {
            wrong.push(format!("nothing for {} ms", at - before));
        }
        before = *at;
    }
    core
}

/// No comment may come into the middle of an event that passes in parts.
fn passes_in_parts(story: &Story<'_>) -> bool {
    story.answer().is_some_and(|call| match &call.script.reply {
        Reply::Stream(_) if call.is_translated(story.ask) => false,
        Reply::Stream(pieces) => pieces.iter().any(|(_, piece)| piece.bytes.len() > LONG),
        _ => false,
    })
}

fn array_faults(core: &[u8], ending: Ending, stayed: bool, wrong: &mut Vec<String>) {
    if !stayed {
        return;
    }
    let elements = match serde_json::from_slice::<Vec<Value>>(core) {
        Ok(elements) => elements,
        // Gemini's array is whole with its last finish reason; what breaks off after that stays open.
        Err(_) if ending == Ending::Completed => return,
        Err(error) => return wrong.push(format!("{ending:?}: {error}: {:?}", lossy(core))),
    };
    let errors = elements.iter().filter(|element| element["error"].is_object()).count();
    let last = elements.last().is_some_and(|element| element["error"].is_object());
    if (ending == Ending::Completed && errors != 0) || (ending != Ending::Completed && !(last && errors == 1))
    {
        wrong.push(format!("{ending:?} with {errors} errors: {:?}", lossy(core)));
    }
}

/// One error, whole, and nothing else.
fn is_error_event(dialect: Dialect, bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let text = text.replace("\r\n", "\n");
    let Some(event) = text.ends_with("\n\n").then(|| text.trim_end_matches('\n')) else { return false };
    let (name, data) = match event.split_once('\n') {
        Some((name, data)) => (name.strip_prefix("event:").map(str::trim), data),
        None => (None, event),
    };
    let named = matches!(dialect, Dialect::OpenaiResponses | Dialect::AnthropicMessages);
    if named && name != Some("error") {
        return false;
    }
    let Some(data) = data.strip_prefix("data:") else { return false };
    match serde_json::from_str::<Value>(data) {
        Ok(value) if dialect == Dialect::OpenaiResponses => {
            value["type"] == "error" && value["message"].is_string() && value["sequence_number"].is_u64()
        }
        Ok(_) => is_error(dialect, data.as_bytes()),
        Err(_) => false,
    }
}

/// An error body.
fn is_error(dialect: Dialect, bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return false };
    let value = if value.is_array() { value[0].clone() } else { value };
    let said = value["error"]["message"].is_string();
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => said && value["error"]["type"].is_string(),
        Dialect::AnthropicMessages => said && value["type"] == "error" && value["error"]["type"].is_string(),
        Dialect::GeminiGenerate => {
            said && value["error"]["code"].is_u64() && value["error"]["status"].is_string()
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned()
}

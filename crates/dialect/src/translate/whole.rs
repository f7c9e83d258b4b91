//! A whole answer for a client that asked for a stream.
//!
//! In: a reply. Out: the events that a stream would have told it by. A reason to stop that was not said is none here, either.

use crate::{
    Dialect,
    chat::{ChatReply, Content, Part},
    event::{ChatEvent, Delta, Opening},
    fields::list_extras,
    loss::Losses,
    shortfall,
};

/// What has no place among events is listed.
pub(super) fn events(reply: ChatReply, to: Dialect, losses: &mut Losses) -> Vec<ChatEvent> {
    let ChatReply { id, model, created_s, candidates, usage, service_tier, extras } = reply;
    list_extras(&extras, to, losses);
    if service_tier.is_some_and(|tier| !tier.is_empty()) {
        losses.add("service_tier", to, "a stream does not tell it");
    }
    let mut events = vec![ChatEvent::Started { id, model, created_s }];
    for (candidate, said) in (0..).zip(candidates) {
        list_extras(&said.extras, to, losses);
        for (part, whole) in (0..).zip(said.parts) {
            shortfall::list_answer_part(&whole, to, losses);
            put_part(candidate, part, whole, &mut events);
        }
        events.extend(said.stop.map(|stop| ChatEvent::Stopped { candidate, stop }));
    }
    events.extend(usage.map(ChatEvent::Usage));
    events.push(ChatEvent::Ended);
    events
}

fn put_part(candidate: u32, part: u32, whole: Part, events: &mut Vec<ChatEvent>) {
    let mut deltas: Vec<Delta> = Vec::new();
    let tokens = |part: &Part| part.opaque.clone().into_iter().map(Delta::Opaque).collect::<Vec<_>>();
    let opening = match &whole.content {
        Content::Text { text, citations } => {
            deltas.push(Delta::Text(text.clone()));
            deltas.extend(citations.iter().cloned().map(Delta::Citation));
            deltas.extend(tokens(&whole));
            Opening::Text
        }
        Content::Refusal { text } => {
            deltas.push(Delta::Text(text.clone()));
            Opening::Refusal
        }
        Content::Reasoning { text } => {
            deltas.push(Delta::Text(text.clone()));
            deltas.extend(tokens(&whole));
            Opening::Reasoning
        }
        Content::ToolCall { id, name, input, custom } => {
            // Some dialects have a call's token before it.
            deltas.extend(tokens(&whole));
            deltas.push(Delta::Input(input.clone()));
            Opening::ToolCall { id: id.clone(), name: name.clone(), custom: *custom }
        }
        _ => Opening::Whole(Box::new(whole)),
    };
    let says = |delta: &Delta| !matches!(delta, Delta::Text(said) | Delta::Input(said) if said.is_empty());
    events.push(ChatEvent::Opened { candidate, part, opening });
    let deltas = deltas.into_iter().filter(says);
    events.extend(deltas.map(|delta| ChatEvent::Delta { candidate, part, delta }));
    events.push(ChatEvent::Closed { candidate, part });
}

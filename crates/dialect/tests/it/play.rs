//! A plain reply as the events of a stream: the other way round of `gather`.

use dialect::{
    chat::{ChatReply, Content, Part},
    event::{ChatEvent, Delta, Opening},
};

pub(crate) fn play(reply: &ChatReply) -> Vec<ChatEvent> {
    let (id, model, created_s) = (reply.id.clone(), reply.model.clone(), reply.created_s);
    let mut events = vec![ChatEvent::Started { id, model, created_s }];
    for (candidate, said) in reply.candidates.iter().enumerate() {
        let candidate = candidate as u32;
        for (at, part) in said.parts.iter().enumerate() {
            play_part(candidate, at as u32, part, &mut events);
        }
        events.extend(said.stop.clone().map(|stop| ChatEvent::Stopped { candidate, stop }));
    }
    events.extend(reply.usage.map(ChatEvent::Usage));
    events.push(ChatEvent::Ended);
    events
}

fn play_part(candidate: u32, part: u32, whole: &Part, events: &mut Vec<ChatEvent>) {
    let (opening, said, input) = match whole.content.clone() {
        Content::Text { text, .. } => (Opening::Text, text, false),
        Content::Refusal { text } => (Opening::Refusal, text, false),
        Content::Reasoning { text } => (Opening::Reasoning, text, false),
        Content::ToolCall { id, name, input, custom } => {
            (Opening::ToolCall { id, name, custom }, input, true)
        }
        _ => (Opening::Whole(Box::new(whole.clone())), String::new(), false),
    };
    let tokens = |events: &mut Vec<ChatEvent>| {
        let tokens = whole.opaque.iter().cloned().map(Delta::Opaque);
        events.extend(tokens.map(|delta| ChatEvent::Delta { candidate, part, delta }));
    };
    let whole_part = matches!(opening, Opening::Whole(_));
    events.push(ChatEvent::Opened { candidate, part, opening });
    if input {
        tokens(events);
    }
    let letters: Vec<char> = said.chars().collect();
    for piece in letters.chunks(5) {
        let piece: String = piece.iter().collect();
        let delta = if input { Delta::Input(piece) } else { Delta::Text(piece) };
        events.push(ChatEvent::Delta { candidate, part, delta });
    }
    if !input && !whole_part {
        tokens(events);
    }
    events.push(ChatEvent::Closed { candidate, part });
}

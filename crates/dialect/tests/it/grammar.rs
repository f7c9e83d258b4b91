//! The grammar of canonical events, as a checker: what every decoder gives, and every encoder may rely on.

use std::collections::HashMap;

use dialect::{
    chat::{Content, Part},
    event::{ChatEvent, Delta, Opening},
};

#[derive(Default)]
struct Candidate {
    /// What is open, by part; `None`: closed.
    parts: Vec<Option<Opening>>,
    stopped: bool,
}

/// Whether the events are a beginning of an answer (`whole`: all of one); else what is wrong.
pub(crate) fn check(events: &[ChatEvent], whole: bool) -> Result<(), String> {
    let mut candidates: HashMap<u32, Candidate> = HashMap::new();
    let (mut started, mut over) = (false, false);
    for (at, event) in events.iter().enumerate() {
        let wrong = |what: &str| Err(format!("event {at}, {event:?}: {what}"));
        if over {
            return wrong("after the end");
        }
        if !started && !matches!(event, ChatEvent::Started { .. } | ChatEvent::Failed(_)) {
            return wrong("before the start");
        }
        match event {
            ChatEvent::Started { .. } if started => return wrong("a second start"),
            ChatEvent::Started { .. } => started = true,
            ChatEvent::Opened { candidate, part, opening } => {
                let books = candidates.entry(*candidate).or_default();
                if books.stopped {
                    return wrong("the candidate has stopped");
                }
                if *part as usize != books.parts.len() {
                    return wrong("parts are numbered one by one");
                }
                books.parts.push(Some(opening.clone()));
            }
            ChatEvent::Delta { candidate, part, delta } => {
                let books = candidates.entry(*candidate).or_default();
                let Some(Some(opening)) = books.parts.get(*part as usize) else { return wrong("not open") };
                if !fits(opening, delta) {
                    return wrong("no delta for such a part");
                }
            }
            ChatEvent::Closed { candidate, part } => {
                let books = candidates.entry(*candidate).or_default();
                match books.parts.get_mut(*part as usize) {
                    Some(open @ Some(_)) => *open = None,
                    _ => return wrong("not open"),
                }
            }
            ChatEvent::Stopped { candidate, .. } => {
                let books = candidates.entry(*candidate).or_default();
                if books.stopped || books.parts.iter().any(Option::is_some) {
                    return wrong("stopped twice, or with a part open");
                }
                books.stopped = true;
            }
            ChatEvent::Usage(_) => {}
            ChatEvent::Ended => {
                if candidates.is_empty() || candidates.values().any(|books| !books.stopped) {
                    return wrong("a candidate has not stopped");
                }
                over = true;
            }
            ChatEvent::Failed(_) => over = true,
        }
    }
    if whole && !over {
        return Err(format!("no end: {:?}", events.last()));
    }
    Ok(())
}

fn fits(opening: &Opening, delta: &Delta) -> bool {
    match (opening, delta) {
        (Opening::Whole(_), _) => false,
        (Opening::ToolCall { .. }, Delta::Input(text)) => !text.is_empty(),
        (Opening::Text | Opening::Reasoning | Opening::Refusal, Delta::Text(text)) => !text.is_empty(),
        (Opening::Text, Delta::Citation(_)) | (_, Delta::Opaque(_)) => true,
        _ => false,
    }
}

#[test]
fn the_checker_accepts_and_refuses() {
    use dialect::chat::{Stop, StopReason};
    let started = ChatEvent::Started { id: "a".into(), model: "m".into(), created_s: None };
    let opened = |part| ChatEvent::Opened { candidate: 0, part, opening: Opening::Text };
    let said = ChatEvent::Delta { candidate: 0, part: 0, delta: Delta::Text("hi".into()) };
    let closed = ChatEvent::Closed { candidate: 0, part: 0 };
    let stopped = ChatEvent::Stopped { candidate: 0, stop: Stop::new(StopReason::EndTurn) };
    let whole = [started.clone(), opened(0), said.clone(), closed.clone(), stopped.clone(), ChatEvent::Ended];
    assert_eq!(check(&whole, true), Ok(()));
    assert!(check(&whole[..5], true).is_err(), "no end");
    assert!(check(&whole[1..], true).is_err(), "no start");
    for wrong in [
        vec![started.clone(), started.clone()],
        vec![started.clone(), opened(1)],
        vec![started.clone(), said.clone()],
        vec![started.clone(), opened(0), stopped.clone()],
        vec![started.clone(), opened(0), closed.clone(), said],
        vec![started.clone(), stopped.clone(), opened(0)],
        vec![started.clone(), ChatEvent::Ended],
        vec![started, stopped, ChatEvent::Ended, closed],
    ] {
        assert!(check(&wrong, false).is_err(), "{wrong:?}");
    }
    let whole = Opening::Whole(Box::new(Part::new(Content::Refusal { text: String::new() })));
    assert!(!fits(&whole, &Delta::Text("x".into())));
}

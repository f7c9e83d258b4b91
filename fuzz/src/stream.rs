//! Streams: the same events however they are cut, in the order that encoders rely on; an end exactly where one was told.

use dialect::{Dialect, Framing, event::ChatEvent, translate::Telling};

use crate::{
    ACCOUNTINGS, Choices, DIALECTS, FRAMINGS, cut,
    gather::{decode, encode},
    grammar, single,
};

pub fn check(from: Dialect, bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (framing, accounting) = (choices.of(&FRAMINGS), choices.of(&ACCOUNTINGS));
    let sizes = [choices.take(), choices.take()];
    let bytes = choices.0;
    let events = decode(from, framing, accounting, &[bytes]);
    assert_eq!(grammar::check(&events, false), Ok(()));
    for pieces in [cut(bytes, sizes), single(bytes)] {
        assert_eq!(decode(from, framing, accounting, &pieces), events, "it depends on the cuts");
    }
    let telling = Telling { custom_tools: vec!["patch".to_owned()], wants_usage: true, ..Telling::default() };
    for to in DIALECTS {
        let out = encode(to, &events, &telling);
        let again = decode(to, Framing::Sse, accounting, &[&out]);
        let told = String::from_utf8_lossy(&out);
        assert_eq!(grammar::check(&again, false), Ok(()), "{from:?} to {to:?}: {told}");
        assert_eq!(has_ended(&again), has_ended(&events), "{from:?} to {to:?}: {told}");
    }
}

fn has_ended(events: &[ChatEvent]) -> bool {
    matches!(events.last(), Some(ChatEvent::Ended))
}

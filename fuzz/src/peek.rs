//! Request bodies of the relay lane: what was peeked at is spliced without another byte changed, and the edits are in
//! force when it is peeked at again.

use bytes::Bytes;
use dialect::{
    Dialect, Door, Edits, Operation, OutputLimit, OwnThinking, ThinkingEdit,
    chat::{Effort, Thinking},
    peek, splice,
    translate::Target,
};
use serde_json::{Map, Value};

use crate::{Choices, DIALECTS, OPERATIONS};

/// Lower than what clients ask for, and not the same as a seed's.
const TOKENS: u64 = 17;

const HIGH: Thinking = Thinking { mode: None, effort: Some(Effort::High), shown: None };

pub fn check(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let door = Door::new(choices.of(&DIALECTS), choices.of(&OPERATIONS));
    let (limited, thinks) = choices.of(&[(false, false), (true, false), (true, true), (false, true)]);
    let body = Bytes::copy_from_slice(choices.0);
    let Ok(envelope) = peek(door, &body) else { return };
    assert_eq!(splice(&body, &envelope, &Edits::default()).parts.concat(), body, "nothing was asked for");
    let chat = door.operation == Operation::Chat;
    let limit = OutputLimit {
        dialect: door.dialect,
        operation: door.operation,
        tokens: TOKENS,
        new_name: choices.0.len() % 2 == 0,
    };
    let wish = ThinkingEdit { dialect: door.dialect, thinking: HIGH, target: Target::default() };
    let edits = Edits {
        model: Some("another"),
        ask_usage: true,
        output_limit: Some(limit).filter(|_| limited && chat),
        one_model: true,
        thinking: Some(wish).filter(|_| thinks && chat),
        own_thinking: None,
    };
    let edited = splice(&body, &envelope, &edits);
    // A stored object is asked for without a body.
    assert!(body.is_empty() || edited.parts.iter().all(|part| !part.is_empty()), "an empty part");
    assert_eq!(edited.len(), edited.parts.iter().map(Bytes::len).sum::<usize>());
    let edited = edited.parts.concat();
    let words = String::from_utf8_lossy(&edited);
    let again = peek(door, &edited).unwrap_or_else(|error| panic!("{error:?} after the edits: {words}"));
    if door.dialect != Dialect::GeminiGenerate && !envelope.model.is_empty() {
        assert_eq!(again.model, "another", "{words}");
    }
    assert!(again.fallbacks.is_empty(), "{words}");
    // There a budget to think with may raise it.
    let raised = thinks && door.dialect == Dialect::AnthropicMessages;
    if limited && chat && !raised {
        assert!(again.max_output.is_some_and(|most| most <= TOKENS), "{words}");
    }
    if !thinks {
        same_otherwise(&body, &edited);
    }
    let own_thinking = Some(OwnThinking { dialect: door.dialect, signs_calls: limited });
    let own = splice(&body, &envelope, &Edits { own_thinking, ..Edits::default() }).parts.concat();
    assert!(peek(door, &own).is_ok(), "no JSON without others' thinking: {}", String::from_utf8_lossy(&own));
    assert!(envelope.marked || own == body, "nothing was marked");
}

/// Members of the body that no edit concerns are as they were.
fn same_otherwise(before: &[u8], after: &[u8]) {
    let read = |bytes| serde_json::from_slice::<Map<String, Value>>(bytes);
    let Ok(mut before) = read(before) else { return };
    let mut after = read(after).expect("it was an object before the edits");
    let edited = [
        "model",
        "models",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "generationConfig",
    ];
    for members in [&mut before, &mut after] {
        members.retain(|key, _| !edited.contains(&&**key));
    }
    assert_eq!(after, before, "a member that no edit concerns has changed");
}

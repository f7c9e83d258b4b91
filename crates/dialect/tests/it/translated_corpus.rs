//! Recorded traffic through the canonical form and into every dialect, where the recordings are at hand.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use std::collections::BTreeMap;

use dialect::{
    Accounting, Dialect, Framing, Operation,
    event::ChatEvent,
    translate::{
        FromPath, Target, Telling, Untranslatable, decode_reply, decode_request, encode_reply, encode_request,
    },
};

use crate::{
    corpus::{OTHER_LANGUAGES, Recording, read_recordings},
    gather::{decode, encode, gather, gist},
    grammar::check,
};

/// OpenRouter fetches a file from an address in `file_data`; OpenAI's own chat does not.
const FILE_BY_ADDRESS: &str = "openrouter.chat.unary.d964ea4f96";

fn telling() -> Telling {
    Telling { id: "answer-1".into(), now_s: 1_800_000_000, wants_usage: true, ..Telling::default() }
}

fn chats(recordings: &[Recording]) -> impl Iterator<Item = &Recording> {
    recordings.iter().filter(|recording| recording.door.operation == Operation::Chat)
}

#[test]
fn recorded_requests_are_translated() {
    let Some(recordings) = read_recordings() else { return };
    let (mut requests, mut refused, mut wrong) = (0, BTreeMap::<String, u32>::new(), Vec::new());
    for recording in chats(&recordings) {
        let body = &recording.record["request"]["body"];
        if !body.is_object() {
            continue;
        }
        let path = FromPath { model: "model", stream: false };
        let request = match decode_request(recording.door.dialect, body.to_string().as_bytes(), path) {
            Ok(request) => request,
            // The provider refused it, too.
            Err(_) if recording.status >= 400 => continue,
            Err(error) => {
                wrong.push(format!("{}: {error:?}", recording.id));
                continue;
            }
        };
        requests += 1;
        for dialect in Dialect::ALL {
            let target = Target { model: "other", max_output: Some(32_000), ..Target::default() };
            match encode_request(dialect, &request, &target) {
                Ok(encoded) => {
                    let path = FromPath { model: "other", stream: request.stream };
                    if let Err(error) = decode_request(dialect, &encoded.body, path) {
                        wrong.push(format!("{} to {}: {error:?}", recording.id, dialect.name()));
                    }
                }
                Err(Untranslatable::Unsupported { field, dialect, reason }) => {
                    *refused.entry(format!("{field} to {}: {reason}", dialect.name())).or_default() += 1;
                    if dialect == recording.door.dialect && recording.id != FILE_BY_ADDRESS {
                        wrong.push(format!("{}: its own {field} is refused: {reason}", recording.id));
                    }
                }
                Err(error) => wrong.push(format!("{} to {}: {error:?}", recording.id, dialect.name())),
            }
        }
    }
    println!("{requests} requests, each to four dialects; refused: {refused:#?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_replies_are_translated() {
    let Some(recordings) = read_recordings() else { return };
    let (mut replies, mut wrong) = (0, Vec::new());
    for recording in chats(&recordings).filter(|recording| recording.status == 200) {
        let Some(body) = recording.body() else { continue };
        if !body.starts_with('{') || body.contains("\"error\":{") {
            continue;
        }
        let accounting = recording.options().accounting;
        let reply = match decode_reply(recording.door.dialect, body.as_bytes(), accounting) {
            Ok(reply) => reply,
            Err(error) => {
                wrong.push(format!("{}: {error:?}", recording.id));
                continue;
            }
        };
        replies += 1;
        let before = gist(&reply);
        for dialect in Dialect::ALL {
            let encoded = encode_reply(dialect, &reply, &telling());
            match decode_reply(dialect, &encoded.body, Accounting::Standard) {
                Ok(again) => {
                    let after = gist(&again);
                    if before.tokens.is_some() && after != before {
                        wrong.push(format!("{} to {}:\n{before:?}\n{after:?}", recording.id, dialect.name()));
                    }
                }
                Err(error) => wrong.push(format!("{} to {}: {error:?}", recording.id, dialect.name())),
            }
        }
    }
    println!("{replies} replies, each to four dialects");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_streams_are_translated() {
    let Some(recordings) = read_recordings() else { return };
    let (mut streams, mut wrong) = (0, Vec::new());
    for recording in chats(&recordings) {
        let Some(bytes) = recording.stream() else { continue };
        if OTHER_LANGUAGES.iter().any(|(id, _)| *id == recording.id) {
            continue;
        }
        streams += 1;
        let options = recording.options();
        let events = decode(recording.door.dialect, Framing::Sse, options.accounting, &[&bytes]);
        if let Err(error) = check(&events, true) {
            wrong.push(format!("{}: {error}", recording.id));
            continue;
        }
        if matches!(events.last(), Some(ChatEvent::Failed(_))) {
            continue;
        }
        let before = gist(&gather(&events));
        for dialect in Dialect::ALL {
            let out = encode(dialect, &events, &telling());
            let again = decode(dialect, Framing::Sse, Accounting::Standard, &[&out]);
            if let Err(error) = check(&again, true) {
                wrong.push(format!("{} to {}: {error}", recording.id, dialect.name()));
                continue;
            }
            let after = gist(&gather(&again));
            if before.tokens.is_some() && after != before {
                wrong.push(format!("{} to {}:\n{before:?}\n{after:?}", recording.id, dialect.name()));
            }
        }
    }
    println!("{streams} streams, each to four dialects");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

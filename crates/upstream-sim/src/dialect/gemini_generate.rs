//! Gemini generateContent.
//!
//! In: a `Reply` and its text; out: JSON and chunks, each a whole slice of the answer with the usage so far;
//! the last one carries the finish reason, and nothing else marks the end.

use super::Telling;
use crate::fill::{Slot::*, fill, filled};
use crate::reply::{Call, PREFACE, REASONING, Reply, Reported, SIGNATURE};

/// `candidatesTokenCount` leaves the thoughts out, the total has them.
fn usage(reply: &Reply<'_>, output: u64) -> String {
    match reply.reported(output) {
        Reported::Absent => String::new(),
        Reported::Null => r#""usageMetadata":null,"#.to_owned(),
        Reported::Tokens(usage) => {
            let thoughts = reply.reasoning_tokens(usage);
            let visible = usage.output - thoughts;
            let total = usage.input.saturating_add(usage.output);
            let thoughts = match thoughts {
                0 => String::new(),
                thoughts => format!(r#","thoughtsTokenCount":{thoughts}"#),
            };
            filled(
                concat!(
                    r#""usageMetadata":{"promptTokenCount":@,"candidatesTokenCount":@,"totalTokenCount":@,"#,
                    r#""promptTokensDetails":[{"modality":"TEXT","tokenCount":@}]@},"#
                ),
                &[Num(usage.input), Num(visible), Num(total), Num(usage.input), Raw(&thoughts)],
            )
        }
    }
}

/// A response with one candidate.
fn response(reply: &Reply<'_>, parts: &str, finish: &str, output: u64, out: &mut Vec<u8>) {
    fill(
        out,
        concat!(
            r#"{"candidates":[{"content":{"parts":[@],"role":"model"}@,"index":0}],"#,
            r#"@"modelVersion":@,"responseId":"sim-@"}"#
        ),
        &[Raw(parts), Raw(finish), Raw(&usage(reply, output)), Text(reply.model), Num(reply.id)],
    );
}

const STOP: &str = r#","finishReason":"STOP""#;

fn said(text: &str) -> String {
    filled(r#"{"text":@}"#, &[Text(text)])
}

fn thought(text: &str) -> String {
    filled(r#"{"text":@,"thought":true}"#, &[Text(text)])
}

/// The call beside the first one, which alone is signed.
fn called_again(call: Call<'_>) -> String {
    filled(r#"{"functionCall":{"name":@,"args":@}}"#, &[Text(call.name), Raw(call.arguments)])
}

fn called(reply: &Reply<'_>, call: Call<'_>) -> String {
    let signature =
        if reply.reasoning { format!(r#","thoughtSignature":"{SIGNATURE}""#) } else { String::new() };
    let template = r#"{"functionCall":{"name":@,"args":@}@}"#;
    filled(template, &[Text(call.name), Raw(call.arguments), Raw(&signature)])
}

pub(super) fn plain(reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) {
    let mut parts = match reply.tool {
        Some(call) => called(reply, call),
        None => said(text),
    };
    if let (true, Some(call)) = (reply.busy, reply.tool) {
        parts = format!("{},{parts},{}", said(PREFACE), called_again(call));
    }
    if reply.reasoning {
        parts = format!("{},{parts}", thought(&REASONING.concat()));
    }
    response(reply, &parts, STOP, reply.counted.output, out);
}

fn chunk(telling: &mut Telling<'_>, parts: &str, finish: &str) {
    let (reply, output) = (telling.reply, telling.output());
    telling.frames.event(None, |out| response(reply, parts, finish, output, out));
}

pub(super) fn open(telling: &mut Telling<'_>) {
    if telling.reply.reasoning {
        for piece in REASONING {
            chunk(telling, &thought(piece), "");
        }
    }
    if telling.reply.busy {
        chunk(telling, &said(PREFACE), "");
    }
}

/// A chunk that says nothing.
pub(super) fn empty(telling: &mut Telling<'_>) {
    chunk(telling, &said(""), "");
}

pub(super) fn content(telling: &mut Telling<'_>, piece: &str) {
    let part = match telling.reply.tool {
        // A call is never cut into pieces here.
        Some(call) => called(telling.reply, call),
        None => said(piece),
    };
    chunk(telling, &part, "");
}

pub(super) fn close(telling: &mut Telling<'_>) {
    if let (true, Some(call)) = (telling.reply.busy, telling.reply.tool) {
        chunk(telling, &called_again(call), "");
    }
    chunk(telling, &said(""), STOP);
    telling.frames.close();
}

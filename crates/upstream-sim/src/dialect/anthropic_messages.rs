//! Anthropic Messages.
//!
//! In: a `Reply` and its text; out: JSON and events: message_start, blocks one after the other, message_delta,
//! message_stop.

use super::Telling;
use crate::fill::{Slot::*, fill, filled};
use crate::reply::{PREFACE, REASONING, Reply, Reported, SIGNATURE};

/// What `message_start` reports as output: the API counts the first token there.
const FIRST_OUTPUT: u64 = 1;

fn usage(reply: &Reply<'_>, output: u64) -> String {
    match reply.reported(output) {
        Reported::Absent => String::new(),
        Reported::Null => r#","usage":null"#.to_owned(),
        Reported::Tokens(usage) => tokens(usage.input, usage.output),
    }
}

fn tokens(input: u64, output: u64) -> String {
    filled(
        concat!(
            r#","usage":{"input_tokens":@,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"#,
            r#""output_tokens":@}"#
        ),
        &[Num(input), Num(output)],
    )
}

pub(super) fn plain(reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) {
    let head = r#"{"id":"msg_sim@","type":"message","role":"assistant","model":@,"content":["#;
    fill(out, head, &[Num(reply.id), Text(reply.model)]);
    if reply.reasoning {
        let thinking = r#"{"type":"thinking","thinking":@,"signature":@},"#;
        fill(out, thinking, &[Text(&REASONING.concat()), Text(SIGNATURE)]);
    }
    let stop = match reply.tool {
        Some(call) => {
            let block = r#"{"type":"tool_use","id":"toolu_sim@","name":@,"input":@}"#;
            if reply.busy {
                fill(out, r#"{"type":"text","text":@},"#, &[Text(PREFACE)]);
            }
            fill(out, block, &[Num(reply.id), Text(call.name), Raw(call.arguments)]);
            if reply.busy {
                let block = r#",{"type":"tool_use","id":"toolu_simb@","name":@,"input":@}"#;
                fill(out, block, &[Num(reply.id), Text(call.name), Raw(call.arguments)]);
            }
            "tool_use"
        }
        None => {
            fill(out, r#"{"type":"text","text":@}"#, &[Text(text)]);
            "end_turn"
        }
    };
    let tail = r#"],"stop_reason":@,"stop_sequence":null@}"#;
    fill(out, tail, &[Text(stop), Raw(&usage(reply, reply.counted.output))]);
}

/// An event whose data is a filled template.
fn event(telling: &mut Telling<'_>, name: &str, data: &str) {
    telling.frames.event(Some(name), |out| out.extend_from_slice(data.as_bytes()));
}

/// The block that carries the content; a thinking block and a sentence may go before it.
fn content_index(reply: &Reply<'_>) -> u64 {
    u64::from(reply.reasoning) + u64::from(reply.busy)
}

pub(super) fn open(telling: &mut Telling<'_>) {
    let reply = telling.reply;
    let usage = match reply.reported(FIRST_OUTPUT) {
        Reported::Tokens(usage) => tokens(usage.input, FIRST_OUTPUT),
        Reported::Absent | Reported::Null => usage(reply, FIRST_OUTPUT),
    };
    let start = filled(
        concat!(
            r#"{"type":"message_start","message":{"id":"msg_sim@","type":"message","role":"assistant","#,
            r#""model":@,"content":[],"stop_reason":null,"stop_sequence":null@}}"#
        ),
        &[Num(reply.id), Text(reply.model), Raw(&usage)],
    );
    event(telling, "message_start", &start);
    if reply.reasoning {
        think(telling);
    }
    if reply.busy {
        let index = content_index(reply) - 1;
        start_block(telling, index, r#"{"type":"text","text":""}"#);
        delta(telling, index, &filled(r#"{"type":"text_delta","text":@}"#, &[Text(PREFACE)]));
        stop_block(telling, index);
    }
    let block = match reply.tool {
        Some(call) => {
            let block = r#"{"type":"tool_use","id":"toolu_sim@","name":@,"input":{}}"#;
            filled(block, &[Num(reply.id), Text(call.name)])
        }
        None => r#"{"type":"text","text":""}"#.to_owned(),
    };
    start_block(telling, content_index(reply), &block);
    ping(telling);
}

fn think(telling: &mut Telling<'_>) {
    start_block(telling, 0, r#"{"type":"thinking","thinking":"","signature":""}"#);
    for piece in REASONING {
        delta(telling, 0, &filled(r#"{"type":"thinking_delta","thinking":@}"#, &[Text(piece)]));
    }
    delta(telling, 0, &filled(r#"{"type":"signature_delta","signature":@}"#, &[Text(SIGNATURE)]));
    stop_block(telling, 0);
}

fn start_block(telling: &mut Telling<'_>, index: u64, block: &str) {
    let template = r#"{"type":"content_block_start","index":@,"content_block":@}"#;
    event(telling, "content_block_start", &filled(template, &[Num(index), Raw(block)]));
}

fn delta(telling: &mut Telling<'_>, index: u64, delta: &str) {
    let template = r#"{"type":"content_block_delta","index":@,"delta":@}"#;
    telling.frames.event(Some("content_block_delta"), |out| fill(out, template, &[Num(index), Raw(delta)]));
}

fn stop_block(telling: &mut Telling<'_>, index: u64) {
    let template = r#"{"type":"content_block_stop","index":@}"#;
    event(telling, "content_block_stop", &filled(template, &[Num(index)]));
}

pub(super) fn ping(telling: &mut Telling<'_>) {
    event(telling, "ping", r#"{"type": "ping"}"#);
}

pub(super) fn content(telling: &mut Telling<'_>, piece: &str) {
    let template = match telling.reply.tool {
        Some(_) => r#"{"type":"input_json_delta","partial_json":@}"#,
        None => r#"{"type":"text_delta","text":@}"#,
    };
    delta(telling, content_index(telling.reply), &filled(template, &[Text(piece)]));
}

pub(super) fn close(telling: &mut Telling<'_>) {
    let (reply, output) = (telling.reply, telling.output());
    stop_block(telling, content_index(reply));
    if let (true, Some(call)) = (reply.busy, reply.tool) {
        let index = content_index(reply) + 1;
        let block = r#"{"type":"tool_use","id":"toolu_simb@","name":@,"input":{}}"#;
        start_block(telling, index, &filled(block, &[Num(reply.id), Text(call.name)]));
        let input = r#"{"type":"input_json_delta","partial_json":@}"#;
        delta(telling, index, &filled(input, &[Text(call.arguments)]));
        stop_block(telling, index);
    }
    let stop = if reply.tool.is_some() { "tool_use" } else { "end_turn" };
    let template = r#"{"type":"message_delta","delta":{"stop_reason":@,"stop_sequence":null}@}"#;
    let last = filled(template, &[Text(stop), Raw(&usage(reply, output))]);
    event(telling, "message_delta", &last);
    event(telling, "message_stop", r#"{"type":"message_stop"}"#);
}

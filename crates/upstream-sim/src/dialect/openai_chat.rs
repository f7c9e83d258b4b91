//! OpenAI Chat Completions, and the older operations of the same API.
//!
//! In: a `Reply` and its text; out: JSON and chunks: role, content, finish, usage if asked for, `[DONE]`.

use super::Telling;
use crate::ask::Ask;
use crate::fill::{Slot::*, fill, filled};
use crate::reply::{PREFACE, REASONING, Reply, Reported};

/// Numbers in an embedding when the caller does not say.
const DIMENSIONS: usize = 16;
/// More than any real model has; keeps a wrong request from filling the memory.
const DIMENSIONS_MAX: usize = 8192;

fn usage(reply: &Reply<'_>, output: u64) -> String {
    match reply.reported(output) {
        Reported::Absent => String::new(),
        Reported::Null => r#","usage":null"#.to_owned(),
        Reported::Tokens(usage) => filled(
            concat!(
                r#","usage":{"prompt_tokens":@,"completion_tokens":@,"total_tokens":@,"#,
                r#""prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"#,
                r#""completion_tokens_details":{"reasoning_tokens":@,"audio_tokens":0,"#,
                r#""accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#
            ),
            &[
                Num(usage.input),
                Num(usage.output),
                Num(usage.input.saturating_add(usage.output)),
                Num(reply.reasoning_tokens(usage)),
            ],
        ),
    }
}

pub(super) fn plain(reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) {
    fill(
        out,
        concat!(
            r#"{"id":"chatcmpl-sim@","object":"chat.completion","created":@,"model":@,"#,
            r#""choices":[{"index":0,"message":{"role":"assistant","#
        ),
        &[Num(reply.id), Num(reply.created), Text(reply.model)],
    );
    if reply.reasoning {
        fill(out, r#""reasoning_content":@,"#, &[Text(&REASONING.concat())]);
    }
    match reply.tool {
        Some(call) => {
            let one = r#"{"id":@,"type":"function","function":{"name":@,"arguments":@}}"#;
            let id = format!("call_sim{}", reply.id);
            let mut calls = filled(one, &[Text(&id), Text(call.name), Text(call.arguments)]);
            let mut content = "null".to_owned();
            if reply.busy {
                content = filled("@", &[Text(PREFACE)]);
                calls.push(',');
                fill_second(reply, one, &mut calls);
            }
            let message = concat!(
                r#""content":@,"refusal":null,"tool_calls":[@]},"#,
                r#""logprobs":null,"finish_reason":"tool_calls"}]"#
            );
            fill(out, message, &[Raw(&content), Raw(&calls)]);
        }
        None => fill(
            out,
            concat!(
                r#""content":@,"refusal":null,"annotations":[]},"#,
                r#""logprobs":null,"finish_reason":"stop"}]"#
            ),
            &[Text(text)],
        ),
    }
    let tail = r#"@,"service_tier":"default","system_fingerprint":"fp_sim"}"#;
    fill(out, tail, &[Raw(&usage(reply, reply.counted.output))]);
}

/// Appends the call that a busy answer makes beside the first.
fn fill_second(reply: &Reply<'_>, template: &str, calls: &mut String) {
    if let Some(call) = reply.tool {
        let id = format!("call_simb{}", reply.id);
        calls.push_str(&filled(template, &[Text(&id), Text(call.name), Text(call.arguments)]));
    }
}

/// A chunk with one choice; `usage:null` is there only when usage was asked for, as the API does.
fn chunk(telling: &mut Telling<'_>, delta: &str, finish: &str) {
    let reply = telling.reply;
    let usage = if reply.include_usage { r#","usage":null"# } else { "" };
    telling.frames.event(None, |out| {
        fill(
            out,
            concat!(
                r#"{"id":"chatcmpl-sim@","object":"chat.completion.chunk","created":@,"model":@,"#,
                r#""service_tier":"default","system_fingerprint":"fp_sim","#,
                r#""choices":[{"index":0,"delta":@,"logprobs":null,"finish_reason":@}]@}"#
            ),
            &[Num(reply.id), Num(reply.created), Text(reply.model), Raw(delta), Raw(finish), Raw(usage)],
        );
    });
}

pub(super) fn open(telling: &mut Telling<'_>) {
    let content = if telling.reply.tool.is_some() { "null" } else { r#""""# };
    let delta = filled(r#"{"role":"assistant","content":@,"refusal":null}"#, &[Raw(content)]);
    chunk(telling, &delta, "null");
    if telling.reply.reasoning {
        for piece in REASONING {
            chunk(telling, &filled(r#"{"reasoning_content":@}"#, &[Text(piece)]), "null");
        }
    }
    if telling.reply.busy {
        chunk(telling, &filled(r#"{"content":@}"#, &[Text(PREFACE)]), "null");
    }
}

pub(super) fn content(telling: &mut Telling<'_>, piece: &str) {
    let delta = match telling.reply.tool {
        Some(call) if telling.told == 0 => filled(
            concat!(
                r#"{"tool_calls":[{"index":0,"id":"call_sim@","type":"function","#,
                r#""function":{"name":@,"arguments":@}}]}"#
            ),
            &[Num(telling.reply.id), Text(call.name), Text(piece)],
        ),
        Some(_) => filled(r#"{"tool_calls":[{"index":0,"function":{"arguments":@}}]}"#, &[Text(piece)]),
        None => filled(r#"{"content":@}"#, &[Text(piece)]),
    };
    chunk(telling, &delta, "null");
}

pub(super) fn close(telling: &mut Telling<'_>, with_done: bool) {
    let (reply, output) = (telling.reply, telling.output());
    if reply.busy {
        let mut call = String::new();
        let template = r#"{"index":1,"id":@,"type":"function","function":{"name":@,"arguments":@}}"#;
        fill_second(reply, template, &mut call);
        chunk(telling, &filled(r#"{"tool_calls":[@]}"#, &[Raw(&call)]), "null");
    }
    if telling.is_completion {
        completion_chunk(telling, "", r#""stop""#);
    } else {
        chunk(telling, "{}", if reply.tool.is_some() { r#""tool_calls""# } else { r#""stop""# });
    }
    if reply.include_usage {
        telling.frames.event(None, |out| {
            fill(
                out,
                concat!(
                    r#"{"id":"chatcmpl-sim@","object":"chat.completion.chunk","created":@,"model":@,"#,
                    r#""service_tier":"default","system_fingerprint":"fp_sim","choices":[]@}"#
                ),
                &[Num(reply.id), Num(reply.created), Text(reply.model), Raw(&usage(reply, output))],
            );
        });
    }
    if with_done {
        telling.frames.event(None, |out| out.extend_from_slice(b"[DONE]"));
    }
}

/// The plain answer of `/completions`.
pub(crate) fn completion(reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) {
    fill(
        out,
        concat!(
            r#"{"id":"cmpl-sim@","object":"text_completion","created":@,"model":@,"#,
            r#""choices":[{"text":@,"index":0,"logprobs":null,"finish_reason":"stop"}]@}"#
        ),
        &[
            Num(reply.id),
            Num(reply.created),
            Text(reply.model),
            Text(text),
            Raw(&usage(reply, reply.counted.output)),
        ],
    );
}

pub(super) fn completion_content(telling: &mut Telling<'_>, piece: &str) {
    completion_chunk(telling, piece, "null");
}

fn completion_chunk(telling: &mut Telling<'_>, piece: &str, finish: &str) {
    let reply = telling.reply;
    telling.frames.event(None, |out| {
        fill(
            out,
            concat!(
                r#"{"id":"cmpl-sim@","object":"text_completion","created":@,"model":@,"#,
                r#""choices":[{"text":@,"index":0,"logprobs":null,"finish_reason":@}]}"#
            ),
            &[Num(reply.id), Num(reply.created), Text(reply.model), Text(piece), Raw(finish)],
        );
    });
}

pub(crate) fn embeddings(reply: &Reply<'_>, ask: &Ask, out: &mut Vec<u8>) {
    let dimensions = ask.dimensions.unwrap_or(DIMENSIONS).min(DIMENSIONS_MAX);
    out.extend_from_slice(br#"{"object":"list","data":["#);
    for index in 0..ask.inputs {
        let numbers = (0..dimensions).map(|n| ((index + n) % 16) as f32 / 16.0 - 0.5);
        let vector = if ask.wants_base64 {
            let bytes: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
            format!("\"{}\"", base64(&bytes))
        } else {
            let listed: Vec<String> = numbers.map(|n| n.to_string()).collect();
            format!("[{}]", listed.join(","))
        };
        let comma = if index == 0 { "" } else { "," };
        let item = r#"@{"object":"embedding","index":@,"embedding":@}"#;
        fill(out, item, &[Raw(comma), Num(index as u64), Raw(&vector)]);
    }
    fill(out, r#"],"model":@"#, &[Text(reply.model)]);
    match reply.reported(0) {
        Reported::Absent => {}
        Reported::Null => out.extend_from_slice(br#","usage":null"#),
        Reported::Tokens(usage) => {
            let usage = [Num(usage.input), Num(usage.input)];
            fill(out, r#","usage":{"prompt_tokens":@,"total_tokens":@}"#, &usage);
        }
    }
    out.push(b'}');
}

pub(crate) fn moderations(reply: &Reply<'_>, ask: &Ask, out: &mut Vec<u8>) {
    let result = serde_json::json!({
        "flagged": false,
        "categories": {"harassment": false, "hate": false, "self-harm": false, "sexual": false, "violence": false},
        "category_scores": {"harassment": 0.0, "hate": 0.0, "self-harm": 0.0, "sexual": 0.0, "violence": 0.0},
    });
    let results = vec![result.to_string(); ask.inputs].join(",");
    let template = r#"{"id":"modr-sim@","model":@,"results":[@]}"#;
    fill(out, template, &[Num(reply.id), Text(reply.model), Raw(&results)]);
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let part = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for digit in 0..4 {
            let is_padding = digit > three.len();
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if is_padding { '=' } else { DIGITS[value as usize] as char });
        }
    }
    text
}

//! OpenAI Responses.
//!
//! In: a `Reply` and its text; out: JSON, and numbered events: the response's life, then item by item, then
//! the whole response with its usage. There is no marker after that.

use super::Telling;
use crate::fill::{Slot::*, fill, filled};
use crate::reply::{Call, PREFACE, REASONING, Reply, Reported, SIGNATURE};
use serde_json::Value;

fn usage(reply: &Reply<'_>, output: u64) -> String {
    match reply.reported(output) {
        Reported::Absent => String::new(),
        Reported::Null => r#","usage":null"#.to_owned(),
        Reported::Tokens(usage) => filled(
            concat!(
                r#","usage":{"input_tokens":@,"input_tokens_details":{"cached_tokens":0},"output_tokens":@,"#,
                r#""output_tokens_details":{"reasoning_tokens":@},"total_tokens":@}"#
            ),
            &[
                Num(usage.input),
                Num(usage.output),
                Num(reply.reasoning_tokens(usage)),
                Num(usage.input.saturating_add(usage.output)),
            ],
        ),
    }
}

/// The response object; `error` and `output` are JSON, `usage` a field with its comma.
fn object(reply: &Reply<'_>, status: &str, error: &str, output: &str, usage: &str) -> String {
    filled(
        concat!(
            r#"{"id":"resp_sim@","object":"response","created_at":@,"status":@,"background":false,"#,
            r#""error":@,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":@,"#,
            r#""output":[@],"parallel_tool_calls":true,"previous_response_id":null,"#,
            r#""reasoning":{"effort":null,"summary":null},"service_tier":"default","store":true,"#,
            r#""temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"#,
            r#""top_p":1.0,"truncation":"disabled"@,"user":null,"metadata":{}}"#
        ),
        &[
            Num(reply.id),
            Num(reply.created),
            Text(status),
            Raw(error),
            Text(reply.model),
            Raw(output),
            Raw(usage),
        ],
    )
}

fn reasoning_item(reply: &Reply<'_>, with_summary: bool) -> String {
    let summary = match with_summary {
        true => filled(r#"{"type":"summary_text","text":@}"#, &[Text(&REASONING.concat())]),
        false => String::new(),
    };
    let token = match reply.encrypts {
        true => filled(r#","encrypted_content":@"#, &[Text(SIGNATURE)]),
        false => String::new(),
    };
    let template = r#"{"id":"rs_sim@","type":"reasoning","summary":[@]@}"#;
    filled(template, &[Num(reply.id), Raw(&summary), Raw(&token)])
}

fn text_part(text: &str) -> String {
    filled(r#"{"type":"output_text","annotations":[],"logprobs":[],"text":@}"#, &[Text(text)])
}

/// The item that answers: a message or a function call.
fn answer_item(reply: &Reply<'_>, status: &str, text: &str) -> String {
    let is_done = status == "completed";
    match reply.tool {
        Some(call) => filled(
            concat!(
                r#"{"id":"fc_sim@","type":"function_call","status":@,"arguments":@,"#,
                r#""call_id":"call_sim@","name":@}"#
            ),
            &[Num(reply.id), Text(status), Text(text), Num(reply.id), Text(call.name)],
        ),
        None => {
            let part = if is_done { text_part(text) } else { String::new() };
            filled(
                r#"{"id":"msg_sim@","type":"message","status":@,"content":[@],"role":"assistant"}"#,
                &[Num(reply.id), Text(status), Raw(&part)],
            )
        }
    }
}

/// The sentence before a busy answer's call.
fn preface_item(reply: &Reply<'_>, status: &str, content: &str) -> String {
    let template = r#"{"id":"msg_simp@","type":"message","status":@,"content":[@],"role":"assistant"}"#;
    filled(template, &[Num(reply.id), Text(status), Raw(content)])
}

/// The call beside the first one.
fn second_item(reply: &Reply<'_>, call: Call<'_>, status: &str, said: &str) -> String {
    let template = concat!(
        r#"{"id":"fc_simb@","type":"function_call","status":@,"arguments":@,"#,
        r#""call_id":"call_simb@","name":@}"#
    );
    filled(template, &[Num(reply.id), Text(status), Text(said), Num(reply.id), Text(call.name)])
}

fn finished(reply: &Reply<'_>, text: &str, output_tokens: u64) -> String {
    let said = reply.tool.map_or(text, |call| call.arguments);
    let mut output = answer_item(reply, "completed", said);
    if let (true, Some(call)) = (reply.busy, reply.tool) {
        let preface = preface_item(reply, "completed", &text_part(PREFACE));
        output = format!("{preface},{output},{}", second_item(reply, call, "completed", call.arguments));
    }
    if reply.reasoning {
        output = format!("{},{output}", reasoning_item(reply, true));
    }
    object(reply, "completed", "null", &output, &usage(reply, output_tokens))
}

pub(super) fn plain(reply: &Reply<'_>, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(finished(reply, text, reply.counted.output).as_bytes());
}

/// An event; `fields` starts with a comma.
fn event(telling: &mut Telling<'_>, name: &str, fields: &str) {
    let number = telling.next_sequence();
    telling.frames.event(Some(name), |out| {
        fill(out, r#"{"type":@,"sequence_number":@@}"#, &[Text(name), Num(number), Raw(fields)]);
    });
}

/// Where the answering item stands in the output.
fn item_index(reply: &Reply<'_>) -> u64 {
    u64::from(reply.reasoning) + u64::from(reply.busy)
}

fn item_id(reply: &Reply<'_>) -> String {
    format!("{}_sim{}", if reply.tool.is_some() { "fc" } else { "msg" }, reply.id)
}

/// The fields that say which part of which item an event is about.
fn place(reply: &Reply<'_>) -> String {
    let mut place =
        filled(r#","item_id":@,"output_index":@"#, &[Text(&item_id(reply)), Num(item_index(reply))]);
    if reply.tool.is_none() {
        place.push_str(r#","content_index":0"#);
    }
    place
}

pub(super) fn open(telling: &mut Telling<'_>) {
    let reply = telling.reply;
    let fields = format!(r#","response":{}"#, object(reply, "in_progress", "null", "", r#","usage":null"#));
    event(telling, "response.created", &fields);
    event(telling, "response.in_progress", &fields);
    if reply.reasoning {
        reason(telling);
    }
    if reply.busy {
        preface(telling);
    }
    let added = filled(
        r#","output_index":@,"item":@"#,
        &[Num(item_index(reply)), Raw(&answer_item(reply, "in_progress", ""))],
    );
    event(telling, "response.output_item.added", &added);
    if reply.tool.is_none() {
        let part = format!(r#"{},"part":{}"#, place(reply), text_part(""));
        event(telling, "response.content_part.added", &part);
    }
}

fn preface(telling: &mut Telling<'_>) {
    let reply = telling.reply;
    let index = item_index(reply) - 1;
    let item = |item: &str| filled(r#","output_index":@,"item":@"#, &[Num(index), Raw(item)]);
    let at =
        filled(r#","item_id":"msg_simp@","output_index":@,"content_index":0"#, &[Num(reply.id), Num(index)]);
    event(telling, "response.output_item.added", &item(&preface_item(reply, "in_progress", "")));
    event(telling, "response.content_part.added", &format!(r#"{at},"part":{}"#, text_part("")));
    for (name, key) in [("response.output_text.delta", "delta"), ("response.output_text.done", "text")] {
        event(telling, name, &filled(r#"@,"@":@,"logprobs":[]"#, &[Raw(&at), Raw(key), Text(PREFACE)]));
    }
    event(telling, "response.content_part.done", &format!(r#"{at},"part":{}"#, text_part(PREFACE)));
    let whole = preface_item(reply, "completed", &text_part(PREFACE));
    event(telling, "response.output_item.done", &item(&whole));
}

fn call_again(telling: &mut Telling<'_>, call: Call<'_>) {
    let reply = telling.reply;
    let index = item_index(reply) + 1;
    let item = |item: &str| filled(r#","output_index":@,"item":@"#, &[Num(index), Raw(item)]);
    let said = |key: &str| {
        filled(
            r#","item_id":"fc_simb@","output_index":@,"@":@"#,
            &[Num(reply.id), Num(index), Raw(key), Text(call.arguments)],
        )
    };
    event(telling, "response.output_item.added", &item(&second_item(reply, call, "in_progress", "")));
    event(telling, "response.function_call_arguments.delta", &said("delta"));
    event(telling, "response.function_call_arguments.done", &said("arguments"));
    let whole = second_item(reply, call, "completed", call.arguments);
    event(telling, "response.output_item.done", &item(&whole));
}

fn reason(telling: &mut Telling<'_>) {
    let reply = telling.reply;
    let item = |with_summary| format!(r#","output_index":0,"item":{}"#, reasoning_item(reply, with_summary));
    let at = format!(r#","item_id":"rs_sim{}","output_index":0,"summary_index":0"#, reply.id);
    let whole = REASONING.concat();
    let part = |text| filled(r#","part":{"type":"summary_text","text":@}"#, &[Text(text)]);
    event(telling, "response.output_item.added", &item(false));
    event(telling, "response.reasoning_summary_part.added", &format!("{at}{}", part("")));
    for piece in REASONING {
        let fields = filled(r#"@,"delta":@"#, &[Raw(&at), Text(piece)]);
        event(telling, "response.reasoning_summary_text.delta", &fields);
    }
    let done = filled(r#"@,"text":@"#, &[Raw(&at), Text(&whole)]);
    event(telling, "response.reasoning_summary_text.done", &done);
    event(telling, "response.reasoning_summary_part.done", &format!("{at}{}", part(&whole)));
    event(telling, "response.output_item.done", &item(true));
}

pub(super) fn content(telling: &mut Telling<'_>, piece: &str) {
    let reply = telling.reply;
    if reply.tool.is_some() {
        let fields = filled(r#"@,"delta":@"#, &[Raw(&place(reply)), Text(piece)]);
        event(telling, "response.function_call_arguments.delta", &fields);
    } else {
        let fields = filled(r#"@,"delta":@,"logprobs":[]"#, &[Raw(&place(reply)), Text(piece)]);
        event(telling, "response.output_text.delta", &fields);
    }
}

pub(super) fn close(telling: &mut Telling<'_>) {
    let (reply, output) = (telling.reply, telling.output());
    let text = telling.text.clone();
    if reply.tool.is_some() {
        let done = filled(r#"@,"arguments":@"#, &[Raw(&place(reply)), Text(&text)]);
        event(telling, "response.function_call_arguments.done", &done);
    } else {
        let done = filled(r#"@,"text":@,"logprobs":[]"#, &[Raw(&place(reply)), Text(&text)]);
        event(telling, "response.output_text.done", &done);
        let part = format!(r#"{},"part":{}"#, place(reply), text_part(&text));
        event(telling, "response.content_part.done", &part);
    }
    let item = answer_item(reply, "completed", &text);
    let done = filled(r#","output_index":@,"item":@"#, &[Num(item_index(reply)), Raw(&item)]);
    event(telling, "response.output_item.done", &done);
    if let (true, Some(call)) = (reply.busy, reply.tool) {
        call_again(telling, call);
    }
    let whole = format!(r#","response":{}"#, finished(reply, &text, output));
    event(telling, "response.completed", &whole);
}

/// The error event, then the failed response, as the API does both.
pub(super) fn fail(telling: &mut Telling<'_>, error: &Value) {
    let inner = &error["error"];
    let code = if inner["code"].is_null() { &inner["type"] } else { &inner["code"] };
    event(telling, "error", &format!(r#","error":{inner}"#));
    let told = format!(r#"{{"code":{code},"message":{}}}"#, inner["message"]);
    let failed = object(telling.reply, "failed", &told, "", r#","usage":null"#);
    event(telling, "response.failed", &format!(r#","response":{failed}"#));
}

/// What is asked about a response that was made earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredResponse {
    Get,
    Delete,
    Cancel,
    InputItems,
    Compact,
    CountInput,
}

/// The answers of the operations beside `POST /responses`.
pub(crate) fn stored_answer(
    what: StoredResponse,
    id: &str,
    reply: &Reply<'_>,
    text: &str,
    out: &mut Vec<u8>,
) {
    let own_id = format!("resp_sim{}", reply.id);
    match what {
        StoredResponse::Get => {
            let body = finished(reply, text, reply.counted.output).replacen(&own_id, id, 1);
            out.extend_from_slice(body.as_bytes());
        }
        StoredResponse::Delete => fill(out, r#"{"id":@,"object":"response","deleted":true}"#, &[Text(id)]),
        StoredResponse::Cancel => {
            let body = object(reply, "cancelled", "null", "", r#","usage":null"#).replacen(&own_id, id, 1);
            out.extend_from_slice(body.as_bytes());
        }
        StoredResponse::InputItems => fill(
            out,
            concat!(
                r#"{"object":"list","data":[{"id":"msg_sim_input","type":"message","status":"completed","#,
                r#""role":"user","content":[{"type":"input_text","text":"Hello"}]}],"#,
                r#""first_id":"msg_sim_input","last_id":"msg_sim_input","has_more":false}"#
            ),
            &[],
        ),
        StoredResponse::Compact => {
            let item = answer_item(reply, "completed", text);
            fill(
                out,
                r#"{"id":@,"object":"response.compaction","created_at":@,"output":[@]@}"#,
                &[Text(&own_id), Num(reply.created), Raw(&item), Raw(&usage(reply, reply.counted.output))],
            );
        }
        StoredResponse::CountInput => {
            let template = r#"{"object":"response.input_tokens","input_tokens":@}"#;
            fill(out, template, &[Num(reply.counted.input)]);
        }
    }
}

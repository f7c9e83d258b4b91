//! What a client reads in an answer of its dialect. It is as strict as the SDKs are: an end that is missing, doubled or
//! followed by something is a failure.

use serde_json::{Value, json};

use crate::harness::events;

/// An answer, whatever the dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub text: String,
    pub thinking: String,
    /// Name and arguments.
    pub calls: Vec<(String, Value)>,
    /// Of the calls; may be minted.
    pub ids: Vec<String>,
    /// The answer calls a tool, and says so where the dialect does.
    pub stopped_to_call: bool,
    pub input: u64,
    pub output: u64,
}

impl Said {
    /// Of a whole answer.
    pub fn whole(dialect: &str, body: &Value) -> Said {
        match dialect {
            "openai_chat" => chat(body),
            "openai_responses" => response(body),
            "anthropic_messages" => message(body),
            _ => gemini(std::slice::from_ref(body)),
        }
    }

    /// Of a stream that must be whole.
    pub fn streamed(dialect: &str, body: &[u8]) -> Said {
        let events = events(body);
        match dialect {
            "openai_chat" => chat_stream(&events),
            "openai_responses" => response_stream(&events),
            "anthropic_messages" => message_stream(&events),
            _ => gemini(&parsed(&events)),
        }
    }
}

fn parsed(events: &[String]) -> Vec<Value> {
    events.iter().map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{data}"))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn read_arguments(value: &Value) -> Value {
    serde_json::from_str(text(value)).unwrap_or_else(|_| panic!("arguments: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn chat(body: &Value) -> Said {
    assert_eq!(body["object"], "chat.completion", "{body}");
    let (choice, usage) = (&body["choices"][0], &body["usage"]);
    let message = &choice["message"];
    let calls = list(&message["tool_calls"]);
    Said {
        text: text(&message["content"]).into(),
        thinking: text(&message["reasoning_content"]).into(),
        calls: calls
            .iter()
            .map(|call| {
                (text(&call["function"]["name"]).into(), read_arguments(&call["function"]["arguments"]))
            })
            .collect(),
        ids: calls.iter().map(|call| text(&call["id"]).into()).collect(),
        stopped_to_call: choice["finish_reason"] == "tool_calls",
        input: usage["prompt_tokens"].as_u64().unwrap(),
        output: usage["completion_tokens"].as_u64().unwrap(),
    }
}

fn chat_stream(events: &[String]) -> Said {
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last, "[DONE]", "{events:?}");
    let mut said = Said::default();
    let mut inputs: Vec<String> = Vec::new();
    let mut finished = 0;
    for chunk in parsed(chunks) {
        assert_eq!(chunk["object"], "chat.completion.chunk", "{chunk}");
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            (said.input, said.output) =
                (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
        }
        for choice in list(&chunk["choices"]) {
            let delta = &choice["delta"];
            said.text.push_str(text(&delta["content"]));
            said.thinking.push_str(text(&delta["reasoning_content"]));
            for call in list(&delta["tool_calls"]) {
                let at = call["index"].as_u64().unwrap() as usize;
                if let Some(id) = call["id"].as_str() {
                    assert_eq!((at, inputs.len()), (said.ids.len(), at), "{chunk}");
                    said.ids.push(id.into());
                    said.calls.push((text(&call["function"]["name"]).into(), Value::Null));
                    inputs.push(String::new());
                }
                inputs[at].push_str(text(&call["function"]["arguments"]));
            }
            if let Some(reason) = choice["finish_reason"].as_str() {
                finished += 1;
                said.stopped_to_call = reason == "tool_calls";
            }
        }
    }
    assert_eq!(finished, 1, "{events:?}");
    for (call, input) in said.calls.iter_mut().zip(inputs) {
        call.1 = serde_json::from_str(&input).unwrap();
    }
    said
}

fn response(body: &Value) -> Said {
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")), "{body}");
    let mut said = Said {
        input: body["usage"]["input_tokens"].as_u64().unwrap(),
        output: body["usage"]["output_tokens"].as_u64().unwrap(),
        ..Said::default()
    };
    for item in list(&body["output"]) {
        match text(&item["type"]) {
            "message" => said.text.extend(list(&item["content"]).iter().map(|part| text(&part["text"]))),
            "reasoning" => {
                said.thinking.extend(list(&item["summary"]).iter().map(|part| text(&part["text"])))
            }
            "function_call" => {
                said.calls.push((text(&item["name"]).into(), read_arguments(&item["arguments"])));
                said.ids.push(text(&item["call_id"]).into());
                said.stopped_to_call = true;
            }
            other => panic!("{other}: {body}"),
        }
    }
    said
}

fn response_stream(events: &[String]) -> Said {
    let events = parsed(events);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number as u64, "{event}");
    }
    assert_eq!(events[0]["type"], "response.created", "{events:?}");
    let ends = events.iter().filter(|event| event["type"] == "response.completed").count();
    let last = events.last().unwrap();
    assert_eq!((ends, &last["type"]), (1, &json!("response.completed")), "{events:?}");
    let said = response(&last["response"]);
    let deltas = |kind: &str| -> String {
        events.iter().filter(|event| event["type"] == kind).map(|event| text(&event["delta"])).collect()
    };
    assert_eq!(deltas("response.output_text.delta"), said.text, "what came in pieces");
    for kind in ["response.output_item.added", "response.output_item.done"] {
        let told = events.iter().filter(|event| event["type"] == kind).count();
        assert_eq!(told, list(&last["response"]["output"]).len(), "{kind}");
    }
    said
}

fn message(body: &Value) -> Said {
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")), "{body}");
    let mut said = Said {
        stopped_to_call: body["stop_reason"] == "tool_use",
        input: body["usage"]["input_tokens"].as_u64().unwrap(),
        output: body["usage"]["output_tokens"].as_u64().unwrap(),
        ..Said::default()
    };
    for block in list(&body["content"]) {
        match text(&block["type"]) {
            "text" => said.text.push_str(text(&block["text"])),
            "thinking" => said.thinking.push_str(text(&block["thinking"])),
            "tool_use" => {
                said.calls.push((text(&block["name"]).into(), block["input"].clone()));
                said.ids.push(text(&block["id"]).into());
            }
            // Where a client of this dialect keeps the tokens of others.
            "redacted_thinking" => {}
            other => panic!("{other}: {body}"),
        }
    }
    said
}

/// Puts the message together as the SDK does, and reads that.
fn message_stream(events: &[String]) -> Said {
    let events = parsed(events);
    assert_eq!(events[0]["type"], "message_start", "{events:?}");
    assert_eq!(events.last().unwrap()["type"], "message_stop", "{events:?}");
    let mut body = events[0]["message"].clone();
    let (mut open, mut input, mut deltas) = (None, String::new(), 0);
    for event in &events[1..events.len() - 1] {
        let index = event["index"].as_u64().map(|index| index as usize);
        match text(&event["type"]) {
            "content_block_start" => {
                assert_eq!((open, index), (None, Some(list(&body["content"]).len())), "{event}");
                body["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                open = index;
            }
            "content_block_delta" => {
                assert_eq!(open, index, "{event}");
                let (block, delta) = (&mut body["content"][index.unwrap()], &event["delta"]);
                match text(&delta["type"]) {
                    "text_delta" => {
                        block["text"] = format!("{}{}", text(&block["text"]), text(&delta["text"])).into()
                    }
                    "thinking_delta" => {
                        block["thinking"] =
                            format!("{}{}", text(&block["thinking"]), text(&delta["thinking"])).into();
                    }
                    "input_json_delta" => input.push_str(text(&delta["partial_json"])),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    other => panic!("{other}: {event}"),
                }
            }
            "content_block_stop" => {
                assert_eq!(open.take(), index, "{event}");
                let block = &mut body["content"][index.unwrap()];
                if block["type"] == "tool_use" {
                    block["input"] = serde_json::from_str(&std::mem::take(&mut input)).unwrap();
                }
            }
            "message_delta" => {
                deltas += 1;
                body["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (key, value) in event["usage"].as_object().unwrap() {
                    body["usage"][key] = value.clone();
                }
            }
            "ping" => {}
            other => panic!("{other}: {event}"),
        }
    }
    assert_eq!((open, deltas), (None, 1), "{events:?}");
    message(&body)
}

fn gemini(chunks: &[Value]) -> Said {
    let mut said = Said::default();
    let mut finished = 0;
    for chunk in chunks {
        assert!(chunk.get("responseId").is_some(), "{chunk}");
        let usage = &chunk["usageMetadata"];
        if !usage.is_null() {
            let count = |key: &str| usage[key].as_u64().unwrap_or(0);
            (said.input, said.output) =
                (count("promptTokenCount"), count("candidatesTokenCount") + count("thoughtsTokenCount"));
        }
        let candidate = &chunk["candidates"][0];
        finished += usize::from(candidate["finishReason"] == "STOP");
        for part in list(&candidate["content"]["parts"]) {
            if let Some(call) = part.get("functionCall") {
                said.calls.push((text(&call["name"]).into(), call["args"].clone()));
                said.ids.push(text(&call["id"]).into());
                said.stopped_to_call = true;
            } else if part["thought"] == true {
                said.thinking.push_str(text(&part["text"]));
            } else {
                said.text.push_str(text(&part["text"]));
            }
        }
    }
    assert_eq!(finished, 1, "{chunks:?}");
    assert!(chunks.last().unwrap()["candidates"][0]["finishReason"] == "STOP", "{chunks:?}");
    said
}

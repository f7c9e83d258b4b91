//! The same request in each of the four dialects, and what a provider reads in it.

use serde_json::{Value, json};

use crate::{
    harness::{CHAT, MESSAGES, RESPONSES, post},
    wire::Request,
};

/// How far the conversation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// A question.
    Text,
    /// A question, with a tool to answer it.
    Tool,
    /// The tool's result.
    Result,
}

pub const QUESTION: &str = "How warm is it in Lisbon?";
pub const RULE: &str = "Be brief.";
pub const RESULT: &str = "17 degrees";
pub const CALL: &str = "call_of_the_client";
pub const LIMIT: u64 = 99;

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}})
}

pub fn body(dialect: &str, turn: Turn) -> Value {
    let (offered, answered) = (turn != Turn::Text, turn == Turn::Result);
    let arguments = json!({"city": "Lisbon"});
    let mut body = match dialect {
        "openai_chat" => {
            let mut messages = vec![
                json!({"role": "system", "content": RULE}),
                json!({"role": "user", "content": QUESTION}),
            ];
            if answered {
                let function = json!({"name": "get_weather", "arguments": arguments.to_string()});
                let call = json!({"id": CALL, "type": "function", "function": function});
                messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
                messages.push(json!({"role": "tool", "tool_call_id": CALL, "content": RESULT}));
            }
            json!({"max_tokens": LIMIT, "messages": messages})
        }
        "openai_responses" => {
            let mut input = vec![json!({"role": "user", "content": QUESTION})];
            if answered {
                input.push(json!({"type": "function_call", "call_id": CALL, "name": "get_weather",
                    "arguments": arguments.to_string()}));
                input.push(json!({"type": "function_call_output", "call_id": CALL, "output": RESULT}));
            }
            json!({"max_output_tokens": LIMIT, "instructions": RULE, "input": input})
        }
        "anthropic_messages" => {
            let mut messages = vec![json!({"role": "user", "content": QUESTION})];
            if answered {
                let call = json!({"type": "tool_use", "id": CALL, "name": "get_weather", "input": arguments});
                messages.push(json!({"role": "assistant", "content": [call]}));
                let result = json!({"type": "tool_result", "tool_use_id": CALL, "content": RESULT});
                messages.push(json!({"role": "user", "content": [result]}));
            }
            json!({"max_tokens": LIMIT, "system": RULE, "messages": messages})
        }
        "gemini_generate" => {
            let mut contents = vec![json!({"role": "user", "parts": [{"text": QUESTION}]})];
            if answered {
                let call = json!({"functionCall": {"id": CALL, "name": "get_weather", "args": arguments}});
                contents.push(json!({"role": "model", "parts": [call]}));
                let result = json!({"functionResponse":
                    {"id": CALL, "name": "get_weather", "response": {"output": RESULT}}});
                contents.push(json!({"role": "user", "parts": [result]}));
            }
            json!({"generationConfig": {"maxOutputTokens": LIMIT}, "contents": contents,
                "systemInstruction": {"parts": [{"text": RULE}]}})
        }
        other => unreachable!("{other}"),
    };
    if offered {
        let tool = match dialect {
            "openai_chat" => json!({"type": "function",
                "function": {"name": "get_weather", "parameters": schema()}}),
            "openai_responses" => json!({"type": "function", "name": "get_weather", "parameters": schema()}),
            "anthropic_messages" => json!({"name": "get_weather", "input_schema": schema()}),
            _ => json!({"functionDeclarations":
                [{"name": "get_weather", "parametersJsonSchema": schema()}]}),
        };
        body["tools"] = json!([tool]);
    }
    body
}

/// At the dialect's door, for a model.
pub fn request(dialect: &str, model: &str, mut body: Value, stream: bool) -> Request {
    if dialect == "gemini_generate" {
        let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        return post(format!("/v1beta/models/{model}:{method}"), body.to_string());
    }
    body["model"] = model.into();
    if stream {
        body["stream"] = true.into();
    }
    if stream && dialect == "openai_chat" {
        body["stream_options"] = json!({"include_usage": true});
    }
    let path = match dialect {
        "openai_chat" => CHAT,
        "openai_responses" => RESPONSES,
        _ => MESSAGES,
    };
    post(path, body.to_string())
}

/// What a provider was asked, in whatever dialect.
#[derive(Debug, Default, PartialEq)]
pub struct Asked {
    pub rule: String,
    pub question: String,
    pub limit: u64,
    pub tools: Vec<String>,
    /// The call that was made, by id and name, and the result for it.
    pub call: Option<(String, String, Value)>,
    pub result: Option<(String, String)>,
    pub stream: bool,
}

impl Asked {
    pub fn of(turn: Turn, stream: bool) -> Asked {
        let answered = turn == Turn::Result;
        Asked {
            rule: RULE.into(),
            question: QUESTION.into(),
            limit: LIMIT,
            tools: if turn == Turn::Text { Vec::new() } else { vec!["get_weather".into()] },
            call: answered.then(|| (CALL.into(), "get_weather".into(), json!({"city": "Lisbon"}))),
            result: answered.then(|| (CALL.into(), RESULT.into())),
            stream,
        }
    }

    /// Read from the body of a provider's request; `stream` is the path's word where the dialect has it there.
    pub fn read(dialect: &str, body: &Value, stream: bool) -> Asked {
        match dialect {
            "openai_chat" => Asked::chat(body),
            "openai_responses" => Asked::responses(body),
            "anthropic_messages" => Asked::anthropic(body),
            _ => Asked { stream, ..Asked::gemini(body) },
        }
    }

    fn chat(body: &Value) -> Asked {
        let mut asked =
            Asked { limit: number(&body["max_tokens"]), ..Asked::named(&body["tools"], "/function/name") };
        asked.stream = body["stream"] == true;
        for message in list(&body["messages"]) {
            match message["role"].as_str().unwrap() {
                "system" => asked.rule = text(&message["content"]),
                "user" => asked.question = text(&message["content"]),
                "assistant" => {
                    let call = &message["tool_calls"][0];
                    let input =
                        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
                    asked.call = Some((text(&call["id"]), text(&call["function"]["name"]), input));
                }
                "tool" => asked.result = Some((text(&message["tool_call_id"]), text(&message["content"]))),
                other => panic!("{other}: {body}"),
            }
        }
        asked
    }

    fn responses(body: &Value) -> Asked {
        let mut asked =
            Asked { limit: number(&body["max_output_tokens"]), ..Asked::named(&body["tools"], "/name") };
        asked.stream = body["stream"] == true;
        asked.rule = text(&body["instructions"]);
        for item in list(&body["input"]) {
            match item["type"].as_str().unwrap_or("message") {
                "message" => asked.question = text(&item["content"]),
                "function_call" => {
                    let input = serde_json::from_str(item["arguments"].as_str().unwrap()).unwrap();
                    asked.call = Some((text(&item["call_id"]), text(&item["name"]), input));
                }
                "function_call_output" => {
                    asked.result = Some((text(&item["call_id"]), text(&item["output"])))
                }
                other => panic!("{other}: {body}"),
            }
        }
        asked
    }

    fn anthropic(body: &Value) -> Asked {
        let mut asked = Asked { limit: number(&body["max_tokens"]), ..Asked::named(&body["tools"], "/name") };
        asked.stream = body["stream"] == true;
        asked.rule = text(&body["system"]);
        for message in list(&body["messages"]) {
            let blocks = message["content"].as_array().cloned().unwrap_or_default();
            match blocks.first() {
                Some(call) if call["type"] == "tool_use" => {
                    asked.call = Some((text(&call["id"]), text(&call["name"]), call["input"].clone()));
                }
                Some(result) if result["type"] == "tool_result" => {
                    asked.result = Some((text(&result["tool_use_id"]), text(&result["content"])));
                }
                _ => asked.question = text(&message["content"]),
            }
        }
        asked
    }

    fn gemini(body: &Value) -> Asked {
        let declared = &body["tools"][0]["functionDeclarations"];
        let limit = number(&body["generationConfig"]["maxOutputTokens"]);
        let mut asked = Asked { limit, ..Asked::named(declared, "/name") };
        asked.rule = text(&body["systemInstruction"]["parts"]);
        for content in list(&body["contents"]) {
            let part = &content["parts"][0];
            if let Some(call) = part.get("functionCall") {
                asked.call = Some((text(&call["id"]), text(&call["name"]), call["args"].clone()));
            } else if let Some(result) = part.get("functionResponse") {
                asked.result = Some((text(&result["id"]), text(&result["response"]["output"])));
            } else {
                asked.question = text(&content["parts"]);
            }
        }
        asked
    }

    fn named(tools: &Value, name: &str) -> Asked {
        let name = |tool: &Value| text(tool.pointer(name).unwrap_or(&Value::Null));
        Asked { tools: list(tools).iter().map(name).collect(), ..Asked::default() }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// A string, or the texts of parts.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| part["text"].as_str().unwrap_or("?")).collect(),
        _ => String::new(),
    }
}

//! A reply as it was heard, read by the test's own eyes: none of Sluice's code is used to read it.

use std::collections::BTreeMap;

use dialect::{Dialect, TapOptions};
use serde_json::Value;

/// Where the reply came from does not matter here: a fixture, or a recording.
pub(crate) struct Heard {
    pub(crate) name: String,
    pub(crate) options: TapOptions,
    pub(crate) status: u64,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) streamed: bool,
}

/// One event of a stream, or the one document.
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: String,
    pub(crate) json: Value,
}

/// What was said to the first choice's reader.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thoughts: String,
    pub(crate) calls: Vec<Call>,
    /// The addresses that the answer leans on, as one list for it all.
    pub(crate) sources: Vec<String>,
    pub(crate) finish: Option<String>,
    /// The last usage object.
    pub(crate) usage: Option<Value>,
    /// The words of the error.
    pub(crate) error: Option<String>,
    /// `[DONE]`, `response.completed`.
    pub(crate) closed: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) index: Option<u64>,
}

impl Heard {
    pub(crate) fn dialect(&self) -> Dialect {
        self.options.door.dialect
    }

    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn failed(&self) -> bool {
        self.status >= 400
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let raw = self.raw().replace("\r\n", "\n");
        if !self.streamed {
            let json = serde_json::from_str(&raw).unwrap_or(Value::Null);
            return vec![Event { name: None, data: raw, json }];
        }
        let field = |frame: &str, name: &str| {
            let lines = frame.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let values: Vec<_> = lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
            (!values.is_empty()).then(|| values.join("\n"))
        };
        let events = raw.split("\n\n").filter_map(|frame| {
            let data = field(frame, "data")?;
            let json = serde_json::from_str(&data).unwrap_or(Value::Null);
            Some(Event { name: field(frame, "event"), data, json })
        });
        events.collect()
    }

    pub(crate) fn say(&self) -> Said {
        let mut said = Said::default();
        for event in self.events() {
            match self.dialect() {
                _ if event.data == "[DONE]" => said.closed |= self.dialect() == Dialect::OpenaiChat,
                Dialect::OpenaiResponses => said.hear_responses(&event.json),
                _ => said.hear_chat(&event.json),
            }
        }
        said
    }
}

impl Said {
    fn hear_chat(&mut self, chunk: &Value) {
        for usage in [&chunk["x_groq"]["usage"], &chunk["usage"]] {
            if usage.is_object() {
                self.usage = Some(usage.clone());
            }
        }
        self.hear_error(chunk);
        if let Some(citations) = chunk["citations"].as_array() {
            self.sources = citations.iter().filter_map(|url| Some(url.as_str()?.to_owned())).collect();
        }
        let Some(choice) = chunk["choices"].as_array().and_then(|choices| choices.first()) else { return };
        if let Some(finish) = choice["finish_reason"].as_str().filter(|finish| !finish.is_empty()) {
            self.finish = Some(finish.to_owned());
        }
        let delta = if choice["delta"].is_object() && chunk["object"] != "chat.completion" {
            &choice["delta"]
        } else {
            &choice["message"]
        };
        self.hear_thoughts(delta);
        match &delta["content"] {
            Value::String(text) => self.text += text,
            Value::Array(parts) => {
                for part in parts {
                    self.text += part["text"].as_str().unwrap_or_default();
                    for thought in part["thinking"].as_array().into_iter().flatten() {
                        self.thoughts += thought["text"].as_str().unwrap_or_default();
                    }
                }
            }
            _ => {}
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.hear_call(call);
        }
    }

    fn hear_thoughts(&mut self, delta: &Value) {
        let details = delta["reasoning_details"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut detailed = String::new();
        for detail in details {
            let text = detail["text"].as_str().or(detail["summary"].as_str());
            detailed += text.unwrap_or_default();
        }
        let plain = [&delta["reasoning_content"], &delta["reasoning"]];
        let plain = plain.into_iter().find_map(|text| text.as_str().filter(|text| !text.is_empty()));
        self.thoughts += if detailed.is_empty() { plain.unwrap_or_default() } else { &detailed };
    }

    fn hear_call(&mut self, call: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let heard = Call {
            id: text(&call["id"]),
            name: text(&call["function"]["name"]),
            input: text(&call["function"]["arguments"]),
            index: call["index"].as_u64(),
        };
        let known = self.calls.iter_mut().rfind(|known| {
            heard.index.is_some()
                && known.index == heard.index
                && (heard.id.is_empty() || heard.id == known.id)
        });
        match known {
            Some(known) => known.input += &heard.input,
            None => self.calls.push(heard),
        }
    }

    fn hear_responses(&mut self, event: &Value) {
        self.hear_error(event);
        let response = if event["object"] == "response" { event } else { &event["response"] };
        if response["usage"].is_object() {
            self.usage = Some(response["usage"].clone());
        }
        self.closed |= response["status"] == "completed";
        let delta = event["delta"].as_str().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "response.output_text.delta" => self.text += delta,
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.thoughts += delta
            }
            "response.output_item.done" => self.hear_item_call(&event["item"]),
            _ => {}
        }
        if event["object"] == "response" {
            response["output"].as_array().into_iter().flatten().for_each(|item| self.hear_item(item));
        }
    }

    fn hear_item(&mut self, item: &Value) {
        self.hear_item_call(item);
        let texts = |list: &Value| -> String {
            list.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
        };
        match item["type"].as_str().unwrap_or_default() {
            "message" => self.text += &texts(&item["content"]),
            "reasoning" => self.thoughts += &(texts(&item["summary"]) + &texts(&item["content"])),
            _ => {}
        }
    }

    fn hear_item_call(&mut self, item: &Value) {
        if item["type"] == "function_call" {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            let (id, name, input) = (text("call_id"), text("name"), text("arguments"));
            self.calls.push(Call { id, name, input, index: None });
        }
    }

    /// The innermost words: that is what somebody must be told.
    fn hear_error(&mut self, body: &Value) {
        let inner = body["error"]["metadata"]["raw"].as_str().map(|raw| {
            let nested: Value = serde_json::from_str(raw).unwrap_or(Value::Null);
            let words = [
                &nested["error"]["message"],
                &nested["errors"][0]["message"],
                &nested["error"],
                &nested["message"],
                &nested["detail"],
            ];
            words.into_iter().find_map(Value::as_str).unwrap_or(raw).trim().to_owned()
        });
        let words = [&body["error"]["message"], &body["error"], &body["detail"]];
        self.error =
            inner.or(words.into_iter().find_map(Value::as_str).map(str::to_owned)).or(self.error.take());
    }
}

//! Nothing panics, whatever comes in, and the grammar holds for whatever goes out.

use dialect::{
    Accounting, Dialect, Framing,
    translate::{FromPath, Target, Telling, decode_reply, decode_request, encode_reply, encode_request},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    gather::{decode, encode},
    grammar::check,
};

/// Names that the decoders look for, so that garbage gets far.
const NAMES: [&str; 87] = [
    "model",
    "messages",
    "input",
    "contents",
    "role",
    "content",
    "parts",
    "text",
    "type",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "call_id",
    "output",
    "system",
    "instructions",
    "thinking",
    "signature",
    "data",
    "source",
    "media_type",
    "tools",
    "tool_choice",
    "functionDeclarations",
    "parameters",
    "input_schema",
    "functionCall",
    "functionResponse",
    "response",
    "args",
    "thought",
    "thoughtSignature",
    "inlineData",
    "mimeType",
    "candidates",
    "finishReason",
    "index",
    "choices",
    "message",
    "delta",
    "finish_reason",
    "reasoning_content",
    "reasoning_details",
    "format",
    "usage",
    "usageMetadata",
    "stop_reason",
    "stop",
    "content_block",
    "partial_json",
    "item",
    "output_index",
    "content_index",
    "summary",
    "encrypted_content",
    "status",
    "incomplete_details",
    "part",
    "error",
    "promptFeedback",
    "blockReason",
    "generationConfig",
    "thinkingConfig",
    "thinkingBudget",
    "reasoning",
    "effort",
    "response_format",
    "json_schema",
    "schema",
    "output_config",
    "stream",
    "stream_options",
    "metadata",
    "cache_control",
    "annotations",
    "groundingMetadata",
    "groundingSupports",
    "groundingChunks",
    "image_url",
    "url",
    "file",
    "tool_use_id",
    "tool_call_id",
    "refusal",
    "extra_content",
];

const WORDS: [&str; 42] = [
    "user",
    "assistant",
    "system",
    "tool",
    "model",
    "text",
    "function",
    "custom",
    "message",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "text_delta",
    "thinking_delta",
    "signature_delta",
    "input_json_delta",
    "tool_use",
    "tool_result",
    "redacted_thinking",
    "response.created",
    "response.output_item.added",
    "response.output_text.delta",
    "response.output_item.done",
    "response.function_call_arguments.delta",
    "response.completed",
    "response.incomplete",
    "function_call",
    "reasoning",
    "STOP",
    "stop",
    "end_turn",
    "completed",
    "sluice:gemini_generate:signature:p:x",
    "image_url",
    "{}",
    "data:image/png;base64,aGk=",
    "c2x1aWNlOmE6Yjpj",
    "json_schema",
    "auto",
];

fn trees() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => select(WORDS.to_vec()).prop_map(|word| format!("\"{word}\"")),
        1 => select(vec!["0", "1", "-1", "1e999", "3.5", "18446744073709551616", "true", "false", "null", "\"\\ud83d\""])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            3 => vec((select(NAMES.to_vec()), inner.clone()), 0..8).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
            1 => vec(inner, 0..4).prop_map(|elements| format!("[{}]", elements.join(","))),
        ]
    })
}

/// Bodies that are right on the outside.
fn bodies() -> impl Strategy<Value = String> {
    prop_oneof![
        trees(),
        trees().prop_map(|tree| format!("{{\"model\":\"m\",\"messages\":[{tree}]}}")),
        trees().prop_map(|tree| format!(
            "{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":[{tree}]}}]}}"
        )),
        trees().prop_map(|tree| format!(
            "{{\"model\":\"m\",\"messages\":[{{\"role\":\"assistant\",\"tool_calls\":[{tree}]}}]}}"
        )),
        trees().prop_map(|tree| format!("{{\"model\":\"m\",\"input\":[{tree}]}}")),
        trees().prop_map(|tree| format!("{{\"contents\":[{{\"parts\":[{tree}]}}]}}")),
        trees().prop_map(|tree| format!(
            "{{\"model\":\"m\",\"contents\":[],\"messages\":[],\"tools\":[{tree}]}}"
        )),
        trees()
            .prop_map(|tree| format!("{{\"choices\":[{{\"message\":{tree},\"finish_reason\":\"stop\"}}]}}")),
        trees().prop_map(|tree| format!("{{\"content\":[{tree}],\"output\":[{tree}]}}")),
        trees().prop_map(|tree| format!("{{\"candidates\":[{{\"content\":{{\"parts\":[{tree}]}}}}]}}")),
    ]
}

fn frames() -> impl Strategy<Value = String> {
    let named = |kind: &'static str| {
        trees().prop_map(move |tree| format!("{{\"type\":\"{kind}\",\"index\":0,\"delta\":{tree},\"item\":{tree},\"content_block\":{tree},\"message\":{tree},\"response\":{tree}}}"))
    };
    prop_oneof![
        trees(),
        Just("[DONE]".to_owned()),
        named("content_block_start"),
        named("content_block_delta"),
        named("message_start"),
        named("message_delta"),
        named("message_stop"),
        named("response.output_item.added"),
        named("response.output_item.done"),
        named("response.completed"),
        trees().prop_map(|tree| format!("{{\"choices\":[{{\"index\":0,\"delta\":{tree}}}]}}")),
        trees().prop_map(|tree| format!(
            "{{\"choices\":[{{\"delta\":{{\"tool_calls\":[{tree}]}},\"finish_reason\":\"stop\"}}]}}"
        )),
        trees().prop_map(|tree| format!(
            "{{\"candidates\":[{{\"content\":{{\"parts\":[{tree}]}},\"finishReason\":\"STOP\"}}]}}"
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn requests(body in bodies(), from in select(Dialect::ALL.to_vec())) {
        if let Ok(request) = decode_request(from, body.as_bytes(), FromPath { model: "m", stream: true }) {
            for to in Dialect::ALL {
                let _ = encode_request(to, &request, &Target::default());
            }
        }
    }

    #[test]
    fn replies(body in bodies(), from in select(Dialect::ALL.to_vec())) {
        if let Ok(reply) = decode_reply(from, body.as_bytes(), Accounting::Standard) {
            for to in Dialect::ALL {
                let encoded = encode_reply(to, &reply, &Telling::default());
                prop_assert!(dialect::tree::Json::parse(&encoded.body).is_ok());
            }
        }
    }

    #[test]
    fn streams(frames in vec(frames(), 0..8), from in select(Dialect::ALL.to_vec())) {
        let bytes: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
        let events = decode(from, Framing::Sse, Accounting::Standard, &[bytes.as_bytes()]);
        prop_assert_eq!(check(&events, false), Ok(()), "{}", bytes);
        for to in Dialect::ALL {
            let out = encode(to, &events, &Telling { custom_tools: vec!["text".into()], ..Telling::default() });
            let again = decode(to, Framing::Sse, Accounting::Standard, &[&out]);
            prop_assert_eq!(check(&again, false), Ok(()), "{:?}: {}", to, String::from_utf8_lossy(&out));
            // An end is told exactly where one was told.
            let ended = |events: &[dialect::event::ChatEvent]| matches!(events.last(), Some(dialect::event::ChatEvent::Ended));
            prop_assert_eq!(ended(&again), ended(&events), "{:?}: {} to {}", to, bytes, String::from_utf8_lossy(&out));
        }
    }

    #[test]
    fn anything(bytes in vec(any::<u8>(), 0..200), from in select(Dialect::ALL.to_vec())) {
        let _ = decode_request(from, &bytes, FromPath::default());
        let _ = decode_reply(from, &bytes, Accounting::Standard);
        for framing in [Framing::Sse, Framing::JsonArray, Framing::Document] {
            let events = decode(from, framing, Accounting::Standard, &[&bytes]);
            prop_assert_eq!(check(&events, false), Ok(()));
        }
    }
}

//! What real clients do that no schema says, one test each: `make clients` found it.

use dialect::{
    Accounting, Dialect, Framing,
    translate::{
        FromPath, StreamDecoder, StreamEncoder, Target, Telling, Untranslatable, decode_request,
        encode_request, named_texts, put_named_texts,
    },
};
use serde_json::{Value, json};

/// The official SDKs and `ai` read `function` of every piece of a call, also of the one that brings its token.
#[test]
fn every_piece_of_a_call_has_its_function() {
    let call = json!({"functionCall": {"name": "tide", "args": {"port": 1}}, "thoughtSignature": "c2ln"});
    let chunk = json!({"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP"}]});
    let mut decoder = StreamDecoder::new(Dialect::GeminiGenerate, Framing::Sse, Accounting::Standard);
    let mut encoder = StreamEncoder::new(Dialect::OpenaiChat, Telling::default());
    let (mut events, mut out) = (Vec::new(), Vec::new());
    decoder.feed(format!("data: {chunk}\n\n").as_bytes(), &mut events);
    decoder.finish(&mut events);
    events.iter().for_each(|event| encoder.write(event, &mut out));
    let told = String::from_utf8(out).unwrap();
    let chunks =
        told.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let pieces: Vec<Value> =
        chunks.map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].clone()).collect();
    let pieces: Vec<&Value> = pieces.iter().filter(|piece| !piece.is_null()).collect();
    assert!(
        pieces.iter().any(|piece| piece["extra_content"]["google"]["thought_signature"]
            == "sluice:gemini_generate:signature::c2ln"),
        "{told}"
    );
    assert!(pieces.iter().all(|piece| piece["function"]["arguments"].is_string()), "{told}");
}

/// `ai` names what it was told by its id, in a stream and in a whole answer: the texts are found again, by those who kept
/// them.
#[test]
fn a_text_that_is_only_named_is_put_in_its_place() {
    let chunk =
        json!({"id": "a1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Let me look."}}]});
    let mut decoder = StreamDecoder::new(Dialect::OpenaiChat, Framing::Sse, Accounting::Standard);
    let mut events = Vec::new();
    let last =
        json!({"id": "a1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    decoder.feed(format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n").as_bytes(), &mut events);
    let mut encoder = StreamEncoder::new(Dialect::OpenaiResponses, Telling::default());
    let (mut out, mut texts) = (Vec::new(), Vec::new());
    for event in &events {
        if *event == dialect::event::ChatEvent::Ended {
            texts = encoder.named_texts();
        }
        encoder.write(event, &mut out);
    }
    let told = String::from_utf8(out).unwrap();
    let [(id, text)] = texts.as_slice() else { panic!("{texts:?}") };
    assert!(told.contains(id.as_str()) && text == "Let me look.", "{told}");
    let whole = told.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let whole: Value = serde_json::from_str(whole).unwrap();
    let plain = whole["response"].to_string();
    assert_eq!(named_texts(Dialect::OpenaiResponses, plain.as_bytes()), texts);
    assert!(named_texts(Dialect::OpenaiChat, plain.as_bytes()).is_empty());

    let input = json!([{"role": "user", "content": "hi"}, {"type": "item_reference", "id": id}]);
    let body = json!({"model": "m", "input": input}).to_string();
    let request = decode_request(Dialect::OpenaiResponses, body.as_bytes(), FromPath::default()).unwrap();
    assert_eq!(put_named_texts(&request, |_| None), None);
    let known = put_named_texts(&request, |asked| (asked == id).then(|| text.as_str().into())).unwrap();
    let sent = encode_request(Dialect::AnthropicMessages, &known, &Target::default()).unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": "Let me look."}));
}

/// `ai` names thinking that it was told by its id, unless it is told not to: nothing keeps it, and it can be missed.
#[test]
fn thinking_that_is_only_named_is_left_out_and_listed() {
    let send = |id: &str| {
        let input = json!([{"role": "user", "content": "hi"}, {"type": "item_reference", "id": id},
            {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "r"}]);
        let body = json!({"model": "m", "input": input}).to_string();
        let request = decode_request(Dialect::OpenaiResponses, body.as_bytes(), FromPath::default()).unwrap();
        [Dialect::OpenaiChat, Dialect::AnthropicMessages, Dialect::GeminiGenerate]
            .map(|to| encode_request(to, &request, &Target::default()))
    };
    for encoded in send("rs_1") {
        let encoded = encoded.unwrap();
        assert!(!encoded.losses.is_empty());
        assert!(!String::from_utf8(encoded.body).unwrap().contains("rs_1"));
    }
    for refused in send("msg_1") {
        assert!(matches!(refused, Err(Untranslatable::Unsupported { .. })), "{refused:?}");
    }
}

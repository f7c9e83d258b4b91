//! What an answer leans on is told in each dialect's own form, with a place, whole and streamed.

use dialect::{
    Accounting, Dialect, Framing,
    chat::{ChatReply, Citation, Content},
    translate::{Telling, decode_reply, encode_reply},
};
use serde_json::{Value, json};

use crate::{
    gather::{decode, encode, gather},
    streamed::streamed,
};

const WORDS: &str = "Über Bern fließt die Aare.";

/// The same answer in each dialect: its words from the sixth letter to the ninth lean on a page.
fn answer(from: Dialect) -> Value {
    let url = "https://example.com";
    match from {
        Dialect::OpenaiChat => {
            let citation = json!({"url": url, "title": "T", "start_index": 5, "end_index": 9});
            let annotations = json!([{"type": "url_citation", "url_citation": citation}]);
            let message = json!({"role": "assistant", "content": WORDS, "annotations": annotations});
            json!({"id": "a", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        }
        Dialect::OpenaiResponses => {
            let citation =
                json!({"type": "url_citation", "url": url, "title": "T", "start_index": 5, "end_index": 9});
            let text = json!({"type": "output_text", "text": WORDS, "annotations": [citation]});
            let item = json!({"type": "message", "id": "i", "role": "assistant", "content": [text]});
            json!({"id": "a", "model": "m", "status": "completed", "output": [item]})
        }
        Dialect::AnthropicMessages => {
            let citation = json!({"type": "web_search_result_location", "url": url, "title": "T",
                "cited_text": "page", "encrypted_index": "i"});
            let block =
                |text: &str, citations: Value| json!({"type": "text", "text": text, "citations": citations});
            let content = json!([
                block("Über ", Value::Null),
                block("Bern", json!([citation])),
                block(" fließt die Aare.", Value::Null)
            ]);
            json!({"id": "a", "type": "message", "role": "assistant", "model": "m", "content": content,
                "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}})
        }
        Dialect::GeminiGenerate => {
            let segment = json!({"startIndex": 6, "endIndex": 10, "text": "Bern"});
            let grounding = json!({"groundingChunks": [{"web": {"uri": url, "title": "T"}}],
                "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}]});
            let content = json!({"parts": [{"text": WORDS}], "role": "model"});
            let candidate = json!({"index": 0, "content": content, "finishReason": "STOP", "groundingMetadata": grounding});
            json!({"responseId": "a", "modelVersion": "m", "candidates": [candidate]})
        }
    }
}

/// The cited words, and by what.
fn cited(reply: &ChatReply) -> Vec<(String, Citation)> {
    let mut cited = Vec::new();
    for part in &reply.candidates[0].parts {
        if let Content::Text { text, citations } = &part.content {
            for citation in citations {
                let letters: Vec<char> = text.chars().collect();
                let (start, end) = citation.span.unwrap_or((0, letters.len() as u64));
                cited.push((letters[start as usize..end as usize].iter().collect(), citation.clone()));
            }
        }
    }
    cited
}

/// Whole and streamed, each decoded from what a client of `to` is told.
fn told(from: Dialect, to: Dialect) -> [(ChatReply, String); 2] {
    let body = answer(from);
    let reply = decode_reply(from, body.to_string().as_bytes(), Accounting::Standard).unwrap();
    let whole = encode_reply(to, &reply, &Telling::default()).body;
    let events = decode(from, Framing::Sse, Accounting::Standard, &[&streamed(from, &body)]);
    let stream = encode(to, &events, &Telling::default());
    let again = decode(to, Framing::Sse, Accounting::Standard, &[&stream]);
    [
        (decode_reply(to, &whole, Accounting::Standard).unwrap(), String::from_utf8(whole).unwrap()),
        (gather(&again), String::from_utf8(stream).unwrap()),
    ]
}

#[test]
fn the_words_that_lean_on_a_page_are_told_everywhere() {
    for from in Dialect::ALL {
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            for (reply, wire) in told(from, to) {
                let cited = cited(&reply);
                let name = format!("{} to {}: {cited:?} {wire}", from.name(), to.name());
                assert_eq!(cited.len(), 1, "{name}");
                let (words, citation) = &cited[0];
                assert_eq!(
                    (&*citation.url, citation.title.as_deref()),
                    ("https://example.com", Some("T")),
                    "{name}"
                );
                // Anthropic tells no place but a block's: there it is all of the text.
                let all = to == Dialect::AnthropicMessages && from != Dialect::AnthropicMessages;
                assert_eq!(words, if all { WORDS } else { "Bern" }, "{name}");
            }
        }
    }
}

/// Clients of OpenAI's refuse an annotation without a place or a title.
#[test]
fn annotations_have_what_clients_demand() {
    let mut body = answer(Dialect::AnthropicMessages);
    body["content"][1]["citations"][0]["title"] = Value::Null;
    let reply = decode_reply(Dialect::AnthropicMessages, body.to_string().as_bytes(), Accounting::Standard);
    for to in [Dialect::OpenaiChat, Dialect::OpenaiResponses] {
        let told = encode_reply(to, reply.as_ref().unwrap(), &Telling::default()).body;
        let told: Value = serde_json::from_slice(&told).unwrap();
        let annotation = match to {
            Dialect::OpenaiChat => &told["choices"][0]["message"]["annotations"][0]["url_citation"],
            _ => &told["output"][1]["content"][0]["annotations"][0],
        };
        let (start, end) = (&annotation["start_index"], &annotation["end_index"]);
        assert!(start.is_u64() && end.is_u64(), "{told}");
        assert_eq!(annotation["title"], "https://example.com", "{told}");
    }
}

/// Gemini repeats the answer's own words: they are no quotation of the page.
#[test]
fn an_answer_is_not_told_as_a_quotation() {
    for (reply, wire) in told(Dialect::GeminiGenerate, Dialect::AnthropicMessages) {
        assert!(wire.contains("\"cited_text\":\"\""), "{wire}");
        assert!(cited(&reply).iter().all(|(_, citation)| citation.quote.as_deref().unwrap_or("").is_empty()));
    }
}

/// The last chunk has an empty signed text, as Gemini 3 sends it, and the sources of the text before it.
#[test]
fn sources_beside_a_signature_belong_to_the_words_before_it() {
    let mut last = answer(Dialect::GeminiGenerate)["candidates"][0].clone();
    let words = json!({"responseId": "a", "candidates": [{"index": 0, "content": last["content"]}]});
    last["content"] = json!({"parts": [{"text": "", "thoughtSignature": "c2ln"}]});
    let last = json!({"responseId": "a", "candidates": [last]});
    let stream = format!("data: {words}\n\ndata: {last}\n\n");
    let events = decode(Dialect::GeminiGenerate, Framing::Sse, Accounting::Standard, &[stream.as_bytes()]);
    let cited = cited(&gather(&events));
    assert_eq!(cited.len(), 1, "{events:?}");
    assert_eq!(cited[0].0, "Bern");
}

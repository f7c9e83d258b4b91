//! Requests as bytes, made once and sent many times.
//!
//! In: a path, headers and a body; out: what goes over the wire. It must not depend on the clock or on chance: every way gets
//! the same bytes.

use bytes::Bytes;

/// The text of a conversation: like real ones it has quotes and line ends, which a JSON reader has to step over.
const PHRASE: &str = "Tell me how the water in the lock \\\"rises\\\" when the gate is shut.\\n";
/// Longest text of one message.
const MESSAGE_BYTES: usize = 2_000;

/// A POST with a JSON body.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Bytes {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: sluice.test\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

/// A GET whose connection is not used again.
pub fn get(path: &str) -> Bytes {
    format!("GET {path} HTTP/1.1\r\nhost: sluice.test\r\nconnection: close\r\n\r\n").into()
}

/// A chat request of exactly `size` bytes, or the smallest there is.
pub fn chat(model: &str, stream: bool, size: usize) -> Vec<u8> {
    let mut body = format!(r#"{{"model":"{model}","stream":{stream},"max_tokens":256,"messages":["#);
    conversation(&mut body, size.saturating_sub(2));
    body.push_str("]}");
    body.into_bytes()
}

/// Appends messages until `body` has `size` bytes.
fn conversation(body: &mut String, size: usize) {
    const OPEN: &str = r#"{"role":"user","content":""#;
    const CLOSE: &str = r#""}"#;
    loop {
        body.push_str(OPEN);
        let room = size.saturating_sub(body.len() + CLOSE.len());
        // What would be left for one more message is added to this one when it could not hold a word.
        let length = if room > MESSAGE_BYTES + 200 { MESSAGE_BYTES } else { room };
        body.push_str(&text(length));
        body.push_str(CLOSE);
        if length == room {
            return;
        }
        body.push(',');
    }
}

/// JSON text of exactly `length` bytes, without its quotes.
pub fn text(length: usize) -> String {
    let mut text = PHRASE.repeat(length / PHRASE.len());
    text.push_str(&"x".repeat(length - text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_size_asked_for_and_are_json() {
        for size in [1_024, 2_300, 100 * 1024, 1024 * 1024] {
            let body = chat("m", true, size);
            assert_eq!(body.len(), size);
            let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(value["stream"], true);
        }
    }

    #[test]
    fn a_post_is_a_head_and_its_body() {
        let bytes = post("/v1/x", &[("a", "b")], b"{}");
        let text = std::str::from_utf8(&bytes).expect("text");
        assert!(text.starts_with("POST /v1/x HTTP/1.1\r\n"));
        assert!(text.ends_with("a: b\r\ncontent-length: 2\r\n\r\n{}"));
    }
}

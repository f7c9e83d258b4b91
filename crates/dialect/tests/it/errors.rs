//! Errors: every envelope that providers use, and the words of each dialect.

use dialect::{Dialect, Door, ErrorKind, ErrorView, Framing, Operation, Stage, encode_error, parse_error};
use proptest::prelude::*;

use crate::watch::{describe_error, options, watch};

fn say(body: &str) -> String {
    parse_error(body.as_bytes()).map_or("none".to_owned(), |error| describe_error(&error).trim().to_owned())
}

#[test]
fn every_envelope_is_read() {
    for (body, expected) in [
        (
            r#"{"error":{"message":"no berth","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#,
            r#"error: "no berth" kind=invalid_request_error code=model_not_found param=model"#,
        ),
        (r#"{"error":{"message":"m","type":null,"param":null,"code":null}}"#, r#"error: "m""#),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
            r#"error: "Overloaded" kind=overloaded_error"#,
        ),
        (
            r#"{"error":{"code":429,"message":"Quota.","status":"RESOURCE_EXHAUSTED","details":[
                {"@type":"t/google.rpc.QuotaFailure","violations":[]},
                {"@type":"t/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"},
                {"@type":"t/google.rpc.RetryInfo","retryDelay":"48.912s"}]}}"#,
            r#"error: "Quota." kind=RESOURCE_EXHAUSTED code=RATE_LIMIT_EXCEEDED status=429 retry_after_ms=48912"#,
        ),
        (
            r#"[{"error":{"code":400,"message":"Please retry in 1m2.5s.","status":"INVALID_ARGUMENT"}}]"#,
            r#"error: "Please retry in 1m2.5s." kind=INVALID_ARGUMENT code=400 status=400 retry_after_ms=62500"#,
        ),
        (
            r#"{"error":{"message":"Please try again in 350ms. Visit","type":"tokens","code":"rate_limit_exceeded"}}"#,
            r#"error: "Please try again in 350ms. Visit" kind=tokens code=rate_limit_exceeded retry_after_ms=350"#,
        ),
        (
            r#"{"error":{"message":"Failed to call","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}"#,
            r#"error: "Failed to call" kind=invalid_request_error code=tool_use_failed status=400"#,
        ),
        (
            r#"{"code":"Client specified a bad key","error":"Wrong key"}"#,
            r#"error: "Wrong key" code=Client specified a bad key"#,
        ),
        (r#"{"error":"model not found"}"#, r#"error: "model not found""#),
        (r#"{"error":true,"message":"m"}"#, r#"error: "m""#),
        (r#"{"detail":"Unauthorized"}"#, r#"error: "Unauthorized""#),
        (
            r#"{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}"#,
            r#"error: "field required""#,
        ),
        (r#"{"detail":{"message":"deep"}}"#, r#"error: "deep""#),
        // Mistral's, of a field that its schema does not have.
        (
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"no such input"}]},"type":"invalid_request_error","code":null}"#,
            r#"error: "no such input" kind=invalid_request_error"#,
        ),
        (
            r#"{"object":"error","message":"bad","type":"invalid","param":null,"code":3000}"#,
            r#"error: "bad" kind=invalid code=3000"#,
        ),
        (r#"{"id":"x","message":"invalid api token"}"#, r#"error: "invalid api token""#),
        (
            r#"{"errors":[{"message":"AiError","code":3043}],"success":false}"#,
            r#"error: "AiError" code=3043"#,
        ),
        (r#"{"Message":"denied"}"#, r#"error: "denied""#),
        (
            r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"provider_name":"Q","raw":"{\"error\":{\"message\":\"inner\"}}"}},"user_id":"u"}"#,
            r#"error: "Provider returned error: inner" code=502 status=502"#,
        ),
        (
            r#"{"error":{"code":502,"message":"Provider returned error","metadata":{"raw":"plain words"}}}"#,
            r#"error: "Provider returned error: plain words" code=502 status=502"#,
        ),
        (r#"{"error":{"code":1,"message":"m","metadata":{"raw":null}}}"#, r#"error: "m" code=1"#),
        (
            r#"{"type":"error","code":"server_error","message":"flat","param":null,"sequence_number":2}"#,
            r#"error: "flat" code=server_error"#,
        ),
        (
            r#"{"type":"response.failed","response":{"id":"r","error":{"code":"server_error","message":"nested"}}}"#,
            r#"error: "nested" code=server_error"#,
        ),
        ("\u{feff}\r\n{\"error\":{\"message\":\"\\ud83d cut\"}} ", r#"error: "\\ud83d cut""#),
        ("<html>502</html>", "none"),
        ("", "none"),
        ("[]", "none"),
        ("{}", "none"),
        ("17", "none"),
        (r#"{"error":null,"choices":[]}"#, "none"),
        (r#"{"type":"message_start","message":{"id":"m"}}"#, "none"),
        (r#"{"error":{"message":"cut"#, "none"),
    ] {
        assert_eq!(say(body), expected, "{body}");
    }
}

#[test]
fn long_messages_are_cut_and_nesting_is_bounded() {
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "é".repeat(10_000));
    assert_eq!(parse_error(long.as_bytes()).unwrap().message.len(), 4096);
    let mut nested = "\"end\"".to_owned();
    for _ in 0..20 {
        let raw = serde_json::to_string(&format!(
            "{{\"error\":{{\"message\":\"m\",\"metadata\":{{\"raw\":{nested}}}}}}}"
        ));
        nested = raw.unwrap().chars().take(100_000).collect();
    }
    let _ = parse_error(nested.as_bytes());
    assert_eq!(parse_error("[".repeat(1_000_000).as_bytes()), None);
}

const VIEW: ErrorView<'static> = ErrorView {
    kind: ErrorKind::NotFound,
    status: 404,
    message: "no model \"x\"\n",
    code: Some("model_not_found"),
    param: Some("model"),
    request_id: "req-7",
    retry_after_ms: None,
};

fn encode(dialect: Dialect, stage: Stage) -> String {
    String::from_utf8(encode_error(dialect, &VIEW, stage).to_vec()).unwrap()
}

#[test]
fn each_dialect_has_its_words() {
    let openai = r#"{"error":{"message":"no model \"x\"\n (request id: req-7)","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    let anthropic = r#"{"type":"error","error":{"type":"not_found_error","message":"no model \"x\"\n"},"request_id":"req-7"}"#;
    let gemini = r#"{"error":{"code":404,"message":"no model \"x\"\n (request id: req-7)","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"model_not_found","domain":"sluice"}]}}"#;
    let sse = Stage::Sse { sequence: 12 };
    assert_eq!(encode(Dialect::OpenaiChat, Stage::Head), openai);
    assert_eq!(encode(Dialect::OpenaiResponses, Stage::Head), openai);
    assert_eq!(encode(Dialect::AnthropicMessages, Stage::Head), anthropic);
    assert_eq!(encode(Dialect::GeminiGenerate, Stage::Head), gemini);
    assert_eq!(encode(Dialect::OpenaiChat, sse), format!("data: {openai}\n\n"));
    assert_eq!(encode(Dialect::AnthropicMessages, sse), format!("event: error\ndata: {anthropic}\n\n"));
    assert_eq!(encode(Dialect::GeminiGenerate, sse), format!("data: {gemini}\r\n\r\n"));
    assert_eq!(encode(Dialect::GeminiGenerate, Stage::JsonArray { first: true }), format!("[{gemini}]"));
    assert_eq!(encode(Dialect::GeminiGenerate, Stage::JsonArray { first: false }), format!(",{gemini}]"));
    assert_eq!(
        encode(Dialect::OpenaiResponses, sse),
        "event: error\ndata: {\"type\":\"error\",\"sequence_number\":12,\"code\":\"model_not_found\",\
         \"message\":\"no model \\\"x\\\"\\n (request id: req-7)\",\"param\":\"model\",\
         \"error\":{\"message\":\"no model \\\"x\\\"\\n (request id: req-7)\",\"type\":\"invalid_request_error\",\
         \"param\":\"model\",\"code\":\"model_not_found\"}}\n\n"
    );
    let bare = ErrorView { code: None, param: None, request_id: "", ..VIEW };
    let head = |dialect| String::from_utf8(encode_error(dialect, &bare, Stage::Head).to_vec()).unwrap();
    assert!(!head(Dialect::AnthropicMessages).contains("request_id"));
    assert!(!head(Dialect::GeminiGenerate).contains("details"));
    assert!(head(Dialect::OpenaiChat).ends_with(r#""param":null,"code":null}}"#));
}

#[test]
fn gemini_is_told_when_to_come_back_and_reads_it_as_it_was_meant() {
    for (ms, text) in [(30_000, "30s"), (1_250, "1.250s")] {
        let view = ErrorView { retry_after_ms: Some(ms), ..VIEW };
        let bytes = encode_error(Dialect::GeminiGenerate, &view, Stage::Head);
        let detail =
            format!(r#"{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{text}"}}]}}}}"#);
        assert!(String::from_utf8(bytes.to_vec()).unwrap().ends_with(&detail), "{detail}");
        assert_eq!(parse_error(&bytes).unwrap().retry_after_ms, Some(ms));
        // The others have the header alone.
        assert!(
            !String::from_utf8_lossy(&encode_error(Dialect::OpenaiChat, &view, Stage::Head)).contains("etry")
        );
    }
}

/// What Sluice writes into a stream, a tap (another Sluice's, too) takes for an error.
#[test]
fn what_is_encoded_is_an_error_to_a_tap() {
    for dialect in Dialect::ALL {
        for kind in ErrorKind::ALL {
            let view = ErrorView { kind, ..VIEW };
            let options = options(Door::new(dialect, Operation::Chat));
            let mut stages =
                vec![(Stage::Sse { sequence: 3 }, Framing::Sse), (Stage::Head, Framing::Document)];
            if dialect == Dialect::GeminiGenerate {
                stages.push((Stage::JsonArray { first: true }, Framing::JsonArray));
            }
            for (stage, framing) in stages {
                let bytes = encode_error(dialect, &view, stage);
                let watched = watch(options, framing, &[&bytes]);
                let (_, error) = watched.tap.error().unwrap();
                assert!(error.message.starts_with(VIEW.message), "{dialect:?} {stage:?}");
                assert!(error.kind.is_some() || error.code.is_some());
                assert!(watched.out.is_empty() && !watched.tap.meaningful());
            }
        }
    }
}

proptest! {
    #[test]
    fn parse_never_panics(text in "[\\[{}\\]\",:a-z0-9\\\\.]{0,80}", kind in "[a-z]{0,8}") {
        parse_error(text.as_bytes());
        for body in [
            format!("{{\"error\":{{\"message\":\"retry in {text}\",\"{kind}\":1}}}}"),
            format!("{{\"error\":{{\"message\":\"retry in {}\"}}}}", text.replace(['"', '\\'], "9")),
            format!("{{\"error\":{text}}}"),
        ] {
            parse_error(body.as_bytes());
        }
    }

    #[test]
    fn anything_can_be_encoded(message in "\\PC{0,40}", code in "\\PC{0,9}") {
        for dialect in Dialect::ALL {
            let view = ErrorView { message: &message, code: Some(&code), request_id: "", ..VIEW };
            let bytes = encode_error(dialect, &view, Stage::Head);
            prop_assert_eq!(parse_error(&bytes).unwrap().message, message.clone());
        }
    }
}

#[test]
fn an_envelope_belongs_to_its_dialect() {
    use dialect::{Dialect::*, is_error_of};
    let openai = br#"{"error":{"message":"x","type":"y"}}"#;
    let anthropic = br#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
    let gemini = br#"[{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}]"#;
    assert!(is_error_of(OpenaiChat, openai) && is_error_of(OpenaiResponses, openai));
    assert!(is_error_of(AnthropicMessages, anthropic) && !is_error_of(AnthropicMessages, openai));
    assert!(is_error_of(GeminiGenerate, gemini) && !is_error_of(OpenaiChat, gemini));
    for foreign in [&br#"{"detail":"slow down"}"#[..], br#"{"error":"text"}"#, b"<html>", b"\xff", b""] {
        assert!(dialect::Dialect::ALL.iter().all(|dialect| !is_error_of(*dialect, foreign)));
    }
}

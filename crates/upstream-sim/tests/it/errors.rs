//! Errors are worded as their dialects word them.

use crate::wire::*;
use serde_json::{Value, json};
use upstream_sim::Sim;

#[tokio::test]
async fn each_kind_has_its_status_and_shape() {
    let sim = Sim::start().await;
    let cases: [(&str, &str, u16, &str, Value); 18] = [
        ("status=400", CHAT, 400, "/error/type", json!("invalid_request_error")),
        ("error=insufficient_quota", CHAT, 429, "/error/code", json!("insufficient_quota")),
        ("error=invalid_key", CHAT, 401, "/error/code", json!("invalid_api_key")),
        ("error=model_missing", RESPONSES, 404, "/error/code", json!("model_not_found")),
        ("error=context_length", CHAT, 400, "/error/code", json!("context_length_exceeded")),
        ("error=content_policy", CHAT, 400, "/error/code", json!("content_policy_violation")),
        ("error=rate_limit", RESPONSES, 429, "/error/code", json!("rate_limit_exceeded")),
        ("status=500", CHAT, 500, "/error/type", json!("server_error")),
        ("status=402", CHAT, 402, "/error/message", json!("Insufficient balance.")),
        ("status=529", MESSAGES, 529, "/error/type", json!("overloaded_error")),
        ("error=overloaded,status=503", MESSAGES, 503, "/error/type", json!("overloaded_error")),
        ("error=rate_limit", MESSAGES, 429, "/type", json!("error")),
        ("status=413", MESSAGES, 413, "/error/type", json!("request_too_large")),
        ("error=invalid_key", GEMINI, 400, "/error/details/0/reason", json!("API_KEY_INVALID")),
        ("status=503", GEMINI, 503, "/error/status", json!("UNAVAILABLE")),
        ("status=429,retry-info=48", GEMINI, 429, "/error/details/1/retryDelay", json!("48s")),
        ("status=200,error=server", CHAT, 200, "/error/type", json!("server_error")),
        ("error-event=0,error=rate_limit", CHAT, 200, "/error/type", json!("requests")),
    ];
    for (script, path, status, pointer, value) in cases {
        let answer = ask(&sim, script, path, PLAIN).await;
        assert_eq!(answer.status, status, "{script} {path}");
        assert_eq!(answer.json().pointer(pointer), Some(&value), "{script} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_gemini_error_to_an_event_stream_is_labelled_as_one() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "status=503", GEMINI_SSE, "{}").await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.json()["error"]["code"], 503);
}

#[tokio::test]
async fn retry_hints_are_in_the_head() {
    let sim = Sim::start().await;
    let answer = ask(&sim, "status=429,retry-after=3,retry-after-ms=250", CHAT, PLAIN).await;
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.header("retry-after-ms"), Some("250"));
    let dated = ask(&sim, "status=429,retry-after=date", CHAT, PLAIN).await;
    assert!(dated.header("retry-after").unwrap().ends_with(" GMT"));
}

#[tokio::test]
async fn what_is_not_json_or_not_known_is_the_callers_fault() {
    let sim = Sim::start().await;
    assert_eq!(ask(&sim, "", CHAT, "{\"model\":").await.status, 400);
    assert_eq!(ask(&sim, "", "/v1/nothing", "{}").await.status, 404);
}

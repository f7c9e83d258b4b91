#![allow(clippy::unwrap_used, reason = "tests")]
use std::time::{Duration, SystemTime};

use super::*;

fn of(status: u16, body: &str) -> Blame {
    let redaction = Redaction::default();
    classify(status, &HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes()), true, &redaction).blame
}

/// One row a kind of answer, in the forms that providers use.
#[test]
fn status_and_body_decide_together() {
    let rows = [
        (400, r#"{"error":{"message":"bad temperature","type":"invalid_request_error"}}"#, Blame::Request),
        (
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#,
            Blame::Credentials,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            Blame::Account,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to use the API."}}"#,
            Blame::Account,
        ),
        (
            400,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: ab***yz."}"#,
            Blame::Credentials,
        ),
        (
            400,
            r#"{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            Blame::Length,
        ),
        (400, r#"{"error":{"message":"refused","code":"content_policy_violation"}}"#, Blame::Content),
        (401, r#"{"error":{"message":"no","code":"invalid_api_key"}}"#, Blame::Credentials),
        (401, "", Blame::Credentials),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Blame::Account),
        (403, r#"{"error":{"message":"no permission","type":"permission_error"}}"#, Blame::Credentials),
        (403, r#"{"error":"Content violates usage guidelines."}"#, Blame::Content),
        (
            403,
            r#"{"error":{"message":"Project does not have access to model `x`","code":"model_not_found"}}"#,
            Blame::Model,
        ),
        (
            404,
            r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
            Blame::Model,
        ),
        (404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, Blame::Model),
        (
            404,
            r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}"#,
            Blame::Model,
        ),
        (
            404,
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
            Blame::Model,
        ),
        (
            404,
            r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error"}}"#,
            Blame::Request,
        ),
        (404, "<html>not found</html>", Blame::Address),
        (302, "", Blame::Address),
        (413, r#"{"error":{"message":"too large"}}"#, Blame::Length),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
            Blame::Length,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            Blame::Length,
        ),
        (
            400,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering our content management policy.","code":"content_filter"}}"#,
            Blame::Content,
        ),
        (422, r#"{"detail":[{"msg":"bad"}]}"#, Blame::Request),
        (429, r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#, Blame::RateLimit),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Blame::Account,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.\nPlease retry in 48.9s.","status":"RESOURCE_EXHAUSTED"}}"#,
            Blame::RateLimit,
        ),
        (429, "<html>", Blame::RateLimit),
        (500, r#"{"error":{"message":"oops"}}"#, Blame::Server),
        (503, "", Blame::Overload),
        (504, "", Blame::Timeout),
        (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Blame::Overload,
        ),
    ];
    for (status, body, expected) in rows {
        assert_eq!(of(status, body), expected, "{status} {body}");
    }
}

#[test]
fn retry_after_in_all_its_forms() {
    let with = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers)
    };
    assert_eq!(with("retry-after", "3"), Some(3_000));
    assert_eq!(with("retry-after", "0.5"), Some(500));
    assert_eq!(with("retry-after-ms", "250"), Some(250));
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    assert!((55_000..=60_000).contains(&with("retry-after", &date).unwrap()));
    let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
    assert_eq!(with("retry-after", &past), Some(0));
    for nonsense in ["-1", "NaN", "inf", "soon", ""] {
        assert_eq!(with("retry-after", nonsense), None, "{nonsense}");
    }
    let mut both = HeaderMap::new();
    both.insert("retry-after", "1".parse().unwrap());
    both.insert("retry-after-ms", "0".parse().unwrap());
    assert_eq!(retry_after(&both), Some(1_000));
    let reset = |status: u16, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", value.parse().unwrap());
        let body = Bytes::from_static(br#"{"error":{"message":"slow down"}}"#);
        classify(status, &headers, &body, true, &Redaction::default()).retry_after_ms
    };
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    let soon = soon.as_millis().to_string();
    assert!((55_000..=60_000).contains(&reset(429, &soon).unwrap()));
    // No limit of a rate, a moment that is past, and no moments.
    assert_eq!(reset(404, &soon), None);
    for none in ["1759845420000", "60", "6.5s", ""] {
        assert_eq!(reset(429, none), None, "{none}");
    }
    let body = r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"48s"}]}}"#;
    let answered =
        classify(429, &HeaderMap::new(), &Bytes::from_static(body.as_bytes()), true, &Redaction::default());
    assert_eq!(answered.retry_after_ms, Some(48_000));
}

#[test]
fn an_error_event_gets_the_status_it_would_have_had() {
    let status =
        |body: &str| classify_event(&parse_error(body.as_bytes()).unwrap(), &Redaction::default()).status;
    assert_eq!(status(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#), 529);
    assert_eq!(status(r#"{"error":{"message":"x","type":"server_error","code":null}}"#), 500);
    assert_eq!(status(r#"{"error":{"code":502,"message":"bad gateway"}}"#), 502);
    assert_eq!(status(r#"{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT"}}"#), 400);
}

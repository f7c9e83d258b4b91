//! An error in a dialect's own words, framed for where it is told.

use bytes::Bytes;
use serde::Serialize;

use super::{ErrorKind, ErrorView, Stage};
use crate::Dialect;

/// The error as bytes of the dialect, framed for its stage.
pub fn encode_error(dialect: Dialect, error: &ErrorView<'_>, stage: Stage) -> Bytes {
    let body = match (dialect, stage) {
        (Dialect::OpenaiResponses, Stage::Sse { sequence }) => {
            let error = Openai::of(error);
            // The specification has the fields flat, the recorded events have them nested: clients read either.
            write(&ResponsesEvent {
                r#type: "error",
                sequence_number: sequence,
                code: error.code,
                message: &error.message,
                param: error.param,
                error: &error,
            })
        }
        (Dialect::OpenaiChat | Dialect::OpenaiResponses, _) => write(&Wrapped { error: Openai::of(error) }),
        (Dialect::AnthropicMessages, _) => write(&Anthropic {
            r#type: "error",
            error: AnthropicError { r#type: name_for_anthropic(error.kind), message: error.message },
            request_id: Some(error.request_id).filter(|id| !id.is_empty()),
        }),
        (Dialect::GeminiGenerate, _) => write(&Wrapped { error: Gemini::of(error) }),
    };
    let (before, after) = match (dialect, stage) {
        (_, Stage::Head) => ("", ""),
        (Dialect::OpenaiChat, Stage::Sse { .. }) => ("data: ", "\n\n"),
        (Dialect::OpenaiResponses | Dialect::AnthropicMessages, Stage::Sse { .. }) => {
            ("event: error\ndata: ", "\n\n")
        }
        (Dialect::GeminiGenerate, Stage::Sse { .. }) => ("data: ", "\r\n\r\n"),
        (_, Stage::JsonArray { first: true }) => ("[", "]"),
        (_, Stage::JsonArray { first: false }) => (",", "]"),
    };
    Bytes::from([before.as_bytes(), &body, after.as_bytes()].concat())
}

/// Strings and numbers only: writing them cannot fail.
fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[derive(Serialize)]
struct Wrapped<E> {
    error: E,
}

#[derive(Serialize)]
struct Openai<'a> {
    message: String,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl<'a> Openai<'a> {
    fn of(error: &ErrorView<'a>) -> Openai<'a> {
        Openai {
            message: name_request(error),
            r#type: name_for_openai(error.kind),
            param: error.param,
            code: error.code,
        }
    }
}

#[derive(Serialize)]
struct ResponsesEvent<'a> {
    r#type: &'static str,
    sequence_number: u64,
    code: Option<&'a str>,
    message: &'a str,
    param: Option<&'a str>,
    error: &'a Openai<'a>,
}

#[derive(Serialize)]
struct Anthropic<'a> {
    r#type: &'static str,
    error: AnthropicError<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    r#type: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct Gemini<'a> {
    code: u16,
    message: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Vec<GeminiDetail<'a>>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum GeminiDetail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: &'a str, domain: &'static str },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    RetryInfo { retry_delay: String },
}

impl<'a> Gemini<'a> {
    fn of(error: &ErrorView<'a>) -> Gemini<'a> {
        let info = error.code.map(|reason| GeminiDetail::ErrorInfo { reason, domain: "sluice" });
        let retry = error.retry_after_ms.map(|ms| GeminiDetail::RetryInfo { retry_delay: seconds(ms) });
        let details: Vec<_> = info.into_iter().chain(retry).collect();
        Gemini {
            code: error.status,
            message: name_request(error),
            status: name_for_gemini(error.kind),
            details: (!details.is_empty()).then_some(details),
        }
    }
}

/// A duration in Google's notation.
fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{}.{:03}s", ms / 1000, ms % 1000)
    }
}

/// The dialects without a field for the request id have it at the message's end.
fn name_request(error: &ErrorView<'_>) -> String {
    if error.request_id.is_empty() {
        error.message.to_owned()
    } else {
        format!("{} (request id: {})", error.message, error.request_id)
    }
}

fn name_for_openai(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMedia => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Timeout => {
            "server_error"
        }
    }
}

fn name_for_anthropic(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::MethodNotAllowed | ErrorKind::UnsupportedMedia => {
            "invalid_request_error"
        }
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Internal | ErrorKind::Unavailable => "api_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
    }
}

fn name_for_gemini(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::MethodNotAllowed
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMedia => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Billing => "FAILED_PRECONDITION",
        ErrorKind::Internal => "INTERNAL",
        ErrorKind::Unavailable | ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
    }
}

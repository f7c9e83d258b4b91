//! Errors as the four dialects word them.
//!
//! In: a kind, a dialect, the model and the secret of the request; out: a status and JSON. The messages carry
//! a piece of the secret and a project name on purpose, as real ones do: a gateway must not pass them on.

use crate::operation::Dialect;
use serde_json::{Value, json};

/// What went wrong, in words shared by the dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    InsufficientQuota,
    InvalidKey,
    ModelMissing,
    ItemMissing,
    ContextLength,
    ContentPolicy,
    Overloaded,
    RateLimit,
    Server,
    BadRequest,
    Billing,
    Permission,
    TooLarge,
    Timeout,
}

const NAMES: [(ErrorKind, &str); 14] = [
    (ErrorKind::InsufficientQuota, "insufficient_quota"),
    (ErrorKind::InvalidKey, "invalid_key"),
    (ErrorKind::ModelMissing, "model_missing"),
    (ErrorKind::ItemMissing, "item_missing"),
    (ErrorKind::ContextLength, "context_length"),
    (ErrorKind::ContentPolicy, "content_policy"),
    (ErrorKind::Overloaded, "overloaded"),
    (ErrorKind::RateLimit, "rate_limit"),
    (ErrorKind::Server, "server"),
    (ErrorKind::BadRequest, "bad_request"),
    (ErrorKind::Billing, "billing"),
    (ErrorKind::Permission, "permission"),
    (ErrorKind::TooLarge, "too_large"),
    (ErrorKind::Timeout, "timeout"),
];

impl ErrorKind {
    pub(crate) fn from_name(name: &str) -> Option<ErrorKind> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// What a bare `status=` means.
    pub(crate) fn of_status(status: u16) -> ErrorKind {
        match status {
            401 => ErrorKind::InvalidKey,
            402 => ErrorKind::Billing,
            403 => ErrorKind::Permission,
            404 => ErrorKind::ModelMissing,
            408 | 504 => ErrorKind::Timeout,
            413 => ErrorKind::TooLarge,
            429 => ErrorKind::RateLimit,
            503 | 529 => ErrorKind::Overloaded,
            500.. => ErrorKind::Server,
            _ => ErrorKind::BadRequest,
        }
    }
}

/// An error to be worded.
pub(crate) struct Failure<'a> {
    pub(crate) kind: ErrorKind,
    /// The status asked for by the script, if any.
    pub(crate) status: Option<u16>,
    pub(crate) dialect: Dialect,
    pub(crate) model: &'a str,
    pub(crate) secret: &'a str,
    /// Seconds for Gemini's `RetryInfo`.
    pub(crate) retry_info: Option<u64>,
    /// Number of the request, for the ids in the body.
    pub(crate) id: u64,
}

impl Failure<'_> {
    /// The status of the answer and its body.
    pub(crate) fn body(&self) -> (u16, Vec<u8>) {
        let (status, value) = self.worded();
        let bytes = match self.dialect {
            // Gemini prints its errors over several lines, also on event streams.
            Dialect::GeminiGenerate => serde_json::to_vec_pretty(&value),
            _ => serde_json::to_vec(&value),
        };
        (status, bytes.unwrap_or_default())
    }

    /// The error object alone, for events inside a stream.
    pub(crate) fn worded(&self) -> (u16, Value) {
        match self.dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => self.openai(),
            Dialect::AnthropicMessages => self.anthropic(),
            Dialect::GeminiGenerate => self.gemini(),
        }
    }

    fn message(&self) -> String {
        let model = self.model;
        let key_end = &self.secret[self.secret.floor_char_boundary(self.secret.len().saturating_sub(4))..];
        match self.kind {
            ErrorKind::InsufficientQuota => {
                "The quota of this account is used up. Check the plan and billing of project sim-project-7."
                    .to_owned()
            }
            ErrorKind::InvalidKey => format!("The API key ****{key_end} is not valid."),
            ErrorKind::ModelMissing => format!("The model `{model}` does not exist or is not open to you."),
            ErrorKind::ItemMissing => "An item that the input names is not kept here.".to_owned(),
            ErrorKind::ContextLength => match self.dialect {
                Dialect::AnthropicMessages => "prompt is too long: 210000 tokens > 200000 maximum".to_owned(),
                Dialect::GeminiGenerate => "The input token count (1200000) exceeds the maximum number of \
                                            tokens allowed (1048576)."
                    .to_owned(),
                _ => "The maximum context length of this model is 128000 tokens; the messages have 140000."
                    .to_owned(),
            },
            ErrorKind::ContentPolicy => "The prompt was refused by the content policy.".to_owned(),
            ErrorKind::Overloaded => "The model is overloaded at present. Try again later.".to_owned(),
            ErrorKind::RateLimit => {
                let wait = self.retry_info.map(|s| format!(" Please retry in {s}s.")).unwrap_or_default();
                format!("Rate limit reached for {model} in project sim-project-7.{wait}")
            }
            ErrorKind::Server => "The server had an error while it worked on the request.".to_owned(),
            ErrorKind::BadRequest => "The request is not valid.".to_owned(),
            ErrorKind::Billing => "Insufficient balance.".to_owned(),
            ErrorKind::Permission => "This key may not use this resource.".to_owned(),
            ErrorKind::TooLarge => "The request is larger than allowed.".to_owned(),
            ErrorKind::Timeout => "The request took too long.".to_owned(),
        }
    }

    fn openai(&self) -> (u16, Value) {
        let (status, kind, code, param) = match self.kind {
            ErrorKind::InsufficientQuota => (429, "insufficient_quota", Some("insufficient_quota"), None),
            ErrorKind::InvalidKey => (401, "invalid_request_error", Some("invalid_api_key"), None),
            ErrorKind::ModelMissing => (404, "invalid_request_error", Some("model_not_found"), Some("model")),
            ErrorKind::ItemMissing => (404, "invalid_request_error", None, Some("input")),
            ErrorKind::ContextLength => {
                (400, "invalid_request_error", Some("context_length_exceeded"), Some("messages"))
            }
            ErrorKind::ContentPolicy => {
                (400, "invalid_request_error", Some("content_policy_violation"), Some("prompt"))
            }
            ErrorKind::Overloaded => (503, "server_error", Some("server_overloaded"), None),
            ErrorKind::RateLimit => (429, "requests", Some("rate_limit_exceeded"), None),
            ErrorKind::Server => (500, "server_error", None, None),
            ErrorKind::BadRequest => (400, "invalid_request_error", None, None),
            ErrorKind::Billing => (402, "insufficient_balance", Some("invalid_request_error"), None),
            ErrorKind::Permission => (403, "permission_error", None, None),
            ErrorKind::TooLarge => (413, "invalid_request_error", Some("request_too_large"), None),
            ErrorKind::Timeout => (504, "server_error", Some("timeout"), None),
        };
        let error = json!({"message": self.message(), "type": kind, "param": param, "code": code});
        (self.status.unwrap_or(status), json!({ "error": error }))
    }

    fn anthropic(&self) -> (u16, Value) {
        let (status, kind) = match self.kind {
            ErrorKind::InsufficientQuota | ErrorKind::Billing => (402, "billing_error"),
            ErrorKind::InvalidKey => (401, "authentication_error"),
            ErrorKind::ModelMissing | ErrorKind::ItemMissing => (404, "not_found_error"),
            ErrorKind::ContextLength | ErrorKind::ContentPolicy | ErrorKind::BadRequest => {
                (400, "invalid_request_error")
            }
            ErrorKind::Overloaded => (529, "overloaded_error"),
            ErrorKind::RateLimit => (429, "rate_limit_error"),
            ErrorKind::Server => (500, "api_error"),
            ErrorKind::Permission => (403, "permission_error"),
            ErrorKind::TooLarge => (413, "request_too_large"),
            ErrorKind::Timeout => (504, "timeout_error"),
        };
        let error = json!({"type": kind, "message": self.message()});
        let body = json!({"type": "error", "error": error, "request_id": format!("req_sim{}", self.id)});
        (self.status.unwrap_or(status), body)
    }

    fn gemini(&self) -> (u16, Value) {
        let (status, name) = match self.kind {
            ErrorKind::InsufficientQuota | ErrorKind::RateLimit => (429, "RESOURCE_EXHAUSTED"),
            // A bad key is a bad argument here, not an authentication failure.
            ErrorKind::InvalidKey => (400, "INVALID_ARGUMENT"),
            ErrorKind::ModelMissing | ErrorKind::ItemMissing => (404, "NOT_FOUND"),
            ErrorKind::ContextLength
            | ErrorKind::ContentPolicy
            | ErrorKind::BadRequest
            | ErrorKind::TooLarge => (400, "INVALID_ARGUMENT"),
            ErrorKind::Overloaded => (503, "UNAVAILABLE"),
            ErrorKind::Server => (500, "INTERNAL"),
            ErrorKind::Billing => (402, "FAILED_PRECONDITION"),
            ErrorKind::Permission => (403, "PERMISSION_DENIED"),
            ErrorKind::Timeout => (504, "DEADLINE_EXCEEDED"),
        };
        // The status line of a script may differ from the kind; `code` repeats the status line.
        let status = self.status.unwrap_or(status);
        let mut error = json!({"code": status, "message": self.message(), "status": name});
        let details = self.gemini_details();
        if !details.is_empty() {
            error["details"] = Value::Array(details);
        }
        (status, json!({ "error": error }))
    }

    fn gemini_details(&self) -> Vec<Value> {
        let mut details = Vec::new();
        if self.kind == ErrorKind::InvalidKey {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }));
        }
        if matches!(self.kind, ErrorKind::InsufficientQuota | ErrorKind::RateLimit) {
            let per_day = self.kind == ErrorKind::InsufficientQuota;
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{
                    "quotaMetric": "generativelanguage.googleapis.com/sim_requests",
                    "quotaId": if per_day { "SimRequestsPerDay" } else { "SimRequestsPerMinute" },
                    "quotaDimensions": {"model": self.model, "location": "global"},
                    "quotaValue": "10",
                }],
            }));
        }
        if let Some(seconds) = self.retry_info {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{seconds}s"),
            }));
        }
        details
    }
}

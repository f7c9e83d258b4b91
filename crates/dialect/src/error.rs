//! Errors in the words of a dialect, and errors read from any provider.
//!
//! In: what went wrong, or a provider's error body. Out: the bytes of an error in a dialect (`encode`), or what the body
//! says (`parse`). It must never decide what an error means for a retry, and never add anything that was not said.

mod encode;
mod parse;

pub use encode::encode_error;
pub(crate) use parse::read_stream_error;
pub use parse::{is_error_of, parse_error};

/// What an error says to the caller, whatever the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    InvalidRequest,
    Authentication,
    Permission,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    UnsupportedMedia,
    RateLimit,
    Billing,
    /// Sluice or the provider failed.
    Internal,
    /// Nobody can serve this now; later it may work.
    Unavailable,
    Overloaded,
    Timeout,
}

impl ErrorKind {
    pub const ALL: [ErrorKind; 13] = [
        ErrorKind::InvalidRequest,
        ErrorKind::Authentication,
        ErrorKind::Permission,
        ErrorKind::NotFound,
        ErrorKind::MethodNotAllowed,
        ErrorKind::TooLarge,
        ErrorKind::UnsupportedMedia,
        ErrorKind::RateLimit,
        ErrorKind::Billing,
        ErrorKind::Internal,
        ErrorKind::Unavailable,
        ErrorKind::Overloaded,
        ErrorKind::Timeout,
    ];
}

/// An error to be told to a caller.
#[derive(Clone, Copy, Debug)]
pub struct ErrorView<'a> {
    pub kind: ErrorKind,
    pub status: u16,
    pub message: &'a str,
    /// A machine-readable code (`model_not_found`, `queue_full` …).
    pub code: Option<&'a str>,
    /// The offending request field.
    pub param: Option<&'a str>,
    pub request_id: &'a str,
    /// When to come back, where it is known; only Gemini's dialect has a place for it beside the header.
    pub retry_after_ms: Option<u64>,
}

/// Where the error is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// As the body of an HTTP error.
    Head,
    /// Inside a stream whose head was sent. `sequence`: the number that follows the last event's (Responses).
    Sse { sequence: u64 },
    /// Inside a Gemini JSON array; `first`: no element was sent yet.
    JsonArray { first: bool },
}

/// What a provider's error body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedError {
    pub message: String,
    /// OpenAI's and Anthropic's `type`, Gemini's `status`.
    pub kind: Option<String>,
    /// OpenAI's `code`; Gemini's `ErrorInfo.reason`; a number is written as text.
    pub code: Option<String>,
    pub param: Option<String>,
    /// An HTTP status named inside the body (Gemini's and OpenRouter's numeric `code`, Groq's `status_code`).
    pub status: Option<u16>,
    /// Gemini's `RetryInfo.retryDelay` or the "Please retry in 48.9s" of its message, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

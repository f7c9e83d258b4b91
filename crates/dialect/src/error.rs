//! Errors in the words of a dialect, and errors read from any provider.

use bytes::Bytes;

use crate::Dialect;

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

/// The error as bytes of the dialect, framed for its stage.
pub fn encode_error(dialect: Dialect, error: &ErrorView<'_>, stage: Stage) -> Bytes {
    let _ = (dialect, error, stage);
    todo!()
}

/// Reads an error body or an error event's data in any provider's form; `None` when it is no JSON error.
pub fn parse_error(body: &[u8]) -> Option<ParsedError> {
    let _ = body;
    todo!()
}

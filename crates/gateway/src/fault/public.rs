//! What a caller reads of a fault: what happened and what to do, and never a key, an upstream URL, a host or an address.

use std::borrow::Cow;

use bytes::Bytes;
use dialect::{Dialect, ErrorKind};

use super::{Answered, Blame, ClientFault, Rejection, UpstreamFault};
use crate::{
    limits::{Short, What, Whose},
    upstream::SendError,
};

/// What the caller reads.
#[derive(Clone, Debug)]
pub struct PublicError {
    pub status: u16,
    pub kind: ErrorKind,
    pub code: Cow<'static, str>,
    pub param: Option<Cow<'static, str>>,
    pub message: Cow<'static, str>,
    pub retry_after_ms: Option<u64>,
    pub allow: Option<&'static str>,
    /// An upstream's own error body in the caller's dialect, redacted: sent in the place of ours.
    pub original: Option<Bytes>,
}

impl PublicError {
    pub(super) fn new(
        status: u16,
        kind: ErrorKind,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> PublicError {
        PublicError {
            status,
            kind,
            code: code.into(),
            param: None,
            message: message.into(),
            retry_after_ms: None,
            allow: None,
            original: None,
        }
    }

    /// In mid-stream: Sluice could not wait any longer.
    pub fn stopped() -> PublicError {
        let message =
            "This gateway is being stopped and could not wait for the end of the answer. Ask again.";
        PublicError::new(503, ErrorKind::Unavailable, "stopping", message)
    }

    /// In mid-stream: the upstream broke off.
    pub fn broken_off() -> PublicError {
        let message =
            "The model's provider broke off in the middle of its answer. What was sent is not whole.";
        PublicError::new(502, ErrorKind::Internal, "upstream_broken", message)
    }

    /// In mid-stream: one of the clocks ran out.
    pub fn fell_silent() -> PublicError {
        let message =
            "The model's provider fell silent in the middle of its answer. What was sent is not whole.";
        PublicError::new(504, ErrorKind::Timeout, "upstream_timeout", message)
    }

    fn retry_after_ms(self, retry_after_ms: u64) -> PublicError {
        PublicError { retry_after_ms: Some(retry_after_ms), ..self }
    }

    fn param(self, param: impl Into<Cow<'static, str>>) -> PublicError {
        PublicError { param: Some(param.into()), ..self }
    }
}

impl ClientFault {
    pub fn public(&self) -> PublicError {
        use ErrorKind::{Authentication, InvalidRequest, MethodNotAllowed, NotFound, Permission, TooLarge};
        let invalid =
            |code: &'static str, message: String| PublicError::new(400, InvalidRequest, code, message);
        match self {
            ClientFault::NoKey => PublicError::new(
                401,
                Authentication,
                "missing_api_key",
                "No API key was sent. Send your Sluice key as `Authorization: Bearer KEY`, `x-api-key: KEY`, `x-goog-api-key: KEY` or `?key=KEY`.",
            ),
            ClientFault::WrongKey => PublicError::new(
                401,
                Authentication,
                "invalid_api_key",
                "This API key is not known here. Check that it is a key of this gateway, whole and without blanks.",
            ),
            ClientFault::KeyDisabled => PublicError::new(
                403,
                Permission,
                "key_disabled",
                "This API key is switched off. Ask the operator to switch it on, or use another one.",
            ),
            ClientFault::KeyExpired => PublicError::new(
                403,
                Permission,
                "key_expired",
                "This API key was good until a day that is past. Ask the operator for a new one, or to prolong it.",
            ),
            ClientFault::AddressNotAllowed { address } => {
                let from = address.map_or("an address that is not known".to_owned(), |from| from.to_string());
                PublicError::new(
                    403,
                    Permission,
                    "address_not_allowed",
                    format!(
                        "This API key may not be used from {from}. Call from one of its networks, or ask the operator to add yours."
                    ),
                )
            }
            ClientFault::NoSuchPath { method, path } => PublicError::new(
                404,
                NotFound,
                "unknown_path",
                format!(
                    "There is nothing at {method} {path}. Check the base URL: OpenAI SDKs want it with /v1, Anthropic and Gemini SDKs without."
                ),
            ),
            ClientFault::WrongMethod { allow } => PublicError {
                allow: Some(allow),
                ..PublicError::new(
                    405,
                    MethodNotAllowed,
                    "method_not_allowed",
                    format!("This path takes {allow} only."),
                )
            },
            ClientFault::WrongContentType { found } => PublicError::new(
                415,
                ErrorKind::UnsupportedMedia,
                "unsupported_media_type",
                format!(
                    "The body was sent as {}. Send JSON with `Content-Type: application/json`.",
                    shortened(found)
                ),
            ),
            ClientFault::TwoLengths => invalid(
                "ambiguous_length",
                "The request has both Content-Length and Transfer-Encoding. Send one of them.".into(),
            ),
            ClientFault::BodyTooLarge { limit } => PublicError::new(
                413,
                TooLarge,
                "request_too_large",
                format!(
                    "The request body is larger than the {limit} bytes allowed here. Send less, or ask the operator to raise bounds.body_bytes."
                ),
            ),
            ClientFault::BodyTooSlow => PublicError::new(
                408,
                ErrorKind::Timeout,
                "request_timeout",
                "The request body did not arrive in time. Send it again over a better connection.",
            ),
            ClientFault::BodyBroken => {
                invalid("broken_body", "The request body broke off before its end. Send it again.".into())
            }
            ClientFault::EmptyBody => {
                invalid("empty_body", "The request has no body. Send a JSON object.".into())
            }
            ClientFault::NotJson { detail } => {
                invalid("invalid_json", format!("The request body is not valid JSON: {detail}."))
            }
            ClientFault::NotObject => {
                invalid("invalid_json", "The request body must be a JSON object.".into())
            }
            ClientFault::MissingModel => invalid(
                "missing_model",
                "The request names no model. Set `model` to one of those that GET /v1/models lists.".into(),
            )
            .param("model"),
            ClientFault::BadField { field, expected } => {
                invalid("invalid_value", format!("`{field}` is wrong: {expected}.")).param(*field)
            }
            ClientFault::UnknownModel { model } => PublicError::new(
                404,
                NotFound,
                "model_not_found",
                format!(
                    "The model `{}` is not served here. GET /v1/models lists those that are.",
                    shortened(model)
                ),
            )
            .param("model"),
            ClientFault::ModelNotAllowed { model } => PublicError::new(
                403,
                Permission,
                "model_not_allowed",
                format!(
                    "Your key may not use the model `{}`. GET /v1/models lists those it may.",
                    shortened(model)
                ),
            )
            .param("model"),
            ClientFault::Unpriced { model } => PublicError::new(
                403,
                Permission,
                "model_not_priced",
                format!(
                    "The model `{}` has no price here, and your key pays for what it uses. Ask the operator to add one.",
                    shortened(model)
                ),
            )
            .param("model"),
            ClientFault::Background => PublicError::new(
                403,
                Permission,
                "background_not_charged",
                "What is answered in the background cannot be charged here, and your key pays for what it uses. Ask without `background`.",
            )
            .param("background"),
            ClientFault::OtherDialect { model, speaks } => invalid(
                "dialect_not_supported",
                format!(
                    "The model `{}` cannot be asked here. Ask for it at {}.",
                    shortened(model),
                    speaks.join(" or ")
                ),
            )
            .param("model"),
            ClientFault::Malformed { field, expected } if field.is_empty() => {
                invalid("invalid_value", format!("The request body is not {expected}."))
            }
            ClientFault::Malformed { field, expected } => {
                invalid("invalid_value", format!("`{}` is wrong: it must be {expected}.", shortened(field)))
                    .param(shortened(field).into_owned())
            }
            ClientFault::Untranslatable { model, field, dialect, reason } => invalid(
                "field_not_supported",
                format!(
                    "The model `{}` is served here in the dialect {}, which has no place for `{}`: {reason}. Ask without it, or for another model.",
                    shortened(model),
                    dialect.name(),
                    shortened(field),
                ),
            )
            .param(shortened(field).into_owned()),
            ClientFault::WouldLose { model, field, dialect, reason } => invalid(
                "field_would_be_lost",
                format!(
                    "The model `{}` is served here in the dialect {}, which has no place for `{}`: {reason}. Your key does not send requests without such fields: ask without it, or have the operator set the key's `losses` to \"report\".",
                    shortened(model),
                    dialect.name(),
                    shortened(field),
                ),
            )
            .param(shortened(field).into_owned()),
            ClientFault::UnknownStored { id } => PublicError::new(
                404,
                NotFound,
                "stored_object_not_found",
                format!(
                    "Nothing with the id `{}` was made here with your key, or it was too long ago.",
                    shortened(id)
                ),
            ),
        }
    }
}

impl Rejection {
    pub fn public(&self) -> PublicError {
        use ErrorKind::{RateLimit, Unavailable};
        match self {
            Rejection::QueueFull => PublicError::new(
                503,
                Unavailable,
                "queue_full",
                "Too many requests are waiting already. Try again in a moment.",
            )
            .retry_after_ms(1_000),
            Rejection::QueueTimedOut => PublicError::new(
                503,
                Unavailable,
                "queue_timeout",
                "No place came free in time. Try again in a moment.",
            )
            .retry_after_ms(5_000),
            Rejection::MemoryFull => PublicError::new(
                503,
                Unavailable,
                "memory_full",
                "Too many large requests are held already. Try again in a moment.",
            )
            .retry_after_ms(2_000),
            Rejection::SettlementsFull => PublicError::new(
                503,
                Unavailable,
                "settlements_full",
                "Finished requests are not recorded fast enough to take new ones. Try again in a moment.",
            )
            .retry_after_ms(2_000),
            Rejection::RateLimited(short) => limited(short),
            Rejection::ChannelsBusy { model } => PublicError::new(
                503,
                Unavailable,
                "channels_busy",
                format!("Every channel for `{}` is full. Try again in a moment.", shortened(model)),
            )
            .retry_after_ms(1_000),
            Rejection::ChannelsResting { model, retry_after_ms } => PublicError::new(
                503,
                Unavailable,
                "channels_resting",
                format!("No channel for `{}` can be used right now. Try again later.", shortened(model)),
            )
            .retry_after_ms(*retry_after_ms),
            Rejection::BalanceShort { needed } => PublicError::new(
                402,
                ErrorKind::Billing,
                "insufficient_balance",
                format!(
                    "This request may cost ${needed}, and your account has less. Top it up, or ask for less output."
                ),
            ),
            Rejection::MoneyHeld { needed } => PublicError::new(
                429,
                RateLimit,
                "balance_held",
                format!("This request may cost ${needed}, and your other requests hold what is left until they end. Wait for one to end."),
            )
            .retry_after_ms(1_000),
            Rejection::LimitReached { needed } => PublicError::new(
                402,
                ErrorKind::Billing,
                "spend_limit_reached",
                format!(
                    "This request may cost ${needed}, and your key's spend limit leaves less. Ask for less output, or the operator to raise the limit."
                ),
            ),
            Rejection::Stopping => PublicError::new(
                503,
                Unavailable,
                "stopping",
                "This gateway is being stopped. Try again: another one, or the next one, will answer.",
            )
            .retry_after_ms(1_000),
        }
    }
}

/// Whose limit was reached, and which.
fn limited(short: &Short) -> PublicError {
    let Short { whose, what, limit, retry_after_ms, .. } = short;
    let whose = match whose {
        Whose::Key => "Your key",
        Whose::User => "Your account, with all its keys,",
        Whose::Group => "Your group, all of its members together,",
    };
    let (code, message) = match what {
        What::InFlight => (
            "too_many_in_flight",
            format!("{whose} has {limit} requests in flight, which is all it may have. Wait for one to end."),
        ),
        What::Requests => (
            "rate_limit_exceeded",
            format!("{whose} may make {limit} requests a minute, and has made them. Try again later."),
        ),
        What::Tokens => (
            "rate_limit_exceeded",
            format!(
                "{whose} may use {limit} tokens a minute, and what is left is less than this request may need. Try again later, or ask for less output."
            ),
        ),
    };
    PublicError::new(429, ErrorKind::RateLimit, code, message).retry_after_ms(*retry_after_ms)
}

impl UpstreamFault {
    pub fn public(&self) -> PublicError {
        match self {
            UpstreamFault::Send(SendError::Connect(_) | SendError::ConnectTimedOut) => PublicError::new(
                502,
                ErrorKind::Unavailable,
                "upstream_unreachable",
                "The model's provider could not be reached. Try again.",
            ),
            UpstreamFault::Send(SendError::Broken(_)) | UpstreamFault::Broken { .. } => PublicError::new(
                502,
                ErrorKind::Internal,
                "upstream_broken",
                "The model's provider broke the connection before it answered. Try again.",
            ),
            UpstreamFault::Silent { .. } => PublicError::new(
                504,
                ErrorKind::Timeout,
                "upstream_timeout",
                "The model's provider did not answer in time. Try again.",
            ),
            UpstreamFault::Truncated => PublicError::new(
                502,
                ErrorKind::Internal,
                "upstream_truncated",
                "The model's provider ended its answer before it was whole. Try again.",
            ),
            UpstreamFault::Unreadable { .. } => PublicError::new(
                502,
                ErrorKind::Internal,
                "upstream_unreadable",
                "The model's provider sent an answer that cannot be read. Try again.",
            ),
            UpstreamFault::TooLong => PublicError::new(
                502,
                ErrorKind::Internal,
                "answer_too_long",
                "The answer is too long to be told in the dialect that you asked in. Ask for less, for a stream, or in the dialect of the model's provider.",
            ),
            UpstreamFault::Answered(answered) => answered.public(),
        }
    }
}

impl Answered {
    pub fn public(&self) -> PublicError {
        match self.blame {
            // The caller must never think that his own key is bad, or read what the operator's account lacks.
            Blame::Credentials | Blame::Account | Blame::Model | Blame::Address => PublicError::new(
                503,
                ErrorKind::Unavailable,
                "channel_unavailable",
                "No channel can serve this model right now. It is not your key or your request; try again later, or tell the operator the request id.",
            ),
            Blame::Request
            | Blame::Content
            | Blame::Length
            | Blame::RateLimit
            | Blame::Overload
            | Blame::Server
            | Blame::Timeout => {
                let kind = kind_of_status(self.status);
                let message = if self.message.is_empty() {
                    format!("The model's provider answered {} without a readable explanation.", self.status)
                        .into()
                } else {
                    Cow::Owned(self.message.clone())
                };
                PublicError {
                    status: self.status,
                    kind,
                    code: self.code.clone().map_or(Cow::Borrowed("upstream_error"), Cow::Owned),
                    param: None,
                    message,
                    retry_after_ms: self.retry_after_ms,
                    allow: None,
                    original: self.body.clone(),
                }
            }
        }
    }
}

/// What a status says, in the words that every dialect has.
pub fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Authentication,
        402 => ErrorKind::Billing,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        405 => ErrorKind::MethodNotAllowed,
        408 | 504 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        415 => ErrorKind::UnsupportedMedia,
        429 => ErrorKind::RateLimit,
        503 => ErrorKind::Unavailable,
        529 => ErrorKind::Overloaded,
        500.. => ErrorKind::Internal,
        _ => ErrorKind::InvalidRequest,
    }
}

/// The status that a dialect's clients know: 529 is Anthropic's own.
pub fn status_for(dialect: Dialect, status: u16) -> u16 {
    match (dialect, status) {
        (Dialect::AnthropicMessages, status) => status,
        (_, 529) => 503,
        (_, status) => status,
    }
}

/// A caller's own words, told back to him, at a bearable length.
fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 128;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

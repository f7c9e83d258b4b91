//! Errors as providers tell them, and what each must lead to: the issue's own list, a row each.

use dialect::Dialect;
use serde_json::Value;

use crate::{dice::Dice, script::Hidden, wire};

/// What an upstream's error comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The caller's own doing: told as it is, and tried again only where the words were not his.
    Request(u16),
    /// The same, and nobody shall be asked again.
    Content(u16),
    /// More than the model reads.
    Length(u16),
    /// Load or trouble of the provider: told as it is, another channel may help. `rest_ms`: how long the key must not be
    /// used again.
    Load(u16, u64),
    /// Our credentials, account or address: never told, 503.
    Ours(u64),
}

impl Said {
    /// About the request: told before all that comes later.
    pub(crate) fn final_word(self) -> bool {
        matches!(self, Said::Request(_) | Said::Content(_) | Said::Length(_))
    }

    /// Whether another may be asked after it. `own_words`: it gets what the caller wrote, and the first did not; `other`: it is asked
    /// for another model.
    pub(crate) fn lets_on(self, translated: bool, own_words: bool, other: bool) -> bool {
        match self {
            Said::Request(_) => translated && (own_words || other),
            Said::Content(_) => false,
            Said::Length(_) => other || own_words,
            Said::Load(..) | Said::Ours(_) => true,
        }
    }

    /// How long the channel's secret must rest.
    pub(crate) fn rest_ms(self) -> u64 {
        match self {
            Said::Request(_) | Said::Content(_) | Said::Length(_) => 0,
            Said::Load(_, rest_ms) | Said::Ours(rest_ms) => rest_ms,
        }
    }
}

/// Rests that the incident asks for, in milliseconds, as far as a caller can rely on them.
const CREDENTIALS: u64 = 600_000;
const ACCOUNT: u64 = 300_000;
const RATE_LIMIT: u64 = 1_000;

pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) with_body: Said,
    pub(crate) without: Said,
}

/// An error with a status of its own.
pub(crate) fn status(dice: &mut Dice, dialect: Dialect, hidden: &Hidden) -> Told {
    let quota = "You exceeded your current quota, please check your plan.";
    let bad_key = format!("Incorrect API key provided: {}. See https://{}/keys.", hidden.secret, hidden.host);
    let unread = |status| Said::Load(status, 0);
    let server: u16 = dice.pick(&[500, 502, 503, 504, 529, 524]);
    let (status, kind, code, message, with_body, without) = dice.weigh(&[
        (
            4,
            (
                400,
                "invalid_request_error",
                "bad_value",
                "max_tokens is too large.".to_owned(),
                Said::Request(400),
                Said::Request(400),
            ),
        ),
        (
            2,
            (
                400,
                "invalid_argument",
                "API_KEY_INVALID",
                "API key not valid. Please pass one.".to_owned(),
                Said::Ours(CREDENTIALS),
                Said::Request(400),
            ),
        ),
        (
            2,
            (
                401,
                "authentication_error",
                "invalid_api_key",
                bad_key,
                Said::Ours(CREDENTIALS),
                Said::Ours(CREDENTIALS),
            ),
        ),
        (
            1,
            (
                402,
                "billing_error",
                "no_money",
                "Insufficient Balance".to_owned(),
                Said::Ours(ACCOUNT),
                Said::Ours(ACCOUNT),
            ),
        ),
        (
            1,
            (
                403,
                "permission_error",
                "denied",
                "Permission denied.".to_owned(),
                Said::Ours(CREDENTIALS),
                Said::Ours(0), // Without a word it may be a firewall's, and about this request alone.
            ),
        ),
        (
            1,
            (
                403,
                "permission_error",
                "denied",
                "This violates usage guidelines.".to_owned(),
                Said::Content(403),
                Said::Ours(0),
            ),
        ),
        (
            2,
            (
                404,
                "not_found_error",
                "model_not_found",
                "The model does not exist.".to_owned(),
                Said::Ours(0),
                Said::Ours(0),
            ),
        ),
        (
            1,
            (
                405,
                "invalid_request_error",
                "method",
                "Method not allowed".to_owned(),
                Said::Ours(0),
                Said::Ours(0),
            ),
        ),
        (1, (302, "moved", "moved", "Moved".to_owned(), Said::Ours(0), Said::Ours(0))),
        (1, (408, "timeout_error", "timeout", "Too slow.".to_owned(), unread(408), unread(408))),
        (
            1,
            (
                413,
                "request_too_large",
                "too_large",
                "Too large.".to_owned(),
                Said::Length(413),
                Said::Length(413),
            ),
        ),
        (
            2,
            (
                422,
                "invalid_request_error",
                "unprocessable",
                "Cannot be processed.".to_owned(),
                Said::Request(422),
                Said::Request(422),
            ),
        ),
        (
            6,
            (
                429,
                "rate_limit_error",
                "rate_limit",
                format!("Rate limit reached at {}.", hidden.host),
                Said::Load(429, RATE_LIMIT),
                Said::Load(429, RATE_LIMIT),
            ),
        ),
        (
            2,
            (
                429,
                "insufficient_quota",
                "insufficient_quota",
                quota.to_owned(),
                Said::Ours(ACCOUNT),
                Said::Load(429, RATE_LIMIT),
            ),
        ),
        (
            12,
            (
                server,
                "server_error",
                "trouble",
                format!("Trouble at {}, key {}.", hidden.host, hidden.secret),
                unread(if server == 524 { 502 } else { server }),
                unread(if server == 524 { 502 } else { server }),
            ),
        ),
    ]);
    let mut told = Told {
        status,
        content_type: "application/json",
        headers: Vec::new(),
        body: wire::error(dialect, status, kind, code, &message).to_string().into_bytes(),
        with_body,
        without,
    };
    if matches!(status, 429 | 503 | 529) && dice.chance(40) {
        let seconds = dice.between(1, 40);
        told.headers.push(("retry-after", seconds.to_string()));
        for said in [&mut told.with_body, &mut told.without] {
            if let Said::Load(_, rest_ms) = said {
                *rest_ms = seconds * 1_000;
            }
        }
    }
    if status >= 500 || status == 404 {
        match dice.below(6) {
            0 => told.body = format!("<html><h1>{status}</h1>{}</html>", hidden.host).into_bytes(),
            1 => told.body.clear(),
            2 => told.body.splice(..0, vec![b' '; dice.between(70_000, 200_000) as usize]).for_each(drop),
            _ => {}
        }
    }
    // More than is read of an error, or nothing that can be read: only the status speaks.
    if told.body.len() > 65_536 || !told.body.starts_with(b"{") {
        told.with_body = told.without;
    }
    told
}

/// An error event, or an error document, in a 200.
pub(crate) fn event(dice: &mut Dice, dialect: Dialect, hidden: &Hidden) -> (Value, Said) {
    let leak = format!("Overloaded at https://{}/v1 with {}.", hidden.host, hidden.secret);
    let (status, kind, code, message, said) = dice.weigh(&[
        (3, (529, "overloaded_error", "overloaded", leak, Said::Load(529, 0))),
        (
            3,
            (
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
                "Rate limit reached.".to_owned(),
                Said::Load(429, RATE_LIMIT),
            ),
        ),
        (2, (500, "server_error", "trouble", "Internal trouble.".to_owned(), Said::Load(500, 0))),
        (
            2,
            (
                400,
                "invalid_request_error",
                "content_filter",
                "The content policy refuses it.".to_owned(),
                Said::Content(400),
            ),
        ),
        (
            1,
            (
                401,
                "authentication_error",
                "invalid_api_key",
                "Invalid API key.".to_owned(),
                Said::Ours(CREDENTIALS),
            ),
        ),
    ]);
    (wire::error(dialect, status, kind, code, &message), said)
}

//! Whose fault an upstream's error is: status and body together.
//!
//! In: status, headers and a bounded prefix of the body. Out: [`Answered`] with its [`Blame`]. The tables of words were
//! read off recorded provider answers; the tests hold a case a row.

use bytes::Bytes;
use dialect::{ParsedError, parse_error};
use http::{HeaderMap, header::RETRY_AFTER};

use crate::{
    fault::{Answered, Blame},
    health::LONGEST_REST_MS,
    redact::Redaction,
};

/// Codes and types that say so, whatever the status: compared whole, in lower case.
const CODES: &[(Blame, &[&str])] = &[
    (
        Blame::Credentials,
        &[
            "invalid_api_key",
            "api_key_invalid",
            "api_key_expired",
            "authentication_error",
            "invalid_authentication",
            "invalid_authentication_error",
            "unauthenticated",
        ],
    ),
    (
        Blame::Account,
        &[
            "insufficient_quota",
            "insufficient_balance",
            "billing_hard_limit_reached",
            "billing_error",
            "billing_not_active",
            "account_deactivated",
            "unsupported_country_region_territory",
            "consumer_suspended",
            "service_disabled",
            "exceeded_current_quota_error",
        ],
    ),
    (
        Blame::Model,
        &[
            "model_not_found",
            "deploymentnotfound",
            "model_not_available",
            "model_decommissioned", // `model-retired`
            "invalid_model",
        ],
    ),
];

/// How messages begin that say so without a code. Only the very beginning is looked at: further on providers repeat the
/// caller's own words, and no caller may put a channel to rest with his.
const PHRASES: &[(Blame, &[&str])] = &[
    (
        Blame::Credentials,
        &[
            "incorrect api key", // `bad-key-as-400`
            "invalid api key",
            "api key not valid",
            "api key expired",
            "invalid x-api-key",
            "invalid authentication",
        ],
    ),
    (
        Blame::Account,
        &[
            "insufficient quota",
            "insufficient balance",
            "insufficient credits",
            "your credit balance is too low",
            "you exceeded your current quota",
            "billing hard limit",
            "your account is not active",
            "this organization has been disabled",
            "user location is not supported",
            "your team",
        ],
    ),
    (Blame::Model, &["invalid model"]),
];

/// How a 404 begins that is about the model; the last two are OpenRouter's (`no-endpoints`), which says "no endpoints
/// found" also where only the request's tools are why.
const MODEL_404: &[&str] = &[
    "the model",
    "model",
    "the api deployment",
    "no endpoints found for",
    "no endpoints found matching your data policy",
];

/// What is read of a message, in bytes.
const BEGINNING: usize = 160;

/// What a 403 says when it is the content that is refused, not the key.
const POLICY: &[&str] = &[
    "content_policy",
    "content policy",
    "violates usage guidelines",
    "safety_check",
    "content_filter",
    "moderation",
];

/// What other refusals say of the content.
const CONTENT: &[&str] = &[
    "content management policy",
    "content filtering",
    "usage policy",
    "usage policies",
    "invalid_prompt",
    "content exists risk",
    "data_inspection_failed",
    "inappropriate content",
];

/// What a refusal says when the model does not read as much as that.
const LENGTH: &[&str] = &[
    "context_length_exceeded",
    "context length",
    "context window",
    "context limit",
    "prompt is too long",
    "input is too long",
    "input token count",
];

/// A longer code is no code.
const LONGEST_CODE: usize = 64;

/// Reads an upstream's error. `body` is what was read of it; `whole`: nothing is missing.
pub fn classify(
    status: u16,
    headers: &HeaderMap,
    body: &Bytes,
    whole: bool,
    redaction: &Redaction,
) -> Answered {
    let parsed = parse_error(body);
    let body = if whole && parsed.is_some() { redaction.apply_bytes(body) } else { None };
    let wait_ms = retry_after(headers).or_else(|| if status == 429 { until_reset(headers) } else { None });
    Answered { body, ..answered(status, parsed.as_ref(), wait_ms, redaction) }
}

/// The upstream's code, if it is one: providers have put whole sentences there.
fn told_code(code: Option<&str>, redaction: &Redaction) -> Option<String> {
    let code = redaction.apply(code?).into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.: []".contains(c);
    (code.len() <= LONGEST_CODE && code.chars().all(plain)).then_some(code)
}

/// Reads an error event that came first in a 200: the status it would have had.
pub fn classify_event(parsed: &ParsedError, redaction: &Redaction) -> Answered {
    let status =
        parsed.status.filter(|status| (400..600).contains(status)).unwrap_or_else(|| event_status(parsed));
    answered(status, Some(parsed), None, redaction)
}

/// What every error has, wherever it was told. `retry_after_ms`: what the headers say, if they say anything.
fn answered(
    status: u16,
    parsed: Option<&ParsedError>,
    retry_after_ms: Option<u64>,
    redaction: &Redaction,
) -> Answered {
    let retry_after_ms = retry_after_ms.or(parsed.and_then(|parsed| parsed.retry_after_ms));
    Answered {
        status: told_status(status),
        blame: blame(status, parsed),
        code: parsed.and_then(|parsed| told_code(parsed.code.as_deref(), redaction)),
        body: None,
        message: parsed.map_or_else(String::new, |parsed| redaction.apply(&parsed.message).into_owned()),
        retry_after_ms: retry_after_ms.map(|ms| ms.min(LONGEST_REST_MS)),
    }
}

fn blame(status: u16, parsed: Option<&ParsedError>) -> Blame {
    let said = parsed.map(Said::read).unwrap_or_default();
    match blame_of(status, parsed, &said) {
        Blame::Request if said.names(POLICY) || said.names(CONTENT) => Blame::Content,
        Blame::Request if status == 413 || said.names(LENGTH) => Blame::Length,
        blame => blame,
    }
}

fn blame_of(status: u16, parsed: Option<&ParsedError>, said: &Said) -> Blame {
    match status {
        300..=399 | 405 => Blame::Address,
        400 if said.begins(&["the model"]) && said.names(&["does not exist"]) => Blame::Model,
        400 => said.blame().unwrap_or(Blame::Request),
        401 => Blame::Credentials,
        402 => Blame::Account,
        // A page in the place of an error: a firewall in front of the provider, set off by one request perhaps.
        403 if parsed.is_none() => Blame::Address,
        403 if said.names(POLICY) => Blame::Request,
        403 => match said.blame() {
            Some(blame) => blame,
            None if said.names(&["model"]) => Blame::Model,
            None => Blame::Credentials,
        },
        404 if parsed.is_none() => Blame::Address,
        404 if said.names(&[
            "previous_response",
            "previous response",
            "response with id",
            "responses_not_found",
        ]) =>
        {
            Blame::Request
        }
        404 => said.blame().unwrap_or(if said.begins(MODEL_404) { Blame::Model } else { Blame::Request }),
        408 => Blame::Timeout,
        429 => match said.blame() {
            // Gemini says "exceeded your current quota" also of a minute's, and then when to come back.
            Some(Blame::Account) if parsed.is_some_and(|parsed| parsed.retry_after_ms.is_none()) => {
                Blame::Account
            }
            _ => Blame::RateLimit,
        },
        503 | 529 => Blame::Overload,
        504 | 524 => Blame::Timeout,
        500.. => Blame::Server,
        _ => Blame::Request,
    }
}

/// What an error says, in lower case.
#[derive(Default)]
struct Said {
    code: String,
    kind: String,
    /// The beginning of the message.
    beginning: String,
}

impl Said {
    fn read(parsed: &ParsedError) -> Said {
        let lower = |text: &Option<String>| text.as_deref().unwrap_or("").to_ascii_lowercase();
        let mut beginning = parsed.message.trim_start().to_ascii_lowercase();
        beginning.truncate(beginning.floor_char_boundary(BEGINNING));
        Said { code: lower(&parsed.code), kind: lower(&parsed.kind), beginning }
    }

    fn blame(&self) -> Option<Blame> {
        let coded = |codes: &[&str]| codes.iter().any(|code| *code == self.code || *code == self.kind);
        CODES
            .iter()
            .find(|(_, codes)| coded(codes))
            .or_else(|| PHRASES.iter().find(|(_, phrases)| self.begins(phrases)))
            .map(|(blame, _)| *blame)
    }

    fn begins(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.beginning.starts_with(phrase))
    }

    /// Whether one of the words stands anywhere in what was read.
    fn names(&self, words: &[&str]) -> bool {
        words
            .iter()
            .any(|word| [&self.code, &self.kind, &self.beginning].iter().any(|text| text.contains(word)))
    }
}

/// The status that an error event's type stands for.
fn event_status(parsed: &ParsedError) -> u16 {
    let words =
        [parsed.code.as_deref(), parsed.kind.as_deref()].map(|word| word.unwrap_or("").to_ascii_lowercase());
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if any(&["overloaded_error", "overloaded"]) {
        529
    } else if any(&["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", "insufficient_quota"]) {
        429
    } else if any(&["authentication_error", "invalid_api_key", "unauthenticated"]) {
        401
    } else if any(&["billing_error"]) {
        402
    } else if any(&["permission_error", "permission_denied"]) {
        403
    } else if any(&["not_found_error", "not_found", "model_not_found"]) {
        404
    } else if any(&["request_too_large"]) {
        413
    } else if any(&["timeout_error", "deadline_exceeded"]) {
        504
    } else if any(&["unavailable", "service_unavailable"]) {
        503
    } else if any(&[
        "invalid_request_error",
        "invalid_argument",
        "invalid_prompt",
        "failed_precondition",
        "context_length_exceeded",
        "content_filter",
        "content_policy_violation",
        "string_above_max_length",
    ]) {
        400
    } else {
        500
    }
}

/// What the caller is told for a status that only makes sense between us and the upstream.
fn told_status(status: u16) -> u16 {
    match status {
        0..=399 | 524 | 600.. => 502,
        status => status,
    }
}

/// `retry-after-ms`, or `retry-after` in seconds (whole or not) or as a date; milliseconds from now.
pub fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds_to_ms =
        |seconds: f64| (seconds.is_finite() && seconds >= 0.0).then_some((seconds * 1000.0) as u64);
    let exact = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok());
    // Azure's nought beside a second of the other (`retry-after-nought`) is no advice.
    if let Some(ms) = exact.filter(|ms| *ms != 0.0 || !headers.contains_key(RETRY_AFTER)) {
        return seconds_to_ms(ms / 1000.0);
    }
    let text = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds_to_ms(seconds);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(std::time::SystemTime::now()).unwrap_or_default();
    Some(wait.as_millis() as u64)
}

/// OpenRouter's moment in milliseconds since 1970 (`reset-as-a-moment`), as milliseconds from now. A smaller number is another
/// provider's, in units that it does not name.
fn until_reset(headers: &HeaderMap) -> Option<u64> {
    /// September 2001: no wait is as long, and no moment that is to come so early.
    const LEAST_MOMENT_MS: u64 = 1_000_000_000_000;
    let moment_ms: u64 = headers.get("x-ratelimit-reset")?.to_str().ok()?.trim().parse().ok()?;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_millis() as u64;
    // What is past is no wait: the channel rests as after any 429.
    (moment_ms >= LEAST_MOMENT_MS && moment_ms > now_ms).then(|| moment_ms - now_ms)
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "classify_quirks_test.rs"]
mod quirks;

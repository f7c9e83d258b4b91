//! Where a caller's limits stand, in the headers that his dialect's SDKs read.
//!
//! In: the levels. Out: headers, where there is anything limited. Gemini's dialect has none of its own; it gets those of
//! OpenAI, which other providers send too.

use std::time::{Duration, SystemTime};

use dialect::Dialect;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::limits::{Level, Levels};

/// Limit, remaining and reset.
type Names = [&'static str; 3];

const OPENAI_REQUESTS: Names =
    ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
const OPENAI_TOKENS: Names =
    ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
const ANTHROPIC_REQUESTS: Names = [
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
];
const ANTHROPIC_TOKENS: Names = [
    "anthropic-ratelimit-tokens-limit",
    "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset",
];

pub(super) fn write(headers: &mut HeaderMap, dialect: Dialect, levels: &Levels) {
    let anthropic = dialect == Dialect::AnthropicMessages;
    let (requests, tokens) =
        if anthropic { (ANTHROPIC_REQUESTS, ANTHROPIC_TOKENS) } else { (OPENAI_REQUESTS, OPENAI_TOKENS) };
    for (names, level) in [(requests, levels.requests), (tokens, levels.tokens)] {
        let Some(Level { limit, remaining, reset_ms }) = level else { continue };
        let reset = if anthropic { moment(SystemTime::now(), reset_ms) } else { duration(reset_ms) };
        let values = [HeaderValue::from(limit), HeaderValue::from(remaining)];
        for (name, value) in names.into_iter().zip(values.into_iter().chain(HeaderValue::try_from(reset))) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// As Anthropic writes it: the whole second after it, in RFC 3339.
fn moment(now: SystemTime, after_ms: u64) -> String {
    let at = now + Duration::from_millis(after_ms) + Duration::from_millis(999);
    humantime::format_rfc3339_seconds(at).to_string()
}

/// As OpenAI writes it: `20ms`, `1.5s`, `6m0s`, `1h0m3s`.
fn duration(ms: u64) -> String {
    let (hours, minutes, below) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let mut seconds = format!("{}.{:03}", below / 1000, below % 1000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match (hours, minutes) {
        (0, 0) if ms == 0 => "0s".to_owned(),
        (0, 0) if ms < 1000 => format!("{ms}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn durations_are_written_as_openai_does() {
        for (ms, text) in [
            (0, "0s"),
            (20, "20ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (10_020, "10.02s"),
            (86_400, "1m26.4s"),
            (360_000, "6m0s"),
            (2_073_600, "34m33.6s"),
            (3_603_000, "1h0m3s"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn moments_are_never_too_early() {
        assert_eq!(moment(UNIX_EPOCH, 0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(UNIX_EPOCH, 1), "1970-01-01T00:00:01Z");
        assert_eq!(moment(UNIX_EPOCH, 60_000), "1970-01-01T00:01:00Z");
    }
}

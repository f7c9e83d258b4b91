//! The keys that the reader knows, and the one that a misspelt key probably meant.
//!
//! In: a key nobody knows. Out: the nearest known one. The lists here are the reader's only ones: a key that is not
//! listed is refused, and the tests hold `sluice.example.toml` to them.

pub(super) const TOP: &[&str] = &[
    "listen",
    "store",
    "key",
    "channel",
    "alias",
    "price",
    "timeouts",
    "attempts",
    "bounds",
    "limits",
    "proxies",
    "shutdown",
    "flow",
    "monitor",
    "cors",
    "admin",
    "sign_up",
    "mail",
    "oidc",
    "retention",
];
pub(super) const STORE: &[&str] = &["url", "lost"];
pub(super) const KEY: &[&str] = &[
    "name",
    "secret",
    "expires",
    "networks",
    "models",
    "requests_per_minute",
    "tokens_per_minute",
    "max_in_flight",
    "spend_limit",
    "reset_period",
    "strict",
    "losses",
];
pub(super) const PRICE: &[&str] = &[
    "model",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "per_call",
    "per_second",
    "images",
    "long_above",
    "long_input",
    "long_output",
    "long_cache_read",
    "long_cache_write",
    "long_cache_write_1h",
];
/// Of a kind of picture in `price.images`.
pub(super) const IMAGE: &[&str] = &["size", "quality", "each"];
pub(super) const CHANNEL: &[&str] = &[
    "name",
    "provider",
    "dialect",
    "base_url",
    "secrets",
    "models",
    "rename",
    "priority",
    "weight",
    "max_in_flight",
    "headers",
    "proxy",
    "timeouts",
    "on_client_left",
    "translate",
    "drop_server_tools",
    "suffixes",
];
pub(super) const ALIAS: &[&str] = &["name", "models"];
pub(super) const TIMEOUTS: &[&str] = &["connect", "first_byte", "first_event", "idle", "total"];
pub(super) const ATTEMPTS: &[&str] = &["max", "deadline"];
pub(super) const BOUNDS: &[&str] = &["body_bytes", "in_flight", "queue", "draining"];
pub(super) const LIMITS: &[&str] =
    &["wait", "queue", "requests_per_minute", "tokens_per_minute", "max_in_flight"];
pub(super) const PROXIES: &[&str] = &["trusted"];
pub(super) const SHUTDOWN: &[&str] = &["drain"];
pub(super) const FLOW: &[&str] = &["warn", "alarm"];
pub(super) const MONITOR: &[&str] = &["token"];
pub(super) const RETENTION: &[&str] = &["requests"];
pub(super) const CORS: &[&str] = &["origins"];
pub(super) const ADMIN: &[&str] = &["public_url", "session_idle", "session_total"];
pub(super) const SIGN_UP: &[&str] = &["mode", "domains"];
pub(super) const MAIL: &[&str] = &["host", "port", "encryption", "user", "password", "from"];
pub(super) const OIDC: &[&str] = &["issuer", "client_id", "client_secret", "create_users"];

/// More than this many slips in one word, and the guess would be wild.
const MOST_SLIPS: usize = 3;

/// The known word that `found` is most probably a slip of.
pub(super) fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (found.chars().count() / 3).clamp(1, MOST_SLIPS);
    known
        .into_iter()
        .filter(|word| word.len().abs_diff(found.len()) <= MOST_SLIPS)
        .map(|word| (slips(found, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edit distance where swapping two neighbours counts as one slip.
fn slips(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, &a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in right.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        for (found, meant) in
            [("wieght", "weight"), ("baseurl", "base_url"), ("Provider", "provider"), ("model", "models")]
        {
            assert_eq!(nearest(found, CHANNEL.iter().copied()), Some(meant));
        }
        assert_eq!(nearest("temperature", CHANNEL.iter().copied()), None);
        assert_eq!(nearest("x", CHANNEL.iter().copied()), None);
    }
}

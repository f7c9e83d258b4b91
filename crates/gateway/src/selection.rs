//! Which requests somebody wants to see, in words that the command line and the API share.
//!
//! In: words such as `ending` with their texts. Out: a filter for the request log, or what is wrong with a text. Names become
//! numbers only where the books are at hand.

use std::time::UNIX_EPOCH;

use store::{
    Nanos, StoreError,
    database::Connection,
    request_log::{self, Endings, Filter},
};

use crate::ending::Ending;

/// Nobody's account: what an unknown name stands for.
pub(crate) const NOBODY: i64 = -1;

/// A filter whose names are still names.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub filter: Filter,
    key: Option<String>,
    user: Option<String>,
}

impl Selection {
    /// The words there are. On the command line they have dashes in place of underscores.
    pub const WORDS: [&str; 17] = [
        "since",
        "until",
        "user",
        "key",
        "model",
        "channel",
        "ending",
        "status",
        "stream",
        "estimated",
        "unpriced",
        "retried",
        "slower_than",
        "dearer_than",
        "id",
        "upstream_id",
        "key_id",
    ];

    /// Takes a word's text in, or says what was expected.
    pub fn set(&mut self, word: &str, text: &str, now_ms: i64) -> Result<(), String> {
        let filter = &mut self.filter;
        match word {
            "since" => filter.since_ms = Some(time(text, now_ms)?),
            "until" => filter.until_ms = Some(time(text, now_ms)?),
            "user" => self.user = Some(text.to_owned()),
            "key" => self.key = Some(text.to_owned()),
            "model" => filter.model = Some(text.to_owned()),
            "channel" => filter.channel = Some(text.to_owned()),
            "ending" => filter.endings = endings(text)?,
            "status" => filter.status = Some(status(text)?),
            "stream" => filter.stream = Some(yes(text)?),
            "estimated" => filter.estimated = Some(yes(text)?),
            "unpriced" => filter.unpriced = Some(yes(text)?),
            "retried" => filter.retried = Some(yes(text)?),
            "slower_than" => filter.slower_than_ms = Some(milliseconds(text)?),
            "dearer_than" => {
                let expected = |_| "expected dollars such as 0.05".to_owned();
                filter.dearer_than = Some(Nanos::from_usd(text).map_err(expected)?);
            }
            "id" => {
                let expected = |_| "expected the id of a request".to_owned();
                let text = text.strip_prefix("req_").unwrap_or(text);
                filter.id = Some(uuid::Uuid::parse_str(text).map_err(expected)?.into_bytes());
            }
            "upstream_id" => filter.upstream_id = Some(text.to_owned()),
            "key_id" => filter.keys = Some(vec![number(text)?]),
            _ => return Err("is not known here".to_owned()),
        }
        Ok(())
    }

    /// The filter with the numbers of the names; whom nobody knows has no requests.
    pub fn resolved(self, books: &Connection) -> Result<Filter, StoreError> {
        let mut filter = self.filter;
        if let Some(name) = &self.user {
            filter.account = Some(request_log::account_of(books, name)?.unwrap_or(NOBODY));
        }
        if let Some(name) = &self.key {
            let named = request_log::keys_named(books, name)?;
            filter.keys = Some(match filter.keys {
                Some(keys) => keys.into_iter().filter(|key| named.contains(key)).collect(),
                None => named,
            });
        }
        Ok(filter)
    }
}

/// A time: milliseconds since 1970, a date, a date with a time, or how long ago.
pub fn time(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    }
    let whole = if text.len() == "2026-01-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let since = humantime::parse_rfc3339_weak(&whole).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    ms.ok_or_else(|| "expected a time such as 2026-01-31, 2026-01-31T12:00:00Z or 24h (ago)".to_owned())
}

/// `errors`, or endings by name with commas between them; `open` is for those that run.
fn endings(text: &str) -> Result<Endings, String> {
    if text == "errors" {
        return Ok(Endings::Failed);
    }
    let known = |name: &&str| *name == "open" || Ending::ALL.iter().any(|ending| ending.name() == *name);
    let names: Vec<&str> = text.split(',').collect();
    if names.iter().all(known) {
        return Ok(Endings::These(names.into_iter().map(str::to_owned).collect()));
    }
    let all: Vec<&str> = Ending::ALL.iter().map(|ending| ending.name()).collect();
    Err(format!("expected errors, open, or some of {}", all.join(",")))
}

/// `429`, or `4xx` for all of a kind; 0: none was sent.
fn status(text: &str) -> Result<(u16, u16), String> {
    let expected = || "expected a status such as 429, or 4xx".to_owned();
    if let Some(hundreds) = text.strip_suffix("xx") {
        let hundreds: u16 = hundreds.parse().ok().filter(|hundreds| *hundreds < 10).ok_or_else(expected)?;
        return Ok((hundreds * 100, hundreds * 100 + 99));
    }
    let status = text.parse().map_err(|_| expected())?;
    Ok((status, status))
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let parsed = humantime::parse_duration(text).ok().and_then(|time| u64::try_from(time.as_millis()).ok());
    parsed.ok_or_else(|| "expected a duration such as 10s, or milliseconds".to_owned())
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_filter_or_say_what_was_expected() {
        let mut selection = Selection::default();
        for (word, text) in [
            ("since", "24h"),
            ("until", "1970-01-02"),
            ("ending", "cut,lost"),
            ("status", "4xx"),
            ("stream", "no"),
            ("slower_than", "1m"),
            ("dearer_than", "0.05"),
            ("id", "00000000-0000-0000-0000-000000000001"),
        ] {
            selection.set(word, text, 100_000_000).unwrap();
        }
        let expected = Filter {
            since_ms: Some(13_600_000),
            until_ms: Some(86_400_000),
            endings: Endings::These(vec!["cut".to_owned(), "lost".to_owned()]),
            status: Some((400, 499)),
            stream: Some(false),
            slower_than_ms: Some(60_000),
            dearer_than: Some(Nanos(50_000_000)),
            id: Some(1_u128.to_be_bytes()),
            ..Filter::default()
        };
        assert_eq!(selection.filter, expected);
        for (word, text) in [
            ("since", "yesterday"),
            ("ending", "cutt"),
            ("status", "4x"),
            ("status", "70000"),
            ("stream", "1"),
            ("slower_than", "-1"),
            ("dearer_than", "1e3"),
            ("id", "x"),
            ("colour", "red"),
        ] {
            assert!(Selection::default().set(word, text, 0).is_err(), "{word} {text}");
        }
    }
}

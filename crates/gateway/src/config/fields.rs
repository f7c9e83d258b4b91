//! Typed access to the parsed file: each getter gives the value, or reports what was found instead.
//!
//! In: a spanned TOML table. Out: text, numbers, lists, durations, secrets. Nothing here knows which keys exist or
//! what they are for, and a secret's value must never reach a message.

use std::{ops::RangeInclusive, time::Duration};

use toml::{
    de::{DeTable, DeValue},
    value::Datetime,
};

use super::{known, quantity, report::Report};
use crate::secret::Secret;

/// A found text longer than this is cut in messages.
const SHOWN_CHARS: usize = 60;

/// A table of the file whose keys are known beforehand.
pub(super) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// Dotted key of the table itself; empty for the top level.
    path: String,
    /// Where the table starts: the line for what is missing in it.
    pub(super) line: usize,
    /// Known keys that an unknown one seems to stand for: not reported as missing too.
    misspelt: Vec<&'static str>,
}

/// One value of the file.
pub(super) struct Field<'t> {
    pub(super) path: String,
    pub(super) line: usize,
    value: &'t DeValue<'t>,
}

impl<'t> Fields<'t> {
    /// Reports the keys that are not in `known`.
    pub(super) fn open(
        report: &mut Report<'_>,
        table: &'t DeTable<'t>,
        path: String,
        line: usize,
        known: &'static [&'static str],
    ) -> Fields<'t> {
        let mut fields = Fields { table, path, line, misspelt: Vec::new() };
        for key in table.keys() {
            let word: &str = key.get_ref();
            if known.contains(&word) {
                continue;
            }
            let absent = known.iter().copied().filter(|other| !table.contains_key(*other));
            let message = match known::nearest(word, absent) {
                Some(meant) => {
                    fields.misspelt.push(meant);
                    format!("found an unknown key; did you mean `{meant}`?")
                }
                None => format!("found an unknown key, expected one of {}", known.join(", ")),
            };
            let line = report.line(&key.span());
            report.problem(line, &fields.dotted(&shown_key(word)), message);
        }
        fields
    }

    pub(super) fn get(&self, report: &Report<'_>, key: &str) -> Option<Field<'t>> {
        let value = self.table.get(key)?;
        Some(Field { path: self.dotted(key), line: report.line(&value.span()), value: value.get_ref() })
    }

    /// As [`Fields::get`], but its absence is a problem.
    pub(super) fn require(&self, report: &mut Report<'_>, key: &str, expected: &str) -> Option<Field<'t>> {
        let found = self.get(report, key);
        if found.is_none() && !self.misspelt.contains(&key) {
            report.problem(self.line, &self.dotted(key), format!("found nothing, expected {expected}"));
        }
        found
    }

    fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'t> Field<'t> {
    pub(super) fn problem(&self, report: &mut Report<'_>, message: String) {
        report.problem(self.line, &self.path, message);
    }

    /// Reports the value itself: never to be used where it may be a secret.
    pub(super) fn wrong(&self, report: &mut Report<'_>, expected: &str) {
        self.problem(report, format!("found {}, expected {expected}", self.shown()));
    }

    pub(super) fn text(&self, report: &mut Report<'_>, expected: &str) -> Option<&'t str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong(report, expected);
        }
        text
    }

    /// As [`Field::text`] where the value may be a secret.
    pub(super) fn private_text(&self, report: &mut Report<'_>, expected: &str) -> Option<&'t str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.problem(report, format!("found {}, expected {expected}", self.kind()));
        }
        text
    }

    pub(super) fn truth(&self, report: &mut Report<'_>) -> Option<bool> {
        let truth = self.value.as_bool();
        if truth.is_none() {
            self.wrong(report, "true or false");
        }
        truth
    }

    pub(super) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|list| list.is_empty())
    }

    pub(super) fn flag(&self, report: &mut Report<'_>) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong(report, "true or false");
        }
        flag
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, report: &mut Report<'_>, words: &[(&str, T)]) -> Option<T> {
        let expected = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        let text = self.text(report, &expected)?;
        let meant = words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant);
        if meant.is_none() {
            self.wrong(report, &expected);
        }
        meant
    }

    pub(super) fn whole<N: TryFrom<i128> + Copy>(
        &self,
        report: &mut Report<'_>,
        range: RangeInclusive<i128>,
    ) -> Option<N> {
        let found =
            self.integer().filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        if found.is_none() {
            self.wrong(report, &format!("a whole number from {} to {}", range.start(), range.end()));
        }
        found
    }

    /// `"10s"` or a whole number of seconds, within `range`.
    pub(super) fn duration(
        &self,
        report: &mut Report<'_>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let Some(found) = self.read_duration() else {
            self.wrong(report, quantity::DURATION);
            return None;
        };
        if !range.contains(&found) {
            let (from, to) = (quantity::show(*range.start()), quantity::show(*range.end()));
            self.wrong(report, &format!("a duration from \"{from}\" to \"{to}\""));
            return None;
        }
        Some(found)
    }

    /// As [`Field::duration`], but `"none"` and `0` mean no limit: `Some(None)`.
    pub(super) fn limit(
        &self,
        report: &mut Report<'_>,
        range: RangeInclusive<Duration>,
    ) -> Option<Option<Duration>> {
        let unlimited = matches!(self.value.as_str(), Some("none" | "0"));
        if unlimited || self.read_duration() == Some(Duration::ZERO) {
            return Some(None);
        }
        if self.read_duration().is_none() {
            self.wrong(report, &format!("{}, or \"none\"", quantity::DURATION));
            return None;
        }
        self.duration(report, range).map(Some)
    }

    /// `"32MiB"` or a whole number of bytes, within `range`.
    pub(super) fn size(&self, report: &mut Report<'_>, range: RangeInclusive<u64>) -> Option<usize> {
        let found = match self.value.as_str() {
            Some(text) => quantity::size(text),
            None => self.integer().and_then(|number| number.try_into().ok()),
        };
        let Some(bytes) = found else {
            self.wrong(report, quantity::SIZE);
            return None;
        };
        if !range.contains(&bytes) {
            self.wrong(report, &format!("a size from {} to {} bytes", range.start(), range.end()));
            return None;
        }
        usize::try_from(bytes).ok()
    }

    /// The entries of a list; `None` where it is none.
    pub(super) fn list(&self, report: &mut Report<'_>, expected: &str) -> Option<Vec<Field<'t>>> {
        let Some(list) = self.value.as_array() else {
            // The value may be a secret that was meant to stand in a list.
            self.problem(report, format!("found {}, expected {expected}", self.kind()));
            return None;
        };
        let entry = |(index, value): (usize, &'t toml::Spanned<DeValue<'t>>)| Field {
            path: format!("{}[{index}]", self.path),
            line: report.line(&value.span()),
            value: value.get_ref(),
        };
        Some(list.iter().enumerate().map(entry).collect())
    }

    /// The value as a table with known keys.
    pub(super) fn fields(
        &self,
        report: &mut Report<'_>,
        expected: &str,
        known: &'static [&'static str],
    ) -> Option<Fields<'t>> {
        let Some(table) = self.value.as_table() else {
            self.problem(report, format!("found {}, expected {expected}", self.kind()));
            return None;
        };
        Some(Fields::open(report, table, self.path.clone(), self.line, known))
    }

    /// The value as a table with any keys.
    pub(super) fn entries(&self, report: &mut Report<'_>, expected: &str) -> Vec<(&'t str, Field<'t>)> {
        let Some(table) = self.value.as_table() else {
            self.problem(report, format!("found {}, expected {expected}", self.kind()));
            return Vec::new();
        };
        let entry =
            |(key, value): (&'t toml::Spanned<toml::de::DeString<'t>>, &'t toml::Spanned<DeValue<'t>>)| {
                let word: &str = key.get_ref();
                let path = format!("{}.{}", self.path, shown_key(word));
                (word, Field { path, line: report.line(&value.span()), value: value.get_ref() })
            };
        table.iter().map(entry).collect()
    }

    /// A text that may be a secret: as it stands, or looked up where it is `env:NAME`.
    pub(super) fn resolve(&self, report: &mut Report<'_>, expected: &str) -> Option<String> {
        let Some(text) = self.value.as_str() else {
            self.problem(report, format!("found {}, expected {expected} or \"env:NAME\"", self.kind()));
            return None;
        };
        let Some(name) = text.strip_prefix("env:") else {
            return Some(text.to_owned());
        };
        // What is not a name may be the secret itself, so it is not shown.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.problem(
                report,
                "found \"env:\" without the name of a variable, expected \"env:NAME\"".to_owned(),
            );
            return None;
        }
        // Files that end in a line feed are a common source of variables.
        let value = report.environment.get(name).map(|value| value.trim().to_owned());
        match value {
            None => {
                self.problem(report, format!("found env:{name}, which is not set, expected {expected} in it"))
            }
            Some(value) if value.is_empty() => {
                self.problem(report, format!("found env:{name}, which is empty, expected {expected} in it"));
            }
            value => return value,
        }
        None
    }

    /// A secret that fits into a header.
    pub(super) fn secret(&self, report: &mut Report<'_>) -> Option<Secret> {
        let value = self.resolve(report, "a secret")?;
        if value.strip_prefix("sk-").unwrap_or(&value).is_empty() {
            self.problem(report, "found an empty secret, expected one of at least one character".to_owned());
            return None;
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "found a secret with a space, a line break or a character outside ASCII, expected one that \
                           fits into a header";
            self.problem(report, message.to_owned());
            return None;
        }
        Some(Secret::new(value))
    }

    fn read_duration(&self) -> Option<Duration> {
        match self.value.as_str() {
            Some(text) => quantity::duration(text),
            None => self.integer().and_then(|seconds| seconds.try_into().ok()).map(Duration::from_secs),
        }
    }

    /// A day or a moment, with or without quotes.
    pub(super) fn datetime(&self) -> Option<Datetime> {
        match self.value {
            DeValue::Datetime(datetime) => Some(*datetime),
            DeValue::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A decimal as it was written, with or without quotes.
    pub(super) fn decimal(&self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Integer(_) => self.integer().map(|number| number.to_string()),
            _ => None,
        }
    }

    fn integer(&self) -> Option<i128> {
        let number = self.value.as_integer()?;
        i128::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// The value for a message.
    fn shown(&self) -> String {
        match self.value {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => shown_key(&number.to_string()),
            DeValue::Float(number) => shown_key(&number.to_string()),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => self.kind().to_owned(),
        }
    }

    /// What sort of value it is, and nothing of it.
    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

/// A found text for a message: quoted, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}

fn shown_key(text: &str) -> String {
    cut(text)
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! How a field came through: what was made of a body with it, beside what was made of the body without it.

use std::fmt::Write;

use dialect::loss::Loss;
use serde_json::Value;

/// What is told, and what was lost.
pub(crate) type Outcome = (Value, Vec<Loss>);

/// How a field came through.
#[derive(PartialEq)]
pub(crate) enum Fate {
    /// Each word and number of it stands in what is told.
    Arrived,
    /// A loss names it, or what it is part of.
    Listed,
    /// What is told is another because of it, in other words: how.
    ToldOtherwise(String),
    Vanished,
}

pub(crate) fn fate(
    value: &Value,
    path: &str,
    (told, losses): Outcome,
    (before, losses_before): Outcome,
) -> Fate {
    let losses = losses.into_iter().filter(|loss| !losses_before.contains(loss)).collect::<Vec<_>>();
    if losses.iter().any(|loss| loss.field.starts_with(path) || path.starts_with(&*loss.field)) {
        return Fate::Listed;
    }
    let mut said = Vec::new();
    leaves(value, String::new(), &mut said);
    said.retain(|(_, leaf)| leaf.is_string() || leaf.is_number());
    if !said.is_empty() && said.iter().all(|(_, leaf)| times(&told, leaf) > times(&before, leaf)) {
        return Fate::Arrived;
    }
    if told == before && losses.is_empty() {
        return Fate::Vanished;
    }
    let (mut leaves_told, mut leaves_before) = (Vec::new(), Vec::new());
    leaves(&told, String::new(), &mut leaves_told);
    leaves(&before, String::new(), &mut leaves_before);
    let mut how = String::new();
    for (sign, these, those) in [("-", &leaves_before, &leaves_told), ("+", &leaves_told, &leaves_before)] {
        for (at, leaf) in these.iter().filter(|row| !those.contains(row)) {
            write!(how, " {sign} {} = {leaf}", at.trim_start_matches('.')).unwrap();
        }
    }
    for loss in losses {
        write!(how, " ! {}: {}", loss.field, loss.reason).unwrap();
    }
    Fate::ToldOtherwise(how)
}

/// Each value that has no parts, and where it stands.
fn leaves(value: &Value, at: String, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| leaves(value, format!("{at}.{name}"), found));
        }
        Value::Array(values) if !values.is_empty() => {
            values.iter().enumerate().for_each(|(i, value)| leaves(value, format!("{at}.{i}"), found));
        }
        leaf => found.push((at, leaf.clone())),
    }
}

/// How often a word or a number stands in a body: as a value, as a name, within a text that holds more.
fn times(body: &Value, leaf: &Value) -> usize {
    let within = |text: &str| leaf.as_str().map_or(0, |leaf| text.matches(leaf).count());
    match body {
        Value::Object(fields) => fields.iter().map(|(name, value)| within(name) + times(value, leaf)).sum(),
        Value::Array(values) => values.iter().map(|value| times(value, leaf)).sum(),
        Value::String(text) => within(text),
        Value::Number(number) => usize::from(leaf.as_f64().is_some_and(|leaf| number.as_f64() == Some(leaf))),
        Value::Bool(_) | Value::Null => 0,
    }
}

/// What is told in other words, row by row, against the table that a person has read; `UPDATE_GOLDENS=1` writes it anew.
pub(crate) fn compare(fixtures: &str, rows: &str) {
    let golden = format!("{}/fixtures/{fixtures}/told_otherwise.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, rows).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&golden).unwrap_or_default();
    let missing = |from: &str, rows: &str| {
        let missing = rows.lines().filter(|row| !from.lines().any(|known| known == *row));
        missing.map(|row| format!("{row}\n")).collect::<String>()
    };
    let (new, gone) = (missing(&known, rows), missing(rows, &known));
    assert!(new.is_empty() && gone.is_empty(), "now:\n{new}no more:\n{gone}");
}

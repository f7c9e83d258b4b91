//! Values that several resources have: money, factors, names, lists.
//!
//! In: JSON. Out: checked values, each refused with its reason. Money and factors are exact decimals, never floats.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use store::{Factor, Nanos};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use super::problem::Problem;
use crate::networks::Network;

/// Dollars: `"12.5"`; whole ones may come as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usd(pub(super) Nanos);

/// A factor with up to six decimals: `"0.8"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share(pub(super) Factor);

/// The most that a factor may be: more is a slip.
const MOST_SHARE: u32 = 1000;
/// Nanos of a dollar in a millionth: factors are read as amounts are.
const NANOS_IN_MILLIONTH: i64 = 1000;

struct Decimal;

impl de::Visitor<'_> for Decimal {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as a string, such as \"12.5\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Usd, D::Error> {
        let text = from.deserialize_any(Decimal)?;
        Nanos::from_usd(&text).map(Usd).map_err(de::Error::custom)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Share, D::Error> {
        let text = from.deserialize_any(Decimal)?;
        let wrong =
            || de::Error::custom("expected a factor from 0 to 1000 with up to six decimals, such as \"0.8\"");
        let nanos = Nanos::from_usd(&text).map_err(|_| wrong())?.0;
        let millionths = u32::try_from(nanos / NANOS_IN_MILLIONTH).map_err(|_| wrong())?;
        if nanos % NANOS_IN_MILLIONTH != 0 || millionths > MOST_SHARE * Factor::ONE.0 {
            return Err(wrong());
        }
        Ok(Share(Factor(millionths)))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Nanos(i64::from(self.0.0) * NANOS_IN_MILLIONTH))
    }
}

fn decimal(description: &str) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    RefOr::T(schema.build().into())
}

impl PartialSchema for Usd {
    fn schema() -> RefOr<Schema> {
        decimal("Dollars as a decimal, exact to nine places.")
    }
}

impl ToSchema for Usd {}

impl PartialSchema for Share {
    fn schema() -> RefOr<Schema> {
        decimal("A factor as a decimal, exact to six places.")
    }
}

impl ToSchema for Share {}

/// Longest name: more does not fit into a line of the log.
const NAME_CHARS: usize = 100;
/// Longest text that somebody writes for a reason.
pub(super) const TEXT_CHARS: usize = 500;
/// Longest name of a model: everybody's keys hold lists of them, in memory.
const MODEL_BYTES: usize = 200;
/// Longest list of models or networks.
const LIST: usize = 1000;

/// A name of 1 to 100 printable characters, without blanks around it.
pub(super) fn name(field: &str, name: &str) -> Result<(), Problem> {
    let good = !name.is_empty()
        && name.trim() == name
        && name.chars().count() <= NAME_CHARS
        && !name.chars().any(char::is_control);
    if good {
        return Ok(());
    }
    Err(Problem::bad(field, "expected 1 to 100 printable characters, without blanks around them"))
}

/// One of a few words.
pub(super) fn one_of(field: &str, word: Option<&str>, words: &[&str]) -> Result<(), Problem> {
    match word {
        Some(word) if !words.contains(&word) => {
            Err(Problem::bad(field, format!("expected one of {}", words.join(", "))))
        }
        _ => Ok(()),
    }
}

/// An amount that is not negative.
pub(super) fn not_negative(field: &str, amount: Option<Usd>) -> Result<(), Problem> {
    match amount {
        Some(Usd(amount)) if amount < Nanos::ZERO => Err(Problem::bad(field, "expected no less than 0")),
        _ => Ok(()),
    }
}

/// Limits of nought would be a riddle: what is to do nothing is disabled.
pub(super) fn limits<const N: usize>(limits: [(&str, Option<Option<u32>>); N]) -> Result<(), Problem> {
    for (field, limit) in limits {
        if limit.flatten() == Some(0) {
            return Err(Problem::bad(field, "expected at least 1, or null for no limit"));
        }
    }
    Ok(())
}

/// Patterns of models: a name, or the start of one and `*`. As the JSON that is kept.
pub(super) fn models(field: &str, models: Option<&[String]>) -> Result<Option<String>, Problem> {
    list(field, models, "expected a model's name, with * only at its end", is_model)
}

/// A model's name, or its start and `*`; no longer than what providers call theirs.
pub(super) fn is_model(model: &str) -> bool {
    let stem = model.strip_suffix('*').unwrap_or(model);
    !model.is_empty()
        && model.len() <= MODEL_BYTES
        && !stem.contains('*')
        && !stem.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Addresses and networks. As the JSON that is kept.
pub(super) fn networks(field: &str, networks: Option<&[String]>) -> Result<Option<String>, Problem> {
    list(field, networks, "expected an address or a network such as 10.0.0.0/8", |network| {
        network.parse::<Network>().is_ok()
    })
}

/// Names of things that must not be empty. As the JSON that is kept.
pub(super) fn names(field: &str, names: Option<&[String]>) -> Result<Option<String>, Problem> {
    list(field, names, "expected a name", |name| self::name("", name).is_ok())
}

fn list(
    field: &str,
    list: Option<&[String]>,
    reason: &str,
    good: impl Fn(&str) -> bool,
) -> Result<Option<String>, Problem> {
    let Some(list) = list else { return Ok(None) };
    if list.len() > LIST {
        return Err(Problem::bad(field, format!("expected at most {LIST} of them")));
    }
    if let Some(at) = list.iter().position(|entry| !good(entry)) {
        return Err(Problem::bad(format!("{field}[{at}]"), reason));
    }
    Ok(Some(serde_json::json!(list).to_string()))
}

/// A list as it is kept.
pub(super) fn kept(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_factors_are_exact_or_refused() {
        let usd = |text: &str| serde_json::from_str::<Usd>(text).ok().map(|Usd(nanos)| nanos.0);
        assert_eq!(usd("\"12.5\""), Some(12_500_000_000));
        assert_eq!(usd("12"), Some(12_000_000_000));
        assert_eq!(usd("\"-0.000000001\""), Some(-1));
        for text in ["12.5", "\"1e3\"", "\"\"", "null", "true", "\"0.0000000001\"", "1e30"] {
            assert_eq!(usd(text), None, "{text}");
        }
        let share = |text: &str| serde_json::from_str::<Share>(text).ok().map(|Share(factor)| factor.0);
        assert_eq!(share("\"0.8\""), Some(800_000));
        assert_eq!(share("0"), Some(0));
        assert_eq!(share("\"1000\""), Some(1_000_000_000));
        for text in ["\"-1\"", "\"0.0000001\"", "\"1000.1\"", "1001"] {
            assert_eq!(share(text), None, "{text}");
        }
        assert_eq!(serde_json::to_string(&Share(Factor(800_000))).unwrap(), "\"0.8\"");
    }

    #[test]
    fn lists_name_their_bad_entry() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let bad = networks("networks", Some(&list(&["10.0.0.0/8", "::1", "10.0.0.0/33"]))).unwrap_err();
        assert_eq!(bad.errors[0].field, "networks[2]");
        assert!(models("models", Some(&list(&["gpt-*", "a*b"]))).is_err());
        assert_eq!(models("models", Some(&list(&["gpt-*"]))).unwrap().as_deref(), Some("[\"gpt-*\"]"));
        assert!(models("models", None).unwrap().is_none());
        assert!(models("models", Some(&["m".repeat(1_000_000)])).is_err(), "kept in memory with each key");
    }
}

//! Masks: what is shown in the place of a secret, and what they mean when they come back.
//!
//! In: secrets, or a body that may hold masks. Out: masks, or secrets. A mask never becomes a secret itself: one that masks nothing
//! here is refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::content::Hidden;
use crate::admin::problem::Problem;

/// Stands in every mask and in no secret: those are ASCII.
const MARK: char = '…';
/// Shorter secrets show nothing of themselves.
const LONG: usize = 16;

/// `sk-…abcd`, or nothing but the mark.
fn mask(secret: &str) -> String {
    let start = if secret.starts_with("sk-") { "sk-" } else { "" };
    match secret.char_indices().rev().nth(3) {
        Some((last4, _)) if secret.len() >= LONG => format!("{start}{MARK}{}", &secret[last4..]),
        _ => MARK.to_string(),
    }
}

/// The address of a proxy, without who signs in there.
fn mask_proxy(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{MARK}@{address}"),
        _ => proxy.to_owned(),
    }
}

/// What is shown of what is hidden.
pub(super) fn masked(hidden: &Hidden) -> Map<String, Value> {
    let secrets: Vec<String> = hidden.secrets.iter().map(|secret| mask(secret)).collect();
    let headers: BTreeMap<&String, String> =
        hidden.headers.iter().map(|(name, value)| (name, mask(value))).collect();
    let proxy = hidden.proxy.as_deref().map(mask_proxy);
    let mut shown = Map::new();
    shown.insert("secrets".to_owned(), json!(secrets));
    shown.insert("headers".to_owned(), json!(headers));
    shown.insert("proxy".to_owned(), json!(proxy));
    shown
}

/// Takes what is hidden out of a body: what it does not name stays, a mask is what it masks.
pub(super) fn unmasked(before: &Hidden, input: &mut Map<String, Value>) -> Result<Hidden, Problem> {
    let mut hidden = before.clone();
    if let Some(secrets) = input.remove("secrets") {
        hidden.secrets = list(before, secrets)?;
    }
    if let Some(headers) = input.remove("headers") {
        hidden.headers = table(before, headers)?;
    }
    if let Some(proxy) = input.remove("proxy") {
        hidden.proxy = match proxy {
            Value::Null => None,
            Value::String(proxy) if !proxy.contains(MARK) => Some(proxy),
            Value::String(proxy)
                if before.proxy.as_deref().is_some_and(|known| mask_proxy(known) == proxy) =>
            {
                before.proxy.clone()
            }
            Value::String(_) => return Err(masks_nothing("proxy")),
            _ => return Err(Problem::bad("proxy", "expected a string")),
        };
    }
    Ok(hidden)
}

fn list(before: &Hidden, secrets: Value) -> Result<Vec<String>, Problem> {
    let Value::Array(secrets) = secrets else {
        return if secrets.is_null() {
            Ok(Vec::new())
        } else {
            Err(Problem::bad("secrets", "expected a list"))
        };
    };
    let one = |(at, secret): (usize, Value)| {
        let field = format!("secrets[{at}]");
        let Value::String(secret) = secret else { return Err(Problem::bad(field, "expected a string")) };
        if !secret.contains(MARK) {
            return Ok(secret);
        }
        // Two may look alike: the one at the same place is meant, else the only one that does.
        let same = |known: &&String| mask(known) == secret;
        let mut alike = before.secrets.iter().filter(same);
        match (before.secrets.get(at).filter(same), alike.next(), alike.next()) {
            (Some(known), _, _) | (None, Some(known), None) => Ok(known.clone()),
            _ => Err(masks_nothing(&field)),
        }
    };
    secrets.into_iter().enumerate().map(one).collect()
}

fn table(before: &Hidden, headers: Value) -> Result<BTreeMap<String, String>, Problem> {
    let Value::Object(headers) = headers else {
        return if headers.is_null() {
            Ok(BTreeMap::new())
        } else {
            Err(Problem::bad("headers", "expected an object"))
        };
    };
    let one = |(name, value): (String, Value)| {
        let field = format!("headers.{name}");
        let Value::String(value) = value else { return Err(Problem::bad(field, "expected a string")) };
        if !value.contains(MARK) {
            return Ok((name, value));
        }
        match before.headers.get(&name).filter(|known| mask(known) == value) {
            Some(known) => Ok((name, known.clone())),
            None => Err(masks_nothing(&field)),
        }
    };
    headers.into_iter().map(one).collect()
}

fn masks_nothing(field: &str) -> Problem {
    Problem::bad(field, "is the mask of no secret that is kept here: write the secret itself")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden() -> Hidden {
        Hidden {
            secrets: vec!["sk-0123456789abcdefXYZ1".to_owned(), "short".to_owned(), "other".to_owned()],
            headers: [("x-team".to_owned(), "0123456789abcdef-blue".to_owned())].into(),
            proxy: Some("http://me:word@proxy.test:8080".to_owned()),
        }
    }

    #[test]
    fn masks_show_little_and_come_back_as_what_they_mask() {
        let mut shown = masked(&hidden());
        assert_eq!(shown["secrets"], json!(["sk-…XYZ1", "…", "…"]));
        assert_eq!(shown["headers"], json!({"x-team": "…blue"}));
        assert_eq!(shown["proxy"], "http://…@proxy.test:8080");
        assert_eq!(unmasked(&hidden(), &mut shown).unwrap(), hidden());
        assert_eq!(unmasked(&hidden(), &mut Map::new()).unwrap(), hidden(), "what is not named stays");
    }

    #[test]
    fn a_mask_never_becomes_a_secret() {
        for (body, field) in [
            (json!({"secrets": ["sk-…XYZ2"]}), "secrets[0]"),
            (json!({"secrets": ["new", "sk-…XYZ1", "a", "…"]}), "secrets[3]"),
            (json!({"headers": {"x-other": "…blue"}}), "headers.x-other"),
            (json!({"proxy": "http://…@elsewhere.test:1"}), "proxy"),
        ] {
            let problem = unmasked(&hidden(), &mut body.as_object().unwrap().clone()).unwrap_err();
            assert_eq!(problem.errors[0].field, field, "{body}");
        }
        let mut moved = json!({"secrets": ["new", "sk-…XYZ1"]}).as_object().unwrap().clone();
        assert_eq!(unmasked(&hidden(), &mut moved).unwrap().secrets, ["new", "sk-0123456789abcdefXYZ1"]);
    }
}

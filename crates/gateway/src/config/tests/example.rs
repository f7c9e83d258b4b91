//! `sluice.example.toml` against the reader: it is right, complete, and states the true defaults.

use std::collections::BTreeSet;

use super::*;
use crate::config::known;

const EXAMPLE: &str = include_str!("../../../../../sluice.example.toml");

/// Every line that starts with `#` and a key or a header, uncommented.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn it_is_right_as_it_stands_and_uncommented() {
    let config = read(EXAMPLE).unwrap();
    assert_eq!((config.keys.len(), config.channels.len()), (1, 1));
    let config = read(&uncommented()).unwrap();
    assert!(config.keys.len() > 1 && config.channels.len() > 4);
}

#[test]
fn it_names_every_key() {
    let text = uncommented();
    let document = DeTable::parse(&text).unwrap();
    let top = document.get_ref();
    assert_names(top, known::TOP, "the top level");
    let keys_of = |name: &str| -> BTreeSet<String> {
        let tables: Vec<&DeTable<'_>> = match top.get(name).unwrap().get_ref() {
            DeValue::Table(table) => vec![table],
            DeValue::Array(blocks) => {
                blocks.iter().map(|block| block.get_ref().as_table().unwrap()).collect()
            }
            other => panic!("{other:?}"),
        };
        tables.iter().flat_map(|table| table.keys()).map(|key| key.get_ref().to_string()).collect()
    };
    for (name, known) in [
        ("store", known::STORE),
        ("key", known::KEY),
        ("price", known::PRICE),
        ("channel", known::CHANNEL),
        ("alias", known::ALIAS),
        ("timeouts", known::TIMEOUTS),
        ("attempts", known::ATTEMPTS),
        ("bounds", known::BOUNDS),
        ("limits", known::LIMITS),
        ("proxies", known::PROXIES),
        ("shutdown", known::SHUTDOWN),
        ("flow", known::FLOW),
        ("monitor", known::MONITOR),
        ("cors", known::CORS),
        ("admin", known::ADMIN),
        ("sign_up", known::SIGN_UP),
        ("mail", known::MAIL),
        ("oidc", known::OIDC),
    ] {
        let found = keys_of(name);
        for key in known {
            assert!(found.contains(*key), "{name}.{key} is not in the example");
        }
    }
}

fn assert_names(table: &DeTable<'_>, known: &[&str], place: &str) {
    for key in known {
        assert!(table.contains_key(*key), "{key} of {place} is not in the example");
    }
}

#[test]
fn it_names_every_provider_and_dialect() {
    for provider in Provider::all() {
        assert!(
            EXAMPLE.contains(&format!("{},", provider.name))
                || EXAMPLE.contains(&format!("{}.", provider.name))
        );
    }
    for dialect in Dialect::ALL {
        assert!(EXAMPLE.contains(dialect.name()), "{dialect:?}");
    }
}

#[test]
fn its_defaults_are_the_programs() {
    let (stated, real) = (read(&uncommented()).unwrap(), read("").unwrap());
    assert_eq!(stated.listen, real.listen);
    assert_eq!(stated.store, real.store);
    assert_eq!(stated.timeouts, real.timeouts);
    assert_eq!(stated.attempts, real.attempts);
    assert_eq!(stated.bounds, real.bounds);
    assert_eq!(stated.shutdown, real.shutdown);
    assert_eq!(stated.flow, real.flow);
    assert_eq!(stated.cors, real.cors);
    assert_eq!((stated.limits.patience, &stated.proxies), (real.limits.patience, &real.proxies));

    let real = read(EXAMPLE).unwrap();
    assert_eq!(stated.keys[0].models, real.keys[0].models);
    assert_eq!(stated.keys[0].networks, real.keys[0].networks);
    let (stated, real) = (&stated.channels[0], &real.channels[0]);
    assert_eq!(stated.base_url, real.base_url);
    assert_eq!(stated.rename, real.rename);
    assert_eq!((stated.priority, stated.weight), (real.priority, real.weight));
    assert_eq!(stated.headers, real.headers);
    assert_eq!(stated.timeouts, real.timeouts);
}

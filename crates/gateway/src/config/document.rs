//! A `[[channel]]`, `[[price]]` or `[[alias]]` block as a JSON object: how it is kept in the database and comes in by the admin API.
//!
//! In: an object with the keys of the file's block. Out: what it says, or its problems, by the one reader that the
//! file has too. It must never look into the environment: who may write a channel may not read what the process was started with.

use dialect::Dialect;
use serde_json::{Map, Value, json};

use store::price::Price;

use super::{
    ChannelConfig, Problem, Timeouts,
    read::{parse, parse_block},
};

/// Reads a channel. `timeouts` hold where it sets none.
pub fn channel(document: &Map<String, Value>, timeouts: &Timeouts) -> Result<ChannelConfig, Vec<Problem>> {
    parse_block(&text("channel", document)?, timeouts)
}

/// Reads the price of a model.
pub fn price(model: &str, rates: &Map<String, Value>) -> Result<Price, Vec<Problem>> {
    let mut document = rates.clone();
    document.insert("model".to_owned(), json!(model));
    let nothing = |_: &str| None;
    let config = parse(&text("price", &document)?, &nothing)?;
    config.prices.into_iter().next().map(|named| named.price).ok_or_else(Vec::new)
}

/// Checks a name and the models that it is to stand for.
pub fn alias(name: &str, models: &[String]) -> Result<(), Vec<Problem>> {
    let Value::Object(document) = json!({ "name": name, "models": models }) else { return Ok(()) };
    parse(&text("alias", &document)?, &|_: &str| None).map(|_| ())
}

/// The file that has this block and nothing else.
fn text(block: &str, document: &Map<String, Value>) -> Result<String, Vec<Problem>> {
    // The file has no word for them.
    let nulls: Vec<Problem> = document
        .iter()
        .filter(|(_, value)| holds_null_in_a_list(value))
        .map(|(key, _)| Problem {
            line: 0,
            key: format!("{block}[0].{key}"),
            message: "found null in a list, expected values".to_owned(),
        })
        .collect();
    if !nulls.is_empty() {
        return Err(nulls);
    }
    toml::to_string(&json!({ block: [said(document)] }))
        .map_err(|error| vec![Problem { line: 0, key: String::new(), message: error.to_string() }])
}

fn holds_null_in_a_list(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| value.is_null() || holds_null_in_a_list(value)),
        Value::Object(object) => object.values().any(holds_null_in_a_list),
        _ => false,
    }
}

/// Without the keys that are null: the file's way to say nothing is to leave the key out.
fn said(document: &Map<String, Value>) -> Map<String, Value> {
    let said = document.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let value = if let Value::Object(inner) = value { Value::Object(said(inner)) } else { value.clone() };
        (key.clone(), value)
    });
    said.collect()
}

/// What may be shown of a channel: its block without name, secrets, headers and proxy.
pub fn definition(channel: &ChannelConfig) -> Map<String, Value> {
    let Timeouts { connect, first_byte, first_event, idle, total } = &channel.timeouts;
    let wait = |wait: &std::time::Duration| humantime::format_duration(*wait).to_string();
    let document = json!({
        "provider": channel.provider.name,
        "dialect": channel.dialect.map(Dialect::name),
        "base_url": channel.base_url.to_string().trim_end_matches('/'),
        "models": channel.models,
        "rename": channel.rename,
        "priority": channel.priority,
        "weight": channel.weight,
        "max_in_flight": channel.max_in_flight,
        "on_client_left": channel.on_client_left.name(),
        "translate": channel.translate,
        "drop_server_tools": channel.drop_server_tools,
        "suffixes": channel.suffixes.iter().map(|suffix| suffix.text()).collect::<Vec<_>>(),
        "timeouts": {
            "connect": wait(connect),
            "first_byte": wait(first_byte),
            "first_event": wait(first_event),
            "idle": wait(idle),
            "total": total.as_ref().map(wait),
        },
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_channel_is_read_as_the_file_reads_it() {
        let document = object(json!({
            "name": "one", "provider": "openai", "secrets": ["sk-\"x"], "models": ["gpt-*", "odd\"name"], "priority": 3,
            "rename": { "gpt-x": "gpt-y" }, "headers": { "x-team": "a" }, "timeouts": { "idle": "1m" }, "proxy": null,
            "drop_server_tools": true,
        }));
        let channel = channel(&document, &Timeouts::default()).unwrap();
        assert_eq!((channel.name.as_str(), channel.priority), ("one", 3));
        assert_eq!(channel.secrets[0].reveal(), "sk-\"x");
        let shown = definition(&channel);
        assert_eq!(shown["timeouts"]["idle"], "1m");
        let text = Value::Object(shown.clone()).to_string();
        assert!(!text.contains("sk-") && !text.contains("x-team"), "{text}");
        let mut again = shown;
        again.extend(object(json!({ "name": "one", "secrets": ["s"] })));
        let again = super::channel(&again, &Timeouts::default()).unwrap();
        assert_eq!((&again.rename, again.drop_server_tools), (&channel.rename, true));
    }

    #[test]
    fn a_null_in_a_list_is_told_with_its_key() {
        for (document, key) in [
            (
                json!({ "name": "one", "provider": "openai", "secrets": ["s"], "models": [null] }),
                "channel[0].models",
            ),
            (
                json!({ "name": "one", "provider": "openai", "rename": { "a": [[null]] } }),
                "channel[0].rename",
            ),
        ] {
            let problems = channel(&object(document), &Timeouts::default()).unwrap_err();
            assert_eq!(problems[0].key, key, "{problems:?}");
        }
    }

    #[test]
    fn every_problem_is_told_and_the_environment_is_not_read() {
        let document =
            object(json!({ "name": "one", "provider": "openia", "secrets": ["env:PATH"], "colour": 1 }));
        let problems = channel(&document, &Timeouts::default()).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        for key in ["channel[0].provider", "channel[0].secrets[0]", "channel[0].colour"] {
            assert!(keys.contains(&key), "{key} in {keys:?}");
        }
    }
}

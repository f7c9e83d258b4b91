//! The `[[channel]]` blocks.
//!
//! In: the top level and the timeouts that hold where a channel sets none. Out: the channels that could be read. A
//! header's value and a proxy's login are treated as secrets: no message repeats them.

use std::{collections::BTreeMap, ops::RangeInclusive};

use dialect::Dialect;
use http::{HeaderName, HeaderValue, Uri, header};

use super::{
    ChannelConfig, OnClientLeft, Proxy, Timeouts, address,
    fields::{Field, Fields, quoted},
    known,
    read::{Names, blocks},
    report::Report,
    sections,
};
use crate::{provider::Provider, secret::Secret, suffix::Suffix};

/// Enough for any order among channels; more is a slip of the finger.
const PRIORITIES: RangeInclusive<i128> = -1_000_000..=1_000_000;
/// Shares are summed in 64 bits, whatever the number of channels.
const WEIGHTS: RangeInclusive<i128> = 1..=1_000_000;

pub(super) fn channels(report: &mut Report<'_>, top: &Fields<'_>, timeouts: &Timeouts) -> Vec<ChannelConfig> {
    let mut names = Names::default();
    let mut channels = Vec::new();
    for entry in blocks(report, top, "channel") {
        if let Some(fields) = entry.fields(report, "a [[channel]] block", known::CHANNEL) {
            channels.extend(channel(report, &mut names, &fields, timeouts));
        }
    }
    channels
}

/// Reads every key of the block before giving up on it.
fn channel(
    report: &mut Report<'_>,
    names: &mut Names,
    fields: &Fields<'_>,
    timeouts: &Timeouts,
) -> Option<ChannelConfig> {
    let name = names.read(report, fields);
    let provider = provider(report, fields);
    let dialect = dialect(report, fields, provider);
    let base_url = base_url(report, fields, provider);
    let secrets = secrets(report, fields, provider);
    let models = served_models(report, fields);
    let rename = rename(report, fields);
    let priority = sections::whole(report, fields, "priority", PRIORITIES).unwrap_or(0);
    let weight = sections::whole(report, fields, "weight", WEIGHTS).unwrap_or(1);
    let max_in_flight = sections::max_in_flight(report, fields);
    let headers = headers(report, fields);
    let proxy = proxy(report, fields);
    let timeouts = sections::timeouts(report, fields.get(report, "timeouts"), timeouts);
    let on_client_left = fields.get(report, "on_client_left");
    let on_client_left =
        on_client_left.and_then(|field| field.one_of(report, &OnClientLeft::WORDS)).unwrap_or_default();
    let translate = fields.get(report, "translate").and_then(|field| field.flag(report)).unwrap_or(true);
    let drop_server_tools = fields.get(report, "drop_server_tools");
    let drop_server_tools = drop_server_tools.and_then(|field| field.flag(report)).unwrap_or(false);
    let suffixes = suffixes(report, fields);
    Some(ChannelConfig {
        name: name?,
        provider: provider?,
        dialect,
        base_url: base_url?,
        secrets,
        models,
        rename,
        priority,
        weight,
        max_in_flight,
        headers,
        proxy,
        timeouts,
        on_client_left,
        translate,
        drop_server_tools,
        suffixes,
    })
}

fn provider(report: &mut Report<'_>, fields: &Fields<'_>) -> Option<&'static Provider> {
    let names: Vec<&str> = Provider::all().iter().map(|provider| provider.name).collect();
    let expected = format!("one of {}", names.join(", "));
    let field = fields.require(report, "provider", &expected)?;
    let name = field.text(report, &expected)?;
    let provider = Provider::named(name);
    if provider.is_none() {
        match known::nearest(name, names) {
            Some(meant) => field.problem(
                report,
                format!("found {}, expected {expected}; did you mean {meant:?}?", quoted(name)),
            ),
            None => field.wrong(report, &expected),
        }
    }
    provider
}

/// `custom` needs one, no other provider may have one.
fn dialect(report: &mut Report<'_>, fields: &Fields<'_>, provider: Option<&Provider>) -> Option<Dialect> {
    let expected = format!("one of {}", Dialect::ALL.map(Dialect::name).join(", "));
    let provider = provider?;
    if provider.name != "custom" {
        if let Some(field) = fields.get(report, "dialect") {
            let message = format!("found a dialect, expected none: {} has its own", provider.name);
            field.problem(report, message);
        }
        return None;
    }
    let field = fields.require(report, "dialect", &expected)?;
    let found = Dialect::from_name(field.text(report, &expected)?);
    if found.is_none() {
        field.wrong(report, &expected);
    }
    found
}

fn base_url(report: &mut Report<'_>, fields: &Fields<'_>, provider: Option<&Provider>) -> Option<Uri> {
    let default = provider.and_then(|provider| provider.base_url);
    let field = match (fields.get(report, "base_url"), provider, default) {
        (Some(field), _, _) => field,
        (None, Some(_), Some(default)) => return address::base_url(default).ok(),
        (None, Some(provider), None) => {
            let expected = format!("{}; {} has no address of its own", address::BASE_URL, provider.name);
            fields.require(report, "base_url", &expected)?
        }
        (None, None, _) => return None,
    };
    let text = field.text(report, address::BASE_URL)?;
    address::base_url(text)
        .map_err(|found| field.problem(report, format!("found {found}, expected {}", address::BASE_URL)))
        .ok()
}

fn secrets(report: &mut Report<'_>, fields: &Fields<'_>, provider: Option<&Provider>) -> Vec<Secret> {
    let expected = "a list such as [\"env:OPENAI_API_KEY\"]";
    let needed = provider.is_some_and(|provider| provider.needs_secret);
    let field =
        if needed { fields.require(report, "secrets", expected) } else { fields.get(report, "secrets") };
    let Some(field) = field else { return Vec::new() };
    let Some(entries) = field.list(report, expected) else { return Vec::new() };
    if needed && entries.is_empty() {
        field.problem(report, format!("found an empty list, expected {expected}"));
    }
    entries.into_iter().filter_map(|entry| entry.secret(report)).collect()
}

fn served_models(report: &mut Report<'_>, fields: &Fields<'_>) -> Vec<String> {
    let Some(field) = fields.require(report, "models", "the models it serves, [\"*\"] for all") else {
        return Vec::new();
    };
    if field.is_empty_list() {
        field.problem(
            report,
            "found an empty list, expected the models it serves, [\"*\"] for all".to_owned(),
        );
    }
    models(report, Some(field))
}

/// Model patterns: a name, or the start of one and `*`.
pub(super) fn models(report: &mut Report<'_>, field: Option<Field<'_>>) -> Vec<String> {
    let expected = "a model's name, with * only at its end";
    let entries = field.and_then(|field| field.list(report, "a list of models such as [\"gpt-5*\"]"));
    let mut models = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(text) = entry.text(report, expected) else { continue };
        let stem = text.strip_suffix('*').unwrap_or(text);
        if text.is_empty() || stem.contains('*') || !is_model(stem) {
            entry.wrong(report, expected);
            continue;
        }
        models.push(text.to_owned());
    }
    models
}

fn rename(report: &mut Report<'_>, fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut rename = BTreeMap::new();
    let Some(field) = fields.get(report, "rename") else { return rename };
    for (from, entry) in field.entries(report, "a table such as { \"gpt-5\" = \"my-deployment\" }") {
        let expected = "the model's name at the provider";
        let Some(to) = entry.text(report, expected) else { continue };
        if from.is_empty() || from.contains('*') || !is_model(from) {
            entry
                .problem(report, format!("found {} on the left, expected a model's full name", quoted(from)));
        } else if to.is_empty() || !is_model(to) {
            entry.wrong(report, expected);
        } else {
            rename.insert(from.to_owned(), to.to_owned());
        }
    }
    rename
}

fn suffixes(report: &mut Report<'_>, fields: &Fields<'_>) -> Vec<Suffix> {
    let words = Suffix::ALL.map(|suffix| (suffix.text(), suffix));
    let field = fields.get(report, "suffixes");
    let entries = field.and_then(|field| field.list(report, "a list such as [\"-thinking\", \"-high\"]"));
    entries.into_iter().flatten().filter_map(|entry| entry.one_of(report, &words)).collect()
}

pub(super) fn is_model(name: &str) -> bool {
    !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn headers(report: &mut Report<'_>, fields: &Fields<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    let Some(field) = fields.get(report, "headers") else { return headers };
    for (name, entry) in field.entries(report, "a table such as { \"x-team\" = \"blue\" }") {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            entry.problem(report, format!("found {}, expected the name of a header", quoted(name)));
            continue;
        };
        if let Some(why) = forbidden(&parsed) {
            entry.problem(report, format!("found the header {parsed}, which cannot be set here: {why}"));
        } else if headers.iter().any(|(other, _)| *other == parsed) {
            entry.problem(
                report,
                format!("found the header {parsed} twice, expected it once (case does not count)"),
            );
        } else if let Some(value) = header_value(report, &entry) {
            headers.push((parsed, value));
        }
    }
    headers
}

fn header_value(report: &mut Report<'_>, entry: &Field<'_>) -> Option<HeaderValue> {
    let text = entry.private_text(report, "a header's value as a string")?;
    let Ok(mut value) = HeaderValue::from_str(text) else {
        let message = "found a line break or a character that headers cannot carry, expected visible ASCII";
        entry.problem(report, message.to_owned());
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}

/// Why an operator may not set this header.
fn forbidden(name: &HeaderName) -> Option<&'static str> {
    match *name {
        header::AUTHORIZATION => Some("the channel's key is sent there; put it into `secrets`"),
        header::HOST => Some("it follows from `base_url`"),
        header::CONTENT_LENGTH | header::TRANSFER_ENCODING => Some("it follows from the body that is sent"),
        header::CONTENT_ENCODING => Some("bodies are sent as they are"),
        header::ACCEPT_ENCODING => Some("the gateway must be able to read the answer"),
        header::CONNECTION | header::UPGRADE | header::TE | header::TRAILER => {
            Some("it belongs to one connection, which the gateway manages")
        }
        header::EXPECT => Some("the gateway sends the body at once"),
        header::PROXY_AUTHORIZATION | header::PROXY_AUTHENTICATE => {
            Some("put the proxy's user and password into `proxy`")
        }
        _ if matches!(name.as_str(), "keep-alive" | "proxy-connection") => {
            Some("it belongs to one connection, which the gateway manages")
        }
        _ => None,
    }
}

fn proxy(report: &mut Report<'_>, fields: &Fields<'_>) -> Option<Proxy> {
    let field = fields.get(report, "proxy")?;
    let text = field.resolve(report, address::PROXY)?;
    address::proxy(&text)
        .map_err(|found| field.problem(report, format!("found {found}, expected {}", address::PROXY)))
        .ok()
}

//! `[store]`, `[[price]]` and amounts of money.
//!
//! In: the top level. Out: where the books are kept, and what models cost. Prices are dollars per million tokens, written as
//! decimals and read exactly.

use std::path::PathBuf;

use store::{
    Nanos,
    keys::ResetPeriod,
    price::{Long, Price, Rates},
};

use super::{
    PriceConfig, StoreConfig,
    fields::{Field, Fields},
    known,
    read::blocks,
    report::Report,
    sections::{section, whole},
};

/// Where the books are kept when the file does not say: in the directory that the server was started in.
const DEFAULT_FILE: &str = "sluice.db";
/// Tokens of the longest prompt that a price may begin to hold at.
const LONGEST_PROMPT: i128 = 1_000_000_000;

pub(super) fn store(report: &mut Report<'_>, top: &Fields<'_>) -> StoreConfig {
    let default = StoreConfig::Sqlite(PathBuf::from(DEFAULT_FILE));
    let Some(fields) = section(report, top, "store", known::STORE) else { return default };
    let expected = "\"sqlite:PATH\" or \"memory\"";
    let Some(field) = fields.get(report, "url") else { return default };
    let Some(url) = field.text(report, expected) else { return default };
    match url.strip_prefix("sqlite:") {
        // `sqlite:///x` and `sqlite::memory:` are other programs' words: a file of that name is not what is meant.
        Some(path) if !path.is_empty() && !path.starts_with("//") && !path.starts_with(':') => {
            StoreConfig::Sqlite(PathBuf::from(path))
        }
        None if url == "memory" => StoreConfig::Memory,
        _ => {
            field.wrong(report, expected);
            default
        }
    }
}

pub(super) fn prices(report: &mut Report<'_>, top: &Fields<'_>) -> Vec<PriceConfig> {
    let mut prices: Vec<PriceConfig> = Vec::new();
    for entry in blocks(report, top, "price") {
        let Some(fields) = entry.fields(report, "a [[price]] block", known::PRICE) else { continue };
        let model = fields.require(report, "model", "a model's name, * at the end matches any rest");
        let Some(model) = model.and_then(|field| named(report, &field, &prices)) else { continue };
        let base = Rates {
            input: fields
                .require(report, "input", USD)
                .and_then(|field| rate(report, &field))
                .unwrap_or_default(),
            output: fields
                .require(report, "output", USD)
                .and_then(|field| rate(report, &field))
                .unwrap_or_default(),
            cache_read: optional(report, &fields, "cache_read"),
            cache_write: optional(report, &fields, "cache_write"),
            cache_write_1h: optional(report, &fields, "cache_write_1h"),
            reasoning: optional(report, &fields, "reasoning"),
            audio_input: optional(report, &fields, "audio_input"),
            audio_output: optional(report, &fields, "audio_output"),
            image_input: optional(report, &fields, "image_input"),
            image_output: optional(report, &fields, "image_output"),
        };
        let per_call = optional(report, &fields, "per_call").unwrap_or_default();
        let long = long(report, &fields, &base);
        prices.push(PriceConfig { model, price: Price { base, long, per_call } });
    }
    prices
}

const USD: &str = "dollars per million tokens such as 2.5";

/// What a long prompt costs: everything that is not said is as without it.
fn long(report: &mut Report<'_>, fields: &Fields<'_>, base: &Rates) -> Option<Long> {
    let above: Option<u64> = whole(report, fields, "long_above", 1..=LONGEST_PROMPT);
    let input = optional(report, fields, "long_input");
    let output = optional(report, fields, "long_output");
    let cache_read = optional(report, fields, "long_cache_read");
    let cache_write = optional(report, fields, "long_cache_write");
    let cache_write_1h = optional(report, fields, "long_cache_write_1h");
    let Some(above) = above else {
        let orphan = known::PRICE.iter().filter(|name| name.starts_with("long_"));
        let orphan = orphan.filter_map(|name| fields.get(report, name)).next();
        if let (None, Some(field)) = (fields.get(report, "long_above"), orphan) {
            field.problem(report, "found a price for long prompts, expected long_above beside it".to_owned());
        }
        return None;
    };
    let rates = Rates {
        input: input.unwrap_or(base.input),
        output: output.unwrap_or(base.output),
        cache_read: cache_read.or(base.cache_read),
        cache_write: cache_write.or(base.cache_write),
        cache_write_1h: cache_write_1h.or(base.cache_write_1h),
        ..*base
    };
    Some(Long { above, rates })
}

fn named(report: &mut Report<'_>, field: &Field<'_>, before: &[PriceConfig]) -> Option<String> {
    let model = field.text(report, "a model's name")?;
    if model.is_empty() || before.iter().any(|price| price.model == model) {
        field.wrong(report, "a model that has no [[price]] yet");
        return None;
    }
    Some(model.to_owned())
}

fn optional(report: &mut Report<'_>, fields: &Fields<'_>, name: &str) -> Option<u64> {
    let field = fields.get(report, name)?;
    rate(report, &field)
}

/// Dollars per million tokens as nanodollars per million.
fn rate(report: &mut Report<'_>, field: &Field<'_>) -> Option<u64> {
    let nanos = amount(report, field)?;
    u64::try_from(nanos.0).ok()
}

/// When a key's spend limit begins anew.
pub(super) fn reset_period(
    report: &mut Report<'_>,
    fields: &Fields<'_>,
    limited: bool,
) -> Option<ResetPeriod> {
    let expected = "\"day\", \"week\" or \"month\"";
    let field = fields.get(report, "reset_period")?;
    let period = field.text(report, expected).and_then(ResetPeriod::from_name);
    match period {
        None => field.wrong(report, expected),
        Some(_) if !limited => {
            field.problem(
                report,
                "found a period, expected spend_limit beside it: what begins anew".to_owned(),
            );
        }
        Some(_) => {}
    }
    period
}

/// An amount of dollars that is not negative.
pub(super) fn amount(report: &mut Report<'_>, field: &Field<'_>) -> Option<Nanos> {
    let read = field.decimal().and_then(|text| Nanos::from_usd(&text).ok());
    let amount = read.filter(|amount| *amount >= Nanos::ZERO);
    if amount.is_none() {
        field.wrong(report, "an amount of dollars such as 12.5, not negative, with at most nine decimals");
    }
    amount
}

//! `[store]`, `[[price]]` and amounts of money.
//!
//! In: the top level. Out: where the books are kept, and what models cost. Prices are dollars per million tokens, written as
//! decimals and read exactly.

use std::path::PathBuf;

use store::{
    Nanos,
    keys::ResetPeriod,
    price::{ImagePrice, Price},
};

use super::{
    Lost, PriceConfig, StoreConfig,
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

pub(super) fn store(report: &mut Report<'_>, top: &Fields<'_>) -> (StoreConfig, Lost) {
    let default = StoreConfig::Sqlite(PathBuf::from(DEFAULT_FILE));
    let Some(fields) = section(report, top, "store", known::STORE) else { return (default, Lost::default()) };
    let words = [("free", Lost::Free), ("estimate", Lost::Estimate)];
    let lost = fields.get(report, "lost").and_then(|field| field.one_of(report, &words));
    let url = fields.get(report, "url").and_then(|field| url(report, &field));
    (url.unwrap_or(default), lost.unwrap_or_default())
}

fn url(report: &mut Report<'_>, field: &Field<'_>) -> Option<StoreConfig> {
    let expected = "\"sqlite:PATH\" or \"memory\"";
    let url = field.text(report, expected)?;
    match url.strip_prefix("sqlite:") {
        // `sqlite:///x` and `sqlite::memory:` are other programs' words: a file of that name is not what is meant.
        Some(path) if !path.is_empty() && !path.starts_with("//") && !path.starts_with(':') => {
            Some(StoreConfig::Sqlite(PathBuf::from(path)))
        }
        None if url == "memory" => Some(StoreConfig::Memory),
        _ => {
            field.wrong(report, expected);
            None
        }
    }
}

pub(super) fn prices(report: &mut Report<'_>, top: &Fields<'_>) -> Vec<PriceConfig> {
    let mut prices: Vec<PriceConfig> = Vec::new();
    for entry in blocks(report, top, "price") {
        let Some(fields) = entry.fields(report, "a [[price]] block", known::PRICE) else { continue };
        let model = fields.require(report, "model", "a model's name, * at the end matches any rest");
        let Some(model) = model.and_then(|field| named(report, &field, &prices)) else { continue };
        let price = price(report, &fields);
        prices.push(PriceConfig { model, price });
    }
    prices
}

const USD: &str = "dollars per million tokens such as 2.5";

fn price(report: &mut Report<'_>, fields: &Fields<'_>) -> Price {
    let above: Option<u64> = whole(report, fields, "long_above", 1..=LONGEST_PROMPT);
    let (price, together) = Price::named(above, |name| {
        let needed = matches!(name, "input" | "output");
        let field = if needed { fields.require(report, name, USD) } else { fields.get(report, name) };
        rate(report, &field?)
    });
    if !together && fields.get(report, "long_above").is_none() {
        let orphan = Price::LONG_PARTS.iter().find_map(|name| fields.get(report, name));
        if let Some(field) = orphan {
            field.problem(report, "found a price for long prompts, expected long_above beside it".to_owned());
        }
    }
    let per_call = optional(report, fields, "per_call").unwrap_or_default();
    let per_second = optional(report, fields, "per_second").unwrap_or_default();
    Price { per_call, per_second, images: images(report, fields), ..price }
}

/// What a picture costs, by size and quality.
fn images(report: &mut Report<'_>, fields: &Fields<'_>) -> Vec<ImagePrice> {
    let expected = "a list such as [{ size = \"1024x1024\", quality = \"high\", each = 0.167 }]";
    let entries = fields.get(report, "images").and_then(|field| field.list(report, expected));
    let mut images: Vec<ImagePrice> = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(fields) = entry.fields(report, "a kind of picture", known::IMAGE) else { continue };
        let kind = |report: &mut Report<'_>, name| {
            let field = fields.get(report, name)?;
            field.text(report, "what callers send there").map(str::to_owned)
        };
        let (size, quality) = (kind(report, "size"), kind(report, "quality"));
        let each = fields.require(report, "each", "dollars for each picture");
        let each = each.and_then(|field| rate(report, &field)).unwrap_or_default();
        if images.iter().any(|image| image.size == size && image.quality == quality) {
            entry.problem(report, "found a kind of picture that has its price above".to_owned());
        }
        images.push(ImagePrice { size, quality, each });
    }
    images
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

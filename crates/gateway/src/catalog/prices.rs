//! What models cost: whose word goes before whose.
//!
//! In: the prices of the file, and those of the database at a moment. Out: the price of a model by the name that callers use.
//! The admin's price goes before the file's, the file's before that of a list that was taken in, and that before the list
//! that Sluice is built with. Nothing is made up: a model that none of them has has no price.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use store::{
    directory::{Directory, PriceRow},
    price::Price,
    price_list::PriceList,
};
use tracing::error;

use crate::config::{PriceConfig, document};

#[derive(Debug)]
pub(super) struct Prices {
    /// The one that is asked first is first.
    sources: [Source; 3],
    /// When the next price of the database comes into force, in milliseconds since 1970.
    pub(super) next_ms: Option<i64>,
}

/// One's prices.
#[derive(Debug, Default)]
struct Source {
    by_name: HashMap<String, Arc<Price>, RandomState>,
    /// Those with a `*`, without it; the longest first.
    starts: Vec<(String, Arc<Price>)>,
}

impl Prices {
    pub(super) fn build(own: &[PriceConfig], directory: &Directory, now_ms: i64) -> Prices {
        let rows = |by_admin: bool| directory.prices.iter().filter(move |row| row.by_admin == by_admin);
        let own = own.iter().map(|price| (price.model.clone(), price.price.clone()));
        Prices {
            sources: [
                Source::of(in_force(rows(true), now_ms)),
                Source::of(own),
                Source::of(in_force(rows(false), now_ms)),
            ],
            next_ms: directory.prices.iter().map(|row| row.valid_from_ms).filter(|from| *from > now_ms).min(),
        }
    }

    pub(super) fn of(&self, model: &str) -> Option<Arc<Price>> {
        let own = self.sources.iter().find_map(|source| source.of_model(model));
        own.cloned().or_else(|| PriceList::bundled().price(model).cloned())
    }
}

/// The rows are in the order of models, and of the times from which they hold: the last that holds is in force.
fn in_force<'r>(
    rows: impl Iterator<Item = &'r PriceRow>,
    now_ms: i64,
) -> impl Iterator<Item = (String, Price)> {
    let mut last: HashMap<&str, &PriceRow> = HashMap::new();
    for row in rows.filter(|row| row.valid_from_ms <= now_ms) {
        last.insert(&row.model, row);
    }
    last.into_values().filter_map(|row| {
        let rates = serde_json::from_str(&row.rates).ok();
        let price = rates.and_then(|rates| document::price(&row.model, &rates).ok());
        if price.is_none() {
            error!(
                model = row.model,
                "a price of the database cannot be read: the model is charged by what goes after it"
            );
        }
        Some((row.model.clone(), price?))
    })
}

impl Source {
    fn of(prices: impl Iterator<Item = (String, Price)>) -> Source {
        let mut source = Source::default();
        for (model, price) in prices {
            match model.strip_suffix('*') {
                Some(start) => source.starts.push((start.to_owned(), Arc::new(price))),
                None => {
                    source.by_name.insert(model, Arc::new(price));
                }
            }
        }
        source.starts.sort_by_key(|(start, _)| Reverse(start.len()));
        source
    }

    fn of_model(&self, model: &str) -> Option<&Arc<Price>> {
        let start = || self.starts.iter().find(|(start, _)| model.starts_with(start.as_str()));
        self.by_name.get(model).or_else(|| start().map(|(_, price)| price))
    }
}

#[cfg(test)]
mod tests {
    use store::Nanos;

    use super::*;

    fn row(model: &str, valid_from_ms: i64, by_admin: bool, input: u32) -> PriceRow {
        let rates = format!("{{\"input\":\"{input}\",\"output\":\"{input}\"}}");
        PriceRow { model: model.to_owned(), valid_from_ms, by_admin, rates }
    }

    #[test]
    fn the_admin_goes_first_then_the_file_then_the_list_and_dates_are_kept() {
        let prices = vec![
            row("a", 10, true, 1),
            row("a", 20, true, 2),
            row("b*", 10, false, 3),
            row("gpt-4o", 10, false, 4),
            row("own", 10, false, 5),
            row("own", 30, true, 6),
        ];
        let own = Price {
            base: store::price::Rates { input: 9, output: 9, ..Default::default() },
            ..Default::default()
        };
        let own = [PriceConfig { model: "own".to_owned(), price: own }];
        let directory = Directory { prices, ..Directory::default() };
        let at = |now_ms| Prices::build(&own, &directory, now_ms);
        let input = |prices: &Prices, model: &str| prices.of(model).map(|price| price.base.input);
        let usd = |amount: i64| Some((amount * store::money::NANOS_PER_USD) as u64);
        assert_eq!(input(&at(9), "a"), None);
        let ten = at(10);
        assert_eq!((input(&ten, "a"), ten.next_ms), (usd(1), Some(20)));
        assert_eq!((input(&ten, "bb"), input(&ten, "gpt-4o"), input(&ten, "own")), (usd(3), usd(4), Some(9)));
        let thirty = at(30);
        assert_eq!((input(&thirty, "a"), input(&thirty, "own"), thirty.next_ms), (usd(2), usd(6), None));
        let bundled = PriceList::bundled().price("gpt-4o").unwrap();
        assert_eq!(
            input(&at(9), "gpt-4o"),
            Some(bundled.base.input),
            "before it holds, the list we are built with"
        );
        assert_ne!(Nanos(bundled.base.input as i64), Nanos(4));
    }
}

//! A price as JSON: a `[[price]]` block without its model.
//!
//! In: an object, read by the configuration's own reader. Out: a price, or what is wrong with which field; and the other way round.

use serde_json::{Map, Value, json};
use store::{
    Nanos,
    price::{ImagePrice, Price, Rate},
};

use crate::{admin::problem::Problem, config::document};

pub(super) fn read(model: &str, rates: &Map<String, Value>) -> Result<Price, Problem> {
    document::price(model, rates).map_err(|problems| Problem::of_block("price", &problems))
}

/// The price in the words of the configuration file.
pub(super) fn written(price: &Price) -> Map<String, Value> {
    let mut block = Map::new();
    let usd = |rate: Rate| Nanos(i64::try_from(rate).unwrap_or(i64::MAX)).to_string();
    let mut put = |name: &str, rate: Option<Rate>| {
        if let Some(rate) = rate {
            block.insert(name.to_owned(), json!(usd(rate)));
        }
    };
    let base = &price.base;
    put("input", Some(base.input));
    put("output", Some(base.output));
    put("cache_read", base.cache_read);
    put("cache_write", base.cache_write);
    put("cache_write_1h", base.cache_write_1h);
    put("reasoning", base.reasoning);
    put("audio_input", base.audio_input);
    put("audio_output", base.audio_output);
    put("image_input", base.image_input);
    put("image_output", base.image_output);
    put("per_call", (price.per_call > 0).then_some(price.per_call));
    put("per_second", (price.per_second > 0).then_some(price.per_second));
    if let Some(long) = &price.long {
        put("long_input", Some(long.rates.input));
        put("long_output", Some(long.rates.output));
        put("long_cache_read", long.rates.cache_read);
        put("long_cache_write", long.rates.cache_write);
        put("long_cache_write_1h", long.rates.cache_write_1h);
        block.insert("long_above".to_owned(), json!(long.above));
    }
    if !price.images.is_empty() {
        let image = |image: &ImagePrice| {
            let mut kind = Map::new();
            let said = [("size", &image.size), ("quality", &image.quality)];
            for (name, said) in said {
                kind.extend(said.as_ref().map(|said| (name.to_owned(), json!(said))));
            }
            kind.insert("each".to_owned(), json!(usd(image.each)));
            Value::Object(kind)
        };
        block.insert("images".to_owned(), price.images.iter().map(image).collect());
    }
    block
}

#[cfg(test)]
mod tests {
    use store::price_list::PriceList;

    use super::*;

    #[test]
    fn what_is_written_of_every_public_price_reads_as_that_price() {
        let mut count = 0;
        for (model, listed) in PriceList::bundled().iter() {
            assert_eq!(read(model, &written(&listed.price)).unwrap(), *listed.price, "{model}");
            count += 1;
        }
        assert!(count > 100);
    }

    #[test]
    fn pictures_and_seconds_are_written_too() {
        let kind =
            |size: Option<&str>, each| ImagePrice { size: size.map(str::to_owned), quality: None, each };
        let images = vec![kind(Some("1024x1024"), 40_000_000), kind(None, 20_000_000)];
        let price = Price { per_second: 100_000, images, ..Price::default() };
        assert_eq!(read("m", &written(&price)).unwrap(), price);
    }
}

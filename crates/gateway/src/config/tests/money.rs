//! Where the books are, what models cost, what keys may spend.

use std::path::PathBuf;

use store::price::{ImagePrice, Long, Price, Rates};

use super::*;

#[test]
fn the_books_are_in_a_file_or_nowhere() {
    let store = |text: &str| read(text).unwrap().store;
    assert_eq!(store(""), StoreConfig::Sqlite(PathBuf::from("sluice.db")));
    assert_eq!(store("[store]\nurl = \"sqlite:/var/x.db\""), StoreConfig::Sqlite(PathBuf::from("/var/x.db")));
    assert_eq!(store("[store]\nurl = \"memory\""), StoreConfig::Memory);
    for url in ["sqlite:", "sqlite://x.db", "sqlite::memory:", "postgres://x", "x.db", ""] {
        let problem = format!("line 2: store.url: found {url:?}, expected \"sqlite:PATH\" or \"memory\"");
        says(&format!("[store]\nurl = \"{url}\""), &[&problem]);
    }
}

#[test]
fn prices_are_read_exactly() {
    let text = "[[price]]\nmodel = \"m-*\"\ninput = 1.25\noutput = \"10\"\ncache_read = 0.000000001\nper_call = 0.01\nper_second = 0.0001\n\
                images = [{ each = 0.04 }, { size = \"1024x1024\", quality = \"high\", each = 0.167 }]\n\
                long_above = 200000\nlong_input = 2\n";
    let base =
        Rates { input: 1_250_000_000, output: 10_000_000_000, cache_read: Some(1), ..Rates::default() };
    let long = Some(Long { above: 200_000, rates: Rates { input: 2_000_000_000, ..base } });
    let kind = |text: &str| Some(text.to_owned());
    let images = vec![
        ImagePrice { size: None, quality: None, each: 40_000_000 },
        ImagePrice { size: kind("1024x1024"), quality: kind("high"), each: 167_000_000 },
    ];
    let price = Price { base, long, per_call: 10_000_000, per_second: 100_000, images };
    assert_eq!(read(text).unwrap().prices, [PriceConfig { model: "m-*".to_owned(), price }]);
}

#[test]
fn what_is_no_price_is_refused() {
    let price = |more: &str| format!("[[price]]\nmodel = \"m\"\ninput = 1\n{more}\n");
    let usd = "expected an amount of dollars such as 12.5, not negative, with at most nine decimals";
    says(&price("output = -1"), &[&format!("line 4: price[0].output: found -1, {usd}")]);
    says(&price("output = 1e3"), &[&format!("line 4: price[0].output: found 1e3, {usd}")]);
    says(&price("output = 0.0000000001"), &[&format!("line 4: price[0].output: found 0.0000000001, {usd}")]);
    says(
        "[[price]]\nmodel = \"m\"\ninput = 1",
        &["line 1: price[0].output: found nothing, expected dollars per million tokens such as 2.5"],
    );
    says(
        &(price("output = 1") + &price("output = 2")),
        &["line 6: price[1].model: found \"m\", expected a model that has no [[price]] yet"],
    );
    says(
        &price("output = 1\nlong_output = 2"),
        &["line 5: price[0].long_output: found a price for long prompts, expected long_above beside it"],
    );
}

#[test]
fn a_limit_is_an_amount() {
    let key = |limit: &str| format!("[[key]]\nname = \"k\"\nsecret = \"s\"\nspend_limit = {limit}\n");
    assert_eq!(read(&key("0.5")).unwrap().keys[0].spend_limit, Some(Nanos(500_000_000)));
    assert_eq!(read("[[key]]\nname = \"k\"\nsecret = \"s\"").unwrap().keys[0].spend_limit, None);
    assert!(read(&key("-1")).is_err() && read(&key("\"much\"")).is_err() && read(&key("nan")).is_err());
}

#[test]
fn what_is_charged_for_the_lost_and_for_those_who_leave_is_a_choice_of_words() {
    let lost = |word: &str| read(&format!("[store]\nlost = \"{word}\"")).map(|config| config.lost);
    assert_eq!((lost("free").unwrap(), lost("estimate").unwrap()), (Lost::Free, Lost::Estimate));
    says(
        "[store]\nlost = \"all\"",
        &["line 2: store.lost: found \"all\", expected \"free\" or \"estimate\""],
    );
    let channel = |word: &str| {
        let text = format!(
            "[[channel]]\nname = \"c\"\nprovider = \"openai\"\nsecrets = [\"s\"]\nmodels = [\"*\"]\non_client_left = {word}"
        );
        read(&text).map(|config| config.channels[0].on_client_left)
    };
    assert_eq!(channel("\"cancel\"").unwrap(), OnClientLeft::Cancel);
    assert_eq!(channel("\"drain\"").unwrap(), OnClientLeft::Drain);
    assert!(channel("true").is_err());
    let key = |strict: &str| {
        read(&format!("[[key]]\nname = \"k\"\nsecret = \"s\"\nstrict = {strict}"))
            .map(|config| config.keys[0].strict)
    };
    assert_eq!((key("true").unwrap(), key("false").unwrap()), (true, false));
    assert!(key("\"yes\"").is_err());
}

#[test]
fn who_only_reads_the_books_needs_no_secrets() {
    let text =
        "[store]\nurl = \"sqlite:/var/x.db\"\n[[key]]\nname = \"k\"\nsecret = \"env:UNSET\"\nwrong = 1\n";
    assert!(read(text).is_err());
    assert_eq!(parse_store(text).unwrap(), StoreConfig::Sqlite(PathBuf::from("/var/x.db")));
    assert_eq!(parse_store("").unwrap(), StoreConfig::Sqlite(PathBuf::from("sluice.db")));
    let problems = parse_store("[store]\nurl = \"x\"").unwrap_err();
    assert_eq!(problems[0].key, "store.url");
    assert!(parse_store("[store").is_err());
}

#[test]
fn a_kind_of_picture_has_one_price() {
    let price =
        |images: &str| format!("[[price]]\nmodel = \"m\"\ninput = 1\noutput = 1\nimages = {images}\n");
    says(
        &price("[{ each = 1 }, { each = 2 }]"),
        &["line 5: price[0].images[1]: found a kind of picture that has its price above"],
    );
    says(
        &price("[{ size = \"1x1\" }]"),
        &["line 5: price[0].images[0].each: found nothing, expected dollars for each picture"],
    );
}

//! The list of public prices, and what tables it refuses.

use store::{
    Nanos,
    price::{Long, Price, Rate, Rates},
    price_list::PriceList,
};

fn usd(text: &str) -> Rate {
    Nanos::from_usd(text).unwrap().0.unsigned_abs()
}

/// What is wrong in a table, a line of text each.
fn problems(table: &str) -> Vec<String> {
    PriceList::parse(table).unwrap_err().iter().map(ToString::to_string).collect()
}

/// What its maker gives away. By any other row of nothing a caller who pays would pay nothing.
const FREE: [&str; 4] =
    ["omni-moderation-2024-09-26", "omni-moderation-latest", "glm-4.5-flash", "glm-4.7-flash"];

#[test]
fn every_bundled_price_is_sane() {
    let table = include_str!("../../prices/models.tsv");
    let list = PriceList::parse(table).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#')).count() - 1;
    assert_eq!(list.iter().count(), rows);
    assert_eq!(PriceList::bundled().iter().count(), rows);
    assert!(rows > 500, "{rows}");
    for (model, listed) in list.iter() {
        let Price { base, long, per_call, .. } = *listed.price;
        assert!(!listed.provider.is_empty(), "{model}");
        let sizes = [listed.sizes.context, listed.sizes.max_output];
        assert!(
            sizes.into_iter().flatten().all(|size| (64..=20_000_000).contains(&size)),
            "{model}: {sizes:?}"
        );
        assert_eq!(per_call, 0, "{model}");
        assert!(base.input > 0 || FREE.contains(&model), "{model}");
        for rates in [Some(base), long.map(|long| long.rates)].into_iter().flatten() {
            // A cache is read for less than the input, or nobody would use it, and written for more, or all would.
            assert!(rates.cache_read.unwrap_or_default() <= rates.input, "{model}");
            assert!(rates.cache_write.unwrap_or(rates.input) >= rates.input, "{model}");
            assert!(rates.cache_write_1h >= rates.cache_write || rates.cache_write_1h.is_none(), "{model}");
            assert!(rates.input <= usd("1000") && rates.output <= usd("1000"), "{model}");
        }
        if let Some(long) = long {
            assert!(long.above >= 100_000, "{model}");
            assert!(long.rates.input > base.input && long.rates.output > base.output, "{model}");
            assert!(long.rates.cache_read >= base.cache_read, "{model}");
        }
    }
}

/// The price of a bundled model as `[input, output, cache_read]`.
fn told(model: &str) -> [String; 3] {
    let base = PriceList::bundled().price(model).unwrap().base;
    [base.input, base.output, base.cache_read.unwrap()]
        .map(|rate| Nanos(i64::try_from(rate).unwrap()).to_string())
}

#[test]
fn well_known_models_cost_what_their_makers_ask_for() {
    assert_eq!(told("gpt-4o-mini"), ["0.15", "0.6", "0.075"]);
    assert_eq!(told("claude-sonnet-4-5"), ["3", "15", "0.3"]);
    assert_eq!(told("gemini-2.5-pro"), ["1.25", "10", "0.125"]);
    assert_eq!(told("deepseek-v4-pro"), ["1.32", "3.96", "0.044"]);
    assert_eq!(told("grok-4.7"), ["2", "6", "0.5"]);
    assert_eq!(told("mistral-large-4"), ["0.68", "2.09", "0.068"]);

    let sonnet = PriceList::bundled().price("claude-sonnet-4-5").unwrap().base;
    assert_eq!((sonnet.cache_write, sonnet.cache_write_1h), (Some(usd("3.75")), Some(usd("6"))));
    let gemini = PriceList::bundled().price("gemini-2.5-pro").unwrap().long.unwrap();
    assert_eq!((gemini.above, gemini.rates.input, gemini.rates.output), (200_000, usd("2.5"), usd("15")));
    let audio = PriceList::bundled().price("gpt-audio").unwrap().base;
    assert_eq!((audio.audio_input, audio.audio_output), (Some(usd("32")), Some(usd("64"))));
}

#[test]
fn the_maker_goes_before_those_who_sell_its_models() {
    let provider = |model: &str| {
        PriceList::bundled().iter().find(|(name, _)| *name == model).unwrap().1.provider.clone()
    };
    // Azure asks for a tenth more.
    assert_eq!(provider("text-embedding-3-large"), "openai");
    assert_eq!(provider("gpt-5.6-sol-2026-07-09"), "azure");
    // By a vendor's name at a reseller: the same model.
    assert_eq!(PriceList::bundled().price("openai/gpt-5"), PriceList::bundled().price("gpt-5"));
}

#[test]
fn a_tuned_model_costs_what_its_base_costs_tuned() {
    let list = PriceList::bundled();
    let tuned = list.price("ft:gpt-4o-mini-2024-07-18:acme::AbC123").unwrap();
    assert_eq!(tuned.base.input, usd("0.3"));
    assert_eq!(list.price("ft:gpt-4o-mini-2024-07-18"), Some(tuned));
    for unknown in ["", "ft:", "ft::", "gpt-4o-mini:acme", "GPT-4O", "ft:nobody:acme", "ft:ü"] {
        assert_eq!(list.price(unknown), None, "{unknown}");
    }
}

#[test]
fn every_column_becomes_its_own_price() {
    let list = PriceList::parse(concat!(
        "# a comment\n\n",
        "provider\tmodel\tinput\toutput\tcache_read\tcache_write\tcache_write_1h\treasoning\taudio_input\taudio_output",
        "\timage_input\timage_output\tlong_above\tlong_input\tlong_output\tlong_cache_read\tlong_cache_write",
        "\tlong_cache_write_1h\r\n",
        "me\tall\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16\r\n",
        "\tfew\t0.000000001\t10000\n",
    ))
    .unwrap();
    let some = |text| Some(usd(text));
    let base = Rates {
        input: usd("1"),
        output: usd("2"),
        cache_read: some("3"),
        cache_write: some("4"),
        cache_write_1h: some("5"),
        reasoning: some("6"),
        audio_input: some("7"),
        audio_output: some("8"),
        image_input: some("9"),
        image_output: some("10"),
    };
    let rates = Rates {
        input: usd("12"),
        output: usd("13"),
        cache_read: some("14"),
        cache_write: some("15"),
        cache_write_1h: some("16"),
        ..base
    };
    let all = Price { base, long: Some(Long { above: 11, rates }), ..Price::default() };
    assert_eq!(list.price("all").map(|price| &**price), Some(&all));
    let few = Rates { input: 1, output: usd("10000"), ..Rates::default() };
    assert_eq!(**list.price("few").unwrap(), Price { base: few, ..Price::default() });
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_line_and_column() {
    let table = "model\tinput\toutput\tcache_read\tlong_above\tlong_input\n\
        good\t1\t2\n\
        # five that are wrong\n\
        a\t1e3\t-2\t0.0000000001\n\
        b\t\t10000.01\t99999999999\n\
        good\t1\t2\n\
        c d\t1\t2\t\t0\t3\n\
        \t1\t2\t\t\t3\n\
        e\t1\t2\t3\t4\t5\t6\n";
    assert_eq!(
        problems(table),
        [
            "line 4, input: \"1e3\" is not a decimal number such as 12.5",
            "line 4, output: \"-2\" is negative",
            "line 4, cache_read: \"0.0000000001\" is more than nine decimals",
            "line 5, input: nothing, where something is needed",
            "line 5, output: \"10000.01\" is beyond 10000 dollars per million tokens",
            "line 5, cache_read: \"99999999999\" is beyond a thousand million dollars",
            "line 6, model: \"good\" has a price above",
            "line 7, model: \"c d\" is no name that a caller can use",
            "line 7, long_above: \"0\" is no number of tokens from 1 to 1000000000",
            "line 8, model: nothing, where something is needed",
            "line 8, long_above: nothing, beside a price for long prompts",
            "line 9, model: 7 cells under 6 columns",
        ]
    );
}

#[test]
fn a_table_without_its_columns_is_refused() {
    assert_eq!(
        problems("# prices\nmodel\tinptu\tmodel\nx\t1\n"),
        [
            "line 2, inptu: no such column",
            "line 2, model: a column that is there twice",
            "line 2, input: a column that is needed and missing",
            "line 2, output: a column that is needed and missing",
        ]
    );
    assert_eq!(problems("").len(), 4);
    assert!(PriceList::parse("model\tinput\toutput").unwrap().iter().next().is_none());
}

//! Recorded provider traffic, where it is at hand (`../shared/corpus` beside the workspace; not part of the repository): the
//! usage of every recording prices to buckets that do not overlap.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use dialect::{Accounting, Dialect, Door, Framing, Operation, PlainTap, Tap, TapOptions, Usage, sniff};
use gateway::charge::quantities;
use serde_json::Value;
use store::{
    Nanos,
    price::{Factors, Price, Quantities},
    price_list::PriceList,
};

/// The usage of every recording that states one, with the recording's id.
fn read_usages() -> Option<Vec<(String, Usage)>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/recordings");
    let Ok(index) = fs::read_to_string(folder.join("index.tsv")) else {
        println!("corpus not present: skipped");
        return None;
    };
    let usages = index.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let record: Value =
            serde_json::from_str(&fs::read_to_string(folder.join(columns[7])).unwrap()).unwrap();
        Some((columns[0].to_owned(), usage_of(&record["response"], options(columns[1], columns[2])?)?))
    });
    Some(usages.collect())
}

fn options(provider: &str, protocol: &str) -> Option<TapOptions> {
    let (dialect, operation) = match protocol {
        "openai-chat" => (Dialect::OpenaiChat, Operation::Chat),
        "openai-completions" => (Dialect::OpenaiChat, Operation::Completions),
        "embeddings" => (Dialect::OpenaiChat, Operation::Embeddings),
        "moderations" => (Dialect::OpenaiChat, Operation::Moderations),
        "openai-responses" => (Dialect::OpenaiResponses, Operation::Chat),
        "openai-responses-compact" => (Dialect::OpenaiResponses, Operation::Compact),
        "anthropic-messages" => (Dialect::AnthropicMessages, Operation::Chat),
        "gemini-generate" => (Dialect::GeminiGenerate, Operation::Chat),
        "gemini-embeddings" => (Dialect::GeminiGenerate, Operation::Embeddings),
        _ => return None,
    };
    let apart = dialect == Dialect::OpenaiChat && matches!(provider, "xai" | "gemini");
    let accounting = if apart { Accounting::ReasoningApart } else { Accounting::Standard };
    Some(TapOptions { door: Door::new(dialect, operation), accounting, strip_usage: false })
}

fn usage_of(response: &Value, options: TapOptions) -> Option<Usage> {
    if let Some(frames) = response["sse"].as_array() {
        let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.as_str().unwrap().bytes()).collect();
        let mut tap = Tap::new(options, sniff(&stream).unwrap_or(Framing::Sse));
        let mut out = Vec::new();
        tap.feed(Bytes::from(stream), &mut out);
        tap.finish(&mut out);
        return tap.usage();
    }
    let body = &response["body"];
    let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    PlainTap::of_whole(options, text.as_bytes()).usage()
}

/// Each bucket alone.
fn buckets(used: &Quantities) -> [Quantities; 10] {
    let none = Quantities::default();
    [
        Quantities { input: used.input, ..none },
        Quantities { cache_read: used.cache_read, ..none },
        Quantities { cache_write: used.cache_write, ..none },
        Quantities { cache_write_1h: used.cache_write_1h, ..none },
        Quantities { audio_input: used.audio_input, ..none },
        Quantities { image_input: used.image_input, ..none },
        Quantities { output: used.output, ..none },
        Quantities { reasoning: used.reasoning, ..none },
        Quantities { audio_output: used.audio_output, ..none },
        Quantities { image_output: used.image_output, ..none },
    ]
}

#[test]
fn the_usage_of_every_recording_prices_to_disjoint_buckets_that_sum() {
    let Some(usages) = read_usages() else { return };
    let prices: Vec<_> =
        PriceList::bundled().iter().step_by(50).map(|(_, listed)| listed.price.clone()).collect();
    for (id, usage) in &usages {
        let used = quantities(usage);
        let counted: u64 = usage.buckets().iter().map(|(_, count)| count).sum();
        assert_eq!(counted, usage.total(), "{id}");
        for price in &prices {
            let whole = price.charge(&used, Factors::ONE);
            // The prompt decides which rates hold: alone, a bucket must have those of the whole.
            let long = price.long.as_ref().filter(|long| used.prompt() > long.above);
            let rates = long.map_or(price.base, |long| long.rates);
            let rates = Price { base: rates, ..Price::default() };
            let parts: Vec<Nanos> =
                buckets(&used).iter().map(|part| rates.charge(part, Factors::ONE)).collect();
            assert!(parts.iter().all(|part| *part >= Nanos::ZERO), "{id}: {parts:?}");
            let sum: i64 = parts.iter().map(|part| part.0).sum();
            // Each was rounded up by less than a nanodollar.
            assert!((whole.0..=whole.0 + 10).contains(&sum), "{id}: {parts:?} are not {whole:?}");
        }
    }
    println!("{} usages at {} prices", usages.len(), prices.len());
    assert!(usages.len() > 500 && prices.len() > 10, "{} usages, {} prices", usages.len(), prices.len());
}

//! The short cut for plain deltas against the full reading: on the fixtures, on recorded traffic (where it is at
//! hand), and on chunks made to fool it.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected must stop there.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use std::{fs, path::PathBuf};

use super::Reader;
use crate::{Accounting, Dialect, Door, Operation, facts::Facts, text::texts_of};

/// Reads the frames both ways; how many of them took the short cut.
fn compare(name: &str, stream: &str) -> usize {
    let reader =
        || Reader::new(Accounting::Standard, texts_of(Door::new(Dialect::OpenaiChat, Operation::Chat)));
    let (mut short, mut full) = (reader(), reader());
    let (mut short_facts, mut full_facts) = (Facts::default(), Facts::default());
    let mut taken = 0;
    for line in stream.split(['\n', '\r']) {
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        taken += usize::from(short_facts.meaningful && short.plain_delta(data).is_some());
        let short_frame = short.read(None, data, &mut short_facts);
        let full_frame = full.read_in_full(None, data, &mut full_facts);
        assert_eq!(format!("{short_frame:?}"), format!("{full_frame:?}"), "{name}: {data}");
        assert_eq!(format!("{short_facts:?}"), format!("{full_facts:?}"), "{name}: {data}");
        assert_eq!(short.choices, full.choices, "{name}: {data}");
    }
    taken
}

#[test]
fn fixtures() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/openai_chat");
    let mut taken = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        taken += compare(&path.to_string_lossy(), &String::from_utf8_lossy(&fs::read(&path).unwrap()));
    }
    assert!(taken > 0, "the short cut is never taken");
}

#[test]
fn recorded_streams() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/recordings");
    let Ok(index) = fs::read_to_string(folder.join("index.tsv")) else {
        println!("corpus not present: skipped");
        return;
    };
    let (mut taken, mut frames) = (0, 0);
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let text = fs::read_to_string(folder.join(columns[7])).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let Some(sse) = record["response"]["sse"].as_array() else { continue };
        let stream: String = sse.iter().map(|frame| frame.as_str().unwrap()).collect();
        frames += sse.len();
        taken += compare(columns[0], &stream);
    }
    println!("{taken} of {frames} frames took the short cut");
    assert!(taken > 1000);
}

#[test]
fn chunks_made_to_fool_it() {
    let first = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
    for second in [
        r#"{"choices":[{"index":0,"delta":{"content":"\"finish_reason\":null"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"\"usage\":null"},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":null},{"index":1,"delta":{},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":null},{"index":1,"delta":{}}]}"#,
        r#"{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"x":1}]},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}],"error":{"message":"m"}}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}],"usage":null,"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":1}}}"#,
        r#"{"x":"\"choices\":[{\"index\":0,","choices":[{"index":2,"delta":{},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason": "length"}]}"#,
    ] {
        compare(second, &format!("data: {first}\n\ndata: {second}\n\n"));
    }
}

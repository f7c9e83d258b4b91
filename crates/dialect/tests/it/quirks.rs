//! Where providers depart from their dialect's owner: docs/QUIRKS.md, row by row.
//!
//! Each row has a fixture of our own making under `fixtures/quirks/` (and beside it, in `.facts`, what Sluice makes of it;
//! `UPDATE_GOLDENS=1` writes that anew) and names recordings. Fixture and recordings must show the departure, and what
//! Sluice reads in them must be what is read here from their JSON with other code.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

mod compare;
mod heard;
mod shows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use dialect::{Accounting, Dialect, Door, Framing, Operation, TapOptions};

use self::{
    compare::{compare, describe, tell},
    heard::{Event, Heard},
    shows::{QUIRKS, Reply},
};
use crate::{
    corpus::{Recording, read_recordings},
    gather::decode,
    grammar::check,
    watch::{options, watch},
};

/// The quirks whose fixtures are counted as xAI and Gemini's chat door count.
const APART: [&str; 2] = ["reasoning-apart", "reasoning-unnamed"];

/// The providers, as the document calls them and as the corpus does.
const PROVIDERS: [(&str, &[&str]); 13] = [
    ("xAI", &["xai"]),
    ("DeepSeek", &["deepseek"]),
    ("Mistral", &["mistral"]),
    ("Groq", &["groq"]),
    ("Cerebras", &["cerebras"]),
    ("Perplexity", &["perplexity"]),
    ("Zhipu", &["zhipu", "zhipu-coding"]),
    ("Qwen", &["dashscope"]),
    ("Moonshot", &["moonshot"]),
    ("OpenRouter", &["openrouter"]),
    ("Azure", &["azure"]),
    ("Ollama", &["ollama"]),
    ("Gemini", &["gemini"]),
];

/// One row of the document.
struct Row {
    name: String,
    /// Who does it.
    who: String,
    recordings: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands in the document about answers and errors; requests are the gateway's.
fn read_document() -> String {
    let document = fs::read_to_string(root().join("docs/QUIRKS.md")).unwrap();
    document.split("## Requests").next().unwrap().to_owned()
}

fn in_quotes(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn read_rows(document: &str) -> Vec<Row> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let name = cells[0].trim_end_matches('`').to_owned();
        let ids = in_quotes(cells[cells.len() - 1]).map(str::to_owned).collect();
        Some(Row { name, who: cells[1].to_owned(), recordings: ids })
    });
    rows.collect()
}

fn read_fixtures() -> Vec<(PathBuf, Heard)> {
    let mut fixtures = Vec::new();
    for dialect in Dialect::ALL {
        let folder = root().join("crates/dialect/fixtures/quirks").join(dialect.name());
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let extension = path.extension().unwrap().to_string_lossy().into_owned();
            if extension == "facts" {
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            let (mut status, mut headers) = (200, BTreeMap::new());
            if extension == "error" {
                // The first line has the status, the content type, and other headers as `name=value`.
                let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
                let head = String::from_utf8(bytes.drain(..=end).collect()).unwrap();
                let (code, told) = head.trim().split_once(' ').unwrap();
                let told = told.split(' ');
                let told = told.map(|header| header.split_once('=').unwrap_or(("content-type", header)));
                headers = told.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                status = code.parse().unwrap();
            }
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let mut options = options(Door::new(dialect, Operation::Chat));
            if APART.contains(&&*name) {
                options = TapOptions { accounting: Accounting::ReasoningApart, ..options };
            }
            let streamed = extension == "sse";
            fixtures.push((path, Heard { name, options, status, headers, bytes, streamed }));
        }
    }
    fixtures.sort_by(|a, b| a.0.cmp(&b.0));
    fixtures
}

fn hear(recording: &Recording) -> Option<Heard> {
    let stream = recording.stream();
    let streamed = stream.is_some();
    let bytes = match stream {
        Some(bytes) => bytes,
        None => recording.body()?.into_bytes(),
    };
    let headers = recording.record["response"]["headers"].as_object().into_iter().flatten();
    let headers =
        headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
    let (name, options, status) = (recording.id.clone(), recording.options(), recording.status);
    Some(Heard { name, options, status, headers, bytes, streamed })
}

#[test]
fn every_quirk_has_a_row_a_fixture_and_a_recording() {
    let rows = read_rows(&read_document());
    let documented: BTreeSet<_> = rows.iter().map(|row| row.name.clone()).collect();
    assert_eq!(documented.len(), rows.len(), "a quirk is documented twice");
    let known: BTreeSet<_> = QUIRKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let shown: BTreeSet<_> = read_fixtures().into_iter().map(|(_, heard)| heard.name).collect();
    assert_eq!(documented, known, "the document and the test's quirks");
    assert_eq!(documented, shown, "the document and the fixtures");
    for row in &rows {
        assert!(!row.recordings.is_empty(), "{} names no recording", row.name);
    }
}

/// What needs no code of its own: it is read as the dialect is, or not looked at.
const NEEDS_NOTHING: [&str; 8] = [
    "reasoning-uncounted",
    "usage-breakdown",
    "cost-in-usage",
    "call-in-one-piece",
    "role-on-every-chunk",
    "comments",
    "carriage-returns",
    "object-missing",
];

/// Who greps a name finds the place in the code.
#[test]
fn every_quirk_that_needs_code_is_named_there() {
    let mut code = String::new();
    let mut folders = vec![root().join("crates/dialect/src"), root().join("crates/gateway/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                code += &fs::read_to_string(&path).unwrap_or_default();
            }
        }
    }
    let named = |name: &str| code.contains(&format!("`{name}`")) || code.contains(&format!("\"{name}\""));
    for (name, _) in QUIRKS {
        assert_eq!(named(name), !NEEDS_NOTHING.contains(name), "{name}");
    }
}

/// The list by provider and the column "who" say the same.
#[test]
fn every_provider_lists_its_quirks() {
    let document = read_document();
    let rows = read_rows(&document);
    let mut mentioned = BTreeSet::new();
    for (provider, _) in PROVIDERS {
        let start = format!("- **{provider}**:");
        let line = document.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no list of {provider}"));
        let listed: BTreeSet<_> = in_quotes(line).collect();
        let named = rows.iter().filter(|row| row.who.split(", ").any(|who| who == provider));
        let named: BTreeSet<_> = named.map(|row| &*row.name).collect();
        assert_eq!(listed, named, "{provider}");
        mentioned.extend(named);
    }
    assert_eq!(mentioned.len(), rows.len(), "a row names nobody of the list");
}

#[test]
fn fixtures_show_their_quirk_and_are_read_right() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for (path, heard) in read_fixtures() {
        let (_, shows) = QUIRKS.iter().find(|(name, _)| *name == heard.name).unwrap();
        if !shows(&Reply::of(&heard)) {
            wrong.push(format!("{}: it does not show its quirk", path.display()));
        }
        wrong.extend(compare(&heard).into_iter().map(|line| format!("{}: {line}", path.display())));
        let facts = describe(&heard);
        let mut golden = path.clone().into_os_string();
        golden.push(".facts");
        if update {
            fs::write(&golden, facts).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != facts {
            wrong.push(format!("{}: now\n{facts}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the document says of other dialects, where the facts do not show it.
#[test]
fn other_dialects_are_told_what_they_specify() {
    let fixtures = read_fixtures();
    let told = |name: &str, dialect| {
        let (_, heard) = fixtures.iter().find(|(_, heard)| heard.name == name).unwrap();
        tell(heard, dialect)
    };
    let rows = [
        ("finish-unsaid", Dialect::AnthropicMessages, r#""stop_reason":null"#),
        ("finish-unsaid", Dialect::OpenaiResponses, r#""status":"incomplete""#),
        ("message-missing", Dialect::OpenaiResponses, r#""incomplete_details":{"reason":"content_filter"}"#),
        ("arguments-missing", Dialect::AnthropicMessages, r#""input":{}"#),
        ("stop-though-called", Dialect::AnthropicMessages, r#""stop_reason":"tool_use""#),
        ("no-done", Dialect::OpenaiChat, "data: [DONE]"),
        ("finish-with-content", Dialect::AnthropicMessages, r#""text":" night""#),
        ("signature-on-message", Dialect::GeminiGenerate, r#""thoughtSignature":"c2lnbmVk""#),
    ];
    for (name, dialect, words) in rows {
        let told = told(name, dialect);
        assert!(told.contains(words), "{name} to {}: {told}", dialect.name());
    }
}

/// A chunk with a choice is the client's, whoever asked for the usage; only a chunk of usage alone is taken out.
#[test]
fn usage_is_stripped_only_where_it_stands_alone() {
    for (path, heard) in read_fixtures().into_iter().filter(|(_, heard)| heard.streamed) {
        let stripped =
            watch(TapOptions { strip_usage: true, ..heard.options }, Framing::Sse, &[&heard.bytes]);
        let alone = |chunk: &&Event| chunk.json["choices"].as_array().is_some_and(Vec::is_empty);
        let events = heard.events();
        let alone = events.iter().filter(alone).filter(|chunk| chunk.json["usage"].is_object()).count();
        let lost = heard.bytes.len() - stripped.out.len();
        let failed = stripped.tap.error().is_some();
        assert_eq!(
            lost > 0,
            alone > 0 && heard.dialect() == Dialect::OpenaiChat || failed,
            "{}",
            path.display()
        );
    }
}

/// Wherever a stream is cut, it says the same.
#[test]
fn quirks_do_not_depend_on_the_cut() {
    for (path, heard) in read_fixtures().into_iter().filter(|(_, heard)| heard.streamed) {
        let (options, dialect, bytes) = (heard.options, heard.dialect(), &heard.bytes);
        let whole = watch(options, Framing::Sse, &[bytes]);
        let events = decode(dialect, Framing::Sse, options.accounting, &[bytes]);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let cut = watch(options, Framing::Sse, &[head, tail]);
            assert!(cut.facts == whole.facts && cut.out == whole.out, "{} at {at}", path.display());
            let again = decode(dialect, Framing::Sse, options.accounting, &[head, tail]);
            assert!(again == events, "{} at {at}", path.display());
        }
        assert_eq!(check(&events, heard.name != "chat-in-responses"), Ok(()), "{}", path.display());
    }
}

#[test]
fn recordings_show_the_quirks_and_are_read_right() {
    let Some(recordings) = read_recordings() else { return };
    let (mut wrong, mut missing, mut seen) = (Vec::new(), Vec::new(), 0);
    let rows = read_rows(&read_document());
    for row in &rows {
        let (_, shows) = QUIRKS.iter().find(|(name, _)| *name == row.name).unwrap();
        for id in &row.recordings {
            let Some(recording) = recordings.iter().find(|recording| recording.id == *id) else {
                missing.push(format!("{}: no recording is called {id}", row.name));
                continue;
            };
            seen += 1;
            let heard = hear(recording).unwrap();
            if !shows(&Reply::of(&heard)) {
                wrong.push(format!("{id} does not show {}", row.name));
            }
            let found = compare(&heard);
            wrong.extend(found.into_iter().map(|line| format!("{}: {id}: {line}", row.name)));
        }
    }
    println!("{} quirks, {seen} recordings", rows.len());
    if seen == 0 {
        println!("another corpus: none of the document's recordings is there");
        return;
    }
    wrong.append(&mut missing);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the providers of the document answered, all of it: no row is needed to be read right.
#[test]
fn every_recording_of_these_providers_is_read_right() {
    let Some(recordings) = read_recordings() else { return };
    let (mut wrong, mut read, mut shown) = (Vec::new(), 0, BTreeMap::<_, BTreeMap<_, Vec<_>>>::new());
    let rows = read_rows(&read_document());
    for (provider, folders) in PROVIDERS {
        let own = recordings.iter().filter(|recording| folders.contains(&recording.provider()));
        for recording in own.filter(|recording| recording.door.operation == Operation::Chat) {
            let Some(heard) = hear(recording) else { continue };
            read += 1;
            wrong.extend(compare(&heard).into_iter().map(|line| format!("{}: {line}", recording.id)));
            if heard.dialect() == Dialect::GeminiGenerate && heard.status == 200 {
                continue;
            }
            let reply = Reply::of(&heard);
            for (name, _) in QUIRKS.iter().filter(|(_, shows)| shows(&reply)) {
                shown.entry(*name).or_default().entry(provider).or_default().push(&*recording.id);
            }
        }
    }
    // Of another corpus the document does not speak.
    let known = rows.iter().flat_map(|row| &row.recordings).all(|id| recordings.iter().any(|r| r.id == *id));
    for (name, providers) in &shown {
        for (provider, ids) in providers {
            println!("{name}: {provider} {}, first {}", ids.len(), ids[..ids.len().min(2)].join(" "));
        }
        let Some(row) = rows.iter().find(|row| row.name == *name) else { continue };
        for provider in
            providers.keys().filter(|provider| known && !row.who.split(", ").any(|who| who == **provider))
        {
            wrong.push(format!("{name}: {provider} does it, too"));
        }
    }
    println!("{read} recordings");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! Recorded provider traffic, where it is at hand (`../shared/corpus` beside the workspace; not part of the repository).
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use dialect::{
    Accounting, Dialect, Door, Edits, Framing, Operation, TapOptions, parse_error, peek, sniff, splice,
};
use serde_json::Value;

use crate::watch::{options, watch, watch_plain};

pub(crate) struct Recording {
    pub(crate) id: String,
    provider: String,
    pub(crate) door: Door,
    pub(crate) status: u64,
    pub(crate) record: Value,
}

impl Recording {
    pub(crate) fn options(&self) -> TapOptions {
        let apart = self.door.dialect == Dialect::OpenaiChat && matches!(&*self.provider, "xai" | "gemini");
        let accounting = if apart { Accounting::ReasoningApart } else { Accounting::Standard };
        TapOptions { accounting, ..options(self.door) }
    }

    pub(crate) fn provider(&self) -> &str {
        &self.provider
    }

    pub(crate) fn stream(&self) -> Option<Vec<u8>> {
        let frames = self.record["response"]["sse"].as_array()?;
        Some(frames.iter().flat_map(|frame| frame.as_str().unwrap().bytes()).collect())
    }

    pub(crate) fn body(&self) -> Option<String> {
        let body = &self.record["response"]["body"];
        (!body.is_null()).then(|| body.as_str().map_or_else(|| body.to_string(), str::to_owned))
    }
}

pub(crate) fn read_recordings() -> Option<Vec<Recording>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/recordings");
    let Ok(index) = fs::read_to_string(folder.join("index.tsv")) else {
        println!("corpus not present: skipped");
        return None;
    };
    let rows = index.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let (dialect, operation) = match columns[2] {
            "openai-chat" => (Dialect::OpenaiChat, Operation::Chat),
            "openai-completions" => (Dialect::OpenaiChat, Operation::Completions),
            "embeddings" => (Dialect::OpenaiChat, Operation::Embeddings),
            "moderations" => (Dialect::OpenaiChat, Operation::Moderations),
            "openai-responses" => (Dialect::OpenaiResponses, Operation::Chat),
            "openai-responses-compact" => (Dialect::OpenaiResponses, Operation::Compact),
            "openai-responses-input-tokens" => (Dialect::OpenaiResponses, Operation::CountTokens),
            "anthropic-messages" => (Dialect::AnthropicMessages, Operation::Chat),
            "anthropic-count-tokens" => (Dialect::AnthropicMessages, Operation::CountTokens),
            "gemini-generate" => (Dialect::GeminiGenerate, Operation::Chat),
            "gemini-count-tokens" => (Dialect::GeminiGenerate, Operation::CountTokens),
            "gemini-embeddings" => (Dialect::GeminiGenerate, Operation::Embeddings),
            _ => return None,
        };
        let record = serde_json::from_str(&fs::read_to_string(folder.join(columns[7])).unwrap()).unwrap();
        Some(Recording {
            id: columns[0].to_owned(),
            provider: columns[1].to_owned(),
            door: Door::new(dialect, operation),
            status: columns[4].parse().unwrap(),
            record,
        })
    });
    Some(rows.collect())
}

/// Streams that are not what their protocol column says.
pub(crate) const OTHER_LANGUAGES: [(&str, &str); 2] = [
    ("azure.resp.stream.376cc89a3f", "Azure answers a responses call to DeepSeek with chat chunks"),
    (
        "writer.openai-completions.stream.50137a9489",
        "Writer's own events ({\"value\":...}), which have no end",
    ),
];

/// The total a reply states, if it states one.
fn find_total(reply: &Value) -> Option<u64> {
    let response = if reply["response"].is_object() { &reply["response"] } else { reply };
    let usage = [&response["usage"], &response["x_groq"]["usage"], &response["usageMetadata"]];
    usage.iter().find_map(|usage| usage["total_tokens"].as_u64().or(usage["totalTokenCount"].as_u64()))
}

fn read_data(stream: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stream);
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()).collect()
}

#[test]
fn recorded_streams_are_forwarded_and_understood() {
    let Some(recordings) = read_recordings() else { return };
    let (mut streams, mut whole, mut wrong) = (0, 0, Vec::new());
    for recording in &recordings {
        let Some(bytes) = recording.stream() else { continue };
        streams += 1;
        assert_eq!(sniff(&bytes), Some(Framing::Sse), "{}", recording.id);
        if let Some((_, reason)) = OTHER_LANGUAGES.iter().find(|(id, _)| *id == recording.id) {
            println!("{}: {reason}", recording.id);
            continue;
        }
        let watched = watch(recording.options(), Framing::Sse, &[&bytes]);
        if let Some((frame, error)) = watched.tap.error() {
            assert!(bytes.starts_with(&[watched.out.as_slice(), frame].concat()), "{}", recording.id);
            assert!(!error.message.is_empty(), "{}", recording.id);
            println!("error in {}: {error:?}", recording.id);
            continue;
        }
        if !(bytes.starts_with(&watched.out) && watched.out.len() >= bytes.trim_ascii_end().len()) {
            wrong.push(format!("{}: {} of {} bytes", recording.id, watched.out.len(), bytes.len()));
        }
        if !watched.tap.ended() {
            wrong.push(format!("{}: not ended: {}", recording.id, watched.facts.replace('\n', "; ")));
        }
        whole += 1;
        let total = read_data(&bytes).iter().filter_map(find_total).next_back();
        if total.is_some_and(|total| watched.tap.usage().map(|usage| usage.total()) != Some(total)) {
            wrong.push(format!("{}: stated {total:?}, {}", recording.id, watched.facts.replace('\n', "; ")));
        }
    }
    println!("{streams} streams, {whole} of them whole");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn recorded_replies_are_understood() {
    let Some(recordings) = read_recordings() else { return };
    let (mut replies, mut errors, mut wrong) = (0, 0, Vec::new());
    for recording in &recordings {
        let Some(body) = recording.body() else { continue };
        if recording.status != 200 {
            errors += 1;
            match parse_error(body.as_bytes()) {
                Some(error) if !error.message.is_empty() => {}
                other => wrong.push(format!("{}: {other:?} from {body}", recording.id)),
            }
            continue;
        }
        replies += 1;
        let Ok(reply) = serde_json::from_str::<Value>(&body) else { continue };
        if reply.is_array() {
            let watched = watch(recording.options(), Framing::JsonArray, &[body.as_bytes()]);
            assert!(watched.tap.closed() && watched.tap.ended() && watched.out == body.as_bytes());
            continue;
        }
        let tap = watch_plain(recording.options(), &[body.as_bytes()]);
        // OpenRouter tells errors of its providers with status 200.
        let told = reply["error"].is_object() && reply["choices"].is_null();
        if !tap.whole() || tap.error().is_some() != told {
            wrong.push(format!("{}: whole {}, {:?}", recording.id, tap.whole(), tap.error()));
        }
        let total = find_total(&reply);
        if total.is_some() && tap.usage().map(|usage| usage.total()) != total {
            wrong.push(format!("{}: stated {total:?}, {:?}", recording.id, tap.usage()));
        }
        // The digest must say what the document says.
        let document = watch(recording.options(), Framing::Document, &[body.as_bytes()]);
        assert_eq!(document.tap.usage(), tap.usage(), "{}", recording.id);
        assert_eq!(document.tap.stored_id(), tap.stored_id(), "{}", recording.id);
    }
    println!("{replies} replies, {errors} errors");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn recorded_requests_are_relayed() {
    let Some(recordings) = read_recordings() else { return };
    let mut requests = 0;
    for recording in &recordings {
        let body = &recording.record["request"]["body"];
        if !body.is_object() {
            continue;
        }
        requests += 1;
        let bytes = Bytes::from(serde_json::to_string_pretty(body).unwrap());
        let envelope = match peek(recording.door, &bytes) {
            Ok(envelope) => envelope,
            Err(error) => panic!("{}: {error:?}", recording.id),
        };
        assert_eq!(splice(&bytes, &envelope, &Edits::default()).parts.concat(), bytes, "{}", recording.id);
        let edits = Edits { model: Some("another"), ask_usage: true, ..Edits::default() };
        let edited: Value =
            serde_json::from_slice(&splice(&bytes, &envelope, &edits).parts.concat()).unwrap();
        let mut expected = body.clone();
        if recording.door.dialect != Dialect::GeminiGenerate {
            assert_eq!(Some(&*envelope.model), body["model"].as_str());
            expected["model"] = "another".into();
        }
        if matches!(recording.door.operation, Operation::Chat | Operation::Completions)
            && recording.door.dialect == Dialect::OpenaiChat
        {
            if !expected["stream_options"].is_object() {
                expected["stream_options"] = Value::Object(Default::default());
            }
            expected["stream_options"]["include_usage"] = true.into();
        }
        assert_eq!(edited, expected, "{}", recording.id);
    }
    println!("{requests} requests");
}

/// A few of each dialect, the shortest ones: every cut of a stream costs its length.
#[test]
fn recorded_streams_at_every_cut() {
    let Some(recordings) = read_recordings() else { return };
    for dialect in Dialect::ALL {
        let mut streams: Vec<_> = recordings
            .iter()
            .filter(|recording| recording.door.dialect == dialect)
            .filter_map(|recording| Some((recording, recording.stream()?)))
            .filter(|(_, bytes)| bytes.len() > 1500)
            .collect();
        streams.sort_by_key(|(_, bytes)| bytes.len());
        for (recording, bytes) in streams.iter().take(6) {
            let options = TapOptions { strip_usage: true, ..recording.options() };
            let whole = watch(options, Framing::Sse, &[bytes]);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let singly = watch(options, Framing::Sse, &single);
            assert_eq!((&singly.facts, &singly.out), (&whole.facts, &whole.out), "{}", recording.id);
            for at in 0..bytes.len() {
                let (head, tail) = bytes.split_at(at);
                let chopped = watch(options, Framing::Sse, &[head, tail]);
                assert!(chopped.facts == whole.facts && chopped.out == whole.out, "{} at {at}", recording.id);
            }
        }
    }
}

//! Golden translations: every fixture under `fixtures/translate/<dialect>/`, and every whole stream of the other
//! fixtures, into each of the four dialects, with the losses (`<case>.golden`). `UPDATE_GOLDENS=1` writes them anew.

use std::{fmt::Write, fs, path::PathBuf};

use dialect::{
    Accounting, Dialect, Framing,
    event::ChatEvent,
    loss::Losses,
    translate::{
        FromPath, StreamDecoder, StreamEncoder, Target, Telling, ThinkingForm, Untranslatable, decode_reply,
        decode_request, encode_reply, encode_request,
    },
};

use crate::fixtures::read_streams;

fn folder(dialect: Dialect) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/translate").join(dialect.name())
}

fn telling() -> Telling {
    Telling {
        id: "given-1".into(),
        now_s: 1_800_000_000,
        wants_usage: true,
        custom_tools: vec!["patch".into()],
        ..Telling::default()
    }
}

fn indent(json: &[u8]) -> String {
    // Through the tree of this crate, whose order of keys is the one that was written.
    let text = String::from_utf8(json.to_vec()).unwrap();
    let (mut out, mut depth, mut quoted, mut escaped) = (String::new(), 0, false, false);
    for letter in text.chars() {
        if quoted {
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            out.push(letter);
            continue;
        }
        if matches!(letter, '}' | ']') {
            depth -= 1;
        }
        out.push(letter);
        match letter {
            '"' => quoted = true,
            '{' | '[' => depth += 1,
            ',' if depth <= 2 => write!(out, "\n{}", " ".repeat(depth)).unwrap(),
            _ => {}
        }
    }
    out
}

fn list(losses: &Losses, out: &mut String) {
    for loss in losses.rows() {
        writeln!(out, "lost: {}: {}", loss.field, loss.reason).unwrap();
    }
}

fn translate_request(from: Dialect, body: &[u8]) -> String {
    let mut out = String::new();
    let path = FromPath { model: "gemini-x", stream: true };
    let request = decode_request(from, body, path).unwrap();
    for (name, thinking) in [("", ThinkingForm::Budget), (" (efforts)", ThinkingForm::Effort)] {
        for to in Dialect::ALL {
            let target =
                Target { model: "other-model", max_output: Some(32_000), thinking, ..Target::default() };
            writeln!(out, "== to {}{name}", to.name()).unwrap();
            match encode_request(to, &request, &target) {
                Ok(encoded) => {
                    list(&encoded.losses, &mut out);
                    writeln!(out, "{}", indent(&encoded.body)).unwrap();
                }
                Err(Untranslatable::Unsupported { field, reason, .. }) => {
                    writeln!(out, "refused: {field}: {reason}").unwrap();
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    out
}

fn translate_reply(from: Dialect, body: &[u8]) -> String {
    let mut out = String::new();
    let reply = decode_reply(from, body, Accounting::Standard).unwrap();
    for to in Dialect::ALL {
        let encoded = encode_reply(to, &reply, &telling());
        writeln!(out, "== to {}", to.name()).unwrap();
        list(&encoded.losses, &mut out);
        writeln!(out, "{}", indent(&encoded.body)).unwrap();
    }
    out
}

fn translate_stream(from: Dialect, framing: Framing, bytes: &[u8]) -> Option<String> {
    let mut decoder = StreamDecoder::new(from, framing, Accounting::Standard);
    let mut events = Vec::new();
    decoder.feed(bytes, &mut events);
    decoder.finish(&mut events);
    if events.last() != Some(&ChatEvent::Ended) {
        return None;
    }
    let mut out = String::new();
    list(decoder.losses(), &mut out);
    for to in Dialect::ALL {
        let mut encoder = StreamEncoder::new(to, telling());
        let mut frames = Vec::new();
        events.iter().for_each(|event| encoder.write(event, &mut frames));
        writeln!(out, "== to {}", to.name()).unwrap();
        list(encoder.losses(), &mut out);
        out.push_str(&String::from_utf8(frames).unwrap());
    }
    Some(out)
}

fn compare(golden: PathBuf, now: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&golden, now).unwrap();
    } else if fs::read_to_string(&golden).unwrap_or_default() != now {
        wrong.push(format!("{}: now\n{now}", golden.display()));
    }
}

#[test]
fn translations_are_as_written_down() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for from in Dialect::ALL {
        for entry in fs::read_dir(folder(from)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let now = match name.rsplit('.').nth(1) {
                Some("request") if name.ends_with(".json") => {
                    translate_request(from, &fs::read(&path).unwrap())
                }
                Some("reply") if name.ends_with(".json") => translate_reply(from, &fs::read(&path).unwrap()),
                _ => continue,
            };
            cases += 1;
            compare(path.with_extension("golden"), &now, &mut wrong);
        }
    }
    for fixture in read_streams() {
        let name = fixture.path.file_name().unwrap().to_string_lossy().into_owned();
        let golden = folder(fixture.dialect).join(format!("{name}.golden"));
        match translate_stream(fixture.dialect, fixture.framing.unwrap(), &fixture.bytes) {
            Some(now) => {
                cases += 1;
                compare(golden, &now, &mut wrong);
            }
            None if golden.exists() => wrong.push(format!("{}: it has no end any more", golden.display())),
            None => {}
        }
    }
    assert!(cases > 40, "the fixtures are missing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A name that had to be changed on the way out is the client's own again in the answer.
#[test]
fn names_come_back() {
    let body = fs::read(folder(Dialect::AnthropicMessages).join("names.request.json")).unwrap();
    let request = decode_request(Dialect::AnthropicMessages, &body, FromPath::default()).unwrap();
    for to in Dialect::ALL {
        let encoded = encode_request(to, &request, &Target::default()).unwrap();
        for renamed in &encoded.renamed {
            let name = renamed.sent.clone();
            let opening = dialect::event::Opening::ToolCall { id: "c".into(), name, custom: false };
            let telling = Telling { renamed: encoded.renamed.clone(), ..telling() };
            let mut encoder = StreamEncoder::new(Dialect::AnthropicMessages, telling);
            let mut out = Vec::new();
            let started = ChatEvent::Started { id: "a".into(), model: "m".into(), created_s: None };
            let opened = ChatEvent::Opened { candidate: 0, part: 0, opening };
            let closed = ChatEvent::Closed { candidate: 0, part: 0 };
            [started, opened, closed].iter().for_each(|event| encoder.write(event, &mut out));
            let told = format!("\"name\":\"{}\"", renamed.asked);
            assert!(String::from_utf8_lossy(&out).contains(&told), "{to:?}: {renamed:?}");
        }
        let asked: Vec<&str> = encoded.renamed.iter().map(|renamed| &*renamed.asked).collect();
        match to {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => assert_eq!(asked.len(), 2, "{asked:?}"),
            Dialect::AnthropicMessages => assert_eq!(asked, ["read file"]),
            Dialect::GeminiGenerate => assert_eq!(asked.len(), 3, "{asked:?}"),
        }
    }
}

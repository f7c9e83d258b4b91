//! What fuzzing begins with: the fixtures of the dialects, and recorded traffic where it is at hand, with the first bytes
//! that each law reads its choices from.
//!
//! In: the folders of both. Out: a file per seed, in a folder per target. It must never write anywhere else.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dialect::Dialect;
use serde_json::Value;

/// A conversation that fields are added to, by dialect.
fn base(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenaiChat => r#""model":"m","messages":[{"role":"user","content":"hi"}]"#,
        Dialect::OpenaiResponses => r#""model":"m","input":"hi""#,
        Dialect::AnthropicMessages => {
            r#""model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]"#
        }
        Dialect::GeminiGenerate => r#""contents":[{"role":"user","parts":[{"text":"hi"}]}]"#,
    }
}

/// Choices that are all nought: the first of each kind.
fn plainly(choices: usize, bytes: &[u8]) -> Vec<u8> {
    [&vec![0; choices], bytes].concat()
}

struct Seeds {
    corpus: PathBuf,
    written: usize,
}

impl Seeds {
    fn write(&mut self, target: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.corpus.join(target);
        fs::create_dir_all(&folder)?;
        self.written += 1;
        fs::write(folder.join(format!("seed-{}", self.written)), bytes)
    }
}

/// Longer inputs than fuzzing makes are no use to it.
const LONGEST: usize = 4096;

/// Writes all seeds under `corpus`, and says how many.
pub fn write(fixtures: &Path, recordings: &Path, corpus: &Path) -> io::Result<usize> {
    let mut seeds = Seeds { corpus: corpus.to_owned(), written: 0 };
    write_fixtures(fixtures, &mut seeds)?;
    if let Ok(index) = fs::read_to_string(recordings.join("index.tsv")) {
        write_recordings(recordings, &index, &mut seeds)?;
    }
    Ok(seeds.written)
}

fn write_fixtures(fixtures: &Path, seeds: &mut Seeds) -> io::Result<()> {
    for (at, dialect) in (0u8..).zip(Dialect::ALL) {
        let name = dialect.name();
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in [fixtures.join(name), fixtures.join("translate").join(name)] {
            for entry in fs::read_dir(folder)? {
                files.push(entry?.path());
            }
        }
        files.sort();
        for file in files {
            let bytes = fs::read(&file)?;
            let file = file.to_string_lossy();
            // Which framing, as `FRAMINGS` numbers them.
            let framing = ["sse", "array", "document"].iter().position(|kind| file.ends_with(kind));
            if file.ends_with(".request.json") {
                seeds.write(&format!("request_{name}"), &plainly(1, &bytes))?;
                seeds.write("peek", &[&[at, 0, 1], &*bytes].concat())?;
            } else if file.ends_with(".json") {
                seeds.write(&format!("reply_{name}"), &plainly(1, &bytes))?;
                seeds.write("plain", &[&[at, 0, 0, 5, 3], &*bytes].concat())?;
                seeds.write("error", &plainly(1, &bytes))?;
            } else if let Some(framing) = framing {
                let framing = framing as u8;
                seeds.write(&format!("stream_{name}"), &[&[framing, 0, 5, 3], &*bytes].concat())?;
                seeds.write("tap", &[&[at, 0, 0, 0, framing, 5, 3], &*bytes].concat())?;
                if file.ends_with("document") {
                    seeds.write("error", &plainly(1, &bytes))?;
                }
            }
        }
        let fields = fs::read_to_string(fixtures.join("request_fields").join(format!("{name}.tsv")))?;
        for row in fields.lines() {
            let mut columns = row.split('\t');
            if let (Some("top"), Some(field), Some(value)) = (columns.next(), columns.next(), columns.next())
            {
                let body = format!("{{{},\"{field}\":{value}}}", base(dialect));
                seeds.write(&format!("request_{name}"), &plainly(1, body.as_bytes()))?;
            }
        }
    }
    Ok(())
}

fn write_recordings(recordings: &Path, index: &str, seeds: &mut Seeds) -> io::Result<()> {
    for row in index.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let dialect = match columns.get(2) {
            Some(&"openai-chat") => Dialect::OpenaiChat,
            Some(&"openai-responses") => Dialect::OpenaiResponses,
            Some(&"anthropic-messages") => Dialect::AnthropicMessages,
            Some(&"gemini-generate") => Dialect::GeminiGenerate,
            _ => continue,
        };
        let (Some(status), Some(path)) = (columns.get(4), columns.get(7)) else { continue };
        let record: Value = serde_json::from_str(&fs::read_to_string(recordings.join(path))?)?;
        let name = dialect.name();
        let request = record["request"]["body"].to_string();
        if request.len() < LONGEST {
            seeds.write(&format!("request_{name}"), &plainly(1, request.as_bytes()))?;
        }
        if let Some(frames) = record["response"]["sse"].as_array() {
            let stream: String = frames.iter().filter_map(Value::as_str).collect();
            if stream.len() < LONGEST {
                seeds.write(&format!("stream_{name}"), &[&[0, 0, 5, 3], stream.as_bytes()].concat())?;
            }
            continue;
        }
        let reply = record["response"]["body"].to_string();
        if reply.len() < LONGEST {
            let target = if *status == "200" { format!("reply_{name}") } else { "error".to_owned() };
            seeds.write(&target, &plainly(1, reply.as_bytes()))?;
        }
    }
    Ok(())
}

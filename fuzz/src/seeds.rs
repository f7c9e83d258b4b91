//! What fuzzing begins with: the fixtures of the dialects, with the first bytes that each law reads its choices from.
//!
//! In: the fixtures' folder. Out: a file per seed, in a folder per target. It must never write anywhere else.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dialect::Dialect;

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

/// Writes all seeds under `corpus`, and says how many.
pub fn write(fixtures: &Path, corpus: &Path) -> io::Result<usize> {
    let mut seeds = Seeds { corpus: corpus.to_owned(), written: 0 };
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
    Ok(seeds.written)
}

//! The fixtures of docs/QUIRKS.md, answered by a provider of the row that shows them: what the client gets and what is charged.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    harness::{CHAT, Parrot, RESPONSES, SECRET, World, post, said},
    wire::{Answer, Request},
};

struct Quirk {
    name: String,
    /// As a channel is called: a quirk can have two fixtures.
    channel: String,
    dialect: String,
    provider: String,
    /// Whose fault an error is, as the document says it.
    blame: Option<String>,
    status: u16,
    headers: String,
    streamed: bool,
    body: String,
    facts: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Who shows a quirk first, and the word in bold of its row.
fn read_rows() -> BTreeMap<String, (String, Option<String>)> {
    let document = fs::read_to_string(root().join("docs/QUIRKS.md")).unwrap();
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let who = cells[1].split(", ").next().unwrap().to_lowercase();
        let blame = cells[3].split("**").nth(1).map(str::to_owned);
        Some((cells[0].trim_end_matches('`').to_owned(), (who, blame)))
    });
    rows.collect()
}

fn read(path: &Path, rows: &BTreeMap<String, (String, Option<String>)>) -> Option<Quirk> {
    let extension = path.extension()?.to_str()?;
    let mut body = fs::read_to_string(path).unwrap();
    let (mut status, mut headers) = (200, "content-type: application/json\r\n".to_owned());
    match extension {
        "json" => {}
        "sse" => headers = "content-type: text/event-stream\r\n".to_owned(),
        "error" => {
            let (head, rest) = body.split_once('\n').unwrap();
            let (code, told) = head.split_once(' ').unwrap();
            let told =
                told.split(' ').map(|header| header.split_once('=').unwrap_or(("content-type", header)));
            headers = told.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            (status, body) = (code.parse().unwrap(), rest.to_owned());
        }
        _ => return None,
    }
    let name = path.file_stem()?.to_str()?.to_owned();
    let (provider, blame) = rows.get(&name).unwrap_or_else(|| panic!("no row {name}")).clone();
    let facts = fs::read_to_string(format!("{}.facts", path.display())).unwrap();
    Some(Quirk {
        channel: format!("{name}-{extension}"),
        dialect: path.parent()?.file_name()?.to_str()?.to_owned(),
        streamed: extension == "sse",
        name,
        provider,
        blame: blame.filter(|_| extension == "error"),
        status,
        headers,
        body,
        facts,
    })
}

fn read_all() -> Vec<Quirk> {
    let rows = read_rows();
    let folders = fs::read_dir(root().join("crates/dialect/fixtures/quirks")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    files.filter_map(|file| read(&file.unwrap().path(), &rows)).collect()
}

impl Quirk {
    async fn answer(&self) -> Parrot {
        Parrot::start(|_| said(self.status, &self.headers, &self.body, 0), false).await
    }

    fn configure(&self, parrot: &Parrot) -> String {
        let Quirk { channel, provider, .. } = self;
        format!(
            "\n[[channel]]\nname = \"{channel}\"\nprovider = \"{provider}\"\nbase_url = \"{}\"\nsecrets = \
             [\"{SECRET}-{channel}\"]\nmodels = [\"{channel}\"]\n",
            parrot.url()
        )
    }

    fn ask(&self) -> Request {
        let mut body = json!({"model": self.channel, "stream": self.streamed});
        match &*self.dialect {
            "openai_chat" => {
                body["messages"] = json!([{"role": "user", "content": "hi"}]);
                if self.streamed {
                    body["stream_options"] = json!({"include_usage": true});
                }
                post(CHAT, body.to_string())
            }
            "openai_responses" => {
                body["input"] = "hi".into();
                post(RESPONSES, body.to_string())
            }
            "gemini_generate" => {
                let path = format!("/v1beta/models/{}:streamGenerateContent?alt=sse", self.channel);
                post(path, r#"{"contents":[]}"#)
            }
            other => unreachable!("{other}"),
        }
    }

    fn fact(&self, name: &str) -> &str {
        let line = self.facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default()
    }

    /// The buckets of the facts: `usage: input 5 + output 2 = 7`.
    fn usage(&self) -> BTreeMap<String, u64> {
        let (buckets, _) = self.fact("usage").split_once(" = ").unwrap_or_default();
        let buckets = buckets.split(" + ").filter_map(|bucket| bucket.split_once(' '));
        buckets.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect()
    }

    fn check(&self, answer: &Answer, line: &Value) {
        let Quirk { channel, .. } = self;
        let told = String::from_utf8_lossy(&answer.body);
        if let Some(blame) = &self.blame {
            let ours = ["Credentials", "Account", "Model"].contains(&&**blame);
            assert_eq!(answer.status, if ours { 503 } else { self.status }, "{channel}: {answer:?}");
            let kind = answer.header("content-type").unwrap();
            assert!(kind.starts_with("application/json"), "{channel}: {kind}");
            let words = self.fact("error").split('"').nth(1).unwrap();
            let words = words.rsplit(": ").next().unwrap();
            assert_eq!(told.contains(words), !ours, "{channel}: {told}");
            return;
        }
        let says = self.fact("says");
        match (says.contains("begun"), says.contains("ended")) {
            (true, true) => {
                assert_eq!(told, self.body, "{channel} is not relayed as it came");
                assert_eq!(line["ending"], "completed", "{channel}: {line}");
                let counted = line["usage"].as_object().unwrap();
                let counted = counted.iter().filter_map(|(name, count)| {
                    count.as_u64().filter(|count| *count > 0).map(|count| (name.clone(), count))
                });
                let mut counted: BTreeMap<String, u64> = counted.collect();
                counted.remove("total");
                assert_eq!(counted, self.usage(), "{channel}: {line}");
            }
            (true, false) => assert_eq!(line["ending"], "cut", "{channel}: {line}"),
            (false, _) => {
                assert!(answer.status >= 500, "{channel}: {answer:?}");
                assert_eq!(line["ending"], "failed", "{channel}: {line}");
                assert!(line["usage"].is_null(), "{channel}: {line}");
            }
        }
    }
}

#[tokio::test]
async fn every_quirk_passes_as_it_came_and_is_charged_as_it_was_counted() {
    let quirks = read_all();
    assert!(quirks.iter().any(|quirk| quirk.name == "reasoning-apart"), "the fixtures are missing");
    let (mut parrots, mut text) = (Vec::new(), String::new());
    for quirk in &quirks {
        let parrot = quirk.answer().await;
        text += &quirk.configure(&parrot);
        parrots.push(parrot);
    }
    let world = World::start(|_| text).await;
    for quirk in &quirks {
        let answer = world.ask(&quirk.ask()).await;
        let line = world.settlement(&answer).await;
        quirk.check(&answer, &line);
    }
    world.close().await;
}

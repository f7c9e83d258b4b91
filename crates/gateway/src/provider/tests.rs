//! The table against what the documentation says.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use dialect::{
    Operation,
    translate::{FromPath, check_answer, decode_request, encode_request},
};
use serde_json::{Value, json};

use super::*;

/// The list.
const NAMED: &[&str] = &[
    "openai",
    "anthropic",
    "xai",
    "gemini",
    "azure",
    "deepseek",
    "mistral",
    "groq",
    "moonshot",
    "zhipu",
    "qwen",
    "doubao",
    "minimax",
    "openrouter",
    "together",
    "fireworks",
    "cerebras",
    "perplexity",
    "ollama",
    "vllm",
    "custom",
];

#[test]
fn every_promised_provider_is_there_once() {
    let names: Vec<&str> = Provider::all().iter().map(|provider| provider.name).collect();
    assert_eq!(names, NAMED);
}

#[test]
fn rows_are_unique_and_join_to_proper_urls() {
    for provider in Provider::all() {
        let base = provider.base_url.unwrap_or("https://host.example").parse().unwrap();
        let mut doors = BTreeSet::new();
        for row in provider.speaks {
            assert!(doors.insert((row.dialect, row.operation)), "{} twice: {row:?}", provider.name);
            let url = join(&base, row.path);
            assert!(!url.split_once("://").unwrap().1.contains("//"), "{url}");
        }
        assert!(!doors.is_empty(), "{} speaks nothing", provider.name);
    }
}

#[test]
fn custom_speaks_every_dialect_and_operation_that_any_other_does() {
    let custom = Provider::named("custom").unwrap();
    for row in Provider::all().iter().flat_map(|provider| provider.speaks) {
        assert!(custom.speaks(Door::new(row.dialect, row.operation)).is_some(), "{row:?}");
    }
}

#[test]
fn urls_are_the_documented_ones() {
    let table = include_str!("urls.txt");
    let mut expected = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for provider in Provider::all() {
        let base = provider.base_url.unwrap_or("https://HOST").parse().unwrap();
        for row in provider.speaks {
            let dialect = row.dialect.name();
            let operation = row.operation.name();
            let found = format!("{} {dialect} {operation} {}", provider.name, join(&base, row.path));
            assert_eq!(expected.next(), Some(found.as_str()));
        }
    }
    assert_eq!(expected.next(), None);
}

#[test]
fn base_urls_as_people_type_them() {
    let chat = Door::new(Dialect::OpenaiChat, Operation::Chat);
    let messages = Door::new(Dialect::AnthropicMessages, Operation::Chat);
    for (name, door, base, url) in [
        ("groq", chat, "https://api.groq.com", "https://api.groq.com/openai/v1/chat/completions"),
        ("groq", chat, "https://api.groq.com/openai", "https://api.groq.com/openai/v1/chat/completions"),
        ("openrouter", chat, "https://openrouter.ai/api", "https://openrouter.ai/api/v1/chat/completions"),
        ("openrouter", messages, "https://openrouter.ai", "https://openrouter.ai/api/v1/messages"),
        (
            "fireworks",
            messages,
            "https://api.fireworks.ai/inference",
            "https://api.fireworks.ai/inference/v1/messages",
        ),
        (
            "azure",
            chat,
            "https://r.openai.azure.com/openai/v1",
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "zhipu",
            chat,
            "https://api.z.ai/api/coding/paas/v4",
            "https://api.z.ai/api/coding/paas/v4/chat/completions",
        ),
        (
            "zhipu",
            messages,
            "https://api.z.ai/api/coding/paas/v4",
            "https://api.z.ai/api/anthropic/v1/messages",
        ),
        ("deepseek", chat, "https://api.deepseek.com/v1", "https://api.deepseek.com/v1/chat/completions"),
        (
            "deepseek",
            messages,
            "https://api.deepseek.com/v1",
            "https://api.deepseek.com/anthropic/v1/messages",
        ),
        ("perplexity", chat, "https://api.perplexity.ai/v1", "https://api.perplexity.ai/chat/completions"),
        ("together", chat, "https://api.together.xyz", "https://api.together.xyz/v1/chat/completions"),
    ] {
        let row = Provider::named(name).unwrap().speaks(door).unwrap();
        assert_eq!(join(&base.parse().unwrap(), row.path), url, "{name} at {base}");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The table and docs/QUIRKS.md name the same quirks of the same providers.
#[test]
fn every_quirk_of_the_table_is_documented() {
    let document = fs::read_to_string(root().join("docs/QUIRKS.md")).unwrap();
    let mut table = BTreeMap::<&str, BTreeSet<&str>>::new();
    for provider in Provider::all() {
        for quirk in provider.quirks {
            table.entry(quirk.name()).or_default().insert(provider.name);
        }
    }
    for name in table.keys() {
        assert!(document.contains(&format!("\n| `{name}` |")), "docs/QUIRKS.md lacks {name}");
    }
    let (_, requests) = document.split_once("## Requests").unwrap();
    let mut documented = BTreeMap::<&str, BTreeSet<&str>>::new();
    for line in requests.lines().filter_map(|line| line.strip_prefix("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let who = cells[1].split('`').skip(1).step_by(2).collect();
        assert!(documented.insert(cells[0].trim_end_matches('`'), who).is_none(), "twice: {line}");
    }
    // How an answer is counted stands with the answers.
    table.remove(Quirk::ReasoningApart.name());
    assert_eq!(documented, table);
}

fn tell(provider: &str, from: Dialect, request: &Value) -> Option<(Value, Vec<String>)> {
    let path = FromPath { model: "m", stream: true };
    let request = decode_request(from, request.to_string().as_bytes(), path).ok()?;
    check_answer(&request, from, Dialect::OpenaiChat).ok()?;
    let target = target(Provider::named(provider).unwrap(), Dialect::OpenaiChat, "m");
    let encoded = encode_request(Dialect::OpenaiChat, &request, &target).ok()?;
    assert!(decode_request(Dialect::OpenaiChat, &encoded.body, path).is_ok(), "what is told is no chat");
    let lost = encoded.losses.rows().iter().map(|loss| loss.field.to_string()).collect();
    Some((serde_json::from_slice(&encoded.body).unwrap(), lost))
}

/// `fields-refused`, `random-seed`, `nine-letter-ids`: Claude Code and Gemini's CLI say things that Mistral refuses.
#[test]
fn a_closed_schema_gets_what_it_names() {
    let claude = json!({"model": "m", "max_tokens": 9, "top_k": 40, "metadata": {"user_id": "somebody"},
        "service_tier": "auto", "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "toolu_01", "name": "look", "input": {"at": "sky"}},
                {"type": "tool_use", "id": "aB3dE5gH7", "name": "look", "input": {"at": "sea"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01", "content": "blue"},
                {"type": "tool_result", "tool_use_id": "aB3dE5gH7", "content": "grey"}]}],
        "tools": [{"name": "look", "input_schema": {"type": "object"}}]});
    let (told, lost) = tell("mistral", Dialect::AnthropicMessages, &claude).unwrap();
    for field in ["top_k", "user", "service_tier"] {
        assert!(
            told.get(field).is_none() && lost.iter().any(|lost| lost == field),
            "{field}: {told} {lost:?}"
        );
    }
    let messages = told["messages"].as_array().unwrap();
    let calls = messages[1]["tool_calls"].as_array().unwrap();
    let first = calls[0]["id"].as_str().unwrap();
    assert!(first.len() == 9 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first}");
    assert_eq!((&calls[1]["id"], &messages[2]["tool_call_id"]), (&json!("aB3dE5gH7"), &calls[0]["id"]));
    assert_eq!(messages[3]["tool_call_id"], "aB3dE5gH7");
    // Whoever has no such quirk gets it all.
    let (told, _) = tell("deepseek", Dialect::AnthropicMessages, &claude).unwrap();
    assert_eq!((&told["top_k"], &told["user"]), (&json!(40), &json!("somebody")));
    assert_eq!(told["messages"][1]["tool_calls"][0]["id"], "toolu_01");

    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"seed": 7, "topK": 64}});
    let (told, lost) = tell("mistral", Dialect::GeminiGenerate, &gemini).unwrap();
    assert_eq!((&told["random_seed"], told.get("seed")), (&json!(7), None));
    assert_eq!(lost, ["top_k"]);
    let (told, lost) = tell("groq", Dialect::GeminiGenerate, &gemini).unwrap();
    assert_eq!((&told["seed"], told.get("top_k"), &*lost), (&json!(7), None, &["top_k".to_owned()][..]));
}

/// Recorded: `high` and `none`; the provider's documents name no other for these models.
#[test]
fn a_model_that_thinks_much_or_not_at_all_is_told_so() {
    for (effort, sent) in
        [("minimal", "none"), ("low", "high"), ("medium", "high"), ("high", "high"), ("none", "none")]
    {
        let request = json!({"model": "m", "input": "hi", "reasoning": {"effort": effort}});
        let path = FromPath { model: "m", stream: false };
        let request = decode_request(Dialect::OpenaiResponses, request.to_string().as_bytes(), path).unwrap();
        let told = |model: &str| {
            let target = target(Provider::named("mistral").unwrap(), Dialect::OpenaiChat, model);
            let encoded = encode_request(Dialect::OpenaiChat, &request, &target).unwrap();
            let body: Value = serde_json::from_slice(&encoded.body).unwrap();
            (body["reasoning_effort"].clone(), encoded.losses.is_empty())
        };
        assert_eq!(told("mistral-small-latest"), (json!(sent), effort == sent), "{effort}");
        // A model that nobody here knows is told what most take.
        let usual = if effort == "minimal" { "low" } else { effort };
        assert_eq!(told("mistral-large-4-0"), (json!(usual), effort == usual), "{effort}");
    }
}

#[test]
fn an_earlier_refusal_is_told_in_words_where_its_field_is_refused() {
    let request = json!({"model": "m", "input": [
        {"role": "user", "content": "Do it."},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
        {"role": "user", "content": "Why?"}]});
    let (told, _) = tell("mistral", Dialect::OpenaiResponses, &request).unwrap();
    assert_eq!(told["messages"][1], json!({"role": "assistant", "content": "I will not."}));
}

/// Recorded requests of the three other dialects, told to Mistral, against the schema that it publishes.
#[test]
#[allow(clippy::print_stdout, reason = "how much of the corpus was looked at")]
fn recorded_requests_fit_mistrals_schema() {
    let corpus = root().join("../shared/corpus");
    let Ok(schema) = fs::read(corpus.join("specs/mistral-openapi.json")) else {
        println!("corpus not present: skipped");
        return;
    };
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let fields = |name: &str| -> BTreeSet<String> {
        let properties = &schema["components"]["schemas"][name]["properties"];
        properties.as_object().unwrap().keys().cloned().collect()
    };
    let mut body = fields("ChatCompletionRequest");
    // Younger than the schema: the recorded answers to it have status 200.
    body.insert("reasoning_effort".to_owned());
    let roles = ["System", "User", "Assistant", "Tool"];
    let roles: BTreeMap<String, _> =
        roles.iter().map(|role| (role.to_lowercase(), fields(&format!("{role}Message")))).collect();
    let (mut told, mut wrong) = (0, BTreeSet::new());
    let index = fs::read_to_string(corpus.join("recordings/index.tsv")).unwrap();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let dialect = match columns[2] {
            "openai-responses" => Dialect::OpenaiResponses,
            "anthropic-messages" => Dialect::AnthropicMessages,
            "gemini-generate" => Dialect::GeminiGenerate,
            _ => continue,
        };
        let record = fs::read(corpus.join("recordings").join(columns[7])).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let Some((request, _)) = tell("mistral", dialect, &record["request"]["body"]) else { continue };
        told += 1;
        let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        wrong.extend(keys(&request).difference(&body).map(|key| format!("{}: {key}", columns[0])));
        for message in request["messages"].as_array().unwrap() {
            let role = message["role"].as_str().unwrap();
            let unknown = keys(message);
            let unknown = unknown.difference(&roles[role]);
            wrong.extend(unknown.map(|key| format!("{}: {role}.{key}", columns[0])));
        }
    }
    println!("{told} requests");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

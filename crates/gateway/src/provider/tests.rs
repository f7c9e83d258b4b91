//! The table against what the documentation says.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

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

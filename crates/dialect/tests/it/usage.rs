//! Usage in every provider's words, in disjoint buckets.

use dialect::{Accounting, Dialect, Door, Framing, Operation, TapOptions, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::watch::{describe_usage, options, watch, watch_plain};

fn read_with(door: Door, accounting: Accounting, field: &str, usage: &Value) -> Option<Usage> {
    let reply = json!({ field: usage }).to_string();
    watch_plain(TapOptions { accounting, ..options(door) }, &[reply.as_bytes()]).usage()
}

fn read(dialect: Dialect, usage: &Value) -> Option<Usage> {
    let field = if dialect == Dialect::GeminiGenerate { "usageMetadata" } else { "usage" };
    read_with(Door::new(dialect, Operation::Chat), Accounting::Standard, field, usage)
}

fn expect(dialect: Dialect, usage: &Value, expected: &str) {
    assert_eq!(describe_usage(read(dialect, usage)), format!("usage: {expected}\n"), "{usage}");
}

#[test]
fn openai_counts() {
    let chat = Dialect::OpenaiChat;
    expect(
        chat,
        &json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 20, "audio_tokens": 10, "image_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 8}}),
        "input 25 + cache_read 40 + cache_write 20 + audio_input 10 + image_input 5 + output 12 + reasoning 30 \
         + audio_output 8 = 150",
    );
    // More cached than there was (Azure's grok), more reasoning than output (OpenRouter): clamped.
    expect(
        chat,
        &json!({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens_details": {"reasoning_tokens": 70}}),
        "cache_read 9 + reasoning 5 = 14",
    );
    expect(
        chat,
        &json!({"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11, "prompt_cache_hit_tokens": 8,
            "prompt_cache_miss_tokens": 2}),
        "input 2 + cache_read 8 + output 1 = 11",
    );
    expect(
        chat,
        &json!({"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 3, "prompt_tokens_details": null}),
        "input 7 + cache_read 3 + output 1 = 11",
    );
    expect(chat, &json!({"prompt_tokens": 6, "total_tokens": 6}), "input 6 = 6");
    expect(chat, &json!({"total_tokens": 6}), "input 6 = 6");
    expect(chat, &json!({"completion_tokens": 2, "total_tokens": 6}), "input 4 + output 2 = 6");
    expect(chat, &json!({}), "-");
    expect(chat, &Value::Null, "-");
    expect(
        Dialect::OpenaiResponses,
        &json!({"input_tokens": 50, "output_tokens": 20, "total_tokens": 70, "input_tokens_details": {"cached_tokens": 50},
            "output_tokens_details": {"reasoning_tokens": 20}}),
        "cache_read 50 + reasoning 20 = 70",
    );
}

#[test]
fn reasoning_apart() {
    let door = Door::new(Dialect::OpenaiChat, Operation::Chat);
    let read = |usage: Value| describe_usage(read_with(door, Accounting::ReasoningApart, "usage", &usage));
    let details = json!({"reasoning_tokens": 301});
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 36, "total_tokens": 347, "completion_tokens_details": details});
    assert_eq!(read(usage), "usage: input 10 + output 36 + reasoning 301 = 347\n");
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 36, "completion_tokens_details": details});
    assert_eq!(read(usage), "usage: input 10 + output 36 + reasoning 301 = 347\n");
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 400, "total_tokens": 410, "completion_tokens_details": details});
    assert_eq!(read(usage), "usage: input 10 + output 99 + reasoning 301 = 410\n", "inside after all");
    let usage = json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109});
    assert_eq!(read(usage), "usage: input 35 + output 12 + reasoning 62 = 109\n", "unsaid");
}

/// A proxy before xAI, or a cloud that serves its models: nobody said so, but the sum does.
#[test]
fn reasoning_apart_where_nobody_expects_it() {
    let chat = Dialect::OpenaiChat;
    let usage = |total: u64| json!({"prompt_tokens": 10, "completion_tokens": 36, "total_tokens": total, "completion_tokens_details": {"reasoning_tokens": 301}});
    expect(chat, &usage(347), "input 10 + output 36 + reasoning 301 = 347");
    // Another sum says nothing of where the rest comes from.
    for total in [46, 346, 348, 700] {
        expect(chat, &usage(total), "input 10 + reasoning 36 = 46");
    }
    let inside = json!({"prompt_tokens": 10, "completion_tokens": 36, "total_tokens": 46, "completion_tokens_details": {"reasoning_tokens": 30}});
    expect(chat, &inside, "input 10 + output 6 + reasoning 30 = 46");
}

#[test]
fn anthropic_counts() {
    let messages = Dialect::AnthropicMessages;
    expect(messages, &json!({"input_tokens": 5, "output_tokens": 3}), "input 5 + output 3 = 8");
    expect(
        messages,
        &json!({"input_tokens": 5, "output_tokens": 30, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            "output_tokens_details": {"thinking_tokens": 12}, "server_tool_use": {"web_search_requests": 1}}),
        "input 5 + cache_read 7 + cache_write 60 + cache_write_1h 40 + output 18 + reasoning 12 = 142",
    );
    expect(
        messages,
        &json!({"input_tokens": 5, "output_tokens": 3, "cache_creation_input_tokens": 9, "cache_read_input_tokens": null}),
        "input 5 + cache_write 9 + output 3 = 17",
    );
    expect(messages, &json!({"cache_read_input_tokens": 3}), "-");
}

#[test]
fn gemini_counts() {
    let gemini = Dialect::GeminiGenerate;
    expect(
        gemini,
        &json!({"promptTokenCount": 30, "cachedContentTokenCount": 10, "toolUsePromptTokenCount": 5,
            "candidatesTokenCount": 6, "thoughtsTokenCount": 7, "totalTokenCount": 48,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 14}, {"modality": "AUDIO", "tokenCount": 12}, {"modality": "IMAGE", "tokenCount": 4}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 2}]}),
        "input 13 + cache_read 10 + audio_input 8 + image_input 4 + output 4 + reasoning 7 + image_output 2 = 48",
    );
    expect(gemini, &json!({"promptTokenCount": 8, "totalTokenCount": 8}), "input 8 = 8");
    expect(
        gemini,
        &json!({"promptTokenCount": 8, "totalTokenCount": 20, "thoughtsTokenCount": 3}),
        "input 8 + output 9 + reasoning 3 = 20",
    );
    expect(gemini, &json!({"trafficType": "ON_DEMAND"}), "-");
}

#[test]
fn nonsense_is_no_count() {
    let usage = json!({"prompt_tokens": -4, "completion_tokens": 3.5, "total_tokens": "9"});
    expect(Dialect::OpenaiChat, &usage, "-");
    expect(Dialect::OpenaiChat, &json!({"prompt_tokens": 4.0, "completion_tokens": 1e300}), "input 4 = 4");
    expect(Dialect::OpenaiChat, &json!({"prompt_tokens": u64::MAX, "completion_tokens": 2}), "output 2 = 2");
    expect(Dialect::OpenaiChat, &json!("lots"), "-");
    expect(Dialect::AnthropicMessages, &json!([1]), "-");
    expect(
        Dialect::GeminiGenerate,
        &json!({"promptTokenCount": 1, "promptTokensDetails": {"AUDIO": 1}}),
        "input 1 = 1",
    );
}

#[test]
fn only_what_was_used_is_usage() {
    let usage = json!({"input_tokens": 3, "output_tokens": 4});
    for operation in [Operation::CountTokens, Operation::Stored] {
        let door = Door::new(Dialect::OpenaiResponses, operation);
        assert_eq!(read_with(door, Accounting::Standard, "usage", &usage), None, "{operation:?}");
    }
    for (dialect, reply) in [
        (Dialect::AnthropicMessages, json!({"input_tokens": 14})),
        (Dialect::GeminiGenerate, json!({"totalTokens": 14})),
        (Dialect::OpenaiResponses, json!({"object": "response.input_tokens", "input_tokens": 14})),
    ] {
        let door = Door::new(dialect, Operation::CountTokens);
        let tap = watch_plain(options(door), &[reply.to_string().as_bytes()]);
        assert_eq!((tap.usage(), tap.whole(), tap.error()), (None, true, None));
    }
    let groq = json!({"choices": [], "x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}});
    let tap =
        watch_plain(options(Door::new(Dialect::OpenaiChat, Operation::Chat)), &[groq.to_string().as_bytes()]);
    assert_eq!(tap.usage().unwrap().total(), 3);
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0u64..2000).prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!("12")),
    ]
}

fn fields(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(prop::sample::select(names), number(), 0..names.len() + 1)
        .prop_map(|map| map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn counted(usage: &Value, name: &str) -> Option<u64> {
    let value = &usage[name];
    let number = value
        .as_u64()
        .or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0).map(|f| f as u64))?;
    (number <= 1_000_000_000).then_some(number)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_buckets_make_the_total(
        mut usage in fields(&["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "prompt_cache_hit_tokens"]),
        input in fields(&["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"]),
        output in fields(&["reasoning_tokens", "audio_tokens", "image_tokens"]),
    ) {
        usage["prompt_tokens_details"] = input;
        let reasoning = counted(&output, "reasoning_tokens").unwrap_or(0);
        usage["completion_tokens_details"] = output;
        let [prompt, completion, total] = ["prompt_tokens", "completion_tokens", "total_tokens"].map(|name| counted(&usage, name));
        let expected = match (prompt, completion) {
            // Its own sum says that the reasoning is not in the completion.
            (Some(prompt), Some(completion)) if total == Some(prompt + completion + reasoning) => total,
            (Some(prompt), Some(completion)) => Some(prompt + completion),
            (None, None) => total,
            (prompt, completion) => Some(total.unwrap_or(0).max(prompt.or(completion).unwrap_or(0))),
        };
        prop_assert_eq!(read(Dialect::OpenaiChat, &usage).map(|usage| usage.total()), expected);
        let door = Door::new(Dialect::OpenaiChat, Operation::Chat);
        if let Some(apart) = read_with(door, Accounting::ReasoningApart, "usage", &usage) {
            prop_assert!(apart.total() >= expected.unwrap_or(0));
        }
    }

    #[test]
    fn anthropic_buckets_make_the_total(
        mut usage in fields(&["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
        split in fields(&["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]),
        details in fields(&["thinking_tokens"]),
    ) {
        let parts = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"].map(|name| counted(&split, name).unwrap_or(0));
        usage["cache_creation"] = split;
        usage["output_tokens_details"] = details;
        let [input, output, cached, written] =
            ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"].map(|name| counted(&usage, name));
        let sum = [input, output, cached, written.or(Some(parts.iter().sum()))].into_iter().flatten().sum();
        let expected = input.or(output).map(|_| sum);
        prop_assert_eq!(read(Dialect::AnthropicMessages, &usage).map(|usage| usage.total()), expected);
    }

    #[test]
    fn gemini_buckets_make_the_total(
        usage in fields(&["promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"]),
        audio in number(),
    ) {
        let mut usage = usage;
        usage["promptTokensDetails"] = json!([{"modality": "AUDIO", "tokenCount": audio}]);
        let sum: u64 = ["promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"]
            .iter().filter_map(|name| counted(&usage, name)).sum();
        if let Some(read) = read(Dialect::GeminiGenerate, &usage) {
            prop_assert_eq!(read.total(), sum);
        }
    }
}

#[test]
fn an_answer_is_summed_up_by_the_event_that_tells_the_usage_at_its_end() {
    let part = r#"data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":3}}"#;
    let stop = r#"data: {"candidates":[{"finishReason":"STOP"}]}"#;
    let stop_and_usage = r#"data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1}}"#;
    let usage = r#"data: {"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1}}"#;
    let other = r#"data: {"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]}}]}"#;
    let door = Door::new(Dialect::GeminiGenerate, Operation::Chat);
    for (events, ended, summed_up) in [
        (&[part][..], false, false),
        (&[part, stop], true, false),
        (&[part, stop_and_usage], true, true),
        (&[part, stop, usage], true, true),
        (&[part, stop_and_usage, other], false, false),
    ] {
        let stream: String = events.iter().map(|event| format!("{event}\n\n")).collect();
        let tap = watch(options(door), Framing::Sse, &[stream.as_bytes()]).tap;
        assert_eq!((tap.ended(), tap.summed_up()), (ended, summed_up), "{stream}");
    }
    // Chat says when nothing more may come.
    let chat = br#"data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#;
    let tap =
        watch(options(Door::new(Dialect::OpenaiChat, Operation::Chat)), Framing::Sse, &[chat, b"\n\n"]).tap;
    assert!(tap.ended() && !tap.summed_up());
}

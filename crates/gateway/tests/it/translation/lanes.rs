//! Which lane a request takes, and what of its head goes along.

use serde_json::{Value, json};
use upstream_sim::Sim;

use super::{
    asked::{self, CALL, Turn},
    one_each, pairs,
    said::Said,
};
use crate::{
    harness::{DIALECTS, KEY, SECRET, World, channel},
    wire::Request,
};

fn text(from: &str, model: &str) -> Request {
    asked::request(from, model, asked::body(from, Turn::Text), false)
}

#[tokio::test]
async fn a_channel_of_the_callers_own_dialect_comes_first_in_its_group() {
    let world = World::start(|sim| {
        let heavy = |to: &&str| channel(to, to, &sim.url(), "sim") + "weight = 1000\n";
        DIALECTS.iter().map(heavy).collect::<String>().replacen("weight = 1000", "weight = 1", 1)
    })
    .await;
    for from in DIALECTS {
        for _ in 0..8 {
            let line = world.settlement(&world.ask(&text(from, "sim")).await).await;
            assert_eq!(line["channel"], from, "{line}");
            assert_eq!(line["attempts"][0].get("translated"), None, "{line}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn failing_over_crosses_the_lanes_both_ways() {
    for (from, to) in pairs() {
        for stream in [false, true] {
            // The caller's own dialect fails first, and then the other way round.
            for (first, second) in [(from, to), (to, from)] {
                let world = World::start(|sim| {
                    channel("bad", first, &sim.scripted("status=500"), "sim")
                        + "priority = 1\n"
                        + &channel("good", second, &sim.url(), "sim")
                })
                .await;
                let request = asked::request(from, "sim", asked::body(from, Turn::Text), stream);
                let answer = world.ask(&request).await;
                let case = format!("{first}, then {second}, asked in {from}, stream: {stream}");
                assert_eq!(answer.status, 200, "{case}: {answer:?}");
                let said = if stream {
                    Said::streamed(from, &answer.body)
                } else {
                    Said::whole(from, &answer.json())
                };
                assert!(said.text.starts_with("Hello from"), "{case}: {said:?}");
                let line = world.settlement(&answer).await;
                let translated = |at: usize| line["attempts"][at].get("translated").cloned();
                let expected = |dialect: &str| (dialect != from).then(|| json!(dialect));
                assert_eq!(
                    (translated(0), translated(1)),
                    (expected(first), expected(second)),
                    "{case}: {line}"
                );
                world.close().await;
            }
        }
    }
}

#[tokio::test]
async fn a_channel_can_be_kept_to_its_own_dialect() {
    let world = World::start(|sim| {
        crate::harness::four(&sim.url())
            + &channel("c", "openai_chat", &sim.url(), "mine")
            + "translate = false\n"
    })
    .await;
    let answer = world.ask(&text("anthropic_messages", "mine")).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("POST /v1/chat/completions"), "{answer:?}");
    assert_eq!(world.ask(&text("openai_chat", "mine")).await.status, 200);
    world.close().await;
}

#[tokio::test]
async fn what_belongs_to_the_callers_dialect_stays_and_the_channels_own_goes_along() {
    let world = World::start(|sim| {
        let with = |to: &&str| {
            channel(to, to, &sim.url(), to)
                + &format!("rename = {{ {to} = \"vendor/{to}\" }}\nheaders = {{ x-team = \"blue\" }}\n")
        };
        DIALECTS.iter().map(with).collect()
    })
    .await;
    for (from, to) in pairs() {
        for stream in [false, true] {
            let mut request = asked::request(from, to, asked::body(from, Turn::Text), stream)
                .header("anthropic-beta", "one")
                .header("openai-beta", "two")
                .header("x-goog-api-client", "three")
                .header("x-stainless-lang", "four")
                .header("user-agent", "somebody/1");
            request.path.push_str(if request.path.contains('?') { "&x=1" } else { "?x=1" });
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 200, "{from} to {to}: {answer:?}");
            let served = world.sim.log().last().unwrap().clone();
            for name in ["anthropic-beta", "openai-beta", "x-goog-api-client", "x-stainless-lang"] {
                assert_eq!(served.header(name), None, "{from} to {to}");
            }
            assert_eq!(served.header("user-agent"), Some("somebody/1"));
            assert_eq!(served.header("x-team"), Some("blue"));
            assert_eq!(served.header("content-type"), Some("application/json"));
            assert_eq!(served.secret, format!("{SECRET}-{to}"));
            let (signs, version) = match to {
                "anthropic_messages" => ("x-api-key", Some("2023-06-01")),
                "gemini_generate" => ("x-goog-api-key", None),
                _ => ("authorization", None),
            };
            assert!(served.header(signs).is_some_and(|value| value.ends_with(&format!("{SECRET}-{to}"))));
            assert_eq!(served.header("anthropic-version"), version, "{from} to {to}");
            assert!(!format!("{:?}", served.headers).contains(KEY), "{served:?}");
            let (path, query) = match (to, stream) {
                ("openai_chat", _) => ("/v1/chat/completions", ""),
                ("openai_responses", _) => ("/v1/responses", ""),
                ("anthropic_messages", _) => ("/v1/messages", ""),
                (_, false) => ("/v1beta/models/vendor%2Fgemini_generate:generateContent", ""),
                (_, true) => ("/v1beta/models/vendor%2Fgemini_generate:streamGenerateContent", "alt=sse"),
            };
            assert_eq!((served.path.as_str(), served.query.as_str()), (path, query), "{from} to {to}");
            let body: Value = serde_json::from_slice(&served.body).unwrap();
            let model = (to != "gemini_generate").then(|| format!("vendor/{to}"));
            assert_eq!(body["model"].as_str(), model.as_deref(), "{from} to {to}");
            // The caller reads the name that he asked for.
            let named = if from == "gemini_generate" { "modelVersion" } else { "model" };
            assert!(answer.text().contains(&format!("\"{named}\":\"{to}\"")), "{answer:?}");
        }
    }
    world.close().await;
}

/// What is remembered is held for where that can be paid for, and put in.
#[tokio::test]
async fn what_a_strict_key_can_pay_for_is_put_into_its_request() {
    let text = "[[price]]\nmodel = \"*\"\ninput = 10\noutput = 1\n".to_owned()
        + &format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 6\nstrict = true\n");
    let sim = Sim::start().await;
    let channels =
        channel("long", "anthropic_messages", &sim.scripted("events=1,size=40000,usage=1:1"), "long");
    let world = World::with(sim, &(text + &channels));
    let ask = |body: Value| asked::request("openai_responses", "long", body, false);
    let question = json!({"role": "user", "content": "hi"});
    let first = world.ask(&ask(json!({"input": [question]}))).await;
    let name = json!({"type": "item_reference", "id": first.json()["output"][0]["id"]});
    let second = world.ask(&ask(json!({"input": [name, question]}))).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert!(world.sim.log().last().unwrap().body.len() > 40_000);
    // A third time would be more than is held for.
    let third = world.ask(&ask(json!({"input": [name, name, question]}))).await;
    assert_eq!(third.status, 400, "{third:?}");
    for line in world.settlements(3).await {
        assert_eq!(line["overrun"], "0", "{line}");
    }
    world.close().await;
}

/// Its money is held for what it sent: what is remembered of its earlier answers would be more.
#[tokio::test]
async fn nothing_is_put_into_a_strict_keys_request_that_it_cannot_pay_for() {
    // A token for each byte that was remembered would be seven times the limit.
    let text = "[[price]]\nmodel = \"*\"\ninput = 10\noutput = 1\n".to_owned()
        + &format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 0.06\nstrict = true\n");
    let sim = Sim::start().await;
    let channels =
        channel("long", "anthropic_messages", &sim.scripted("events=1,size=40000,usage=1:1"), "long")
            + &channel("tools", "anthropic_messages", &sim.scripted("tool,reasoning,usage=1:1"), "tools");
    let world = World::with(sim, &(text + &channels));
    let limited = |mut body: Value| {
        body["max_output_tokens"] = json!(3000);
        body
    };
    let ask = |model: &str, body: Value| asked::request("openai_responses", model, limited(body), false);
    let question = json!({"role": "user", "content": "hi"});
    let first = world.ask(&ask("long", json!({"input": [question]}))).await;
    assert_eq!(first.status, 200, "{first:?}");
    let name = json!({"type": "item_reference", "id": first.json()["output"][0]["id"]});
    let refused = world.ask(&ask("long", json!({"input": [name, question]}))).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(refused.json()["error"]["param"], "input.item_reference", "{refused:?}");

    let think = |turn| {
        let mut body = asked::body("openai_responses", turn);
        body["reasoning"] = json!({"effort": "high"});
        body
    };
    let first = world.ask(&ask("tools", think(Turn::Tool))).await;
    let said = Said::whole("openai_responses", &first.json());
    let history = think(Turn::Result).to_string().replace(CALL, &said.ids[0]);
    let second = world.ask(&ask("tools", serde_json::from_str(&history).unwrap())).await;
    assert_eq!(second.status, 200, "{second:?}");
    let sent = String::from_utf8(world.sim.log().last().unwrap().body.to_vec()).unwrap();
    assert!(sent.contains(&said.ids[0]) && !sent.contains("signature"), "{sent}");
    for line in world.settlements(4).await {
        assert_eq!(line["overrun"], "0", "{line}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_strict_keys_limit_holds_in_the_other_dialect_too() {
    let sim = Sim::start().await;
    let priced = "[[price]]\nmodel = \"*\"\ninput = 2.5\noutput = 10\n";
    for (from, to) in pairs() {
        let key = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 0.02\nstrict = true\n");
        let world = World::with(Sim::start().await, &(key + priced + &one_each(&sim.url())));
        for thinks in [false, true] {
            let mut body = asked::body(from, Turn::Text);
            match from {
                "openai_chat" => body["max_tokens"] = json!(1_000_000),
                "openai_responses" => body["max_output_tokens"] = json!(1_000_000),
                "anthropic_messages" => body["max_tokens"] = json!(1_000_000),
                _ => body["generationConfig"] = json!({}),
            }
            if thinks {
                match from {
                    "openai_chat" => body["reasoning_effort"] = json!("high"),
                    "openai_responses" => body["reasoning"] = json!({"effort": "high"}),
                    "anthropic_messages" => {
                        body["thinking"] = json!({"type": "enabled", "budget_tokens": 20_000})
                    }
                    _ => body["generationConfig"] = json!({"thinkingConfig": {"thinkingBudget": 20_000}}),
                }
            }
            let answer = world.ask(&asked::request(from, to, body, false)).await;
            assert_eq!(answer.status, 200, "{from} to {to}: {answer:?}");
            let body: Value = serde_json::from_slice(&sim.log().last().unwrap().body).unwrap();
            let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
            let limit = names.iter().find_map(|name| body[name].as_u64());
            let limit = limit.or_else(|| body["generationConfig"]["maxOutputTokens"].as_u64()).unwrap();
            // Two cents are two thousand tokens of output, less what the prompt may cost.
            assert!((1_000..2_000).contains(&limit), "{from} to {to}, {thinks}: {body}");
            let line = world.settlement(&answer).await;
            assert_eq!(line["overrun"], "0", "{line}");
        }
        world.close().await;
    }
}

/// OpenAI's chat gives no thinking and takes none back: callers of other dialects are served in its other one.
#[tokio::test]
async fn a_provider_of_several_dialects_is_asked_in_its_best() {
    let channel = |name: &str, provider: &str, more: &str, sim: &Sim| {
        format!(
            "[[channel]]\nname = \"{name}\"\nprovider = \"{provider}\"\nbase_url = \"{}\"\nsecrets = [\"{SECRET}\"]\nmodels = [\"{name}\"]\n{more}",
            sim.url()
        )
    };
    let world = World::start(|sim| {
        [
            channel("usual", "openai", "", sim),
            channel("chosen", "openai", "dialect = \"openai_chat\"\n", sim),
            channel("other", "groq", "", sim),
        ]
        .concat()
    })
    .await;
    let stops = |mut body: Value| {
        body["stop_sequences"] = json!(["END"]);
        body
    };
    let plain = || asked::body("anthropic_messages", Turn::Text);
    for (model, body, dialect) in [
        ("usual", plain(), "openai_responses"),
        // Which has no stop sequences: better in the other than not at all.
        ("usual", stops(plain()), "openai_chat"),
        ("chosen", plain(), "openai_chat"),
        ("other", plain(), "openai_chat"),
    ] {
        let answer = world.ask(&asked::request("anthropic_messages", model, body, false)).await;
        let line = world.settlement(&answer).await;
        assert_eq!(line["attempts"][0]["translated"], dialect, "{model}: {line}");
        assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "{model}: {line}");
        let door = world.sim.log().last().unwrap().path.clone();
        assert_eq!(door.ends_with("/responses"), dialect == "openai_responses", "{model}: {door}");
    }
    // His own dialect stays his own.
    for dialect in ["openai_chat", "openai_responses"] {
        let line = world.settlement(&world.ask(&text(dialect, "chosen")).await).await;
        assert_eq!(line["attempts"][0].get("translated"), None, "{line}");
    }
    world.close().await;
}

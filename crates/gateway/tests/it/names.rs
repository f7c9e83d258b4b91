//! Names that stand for other models: aliases, lists to fall back on, suffixes.

use serde_json::{Value, json};
use upstream_sim::Sim;

use crate::{
    harness::{CHAT, DIALECTS, KEY, World, assert_error, channel, get, post},
    translation::{asked, said::Said},
    wire::Request,
};

fn chat(body: &Value) -> Request {
    post(CHAT, body.to_string())
}

fn says(models: &Value) -> Request {
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(models.as_object().unwrap().clone());
    chat(&body)
}

fn models_asked(world: &World) -> Vec<String> {
    world.sim.log().iter().map(|served| served.model.clone()).collect()
}

#[tokio::test]
async fn an_alias_stands_for_models_that_are_tried_in_order_across_dialects() {
    for from in DIALECTS {
        for stream in [false, true] {
            let world = World::start(|sim| {
                channel("down", "openai_chat", &sim.scripted("status=500"), "first")
                    + &channel("up", "anthropic_messages", &sim.url(), "second")
                    + "[[alias]]\nname = \"fast\"\nmodels = [\"gone\", \"first\", \"second\"]\n"
            })
            .await;
            let request = asked::request(from, "fast", asked::body(from, asked::Turn::Text), stream);
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 200, "{from}: {answer:?}");
            let said =
                if stream { Said::streamed(from, &answer.body) } else { Said::whole(from, &answer.json()) };
            assert!(said.text.starts_with("Hello from"), "{from}: {said:?}");
            assert_eq!(models_asked(&world), ["first", "second"]);
            assert_eq!(answer.header("x-sluice-model"), Some("second"));
            let line = world.settlement(&answer).await;
            assert_eq!((&line["model"], &line["channel"]), (&json!("fast"), &json!("up")), "{line}");
            let tried: Vec<&Value> =
                line["attempts"].as_array().unwrap().iter().map(|a| &a["model"]).collect();
            assert_eq!(tried, ["first", "second"], "{line}");
            world.close().await;
        }
    }
}

#[tokio::test]
async fn an_alias_may_bear_the_name_of_a_model_and_that_model_comes_first() {
    let world = World::start(|sim| {
        channel("a", "openai_chat", &sim.scripted("status=503"), "big")
            + &channel("b", "openai_chat", &sim.url(), "small")
            + "[[alias]]\nname = \"big\"\nmodels = [\"big\", \"small\"]\n"
    })
    .await;
    let answer = world.ask(&says(&json!({"model": "big"}))).await;
    assert_eq!((answer.status, answer.header("x-sluice-model")), (200, Some("small")));
    let line = world.settlement(&answer).await;
    assert_eq!(line["attempts"][0].get("model"), None, "it is the name that was used: {line}");
    // A resting model is passed over.
    let again = world.ask(&says(&json!({"model": "big"}))).await;
    assert_eq!(again.status, 200);
    world.close().await;
}

#[tokio::test]
async fn a_list_in_the_request_is_gone_through_and_stays_here() {
    let world = World::start(|sim| {
        channel("down", "openai_chat", &sim.scripted("status=500"), "a")
            + &channel("up", "openai_chat", &sim.url(), "b")
            + "rename = { b = \"vendor-b\" }\n"
    })
    .await;
    for (models, header) in [
        (json!({"model": "a", "models": ["nothing", "b"]}), Some("b")),
        (json!({"models": ["a", "b"]}), Some("b")),
        (json!({"model": "b", "models": ["a"]}), None),
    ] {
        let answer = world.ask(&says(&models)).await;
        assert_eq!((answer.status, answer.header("x-sluice-model")), (200, header), "{models}: {answer:?}");
        let body: Value = serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap();
        assert_eq!((&body["model"], body.get("models")), (&json!("vendor-b"), None), "{models}");
    }
    let sent = world.sim.log().into_iter().rfind(|served| served.model == "a").unwrap();
    let sent: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!((&sent["model"], sent.get("models")), (&json!("a"), None));
    for bad in [json!({"models": []}), json!({"model": "b", "models": "a"})] {
        let answer = world.ask(&says(&bad)).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert_error("openai_chat", &answer.json(), 400);
        assert!(answer.text().contains("`models`"), "{answer:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_list_reaches_a_channel_of_another_dialect_without_a_loss() {
    let world = World::start(|sim| {
        channel("down", "openai_chat", &sim.scripted("status=500"), "a")
            + &channel("up", "gemini_generate", &sim.url(), "b")
    })
    .await;
    let answer = world.ask(&says(&json!({"model": "a", "models": ["b"]}))).await;
    assert_eq!((answer.status, answer.header("x-sluice-losses")), (200, None), "{answer:?}");
    assert_eq!(answer.json()["model"], "b", "the answer names the model that gave it");
    world.close().await;
}

#[tokio::test]
async fn the_callers_own_fault_and_the_bounds_end_a_list() {
    let world = World::start(|sim| {
        "[attempts]\nmax = 2\n".to_owned()
            + &channel("refuses", "openai_chat", &sim.scripted("status=400"), "refused")
            + &["a", "b", "c"]
                .map(|name| channel(name, "openai_chat", &sim.scripted("status=500"), name))
                .concat()
            + &channel("up", "openai_chat", &sim.url(), "ok")
    })
    .await;
    let answer = world.ask(&says(&json!({"models": ["refused", "ok"]}))).await;
    assert_eq!((answer.status, models_asked(&world).len()), (400, 1), "nobody else could do better");
    let answer = world.ask(&says(&json!({"models": ["a", "b", "c", "ok"]}))).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(models_asked(&world), ["refused", "a", "b"]);
    let answer = world.ask(&says(&json!({"models": ["nothing", "nowhere"]}))).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("nothing"), "the first is told: {answer:?}");
    world.close().await;
}

#[tokio::test]
async fn a_model_with_many_channels_leaves_each_model_behind_it_an_attempt() {
    let world = World::start(|sim| {
        let down = |name: &&str| channel(name, "openai_chat", &sim.scripted("status=500"), "first");
        ["d1", "d2", "d3"].iter().map(down).collect::<String>()
            + &channel("up", "anthropic_messages", &sim.url(), "second")
            // It is on the list, and cannot be told what is asked: the attempt kept for it goes to who was passed over.
            + &channel("other", "anthropic_messages", &sim.url(), "third")
    })
    .await;
    let answer = world.ask(&says(&json!({"models": ["first", "second"]}))).await;
    assert_eq!((answer.status, answer.header("x-sluice-model")), (200, Some("second")), "{answer:?}");
    assert_eq!(models_asked(&world), ["first", "first", "second"]);
    // More models than attempts: in their order.
    let answer = world.ask(&says(&json!({"models": ["first", "nothing", "second", "third"]}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(models_asked(&world)[3..], ["first", "second"]);
    let two = says(&json!({"models": ["first", "third"], "n": 2}));
    assert_eq!(world.ask(&two).await.status, 500);
    assert_eq!(models_asked(&world)[5..], ["first", "first", "first"]);
    world.close().await;
}

#[tokio::test]
async fn a_key_gets_only_the_models_that_it_may_use_by_whatever_name() {
    const FEW: &str = "sk-a-key-for-b-alone";
    let world = World::start(|sim| {
        format!("[[key]]\nname = \"few\"\nsecret = \"{FEW}\"\nmodels = [\"b\", \"hidden\"]\n")
            + &channel("up", "openai_chat", &sim.url(), "*")
            + "[[alias]]\nname = \"fast\"\nmodels = [\"a\", \"b\"]\n"
            + "[[alias]]\nname = \"hidden\"\nmodels = [\"a\"]\n"
    })
    .await;
    let with = |mut request: Request| {
        request.headers[0].1 = format!("Bearer {FEW}");
        request
    };
    for models in [json!({"model": "fast"}), json!({"model": "a", "models": ["b"]})] {
        let answer = world.ask(&with(says(&models))).await;
        assert_eq!(
            (answer.status, answer.header("x-sluice-model")),
            (200, Some("b")),
            "{models}: {answer:?}"
        );
    }
    assert_eq!(models_asked(&world), ["b", "b"]);
    // What an alias is called is no right to what it stands for.
    assert_eq!(world.ask(&with(says(&json!({"model": "hidden"})))).await.status, 403);
    let listed = world.ask(&with(get("/v1/models"))).await.json();
    assert_eq!(listed["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect::<Vec<_>>(), ["fast"]);
    assert_eq!(world.ask(&with(get("/v1/models/fast"))).await.status, 200);
    assert_eq!(world.ask(&with(get("/v1/models/hidden"))).await.status, 404);
    world.close().await;
}

#[tokio::test]
async fn the_hold_is_for_the_dearest_and_the_charge_is_the_answering_models() {
    let sim = Sim::start().await;
    let text = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 100\n")
        + "[[price]]\nmodel = \"dear\"\ninput = 100\noutput = 1000\n"
        + "[[price]]\nmodel = \"cheap\"\ninput = 1\noutput = 10\n"
        + &channel("down", "openai_chat", &sim.scripted("status=500"), "dear")
        + &channel("free", "openai_chat", &sim.url(), "unpriced")
        + &channel("up", "openai_chat", &sim.url(), "cheap");
    let world = World::with(sim, &text);
    let alone = world.settlement(&world.ask(&says(&json!({"model": "dear"}))).await).await;
    for models in [json!({"models": ["dear", "unpriced", "cheap"]}), json!({"models": ["cheap", "dear"]})] {
        let answer = world.ask(&says(&models)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let line = world.settlement(&answer).await;
        let usd = |field: &str| store::Nanos::from_usd(line[field].as_str().unwrap()).unwrap();
        let count = |name: &str| line["usage"][name].as_i64().unwrap();
        assert_eq!(usd("charge"), store::Nanos(count("input") * 1_000 + count("output") * 10_000), "{line}");
        // The bodies differ by some bytes, and so do the holds.
        let dearest = store::Nanos::from_usd(alone["hold"].as_str().unwrap()).unwrap();
        assert!(usd("hold") >= dearest && usd("hold").0 < dearest.0 + dearest.0 / 100, "{line} {alone}");
        assert_eq!(line["unpriced"], false);
    }
    assert!(!models_asked(&world).contains(&"unpriced".to_owned()), "who pays is not served without a price");
    assert_eq!(world.ask(&says(&json!({"model": "unpriced"}))).await.status, 403);
    world.close().await;
}

#[tokio::test]
async fn a_strict_key_can_pay_for_whoever_answers() {
    let sim = Sim::start().await;
    let text = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 0.1\nstrict = true\n")
        + "[[price]]\nmodel = \"dear\"\ninput = 1\noutput = 1000\n"
        + "[[price]]\nmodel = \"cheap\"\ninput = 1\noutput = 1\n"
        + &channel("down", "openai_chat", &sim.scripted("status=500"), "dear")
        + &channel("up", "openai_chat", &sim.url(), "cheap");
    let world = World::with(sim, &text);
    let answer = world.ask(&says(&json!({"models": ["cheap", "dear"], "max_tokens": 5000}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sent: Value = serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap();
    let limit = sent["max_tokens"].as_u64().unwrap();
    assert!((50..100).contains(&limit), "what the dearer one may write for ten cents: {limit}");
    world.close().await;
}

#[tokio::test]
async fn a_suffix_asks_for_thinking_in_the_channels_dialect() {
    for from in DIALECTS {
        for to in DIALECTS {
            let world = World::start(|sim| {
                channel("c", to, &sim.url(), "sim") + "suffixes = [\"-high\", \"-nothinking\"]\n"
            })
            .await;
            let pointer = match to {
                "openai_chat" => "/reasoning_effort",
                "openai_responses" => "/reasoning/effort",
                "anthropic_messages" => "/thinking/budget_tokens",
                _ => "/generationConfig/thinkingConfig/thinkingBudget",
            };
            let expected = match to {
                // The least, as the caller's limit leaves no room for more.
                "anthropic_messages" => json!(1_024),
                "gemini_generate" => json!(24_576),
                _ => json!("high"),
            };
            let request = asked::request(from, "sim-high", asked::body(from, asked::Turn::Text), false);
            let answer = world.ask(&request).await;
            assert_eq!((answer.status, answer.header("x-sluice-model")), (200, Some("sim")), "{answer:?}");
            let served = world.sim.log().last().unwrap().clone();
            let body: Value = serde_json::from_slice(&served.body).unwrap();
            assert_eq!(served.model, "sim");
            assert_eq!(body.pointer(pointer), Some(&expected), "{from} to {to}: {body}");
            // One that is not switched on is part of the name.
            let request = asked::request(from, "sim-low", asked::body(from, asked::Turn::Text), false);
            assert_eq!(world.ask(&request).await.status, 404);
            world.close().await;
        }
    }
}

#[tokio::test]
async fn a_model_that_is_named_in_full_keeps_its_name_and_a_pattern_does_not_take_a_suffix() {
    let world = World::start(|sim| {
        channel("wild", "openai_chat", &sim.url(), "k*\", \"k-thinking")
            + "suffixes = [\"-thinking\", \"-high\"]\n"
    })
    .await;
    for (asked, sent, effort) in [
        ("k-thinking", "k-thinking", None),
        ("k2-thinking", "k2", Some("medium")),
        ("k-high", "k", Some("high")),
        ("k-low", "k-low", None),
    ] {
        assert_eq!(world.ask(&says(&json!({"model": asked}))).await.status, 200, "{asked}");
        let body: Value = serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap();
        assert_eq!(body["model"], sent);
        assert_eq!(body.get("reasoning_effort").and_then(Value::as_str), effort, "{body}");
    }
    assert_eq!(world.ask(&get("/v1/models/k2-high")).await.status, 200);
    let embeds = post("/v1/embeddings", r#"{"model":"k2-high","input":"x"}"#);
    assert_eq!(world.ask(&embeds).await.status, 404, "there is nothing to think about");
    world.close().await;
}

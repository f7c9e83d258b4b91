//! Lists of models, in the format of whoever asks.

use serde_json::{Value, json};

use crate::harness::{World, assert_error, channel, get};

const FEW: &str = "sk-a-key-that-may-little";

async fn world() -> World {
    World::start(|sim| {
        let url = sim.url();
        format!("[[key]]\nname = \"few\"\nsecret = \"{FEW}\"\nmodels = [\"gpt-a\", \"claude-*\"]\n")
            + &channel("chat", "openai_chat", &url, "gpt-a")
            + &channel("more", "openai_responses", &url, "gpt-b")
            + &channel("claude", "anthropic_messages", &url, "claude-a")
            + &channel("gemini", "gemini_generate", &url, "gemini-a")
            + &channel("wild", "openai_chat", &url, "wild-*")
    })
    .await
}

fn ids(value: &Value, list: &str, name: &str) -> Vec<String> {
    value[list].as_array().unwrap().iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_come_in_three_formats() {
    let world = world().await;
    let openai = world.ask(&get("/v1/models")).await.json();
    assert_eq!(openai["object"], "list");
    assert_eq!(openai["data"][0]["object"], "model");
    // A chat can be asked for in every dialect, whatever the channel speaks.
    assert_eq!(ids(&openai, "data", "id"), ["claude-a", "gemini-a", "gpt-a", "gpt-b"]);
    let anthropic = world.ask(&get("/v1/models").header("anthropic-version", "2023-06-01")).await.json();
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(anthropic["has_more"], false);
    assert_eq!(ids(&anthropic, "data", "id"), ["claude-a", "gemini-a", "gpt-a", "gpt-b"]);
    for path in ["/v1beta/models", "/v1alpha/models"] {
        let gemini = world.ask(&get(path)).await.json();
        let all = ["models/claude-a", "models/gemini-a", "models/gpt-a", "models/gpt-b"];
        assert_eq!(ids(&gemini, "models", "name"), all);
        let embeds = |row: &&Value| {
            row["supportedGenerationMethods"].as_array().unwrap().contains(&json!("embedContent"))
        };
        let embedding: Vec<&Value> = gemini["models"].as_array().unwrap().iter().filter(embeds).collect();
        assert_eq!(embedding.len(), 1, "embedding is not translated: {gemini}");
        assert_eq!(embedding[0]["name"], "models/gemini-a");
    }
    assert!(world.sim.log().is_empty());
    world.close().await;
}

#[tokio::test]
async fn one_model_can_be_looked_up() {
    let world = world().await;
    assert_eq!(world.ask(&get("/v1/models/gpt-b")).await.json()["id"], "gpt-b");
    assert_eq!(world.ask(&get("/v1/models/wild-thing")).await.json()["id"], "wild-thing");
    let claude = get("/v1/models/claude-a").header("anthropic-version", "2023-06-01");
    assert_eq!(world.ask(&claude).await.json()["type"], "model");
    assert_eq!(world.ask(&get("/v1beta/models/gemini-a")).await.json()["name"], "models/gemini-a");
    for (request, dialect) in [
        (get("/v1/models/nothing"), "openai_chat"),
        (get("/v1/models/nothing").header("anthropic-version", "2023-06-01"), "anthropic_messages"),
        (get("/v1beta/models/nothing"), "gemini_generate"),
    ] {
        let answer = world.ask(&request).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_error(dialect, &answer.json(), 404);
    }
    world.close().await;
}

#[tokio::test]
async fn a_key_sees_only_what_it_may_use() {
    let world = world().await;
    let with = |path: &str| {
        let mut request = get(path);
        request.headers[0].1 = format!("Bearer {FEW}");
        request
    };
    assert_eq!(ids(&world.ask(&with("/v1/models")).await.json(), "data", "id"), ["claude-a", "gpt-a"]);
    assert_eq!(world.ask(&with("/v1/models/gpt-b")).await.status, 404);
    assert_eq!(world.ask(&with("/v1/models/claude-a")).await.status, 200);
    let gemini = world.ask(&with("/v1beta/models")).await.json();
    assert_eq!(ids(&gemini, "models", "name"), ["models/claude-a", "models/gpt-a"]);
    let answer = world.ask(&crate::wire::Request::new("GET", "/v1/models")).await;
    assert_eq!(answer.status, 401);
    assert_error("openai_chat", &answer.json(), 401);
    world.close().await;
}

#[tokio::test]
async fn what_is_known_of_a_model_stands_in_the_format_of_whoever_asks() {
    let world = World::start(|sim| {
        channel("c", "openai_chat", &sim.url(), "claude-sonnet-4-5")
            + &channel("d", "openai_chat", &sim.url(), "house")
            + "[[price]]\nmodel = \"house\"\ninput = 0.5\noutput = 2\n"
            + "[[alias]]\nname = \"best\"\nmodels = [\"nowhere\", \"claude-sonnet-4-5\"]\n"
            + "[[alias]]\nname = \"ours\"\nmodels = [\"house\"]\n"
    })
    .await;
    let house = json!({"prompt": "0.0000005", "completion": "0.000002", "input_cache_read": "0.0000005"});
    let openai = world.ask(&get("/v1/models")).await.json();
    assert_eq!(ids(&openai, "data", "id"), ["best", "claude-sonnet-4-5", "house", "ours"]);
    let claude = &openai["data"][1];
    assert_eq!(
        (&claude["context_length"], &claude["max_completion_tokens"]),
        (&json!(200_000), &json!(64_000))
    );
    let pricing = json!({"prompt": "0.000003", "completion": "0.000015", "input_cache_read": "0.0000003"});
    assert_eq!(claude["pricing"], pricing);
    assert_eq!((openai["data"][2].get("context_length"), &openai["data"][2]["pricing"]), (None, &house));
    assert_eq!(openai["data"][3]["pricing"], house);
    assert_eq!(openai["data"][0]["context_length"], 200_000, "of the model that would answer");
    let asked = get("/v1/models/claude-sonnet-4-5").header("anthropic-version", "2023-06-01");
    let claude = world.ask(&asked).await.json();
    assert_eq!((&claude["max_input_tokens"], &claude["max_tokens"]), (&json!(200_000), &json!(64_000)));
    let gemini = world.ask(&get("/v1beta/models/claude-sonnet-4-5")).await.json();
    assert_eq!((&gemini["inputTokenLimit"], &gemini["outputTokenLimit"]), (&json!(200_000), &json!(64_000)));
    world.close().await;
}

#[tokio::test]
async fn what_only_embeds_or_moderates_is_listed_where_it_can_be_asked_for() {
    let world = World::start(|sim| {
        let url = sim.url();
        channel("a", "openai_chat", &url, "text-embedding-3-small")
            + &channel("b", "openai_chat", &url, "omni-moderation-latest")
            + &channel("c", "openai_chat", &url, "ours")
            + "rename = { ours = \"text-embedding-3-large\" }\n"
            + &channel("d", "gemini_generate", &url, "gemini-embedding-001")
            // It writes, and is free.
            + &channel("e", "openai_chat", &url, "glm-4.5-flash")
            + "[[alias]]\nname = \"embed\"\nmodels = [\"text-embedding-3-small\"]\n"
    })
    .await;
    let openai = world.ask(&get("/v1/models")).await.json();
    let embedding = ["embed", "glm-4.5-flash", "omni-moderation-latest", "ours", "text-embedding-3-small"];
    assert_eq!(ids(&openai, "data", "id"), embedding);
    let anthropic = world.ask(&get("/v1/models").header("anthropic-version", "2023-06-01")).await.json();
    assert_eq!(ids(&anthropic, "data", "id"), ["glm-4.5-flash"]);
    let gemini = world.ask(&get("/v1beta/models")).await.json();
    assert_eq!(ids(&gemini, "models", "name"), ["models/gemini-embedding-001", "models/glm-4.5-flash"]);
    let methods = |row: usize| gemini["models"][row]["supportedGenerationMethods"].clone();
    assert_eq!(methods(0), json!(["embedContent"]));
    assert_eq!(methods(1), json!(["generateContent", "streamGenerateContent", "countTokens"]));
    world.close().await;
}

#[tokio::test]
async fn a_renamed_model_has_the_sizes_of_what_it_is_at_its_channel() {
    let world = World::start(|sim| {
        channel("c", "openai_chat", &sim.url(), "my-best")
            + "rename = { my-best = \"claude-sonnet-4-5\" }\n"
            // A name that is known is what it says.
            + &channel("d", "openai_chat", &sim.url(), "gpt-4o")
            + "rename = { gpt-4o = \"claude-sonnet-4-5\" }\n"
            + "[[alias]]\nname = \"best\"\nmodels = [\"my-best\"]\n"
    })
    .await;
    let listed = world.ask(&get("/v1/models")).await.json();
    assert_eq!(ids(&listed, "data", "id"), ["best", "gpt-4o", "my-best"]);
    let contexts: Vec<&Value> = (0..3).map(|row| &listed["data"][row]["context_length"]).collect();
    assert_eq!(contexts, [200_000, 128_000, 200_000]);
    assert_eq!(listed["data"][0]["max_completion_tokens"], 64_000);
    world.close().await;
}

//! What is known of a model reaches the request that is told to it.

use serde_json::{Value, json};

use super::asked;
use crate::harness::{KEY, World, channel};

const STRICT: &str = "sk-strict-and-careful";

#[tokio::test]
async fn a_model_is_sent_what_it_takes_and_the_rest_is_listed() {
    let strict = format!(
        "[[key]]\nname = \"strict\"\nsecret = \"{STRICT}\"\nspend_limit = 1\nstrict = true\nlosses = \"refuse\"\n\
         [[price]]\nmodel = \"*\"\ninput = 2.5\noutput = 10\n"
    );
    let world = World::start(|sim| {
        let channels = [
            ("openai_responses", "gpt-5"),
            ("gemini_generate", "gemini-2.5-flash"),
            ("openai_chat", "gpt-4-turbo"),
        ];
        strict + &channels.map(|(dialect, model)| channel(model, dialect, &sim.url(), model)).concat()
    })
    .await;
    let sent = || -> Value { serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap() };

    let config = json!({"temperature": 0.4, "topP": 0.95, "thinkingConfig": {"thinkingBudget": 0}});
    let contents = json!([{"role": "user", "parts": [{"text": "q"}]}]);
    let body = json!({"contents": contents, "generationConfig": config});
    let answer = world.ask(&asked::request("gemini_generate", "gpt-5", body, false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = sent();
    assert_eq!((body.get("temperature"), body.get("top_p")), (None, None), "{body}");
    assert_eq!(body["reasoning"]["effort"], "minimal", "{body}");
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]), "{body}");
    let listed = answer.header("x-sluice-losses").unwrap();
    for field in ["temperature", "top_p", "thinking"] {
        assert!(listed.contains(&format!("{field}=openai_responses")), "{listed}");
    }

    let messages = json!([{"role": "user", "content": "q"}]);
    let thinking = json!({"type": "enabled", "budget_tokens": 31_999});
    let body = json!({"max_tokens": 32_000, "messages": messages, "thinking": thinking});
    let answer = world.ask(&asked::request("anthropic_messages", "gemini-2.5-flash", body, false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = sent();
    assert_eq!(body["generationConfig"]["thinkingConfig"]["thinkingBudget"], 24_576, "{body}");

    // It named no limit: that the key's own is above the model's is nothing that it loses.
    let mut request = asked::request("gemini_generate", "gpt-4-turbo", json!({"contents": contents}), false);
    request.headers[0].1 = format!("Bearer {STRICT}");
    let answer = world.ask(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = sent();
    assert_eq!(body["max_tokens"], 4096, "{body}");
    world.close().await;
}

#[tokio::test]
async fn thinking_fits_into_the_callers_limit_and_what_that_is_raised_to_is_told_and_held() {
    let sim = upstream_sim::Sim::start().await;
    let text = format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = 100\n")
        + "[[price]]\nmodel = \"*\"\ninput = 0\noutput = 10\n"
        + &channel("claude", "anthropic_messages", &sim.url(), "claude-sonnet-4-5");
    let world = World::with(sim, &text);
    let ask = async |limit: u64, effort: Option<&str>| {
        let mut body = asked::body("openai_chat", asked::Turn::Text);
        body.as_object_mut().unwrap().remove("max_tokens");
        body["max_completion_tokens"] = json!(limit);
        if let Some(effort) = effort {
            body["reasoning_effort"] = json!(effort);
        }
        let answer = world.ask(&asked::request("openai_chat", "claude-sonnet-4-5", body, false)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent: Value = serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap();
        let held = world.settlement(&answer).await["hold"].as_str().unwrap().to_owned();
        let numbers = (sent["max_tokens"].as_u64().unwrap(), sent["thinking"]["budget_tokens"].as_u64());
        (numbers, answer.header("x-sluice-losses").map(str::to_owned), store::Nanos::from_usd(&held).unwrap())
    };
    let raised = Some("max_tokens=anthropic_messages".to_owned());
    let cost = |tokens: i64| store::Nanos(tokens * 10_000);
    let (sent, lost, held) = ask(100, Some("high")).await;
    assert_eq!((sent, lost), ((2_048, Some(1_024)), raised));
    assert!(held >= cost(2_048), "what it may write by now: {held}");
    let (sent, lost, held) = ask(4_000, Some("high")).await;
    assert_eq!((sent, lost), ((4_000, Some(2_976)), None));
    assert!(held >= cost(4_000), "{held}");
    let (sent, lost, held) = ask(100, None).await;
    assert_eq!((sent, lost), ((100, None), None));
    assert!(held < cost(200), "nothing is raised for who asks for no thinking: {held}");
    world.close().await;
}

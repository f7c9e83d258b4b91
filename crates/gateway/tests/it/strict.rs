//! Keys that never spend more than they have, and those that do.

use serde_json::{Value, json};
use store::report;
use upstream_sim::Sim;

use crate::{
    harness::{CHAT, DIALECTS, GEMINI, KEY, MESSAGES, RESPONSES, World, assert_error, channel, four, post},
    wire::Request,
};

const PRICED: &str = "[[price]]\nmodel = \"sim\"\ninput = 2.5\noutput = 10\n";

fn key(limit: &str, strict: bool) -> String {
    format!("[[key]]\nname = \"app\"\nsecret = \"{KEY}\"\nspend_limit = {limit}\nstrict = {strict}\n")
}

async fn world(limit: &str) -> World {
    let sim = Sim::start().await;
    let text = key(limit, true) + PRICED + &four(&sim.url());
    World::with(sim, &text)
}

/// A request of a dialect that names this limit of its output, or none.
fn asks(dialect: &str, limit: Option<u64>) -> Request {
    let (path, name) = match dialect {
        "openai_chat" => (CHAT, "max_tokens"),
        "openai_responses" => (RESPONSES, "max_output_tokens"),
        "anthropic_messages" => (MESSAGES, "max_tokens"),
        _ => (GEMINI, "maxOutputTokens"),
    };
    let mut body =
        if path == GEMINI { json!({"contents": []}) } else { json!({"model": "sim", "messages": []}) };
    if let Some(limit) = limit {
        let place = if path == GEMINI { &mut body["generationConfig"] } else { &mut body };
        place[name] = limit.into();
    }
    post(path, body.to_string())
}

/// The limit that went out to the provider last.
fn sent(world: &World) -> Option<u64> {
    let body: Value = serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap();
    let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let limit = names.iter().find_map(|name| body[name].as_u64());
    limit.or_else(|| body["generationConfig"]["maxOutputTokens"].as_u64())
}

#[tokio::test]
async fn the_output_is_limited_to_what_the_key_can_pay() {
    for dialect in DIALECTS {
        // A cent is a thousand tokens of output, and less than a hundred bytes of body take a fortieth of it.
        let world = world("0.01").await;
        for asked in [Some(1_000_000), None] {
            assert_eq!(world.ask(&asks(dialect, asked)).await.status, 200, "{dialect}");
            let limit = sent(&world).unwrap();
            assert!((900..1_000).contains(&limit), "{dialect}, {asked:?}: {limit}");
        }
        assert_eq!(world.ask(&asks(dialect, Some(20))).await.status, 200);
        assert_eq!(sent(&world), Some(20), "{dialect}: who asks for less gets less");
        for line in world.settlements(3).await {
            assert_eq!(line["overrun"], "0", "{line}");
        }
        world.close().await;
    }
}

#[tokio::test]
async fn who_can_pay_for_anything_is_not_limited() {
    let world = world("100").await;
    assert_eq!(world.ask(&asks("openai_chat", None)).await.status, 200);
    assert_eq!(sent(&world), None);
    assert_eq!(world.ask(&asks("openai_chat", Some(50_000))).await.status, 200);
    assert_eq!(sent(&world), Some(50_000));
    world.close().await;
}

#[tokio::test]
async fn who_cannot_even_pay_for_a_short_answer_is_refused() {
    // Sixteen tokens of output cost 160,000 nanodollars, the shortest body some 40,000.
    let world = world("0.00019").await;
    for dialect in DIALECTS {
        let answer = world.ask(&asks(dialect, None)).await;
        assert_eq!(answer.status, 402, "{answer:?}");
        assert_error(dialect, &answer.json(), answer.status);
    }
    assert!(world.asked().is_empty());
    world.close().await;
}

#[tokio::test]
async fn an_overrun_is_shown_wherever_the_charge_is() {
    let sim = Sim::start().await;
    let text = key("1", false) + PRICED + &channel("c", "openai_chat", &sim.scripted("usage=10:5000"), "sim");
    let world = World::with(sim, &text);
    let answer = world.ask(&asks("openai_chat", Some(100))).await;
    let line = world.settlement(&answer).await;
    let nanos = |name: &str| store::Nanos::from_usd(line[name].as_str().unwrap()).unwrap();
    assert_eq!(nanos("charge"), store::Nanos(10 * 2_500 + 5_000 * 10_000), "{line}");
    assert_eq!(nanos("overrun"), nanos("charge").minus(nanos("hold")), "{line}");
    assert!(nanos("overrun") > store::Nanos::ZERO, "{line}");
    let books = world.app.database.read(report::books_of).unwrap();
    assert_eq!(books.keys[0].overrun, nanos("overrun"));
    let metrics = world.app.telemetry.render(&gateway::monitor::read(&world.app));
    assert!(metrics.contains("sluice_overruns_total 1"), "{metrics}");
    assert!(
        metrics.contains(&format!("sluice_overrun_nanodollars_total {}", nanos("overrun").0)),
        "{metrics}"
    );
    world.close().await;
}

#[tokio::test]
async fn pictures_are_not_held_as_if_they_were_text() {
    let sim = Sim::start().await;
    let text = key("0.06", false) + PRICED + &channel("c", "openai_chat", &sim.url(), "sim");
    let world = World::with(sim, &text);
    let ask = |content: Value| {
        let messages = json!([{"role": "user", "content": content}]);
        post(CHAT, json!({"model": "sim", "max_tokens": 10, "messages": messages}).to_string())
    };
    // As text 300,000 bytes would be held as 100,000 tokens: a quarter of a dollar.
    let bytes = "QUJD".repeat(75_000);
    let picture =
        json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{bytes}")}}]);
    assert_eq!(world.ask(&ask(picture)).await.status, 200);
    assert_eq!(world.ask(&ask(bytes.into())).await.status, 402);
    world.close().await;
}

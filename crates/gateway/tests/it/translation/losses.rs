//! What cannot be carried is told, or refused where the key wants that.

use serde_json::{Value, json};

use super::{
    asked::{self, Turn},
    one_each, pairs,
};
use crate::{
    admin::local::operated_with,
    harness::{KEY, World, assert_error, channel, eventually, post},
    wire::Request,
};

const CAREFUL: &str = "sk-a-key-that-loses-nothing";

/// The caller's usual key, and one that wants its requests whole.
fn careful() -> String {
    format!("[[key]]\nname = \"careful\"\nsecret = \"{CAREFUL}\"\nlosses = \"refuse\"\n")
}

fn by_careful(mut request: Request) -> Request {
    request.headers[0].1 = format!("Bearer {CAREFUL}");
    request
}

/// A field that each dialect has and `to` has no place for: its name as the losses call it.
fn adds(from: &str, to: &str, body: &mut Value) -> Option<&'static str> {
    match (from, to) {
        ("openai_chat", "openai_responses" | "anthropic_messages") => {
            body["seed"] = json!(7);
            Some("seed")
        }
        ("openai_chat", "gemini_generate") => {
            body["metadata"] = json!({"a": "b"});
            Some("metadata")
        }
        ("openai_responses", "gemini_generate" | "anthropic_messages") => {
            body["metadata"] = json!({"a": "b"});
            Some("metadata")
        }
        ("anthropic_messages", "openai_responses") => {
            body["top_k"] = json!(5);
            Some("top_k")
        }
        ("gemini_generate", "openai_responses") => {
            body["generationConfig"]["topK"] = json!(5);
            Some("top_k")
        }
        ("gemini_generate", _) => {
            body["safetySettings"] =
                json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]);
            Some("safetySettings")
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_loss_is_in_the_head_and_in_the_line_and_a_careful_key_is_refused() {
    let world = World::start(|sim| careful() + &one_each(&sim.url())).await;
    let mut cases = 0;
    for (from, to) in pairs() {
        for stream in [false, true] {
            let mut body = asked::body(from, Turn::Text);
            let Some(field) = adds(from, to, &mut body) else { continue };
            cases += 1;
            let case = format!("{from} to {to}, {field}");
            let request = asked::request(from, to, body, stream);
            let answer = world.ask(&request).await;
            assert_eq!(answer.status, 200, "{case}: {answer:?}");
            let told = answer.header("x-sluice-losses").unwrap_or_else(|| panic!("{case}: {answer:?}"));
            assert!(told.split(", ").any(|loss| loss == format!("{field}={to}")), "{case}: {told}");
            let line = world.settlement(&answer).await;
            let losses = line["losses"].as_array().unwrap();
            let loss = losses.iter().find(|loss| loss["field"] == field).unwrap();
            assert_eq!(loss["dialect"], to, "{case}: {line}");
            assert!(loss["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{case}: {line}");

            let before = world.sim.log().len();
            let answer = world.ask(&by_careful(request)).await;
            assert_eq!(answer.status, 400, "{case}: {answer:?}");
            assert_error(from, &answer.json(), 400);
            assert!(answer.text().contains(&format!("`{field}`")), "{case}: {answer:?}");
            assert!(answer.text().contains(to), "{case}: {answer:?}");
            assert_eq!(world.sim.log().len(), before, "{case}: nothing went out");
            assert_eq!(world.settlement(&answer).await["ending"], "refused", "{case}");
            // Without the field it is served.
            let whole = asked::request(from, to, asked::body(from, Turn::Text), stream);
            assert_eq!(world.ask(&by_careful(whole)).await.status, 200, "{case}");
        }
    }
    assert!(cases >= 14, "{cases}");
    world.close().await;
}

#[tokio::test]
async fn what_the_relays_own_edits_leave_out_is_told_and_refused_in_the_same_way() {
    let world = World::start(|sim| {
        let thinks = |dialect: &str, models: &str| {
            channel(dialect, dialect, &sim.url(), models)
                + "suffixes = [\"-thinking\", \"-high\", \"-nothinking\"]\n"
        };
        careful()
            + &thinks("openai_chat", "gpt-4o\", \"gpt-5")
            + &thinks("anthropic_messages", "claude-sonnet-4-5")
    })
    .await;
    for (from, model, set, field) in [
        ("anthropic_messages", "claude-sonnet-4-5-thinking", json!({"temperature": 0.2}), "temperature"),
        ("anthropic_messages", "claude-sonnet-4-5-thinking", json!({"top_k": 5}), "top_k"),
        ("openai_chat", "gpt-4o-high", json!({}), "thinking"),
        ("openai_chat", "gpt-5-nothinking", json!({}), "thinking"),
    ] {
        let mut body = asked::body(from, Turn::Text);
        let big = if from == "openai_chat" { "max_completion_tokens" } else { "max_tokens" };
        body[big] = json!(20_000);
        body.as_object_mut().unwrap().extend(set.as_object().unwrap().clone());
        let request = asked::request(from, model, body.clone(), false);
        let answer = world.ask(&request).await;
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
        assert_eq!(answer.header("x-sluice-losses"), Some(format!("{field}={from}").as_str()), "{model}");
        let line = world.settlement(&answer).await;
        assert_eq!(line["losses"][0]["field"], field, "{model}: {line}");

        let before = world.sim.log().len();
        let refused = world.ask(&by_careful(request)).await;
        assert_eq!((refused.status, world.sim.log().len()), (400, before), "{model}: {refused:?}");
        assert!(refused.text().contains(&format!("`{field}`")), "{model}: {refused:?}");
        // The body says itself how much to think: nothing is added to it, and so nothing lost.
        match from {
            "openai_chat" => body["reasoning_effort"] = json!("low"),
            _ => body["thinking"] = json!({"type": "disabled"}),
        }
        let own = world.ask(&by_careful(asked::request(from, model, body, false))).await;
        assert_eq!((own.status, own.header("x-sluice-losses")), (200, None), "{model}: {own:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn what_a_request_lost_is_written_down_where_the_provider_refuses_it_too() {
    let world = World::start(|sim| one_each(&sim.scripted("status=400"))).await;
    let request = seeded(asked::request(
        "openai_chat",
        "anthropic_messages",
        asked::body("openai_chat", Turn::Text),
        false,
    ));
    let answer = world.ask(&request).await;
    let line = world.settlement(&answer).await;
    assert_eq!((answer.status, &line["losses"][0]["field"]), (400, &json!("seed")), "{line}");
    world.close().await;
}

/// With a field that only some dialects have.
fn seeded(request: Request) -> Request {
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["seed"] = json!(7);
    Request { body: body.to_string().into_bytes(), ..request }
}

#[tokio::test]
async fn what_was_left_out_is_told_of_a_request_that_failed() {
    let world = World::start(|sim| {
        let claude = |script: &str| channel(script, "anthropic_messages", &sim.scripted(script), script);
        ["status=400", "status=500", "body=reset", "silence"].map(claude).concat()
            + &channel("first", "anthropic_messages", &sim.scripted("status=500"), "both")
            + "priority = 2\n"
            + &channel("then", "gemini_generate", &sim.url(), "both")
    })
    .await;
    let ask =
        |model| seeded(asked::request("openai_chat", model, asked::body("openai_chat", Turn::Text), false));
    let fields = |line: &Value| -> Vec<String> {
        let losses = line["losses"].as_array().cloned().unwrap_or_default();
        losses.iter().map(|loss| format!("{}={}", loss["field"], loss["dialect"])).collect()
    };
    for (model, ending) in [("status=400", "refused"), ("status=500", "failed"), ("body=reset", "failed")] {
        let answer = world.ask(&ask(model)).await;
        assert_ne!(answer.status, 200, "{answer:?}");
        let line = world.settlement(&answer).await;
        assert_eq!(line["ending"], ending, "{line}");
        assert_eq!(fields(&line), [r#""seed"="anthropic_messages""#], "{line}");
    }
    let mut client = world.client().await;
    client.send(&ask("silence").bytes()).await;
    eventually("it is asked", || world.sim.open_requests() == 1).await;
    client.leave();
    let lines = world.settlements(4).await;
    let left = lines.iter().find(|line| line["ending"] == "client_left").unwrap();
    assert_eq!(fields(left), [r#""seed"="anthropic_messages""#], "{left}");
    // What another channel was not told is no loss of the answer that came.
    let answer = world.ask(&ask("both")).await;
    assert_eq!((answer.status, answer.header("x-sluice-losses")), (200, None), "{answer:?}");
    let line = world.settlement(&answer).await;
    assert_eq!((&line["channel"], fields(&line).len()), (&json!("then"), 0), "{line}");
    world.close().await;
}

#[tokio::test]
async fn a_careful_key_is_served_by_the_channel_that_has_a_place_for_the_field() {
    let world = World::start(|sim| {
        careful()
            + &channel("claude", "anthropic_messages", &sim.url(), "sim")
            + "priority = 2\n"
            + &channel("gemini", "gemini_generate", &sim.url(), "sim")
    })
    .await;
    let request = seeded(asked::request("openai_chat", "sim", asked::body("openai_chat", Turn::Text), false));
    let answer = world.ask(&request).await;
    assert_eq!(world.settlement(&answer).await["channel"], "claude");
    let answer = world.ask(&by_careful(request)).await;
    let line = world.settlement(&answer).await;
    assert_eq!((answer.status, &line["channel"]), (200, &json!("gemini")), "{line}");
    assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "{line}");
    world.close().await;
}

#[tokio::test]
async fn what_cannot_be_left_out_is_refused_unless_some_channel_can_be_told_it() {
    let world = World::start(|sim| {
        one_each(&sim.url())
            + &channel("claude", "anthropic_messages", &sim.url(), "both")
            + "priority = 2\n"
            + &channel("gemini", "gemini_generate", &sim.url(), "both")
    })
    .await;
    let mut two = asked::body("openai_chat", Turn::Text);
    two["n"] = json!(2);
    let mut stored = asked::body("openai_responses", Turn::Text);
    stored["previous_response_id"] = json!("resp_of_somebody");
    let mut cached = asked::body("gemini_generate", Turn::Text);
    cached["cachedContent"] = json!("cachedContents/x");
    for (from, to, body, field) in [
        ("openai_chat", "anthropic_messages", &two, "n"),
        ("openai_responses", "gemini_generate", &stored, "previous_response_id"),
        ("gemini_generate", "openai_chat", &cached, "cachedContent"),
    ] {
        let answer = world.ask(&asked::request(from, to, body.clone(), false)).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_error(from, &answer.json(), 400);
        assert!(answer.text().contains(&format!("`{field}`")) && answer.text().contains(to), "{answer:?}");
        if from.starts_with("openai") {
            let error = &answer.json()["error"];
            assert_eq!((&error["code"], &error["param"]), (&json!("field_not_supported"), &json!(field)));
        }
        assert_eq!(world.settlement(&answer).await["ending"], "refused");
    }
    assert_eq!(world.sim.log().len(), 0);
    // One of two channels has a place for it.
    let answer = world.ask(&asked::request("openai_chat", "both", two, false)).await;
    let line = world.settlement(&answer).await;
    assert_eq!((answer.status, &line["channel"]), (200, &json!("gemini")), "{line}");
    world.close().await;
}

#[tokio::test]
async fn a_tool_that_only_its_provider_runs_is_left_out_where_the_channel_says_so() {
    let own = |name: &str, model: &str| channel(name, "openai_chat", "http://127.0.0.1:1", model);
    let world = World::start(|sim| {
        let dropping =
            |text: String| text.replace("http://127.0.0.1:1", &sim.url()) + "drop_server_tools = true\n";
        careful() + &own("refuses", "whole") + &dropping(own("drops", "lossy"))
    })
    .await;
    for (from, tool, field) in [
        (
            "openai_responses",
            json!({"type": "code_interpreter", "container": {"type": "auto"}}),
            "code_interpreter",
        ),
        (
            "anthropic_messages",
            json!({"type": "code_execution_20250825", "name": "code_execution"}),
            "code_execution_20250825",
        ),
        ("gemini_generate", json!({"codeExecution": {}}), "codeExecution"),
    ] {
        let field = format!("tools.{field}");
        let mut body = asked::body(from, Turn::Tool);
        body["tools"].as_array_mut().unwrap().push(tool);
        let refused = world.ask(&asked::request(from, "whole", body.clone(), false)).await;
        assert_eq!(refused.status, 400, "{from}: {refused:?}");
        assert!(refused.text().contains(&format!("`{field}`")), "{from}: {refused:?}");
        let request = asked::request(from, "lossy", body, false);
        let careful = world.ask(&by_careful(request.clone())).await;
        assert_eq!(careful.status, 400, "{from}: {careful:?}");
        assert!(careful.text().contains(&format!("`{field}`")), "{from}: {careful:?}");
        assert_eq!(world.settlement(&careful).await["ending"], "refused");
        let answer = world.ask(&request).await;
        assert_eq!(answer.status, 200, "{from}: {answer:?}");
        let losses = answer.header("x-sluice-losses").unwrap();
        assert!(losses.contains(&format!("{field}=openai_chat")), "{from}: {losses}");
        let sent: Value = serde_json::from_slice(&world.sim.log().last().unwrap().body).unwrap();
        assert_eq!(sent["tools"].as_array().unwrap().len(), 1, "his own tool went along: {sent}");
    }
    assert_eq!(world.sim.log().len(), 3);
    world.close().await;
}

#[tokio::test]
async fn what_cannot_be_told_to_a_channel_does_not_wait_for_it() {
    let world = World::start(|sim| {
        channel("claude", "anthropic_messages", &sim.scripted("silence"), "sim")
            + "max_in_flight = 1\n"
            + &channel("chat", "openai_chat", &sim.scripted("silence"), "both")
            + "max_in_flight = 1\n"
            + &channel("too", "anthropic_messages", &sim.url(), "both")
            + "max_in_flight = 1\n"
    })
    .await;
    let asks = |model: &str, n: u32| {
        let mut body = asked::body("openai_chat", Turn::Text);
        body["n"] = json!(n);
        asked::request("openai_chat", model, body, false)
    };
    let mut held = world.client().await;
    held.send(&asks("sim", 1).bytes()).await;
    let mut other = world.client().await;
    other.send(&asks("both", 1).bytes()).await;
    eventually("both are asked", || world.sim.open_requests() == 2).await;
    let full = world.ask(&asks("sim", 1)).await;
    assert_eq!((full.status, &full.json()["error"]["code"]), (503, &json!("channels_busy")), "{full:?}");
    let refused = world.ask(&asks("sim", 2)).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("n")), "{refused:?}");
    assert_eq!(world.settlement(&refused).await["ending"], "refused");
    // One that is busy can be told it: that one is worth waiting for.
    let full = world.ask(&asks("both", 2)).await;
    assert_eq!((full.status, &full.json()["error"]["code"]), (503, &json!("channels_busy")), "{full:?}");
    held.leave();
    other.leave();
    world.close().await;
}

#[tokio::test]
async fn what_is_not_the_dialect_is_the_callers_fault_and_names_the_field() {
    let world = World::start(|sim| one_each(&sim.url())).await;
    for (from, path, body, field) in [
        ("openai_chat", "/v1/chat/completions", r#"{"model":"gemini_generate","messages":7}"#, "messages"),
        ("openai_responses", "/v1/responses", r#"{"model":"gemini_generate","input":7}"#, "input"),
        (
            "anthropic_messages",
            "/v1/messages",
            r#"{"model":"gemini_generate","max_tokens":9,"messages":{}}"#,
            "messages",
        ),
        ("gemini_generate", "/v1beta/models/openai_chat:generateContent", r#"{"contents":"hi"}"#, "contents"),
    ] {
        let answer = world.ask(&post(path, body)).await;
        assert_eq!(answer.status, 400, "{from}: {answer:?}");
        assert_error(from, &answer.json(), 400);
        assert!(answer.text().contains(&format!("`{field}`")), "{from}: {answer:?}");
        assert_eq!(world.settlement(&answer).await["ending"], "refused");
    }
    assert_eq!(world.sim.log().len(), 0);
    world.close().await;
}

#[tokio::test]
async fn the_books_keep_what_was_lost_and_a_managed_key_is_made_careful_at_once() {
    let sim = upstream_sim::Sim::start().await;
    let channels = one_each(&sim.url());
    let (world, mut operator) = operated_with(sim, "losses", &channels);
    let user = json!({"name": "ann", "unlimited": true});
    let user = operator.good("POST", "/api/v1/users", Some(user)).await;
    let made = operator.good("POST", "/api/v1/keys", Some(json!({"name": "k", "user_id": user["id"]}))).await;
    assert_eq!(made["losses"], "report", "{made}");
    let body = asked::body("openai_chat", Turn::Text);
    let mut request = seeded(asked::request("openai_chat", "anthropic_messages", body, false));
    request.headers[0].1 = format!("Bearer {}", made["secret"].as_str().unwrap());
    let answer = world.ask(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    world.settlement(&answer).await;
    world.check().await;
    let id = answer.header("x-request-id").unwrap();
    let shown = operator.good("GET", &format!("/api/v1/requests/{id}"), None).await;
    let lost = |loss: &Value| loss["field"] == "seed" && loss["dialect"] == "anthropic_messages";
    assert!(shown["losses"].as_array().unwrap().iter().any(lost), "{shown}");
    assert_eq!(shown["attempts"][0]["translated"], "anthropic_messages", "{shown}");

    let path = format!("/api/v1/keys/{}", made["id"]);
    let problem = operator.refused("PATCH", &path, Some(json!({"losses": "ignore"})), 400, "bad_input").await;
    assert_eq!(problem["errors"][0]["field"], "losses", "{problem}");
    let changed = operator.good("PATCH", &path, Some(json!({"losses": "refuse"}))).await;
    assert_eq!(changed["losses"], "refuse", "{changed}");
    let answer = world.ask(&request).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (400, &json!("field_would_be_lost")),
        "{answer:?}"
    );
    operator.good("PATCH", &path, Some(json!({"losses": "report"}))).await;
    assert_eq!(world.ask(&request).await.status, 200);
    let file = operator.good("GET", "/api/v1/keys?name=app", None).await["items"][0].clone();
    assert_eq!(file["losses"], "report", "{KEY}");
    world.close().await;
}

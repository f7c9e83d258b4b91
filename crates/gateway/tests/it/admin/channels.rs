//! Channels: their secrets are sealed, masked and never lost by a slip; the file's are the file's.

use serde_json::{Value, json};
use upstream_sim::Sim;

use super::local::{Operator, contains, operated_with};
use crate::harness::{SECRET, World, channel, plain};

fn block(sim: &Sim, name: &str) -> Value {
    json!({
        "name": name, "provider": "custom", "dialect": "openai_chat", "base_url": sim.url(), "models": ["sim"],
        "secrets": [format!("sk-of-a-channel-{name}")], "headers": {"x-team": "the-blue-team-of-the-test"},
        "proxy": null, "priority": 7,
    })
}

async fn world(name: &str, text: &str) -> (World, Operator) {
    operated_with(Sim::start().await, name, text)
}

#[tokio::test]
async fn a_channel_serves_as_soon_as_it_is_made_and_no_longer_than_it_is_there() {
    let (world, mut operator) = world("channel", "").await;
    assert_ne!(world.ask(&plain("openai_chat")).await.status, 200);
    let made = operator.good("POST", "/api/v1/channels", Some(block(&world.sim, "one"))).await;
    let path = format!("/api/v1/channels/{}", made["id"]);
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 200);
    operator.good("PATCH", &path, Some(json!({"status": "disabled"}))).await;
    assert_ne!(world.ask(&plain("openai_chat")).await.status, 200);
    operator.good("PATCH", &path, Some(json!({"status": "active"}))).await;
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 200, "its secret is still there");
    operator.good("DELETE", &path, None).await;
    assert_ne!(world.ask(&plain("openai_chat")).await.status, 200);
    operator.good("POST", "/api/v1/channels", Some(block(&world.sim, "one"))).await;
    world.close().await;
}

#[tokio::test]
async fn secrets_are_masked_sealed_and_revealed_on_the_record_only() {
    let (world, mut operator) = world("sealed", "").await;
    let secret = "sk-of-a-channel-one";
    let made = operator.good("POST", "/api/v1/channels", Some(block(&world.sim, "one"))).await;
    let path = format!("/api/v1/channels/{}", made["id"]);
    assert_eq!((&made["secrets"], &made["headers"]["x-team"]), (&json!(["sk-…-one"]), &json!("…test")));
    // As a page would write it back: masks and all.
    let mut back = made.clone();
    for own in ["id", "source", "created_ms", "changed_ms"] {
        back.as_object_mut().unwrap().remove(own);
    }
    back["priority"] = json!(8);
    let changed = operator.good("PATCH", &path, Some(back)).await;
    assert_eq!(changed["priority"], 8);
    let masked = json!({"secrets": ["sk-…else"]});
    let problem = operator.refused("PATCH", &path, Some(masked), 400, "bad_input").await;
    assert_eq!(problem["errors"][0]["field"], "secrets[0]");
    let named = operator.good("PATCH", &path, Some(json!({"weight": 3, "drop_server_tools": true}))).await;
    assert_eq!(named["drop_server_tools"], true);
    assert_eq!(
        (&named["weight"], &named["priority"], &named["models"]),
        (&json!(3), &json!(8), &json!(["sim"]))
    );

    let seen = [
        operator.good("GET", "/api/v1/channels", None).await,
        operator.good("GET", &path, None).await,
        operator.good("GET", "/api/v1/audit", None).await,
    ];
    for answer in seen {
        assert!(
            !answer.to_string().contains(secret) && !answer.to_string().contains("blue-team"),
            "{answer}"
        );
    }
    let trail = format!("/api/v1/audit?object=channel&object_id={}", made["id"]);
    let looks = |trail: &Value| {
        trail["items"].as_array().unwrap().iter().filter(|row| row["action"] == "reveal").count()
    };
    assert_eq!(looks(&operator.good("GET", &trail, None).await), 0);
    let revealed = operator.good("POST", &format!("{path}/reveal"), None).await;
    assert_eq!(revealed, json!({"secrets": [secret], "headers": {"x-team": "the-blue-team-of-the-test"}}));
    assert_eq!(looks(&operator.good("GET", &trail, None).await), 1);

    for end in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{end}", operator.file.display())).unwrap_or_default();
        assert!(
            !contains(&bytes, secret) && !contains(&bytes, "blue-team"),
            "the database{end} holds a secret"
        );
    }
    world.close().await;
}

#[tokio::test]
async fn a_channel_is_read_as_the_file_reads_it_and_nothing_is_half_written() {
    let (world, mut operator) = world("read", "").await;
    let with = |key: &str, value: Value| {
        let mut body = block(&world.sim, "one");
        body[key] = value;
        body
    };
    for (body, field) in [
        (with("provider", json!("openia")), "provider"),
        (with("base_url", json!("not an address")), "base_url"),
        (with("models", json!([])), "models"),
        (with("models", json!(["a", null])), "models"),
        (with("secrets", json!(["env:PATH"])), "secrets[0]"),
        (with("colour", json!("blue")), "colour"),
        (with("weight", json!(0)), "weight"),
        (with("discount", json!("-1")), "discount"),
        (with("status", json!("asleep")), "status"),
        (with("headers", json!({"authorization": "x"})), "headers.authorization"),
    ] {
        let problem =
            operator.refused("POST", "/api/v1/channels", Some(body.clone()), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(operator.good("GET", "/api/v1/channels", None).await["total"], 0);
    operator.good("POST", "/api/v1/channels", Some(block(&world.sim, "one"))).await;
    let taken =
        operator.refused("POST", "/api/v1/channels", Some(block(&world.sim, "one")), 409, "taken").await;
    assert_eq!(taken["errors"][0]["field"], "name");
    world.close().await;
}

#[tokio::test]
async fn channels_of_the_file_are_shown_without_their_secrets_and_not_changed() {
    let sim = Sim::start().await;
    let text = channel("filed", "openai_chat", &sim.url(), "sim");
    let (world, mut operator) = operated_with(sim, "filed", &text);
    let listed = operator.good("GET", "/api/v1/channels", None).await["items"][0].clone();
    assert_eq!((&listed["name"], &listed["source"]), (&json!("filed"), &json!("file")));
    assert!(!listed.to_string().contains(SECRET));
    let path = format!("/api/v1/channels/{}", listed["id"]);
    operator.refused("PATCH", &path, Some(json!({"weight": 3})), 409, "read_only").await;
    operator.refused("DELETE", &path, None, 409, "read_only").await;
    operator.refused("POST", &format!("{path}/reveal"), None, 409, "read_only").await;
    world.close().await;
}

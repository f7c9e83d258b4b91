//! Keys: shown once, kept as a hash, changed at once.

use serde_json::{Value, json};

use super::local::{Operator, contains, operated};
use crate::{
    harness::{CHAT, World, four},
    wire::Request,
};

async fn chat(world: &World, secret: &str) -> u16 {
    let request = Request::new("POST", CHAT)
        .header("authorization", format!("Bearer {secret}"))
        .header("content-type", "application/json")
        .body(r#"{"model":"sim","messages":[]}"#);
    world.ask(&request).await.status
}

/// A user and a key of his.
async fn key(operator: &mut Operator, name: &str) -> Value {
    let user = operator.good("POST", "/api/v1/users", Some(json!({"name": name, "unlimited": true}))).await;
    operator.good("POST", "/api/v1/keys", Some(json!({"name": "k", "user_id": user["id"]}))).await
}

async fn served(name: &str) -> (World, Operator) {
    let sim = upstream_sim::Sim::start().await;
    let channels = four(&sim.url());
    super::local::operated_with(sim, name, &channels)
}

#[tokio::test]
async fn a_secret_is_shown_once_and_kept_as_a_hash() {
    let (world, mut operator) = served("secret").await;
    let made = key(&mut operator, "ann").await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-") && secret.len() == 51, "{secret}");
    assert_eq!(chat(&world, &secret).await, 200);
    assert_eq!(chat(&world, &secret[3..]).await, 200, "with or without sk-");
    let shown = operator.good("GET", &format!("/api/v1/keys/{}", made["id"]), None).await;
    assert_eq!(shown["shown"], format!("{}…{}", &secret[..7], &secret[47..]));
    let lists = [
        operator.good("GET", "/api/v1/keys", None).await,
        operator.good("GET", "/api/v1/audit", None).await,
        shown,
    ];
    for list in lists {
        assert!(!list.to_string().contains(&secret[3..]), "{list}");
    }
    world.check().await;
    for end in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{end}", operator.file.display())).unwrap_or_default();
        assert!(!contains(&bytes, &secret[3..]), "the database{end} holds the secret");
    }
    world.close().await;
}

#[tokio::test]
async fn a_changed_key_is_another_key_at_once() {
    let (world, mut operator) = served("at-once").await;
    let made = key(&mut operator, "ann").await;
    let (secret, path) = (made["secret"].as_str().unwrap(), format!("/api/v1/keys/{}", made["id"]));
    assert_eq!(chat(&world, secret).await, 200);
    operator.good("PATCH", &path, Some(json!({"status": "disabled"}))).await;
    assert_eq!(chat(&world, secret).await, 403);
    operator.good("PATCH", &path, Some(json!({"status": "active", "models": ["other"]}))).await;
    assert!(matches!(chat(&world, secret).await, 403 | 404));
    operator.good("PATCH", &path, Some(json!({"models": ["sim"]}))).await;
    assert_eq!(chat(&world, secret).await, 200);

    let rotated = operator.good("POST", &format!("{path}/rotate"), Some(json!({"grace_seconds": 60}))).await;
    let second = rotated["secret"].as_str().unwrap();
    assert!(rotated["previous_until_ms"].is_i64());
    assert_eq!((chat(&world, secret).await, chat(&world, second).await), (200, 200), "both, for a while");
    let rotated = operator.good("POST", &format!("{path}/rotate"), None).await;
    let third = rotated["secret"].as_str().unwrap();
    let now = [chat(&world, secret).await, chat(&world, second).await, chat(&world, third).await];
    assert_eq!(now, [401, 401, 200], "without a grace the one before is over");

    operator.good("DELETE", &path, None).await;
    assert_eq!(chat(&world, third).await, 401);
    operator.refused("GET", &path, None, 404, "not_found").await;
    world.close().await;
}

#[tokio::test]
async fn bad_keys_are_refused_by_field_and_those_of_the_file_are_the_files() {
    let (world, mut operator) = operated("bad-keys", "").await;
    let made = key(&mut operator, "ann").await;
    let path = format!("/api/v1/keys/{}", made["id"]);
    for (body, field) in [
        (json!({"name": "a\nb"}), "name"),
        (json!({"spend_limit": "-1"}), "spend_limit"),
        (json!({"spend_limit": 0.5}), "spend_limit"),
        (json!({"spend_limit": "1e9"}), "spend_limit"),
        (json!({"reset_period": "year"}), "reset_period"),
        (json!({"expires_ms": 1}), "expires_ms"),
        (json!({"networks": ["10.0.0.0/8", "elsewhere"]}), "networks[1]"),
        (json!({"tokens_per_minute": 0}), "tokens_per_minute"),
        (json!({"user_id": 1}), "user_id"),
        (json!({"secret": "sk-mine"}), "secret"),
    ] {
        let problem = operator.refused("PATCH", &path, Some(body.clone()), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    operator
        .refused("POST", "/api/v1/keys", Some(json!({"name": "k", "user_id": made["user_id"]})), 409, "taken")
        .await;
    let problem =
        operator.refused("POST", "/api/v1/keys", Some(json!({"name": "k"})), 400, "bad_input").await;
    assert_eq!(problem["errors"][0]["field"], "user_id");
    let limit = json!({"spend_limit": "2.50", "reset_period": "month"});
    let limited = operator.good("PATCH", &path, Some(limit)).await;
    assert_eq!((&limited["spend_limit"], &limited["reset_period"]), (&json!("2.5"), &json!("month")));
    let named = operator.good("PATCH", &path, Some(json!({"name": "renamed"}))).await;
    assert_eq!((&named["spend_limit"], &named["reset_period"]), (&json!("2.5"), &json!("month")), "{named}");

    let nothing = operator.good("PATCH", &path, Some(json!({"spend_limit": "0"}))).await;
    assert_eq!(nothing["spend_limit"], "0", "nought is a limit, and not silence");

    let file = operator.good("GET", "/api/v1/keys?name=app", None).await["items"][0].clone();
    assert_eq!(file["source"], "file");
    let path = format!("/api/v1/keys/{}", file["id"]);
    operator.refused("PATCH", &path, Some(json!({"status": "disabled"})), 409, "read_only").await;
    operator.refused("POST", &format!("{path}/rotate"), None, 409, "read_only").await;
    operator.refused("DELETE", &path, None, 409, "read_only").await;
    world.close().await;
}

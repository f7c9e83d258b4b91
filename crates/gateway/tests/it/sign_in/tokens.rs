//! Personal access tokens: hashed, scoped, expiring, worth no more than their user.

use serde_json::{Value, json};

use super::browser::{Browser, INVITATIONS, PASSWORD, assert_problem};
use crate::{
    harness::{World, four},
    wire::{Answer, Request},
};

async fn world() -> World {
    World::start(|sim| format!("{}{INVITATIONS}", four(&sim.url()))).await
}

async fn made(browser: &mut Browser<'_>, scopes: Value) -> String {
    let answer = browser.post("/account/tokens", json!({"name": "ci", "scopes": scopes})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn by(world: &World, token: &str, method: &'static str, path: &str, body: Option<Value>) -> Answer {
    let mut request =
        Request::new(method, format!("/api/v1{path}")).header("authorization", format!("Bearer {token}"));
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    world.ask(&request).await
}

#[tokio::test]
async fn s5_a_token_is_shown_once_and_stored_as_a_hash() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let token = made(&mut root, json!(["read"])).await;
    assert!(token.starts_with("slp_") && token.len() == 47, "S11: 256 random bits");
    let row = root.get("/account/tokens").await.json()[0].clone();
    assert_eq!(row["last4"], token[43..]);
    assert_eq!(row.get("token"), None);
    let stored: Vec<u8> = world
        .app
        .database
        .read(|connection| Ok(connection.query_row("SELECT hash FROM access_tokens", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(stored, gateway::catalog::digest(&token));
    assert_eq!(by(&world, &token, "GET", "/actor", None).await.json()["via"], "token");
    world.close().await;
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let read = made(&mut root, json!(["read"])).await;
    let write = made(&mut root, json!(["read", "write"])).await;
    let admin = made(&mut root, json!(["read", "admin"])).await;
    let all = made(&mut root, json!(["read", "write", "admin"])).await;
    for (token, looks, invites) in
        [(&read, 403, 403), (&write, 403, 403), (&admin, 200, 403), (&all, 200, 201)]
    {
        assert_eq!(by(&world, token, "GET", "/audit", None).await.status, looks);
        assert_eq!(by(&world, token, "POST", "/invitations", Some(json!({}))).await.status, invites);
        assert_eq!(by(&world, token, "GET", "/account", None).await.status, 200);
        // Whoever steals one must not be able to stay.
        for (method, path, body) in [
            ("POST", "/account/tokens", json!({"name": "x", "scopes": ["read"]})),
            ("PUT", "/account/password", json!({"current": PASSWORD, "new": "another horse"})),
            ("POST", "/account/totp", json!({"password": PASSWORD})),
            ("DELETE", "/account/sessions", json!({})),
        ] {
            assert_problem(&by(&world, token, method, path, Some(body)).await, 403, "not_allowed");
        }
    }
    for scopes in [json!([]), json!(["root"]), json!(["read", "everything"])] {
        let answer = root.post("/account/tokens", json!({"name": "x", "scopes": scopes})).await;
        assert_problem(&answer, 400, "bad_input");
    }
    world.close().await;
}

#[tokio::test]
async fn a_token_ends_when_it_is_ended_and_by_itself() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let token = made(&mut ann, json!(["read"])).await;
    let row = ann.get("/account/tokens").await.json()[0].clone();
    let (created, expires) = (row["created_ms"].as_i64().unwrap(), row["expires_ms"].as_i64().unwrap());
    assert_eq!(expires - created, 90 * 24 * 60 * 60 * 1000);
    for days in [0, 367] {
        let answer =
            ann.post("/account/tokens", json!({"name": "x", "scopes": ["read"], "days": days})).await;
        assert_problem(&answer, 400, "bad_input");
    }
    let path = format!("/account/tokens/{}", row["id"]);
    assert_problem(&root.delete(&path).await, 404, "not_found");
    assert_eq!(by(&world, &token, "GET", "/actor", None).await.status, 200);
    assert_eq!(ann.delete(&path).await.status, 204);
    assert_problem(&by(&world, &token, "GET", "/actor", None).await, 401, "not_signed_in");
    // A cookie beside it makes a bad token no better.
    let request = ann.request("GET", "/actor", None).header("authorization", format!("Bearer {token}"));
    assert_problem(&world.ask(&request).await, 401, "not_signed_in");
    world.close().await;
}

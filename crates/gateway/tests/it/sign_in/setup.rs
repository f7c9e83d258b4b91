//! Before the setup link was used nobody manages anything; afterwards it is good no more.

use serde_json::json;

use super::browser::{Browser, PASSWORD, assert_problem};
use crate::{
    harness::{KEY, World, four, plain},
    wire::Request,
};

#[tokio::test]
async fn s3_there_is_no_default_password_and_nobody_manages_anything_before_the_setup() {
    let world = World::start(|sim| four(&sim.url())).await;
    let mut browser = Browser::new(&world);
    assert_eq!(browser.get("/setup").await.json(), json!({"needed": true}));
    for (name, password) in [("root", "123456"), ("root", "root"), ("admin", "admin"), ("config", "")] {
        assert_problem(&browser.sign_in(name, password).await, 401, "wrong_credentials");
    }
    for path in ["/session", "/account", "/account/tokens", "/audit", "/invitations", "/actor"] {
        assert_problem(&browser.get(path).await, 401, "not_signed_in");
    }
    let bearer = Request::new("GET", "/api/v1/actor").header("authorization", "Bearer slp_guess");
    assert_problem(&world.ask(&bearer).await, 401, "not_signed_in");
    // The keys and channels of the file work all the same.
    assert_eq!(world.ask(&plain("openai_chat")).await.status, 200);
    world.close().await;
}

#[tokio::test]
async fn the_setup_link_makes_root_once() {
    let world = World::start(|sim| four(&sim.url())).await;
    let token = world.setup_token().unwrap();
    let setup = |token: &str, password: &str| json!({"token": token, "name": "root", "password": password});
    let mut stranger = Browser::new(&world);
    assert_problem(&stranger.post("/setup", setup("slu_guess", PASSWORD)).await, 410, "link_not_good");
    let weak = stranger.post("/setup", setup(&token, "123456")).await;
    assert_problem(&weak, 400, "bad_input");
    assert_eq!(weak.json()["errors"][0]["field"], "password", "{weak:?}");

    let mut root = Browser::root(&world).await;
    assert_eq!(root.get("/session").await.json()["user"]["role"], "root");
    assert_eq!(root.get("/setup").await.json(), json!({"needed": false}));
    assert_problem(&stranger.post("/setup", setup(&token, PASSWORD)).await, 409, "conflict");
    assert_eq!(stranger.sign_in("root", PASSWORD).await.status, 201);
    assert!(
        !world
            .ask(&Request::new("GET", "/v1/models").header("authorization", format!("Bearer {KEY}")))
            .await
            .body
            .is_empty()
    );
    world.close().await;
}

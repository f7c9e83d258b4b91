//! The API under `/api/v1`: who may do what, what is never told, and that a change is all there or not at all.
//!
//! Each weakness of the systems that Sluice replaces is refused here: lists with everybody's tokens (`roles`), secrets in clear
//! in the database and in answers (`channels`, `keys`), pages of others and changes by GET (here, `roles`), secrets among the
//! settings (`money`), rights that depend on the path (`roles`), changes that nobody recorded (`users`, `channels`), changes that
//! lose a zero or what they do not name (`users`, `keys`, `channels`), keys that are switched off later (`keys`), codes that
//! nobody redeemed (`roles`), and SQL in answers (`users`).

mod aliases;
mod channels;
mod commands;
mod keys;
pub mod local;
mod money;
mod polls;
mod roles;
mod users;

use local::operated;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The document is what the code says. Renew it: `cargo run --bin sluice -- openapi > docs/openapi.json`.
#[test]
fn the_committed_description_is_the_one_of_this_code() {
    let committed = include_str!("../../../../docs/openapi.json");
    assert!(
        committed == gateway::admin::document(),
        "docs/openapi.json is stale. Renew it: cargo run --bin sluice -- openapi > docs/openapi.json"
    );
}

/// Names of operations become names of functions in clients.
#[test]
fn every_operation_has_a_name_of_its_own() {
    let document: serde_json::Value = serde_json::from_str(&gateway::admin::document()).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count > 0);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_with_the_requests_id() {
    let (world, mut operator) = operated("problems", "").await;
    for (method, path, status, code) in [
        ("GET", "/api/v1/nothing", 404, "no_such_path"),
        ("GET", "/api/nothing", 404, "no_such_path"),
        ("GET", "/api", 404, "no_such_path"),
        ("DELETE", "/api/v1/actor", 405, "wrong_method"),
        ("GET", "/api/v1/audit?limit=0", 400, "bad_input"),
        ("GET", "/api/v1/audit?limit=x", 400, "bad_input"),
        ("GET", "/api/v1/audit?cursor=!", 400, "bad_input"),
        ("GET", "/api/v1/keys?limit=1&statsu=disabled", 400, "bad_input"),
        ("GET", "/api/v1/users/%ff", 404, "not_found"),
        ("GET", "/api/v1/accounts/%ff/entries", 404, "not_found"),
        ("GET", "/api/v1/requests/%ff", 404, "not_found"),
        ("DELETE", "/api/v1/invitations/%ff", 404, "not_found"),
    ] {
        let answer = operator.ask(method, path, None).await;
        let problem = answer.json();
        assert_eq!((answer.status, &problem["code"]), (status, &code.into()), "{method} {path}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], answer.header("x-request-id").unwrap());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    world.close().await;
}

#[tokio::test]
async fn from_the_network_nobody_is_the_operator() {
    let (world, mut operator) = operated("stranger", "[cors]\norigins = [\"*\"]\n").await;
    let actor = operator.good("GET", "/api/v1/actor", None).await;
    assert_eq!((&actor["role"], &actor["via"]), (&"root".into(), &"local".into()));
    let stranger =
        crate::wire::Request::new("GET", "/api/v1/actor").header("origin", "https://elsewhere.test");
    let answer = world.ask(&stranger).await;
    assert_eq!((answer.status, &answer.json()["code"]), (401, &"not_signed_in".into()));
    assert_eq!(answer.header("access-control-allow-origin"), None, "pages of others have no business here");
    let key = world.ask(&crate::harness::get("/api/v1/actor")).await;
    assert_eq!(key.status, 401, "a caller's key is no access token");
    world.close().await;
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_its_process() {
    use std::os::unix::fs::PermissionsExt;
    let (world, operator) = operated("socket", "").await;
    let path = operator.path();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    world.close().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn bodies_are_bounded_and_json() {
    let (world, mut operator) = operated("bodies", "").await;
    let large = crate::wire::Request::new("GET", "/api/v1/actor").header("content-length", 5_000_000);
    assert_eq!(operator.send(&large).await.json()["code"], "too_large");
    let form = crate::wire::Request::new("POST", "/api/v1/users")
        .header("connection", "close")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("name=ann");
    let answer = operator.send(&form).await;
    assert_eq!((answer.status, &answer.json()["code"]), (415, &"wrong_content_type".into()));
    for body in ["{", "[]", "\"x\"", "{} {}", "{\"name\":\"a\",\"name\":\"b\"}"] {
        let request = crate::wire::Request::new("POST", "/api/v1/users")
            .header("connection", "close")
            .header("content-type", "application/json")
            .body(body);
        assert_eq!(operator.send(&request).await.json()["code"], "bad_input", "{body}");
    }
    assert_eq!(operator.good("GET", "/api/v1/users", None).await["total"], 0);
    world.close().await;
}

/// Whoever sends a body by drops takes no place of those who look or sign in.
#[tokio::test]
async fn slow_bodies_of_strangers_keep_nobody_out() {
    let (world, mut operator) = operated("slow", "").await;
    let mut slow = Vec::new();
    for _ in 0..80 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = "POST /api/v1/session HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                    expect: 100-continue\r\ncontent-length: 1000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        // It says so when it waits for the body.
        let mut heard = [0; 12];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(std::str::from_utf8(&heard), Ok("HTTP/1.1 100"));
        slow.push(stream);
    }
    let looked = world.ask(&crate::harness::get("/api/v1/setup")).await;
    assert_eq!(looked.status, 200, "{looked:?}");
    let body = serde_json::json!({"name": "ann", "password": "a wrong password"});
    let request = crate::wire::Request::new("POST", "/api/v1/session")
        .header("content-type", "application/json")
        .body(body.to_string());
    assert_eq!(world.ask(&request).await.status, 401);
    operator.good("GET", "/api/v1/users", None).await;
    drop(slow);
    world.close().await;
}

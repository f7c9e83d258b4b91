//! A session is the server's, and ends when what it stands on changes.

use std::time::Duration;

use serde_json::{Value, json};
use store::users::{self, Who};

use super::browser::{Browser, INVITATIONS, PASSWORD, assert_problem};
use crate::{
    harness::{World, four},
    wire::Request,
};

async fn world(more: &str) -> World {
    World::start(|sim| format!("{}{INVITATIONS}{more}", four(&sim.url()))).await
}

#[tokio::test]
async fn s6_the_cookie_is_for_browsers_and_holds_nothing_but_a_random_token() {
    for (url, secure) in [("", false), ("[admin]\npublic_url = \"https://llm.example.com\"\n", true)] {
        let world = world(url).await;
        let root = Browser::root(&world).await;
        let answer = Browser::new(&world).sign_in("root", PASSWORD).await;
        let cookie = answer.header("set-cookie").unwrap();
        for part in ["HttpOnly", "SameSite=Lax", "Path=/api/v1"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert_eq!(cookie.contains("Secure"), secure, "{cookie}");
        let token = &root.cookies["sluice_session"];
        assert_eq!(token.len(), 43, "256 bits");
        // What is stored cannot be sent: it is a hash.
        let stored: Vec<u8> = world
            .app
            .database
            .read(|connection| {
                Ok(connection.query_row("SELECT hash FROM sessions LIMIT 1", [], |row| row.get(0))?)
            })
            .unwrap();
        assert_eq!(stored.len(), 32);
        world.close().await;
    }
}

#[tokio::test]
async fn a_listed_proxy_may_say_that_people_come_by_https_and_nobody_else() {
    for (proxies, secure) in [("", false), ("[proxies]\ntrusted = [\"127.0.0.0/8\"]\n", true)] {
        let world = world(proxies).await;
        Browser::root(&world).await;
        let mut browser = Browser::new(&world);
        browser.headers.push(("x-forwarded-proto".to_owned(), "https".to_owned()));
        let answer = browser.sign_in("root", PASSWORD).await;
        assert_eq!(answer.header("set-cookie").unwrap().contains("Secure"), secure);
        world.close().await;
    }
}

#[tokio::test]
async fn s6_a_change_of_password_ends_all_other_sessions() {
    let world = world("").await;
    let mut root = Browser::root(&world).await;
    let mut other = Browser::new(&world);
    assert_eq!(other.sign_in("root", PASSWORD).await.status, 201);
    let old = root.cookies.clone();
    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    assert_problem(
        &root.put("/account/password", change("wrong wrong wrong", "another horse")).await,
        401,
        "wrong_credentials",
    );
    assert_problem(&root.put("/account/password", change(PASSWORD, "short")).await, 400, "bad_input");
    assert!(other.is_signed_in().await);
    assert_eq!(root.put("/account/password", change(PASSWORD, "another horse")).await.status, 201);
    assert!(root.is_signed_in().await, "goes on in a new one");
    assert_ne!(root.cookies, old);
    assert!(!other.is_signed_in().await);
    root.cookies = old;
    assert!(!root.is_signed_in().await, "the one before is over, too");
    assert_problem(&other.sign_in("root", PASSWORD).await, 401, "wrong_credentials");
    world.close().await;
}

#[tokio::test]
async fn s6_a_change_of_role_and_disabling_end_sessions_at_once() {
    let file = File(std::env::temp_dir().join(format!("sluice-it-{}-roles.db", std::process::id())));
    let world = world(&format!("[store]\nurl = \"sqlite:{}\"\n", file.0.display())).await;
    let mut root = Browser::root(&world).await;
    let mut ann = Browser::invited(&mut root, "ann", "admin").await;
    assert_eq!(ann.get("/audit").await.status, 200);
    let set = |what: &str| {
        // However it is done: here, as the owner of the file can.
        rusqlite::Connection::open(&file.0)
            .unwrap()
            .execute(&format!("UPDATE users SET {what} WHERE name = 'ann'"), [])
            .unwrap();
    };
    set("role = 'user'");
    assert!(!ann.is_signed_in().await);
    assert_eq!(ann.sign_in("ann", PASSWORD).await.status, 201);
    assert_problem(&ann.get("/audit").await, 403, "not_allowed");
    set("status = 'disabled'");
    assert!(!ann.is_signed_in().await);
    assert_problem(&ann.sign_in("ann", PASSWORD).await, 401, "wrong_credentials");
    world.close().await;
}

/// A database file that goes with its test.
struct File(std::path::PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", ".lock", ".key", ".sock"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

#[tokio::test]
async fn s8_no_change_is_made_by_get_or_without_the_sessions_token() {
    let world = world("").await;
    let mut root = Browser::root(&world).await;
    let csrf_token = root.csrf_token.take();
    for said in [None, Some("wrong".to_owned())] {
        root.csrf_token = said;
        for (method, path, body) in [
            ("DELETE", "/session", None),
            ("DELETE", "/account/sessions", None),
            ("POST", "/account/tokens", Some(json!({"name": "x", "scopes": ["read"]}))),
            ("PUT", "/account/password", Some(json!({"current": PASSWORD, "new": "another horse"}))),
            ("POST", "/invitations", Some(json!({}))),
        ] {
            assert_problem(&root.ask(method, path, body).await, 403, "no_csrf_token");
        }
    }
    assert!(root.is_signed_in().await, "looking needs none");
    root.csrf_token = csrf_token;
    let other = Browser::new(&world).sign_in("root", PASSWORD).await.json()["csrf_token"].clone();
    let own = root.csrf_token.replace(other.as_str().unwrap().to_owned());
    assert_problem(&root.delete("/session").await, 403, "no_csrf_token");
    root.csrf_token = own;
    for path in ["/session", "/account/sessions", "/account/tokens/1"] {
        let answer = root.ask("GET", path, None).await;
        assert!(answer.status == 200 || answer.status == 405, "{path}: {answer:?}");
    }
    assert!(root.is_signed_in().await);
    assert_eq!(root.delete("/session").await.status, 204);
    assert!(!root.is_signed_in().await);
    world.close().await;
}

#[tokio::test]
async fn s7_pages_of_other_sites_get_nothing_and_change_nothing() {
    let world = world("[cors]\norigins = [\"*\"]\n").await;
    let mut root = Browser::root(&world).await;
    root.headers.push(("origin".to_owned(), "https://evil.example".to_owned()));
    let answer = root.get("/session").await;
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{answer:?}");
    let preflight = Request::new("OPTIONS", "/api/v1/session")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let answer = world.ask(&preflight).await;
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{answer:?}");
    // A form needs no preflight, but it cannot send JSON.
    let body = json!({"name": "root", "password": PASSWORD}).to_string();
    let form =
        Request::new("POST", "/api/v1/session").header("content-type", "text/plain").body(body.clone());
    assert_problem(&world.ask(&form).await, 415, "wrong_content_type");
    let led = Request::new("POST", "/api/v1/session")
        .header("content-type", "application/json")
        .header("sec-fetch-site", "cross-site")
        .body(body);
    assert_problem(&world.ask(&led).await, 403, "not_allowed");
    world.close().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one() {
    let world = world("").await;
    let mut root = Browser::root(&world).await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let mut phone = Browser::new(&world);
    phone.headers.push(("user-agent".to_owned(), "Phone/1".to_owned()));
    phone.sign_in("root", PASSWORD).await;
    let list = root.get("/account/sessions").await.json();
    let rows = list.as_array().unwrap();
    assert_eq!(rows.len(), 2, "his own only: {list}");
    assert_eq!(rows.iter().filter(|row| row["current"] == Value::Bool(true)).count(), 1);
    let id = rows.iter().find(|row| row["agent"] == "Phone/1").unwrap()["id"].as_str().unwrap().to_owned();
    assert_problem(&ann.delete(&format!("/account/sessions/{id}")).await, 404, "not_found");
    assert_eq!(root.delete(&format!("/account/sessions/{id}")).await.status, 204);
    assert!(!phone.is_signed_in().await);
    phone.sign_in("root", PASSWORD).await;
    assert_eq!(root.delete("/account/sessions").await.status, 204);
    assert!(!phone.is_signed_in().await);
    assert!(root.is_signed_in().await && ann.is_signed_in().await);
    world.close().await;
}

#[tokio::test]
async fn s2_no_answer_holds_a_secret_of_somebody_else() {
    let world = world("").await;
    let mut root = Browser::root(&world).await;
    let mut ann = Browser::invited(&mut root, "ann", "admin").await;
    let made = root.post("/account/tokens", json!({"name": "ci", "scopes": ["read"]})).await.json();
    let token = made["token"].as_str().unwrap().to_owned();
    let hash: String = world
        .app
        .database
        .read(|connection| {
            Ok(connection
                .query_row("SELECT password FROM users WHERE name = 'root'", [], |row| row.get(0))?)
        })
        .unwrap();
    let secrets = [
        token,
        root.cookies["sluice_session"].clone(),
        root.csrf_token.clone().unwrap(),
        hash,
        "argon2".to_owned(),
    ];
    for path in [
        "/account",
        "/account/tokens",
        "/account/sessions",
        "/audit",
        "/invitations",
        "/actor",
        "/session",
        "/users",
    ] {
        let answer = ann.get(path).await;
        assert!(secrets.iter().all(|secret| !answer.text().contains(secret)), "{path}: {answer:?}");
    }
    let own = root.get("/account/tokens").await;
    assert!(!own.text().contains(&secrets[0]), "not even to himself a second time");
    let answer = ann.get("/account/tokens").await.json();
    assert_eq!(answer, json!([]), "each sees his own");
    world.close().await;
}

#[tokio::test]
async fn a_session_that_is_not_used_is_over() {
    let world = world("[admin]\nsession_idle = \"1m\"\nsession_total = \"2m\"\n").await;
    let root = Browser::root(&world).await;
    let user = users::find(&world.app.database, Who::Name("root")).unwrap().unwrap();
    let lasting = gateway::sign_in::lasting(&world.app.catalog.load().config.admin);
    assert_eq!(lasting.idle_ms, Duration::from_secs(60).as_millis() as i64);
    let hash = gateway::catalog::digest(&root.cookies["sluice_session"]);
    let now = gateway::clock::unix_ms();
    let at = |ms: i64| store::sessions::find(&world.app.database, &hash, lasting, now + ms).unwrap();
    assert_eq!(at(0).unwrap().0.id, user.id);
    assert!(at(61_000).is_none());
    world.close().await;
}

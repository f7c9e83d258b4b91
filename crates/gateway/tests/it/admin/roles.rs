//! Who may do what: users only what is theirs, admins not what is above them, nobody by a mere GET.

use serde_json::{Value, json};

use crate::{
    harness::World,
    sign_in::browser::{Browser, INVITATIONS, assert_problem},
    wire::Request,
};

async fn world() -> World {
    World::start(|_| INVITATIONS.to_owned()).await
}

async fn id(browser: &mut Browser<'_>) -> i64 {
    browser.get("/users/me").await.json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_user_manages_what_is_his_and_sees_nothing_of_others() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let mut bob = Browser::invited(&mut root, "bob", "user").await;
    let (ann_id, root_id) = (id(&mut ann).await, id(&mut root).await);
    let made = ann.post("/keys", json!({"name": "mine"})).await;
    assert_eq!((made.status, &made.json()["user_id"]), (201, &json!(ann_id)));
    let key = format!("/keys/{}", made.json()["id"]);
    assert_eq!(ann.ask("PATCH", &key, Some(json!({"spend_limit": "5"}))).await.json()["spend_limit"], "5");
    assert_eq!(bob.get("/keys").await.json()["total"], 0);
    assert_eq!(bob.get(&format!("/keys?user_id={ann_id}")).await.json()["total"], 0);
    for (method, path, body) in [
        ("GET", key.clone(), None),
        ("PATCH", key.clone(), Some(json!({"status": "disabled"}))),
        ("POST", format!("{key}/rotate"), Some(json!({}))),
        ("DELETE", key.clone(), None),
        ("GET", format!("/users/{ann_id}"), None),
        ("GET", format!("/accounts/{ann_id}"), None),
        ("GET", format!("/accounts/{root_id}/entries"), None),
    ] {
        let answer = bob.ask(method, &path, body).await;
        assert_problem(&answer, 404, "not_found");
    }
    let theft = json!({"name": "x", "user_id": ann_id});
    assert_problem(&bob.post("/keys", theft).await, 403, "not_allowed");
    for (method, path, body) in [
        ("GET", "/users", None),
        ("POST", "/users", Some(json!({"name": "x"}))),
        ("PATCH", "/users/1", Some(json!({"role": "root"}))),
        ("DELETE", "/users/1", None),
        ("GET", "/groups", None),
        ("POST", "/groups", Some(json!({"name": "x", "factor": "0"}))),
        ("PATCH", "/groups/1", Some(json!({"factor": "0"}))),
        ("GET", "/channels", None),
        ("POST", "/channels", Some(json!({"name": "x"}))),
        ("POST", "/channels/1/reveal", Some(json!({}))),
        ("GET", "/prices", None),
        ("POST", "/prices", Some(json!({"model": "x", "input": "0", "output": "0"}))),
        ("POST", "/prices/list", Some(json!({"table": "x"}))),
        ("GET", "/aliases", None),
        ("POST", "/aliases", Some(json!({"name": "x", "models": ["y"]}))),
        ("PATCH", "/aliases/1", Some(json!({"models": ["y"]}))),
        ("DELETE", "/aliases/1", None),
        ("GET", "/codes", None),
        ("POST", "/codes", Some(json!({"batch": "x", "value": "1", "count": 1}))),
        ("POST", "/codes/void", Some(json!({"batch": "x"}))),
        ("POST", "/accounts/me/top-up", Some(json!({"amount": "1", "reason": "because"}))),
        ("POST", "/accounts/me/adjust", Some(json!({"amount": "1", "reason": "because"}))),
        ("POST", "/accounts/me/refund", Some(json!({"amount": "1", "reason": "because"}))),
        ("GET", "/settings", None),
        ("PATCH", "/settings", Some(json!({"system_name": "x"}))),
        ("GET", "/audit", None),
    ] {
        let answer = bob.ask(method, path, body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("not_allowed")), "{method} {path}");
        let stranger = world.ask(&Request::new(method, format!("/api/v1{path}"))).await;
        assert_eq!(stranger.status, 401, "{method} {path}");
    }
    assert_eq!(ann.get("/users/me").await.json()["name"], "ann");
    world.close().await;
}

#[tokio::test]
async fn an_admin_is_no_root_and_nobody_raises_himself() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut admin = Browser::invited(&mut root, "ada", "admin").await;
    let mut other = Browser::invited(&mut root, "otto", "admin").await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let (root_id, admin_id) = (id(&mut root).await, id(&mut admin).await);
    let (other_id, ann_id) = (id(&mut other).await, id(&mut ann).await);
    // Nothing that one could sign in with, of nobody.
    let listed = admin.get("/users").await.text();
    for word in ["argon2", "password", "access_token", "totp", "session", "hash"] {
        assert!(!listed.contains(word), "{word}: {listed}");
    }
    for (path, body) in [
        (format!("/users/{root_id}"), json!({"status": "disabled"})),
        (format!("/users/{root_id}"), json!({"email": "mine@mail.test"})),
        (format!("/users/{other_id}"), json!({"role": "user"})),
        (format!("/users/{admin_id}"), json!({"role": "root"})),
        (format!("/users/{admin_id}"), json!({"group_id": 1})),
        (format!("/users/{ann_id}"), json!({"role": "admin"})),
    ] {
        let answer = admin.ask("PATCH", &path, Some(body.clone())).await;
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("not_allowed")), "{path} {body}");
    }
    assert_problem(&admin.post("/users", json!({"name": "x", "role": "admin"})).await, 403, "not_allowed");
    let nowhere = admin.post("/invitations", json!({"group_id": 99})).await;
    assert_eq!((nowhere.status, &nowhere.json()["errors"][0]["field"]), (400, &json!("group_id")));
    for name in ["7", "a@b.test"] {
        assert_problem(&admin.post("/users", json!({"name": name})).await, 400, "bad_input");
    }
    assert_problem(&admin.delete(&format!("/users/{root_id}")).await, 403, "not_allowed");
    assert_problem(&admin.get("/settings").await, 403, "not_allowed");
    let own = format!("/users/{root_id}");
    assert_problem(&root.ask("PATCH", &own, Some(json!({"role": "admin"}))).await, 403, "not_allowed");
    assert_problem(&root.delete(&own).await, 403, "not_allowed");
    // What an admin may: users. What root may: admins; whose sessions end with their role.
    let limits = json!({"requests_per_minute": 9});
    assert_eq!(admin.ask("PATCH", &format!("/users/{ann_id}"), Some(limits)).await.status, 200);
    assert!(other.is_signed_in().await);
    let demoted = root.ask("PATCH", &format!("/users/{other_id}"), Some(json!({"role": "user"}))).await;
    assert_eq!((demoted.status, &demoted.json()["role"]), (200, &json!("user")));
    assert!(!other.is_signed_in().await);
    // The trail has it, with who.
    let trail = admin.get(&format!("/audit?object=user&object_id={other_id}")).await.json();
    let row = &trail["items"][0];
    assert_eq!(
        (&row["actor"], &row["before"]["role"], &row["after"]["role"]),
        (&json!("root"), &json!("admin"), &json!("user"))
    );
    world.close().await;
}

/// Whoever makes or rotates a key reads its secret.
#[tokio::test]
async fn an_admin_gets_no_secret_of_those_above_or_beside_him() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut admin = Browser::invited(&mut root, "ada", "admin").await;
    let mut other = Browser::invited(&mut root, "otto", "admin").await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    for above in [&mut root, &mut other] {
        let key = above.post("/keys", json!({"name": "mine"})).await.json();
        let path = format!("/keys/{}", key["id"]);
        for (method, path, body) in [
            ("POST", format!("{path}/rotate"), json!({})),
            ("PATCH", path.clone(), json!({"status": "disabled"})),
            ("DELETE", path.clone(), json!({})),
            ("POST", "/keys".to_owned(), json!({"name": "theirs", "user_id": key["user_id"]})),
        ] {
            let answer = admin.ask(method, &path, Some(body)).await;
            assert_problem(&answer, 403, "not_allowed");
            assert!(!answer.text().contains("sk-"), "{method} {path}");
        }
        assert_eq!(admin.get(&path).await.json()["shown"], key["shown"], "he may look");
    }
    for below in [&mut ann, &mut admin] {
        let key = below.post("/keys", json!({"name": "mine"})).await.json();
        let rotated = root.post(&format!("/keys/{}/rotate", key["id"]), json!({})).await;
        assert_eq!(rotated.status, 200, "root may");
    }
    let of_ann = admin.post("/keys", json!({"name": "for her", "user_id": id(&mut ann).await})).await;
    assert_eq!(of_ann.status, 201);
    world.close().await;
}

/// What was handed out for a user is worth nothing against the admin whom he becomes.
#[tokio::test]
async fn links_and_tokens_do_not_rise_with_their_user() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut admin = Browser::invited(&mut root, "ada", "admin").await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let own = format!("/users/{}", id(&mut ann).await);
    let token = ann.post("/account/tokens", json!({"name": "t", "scopes": ["write", "admin"]})).await;
    let token = token.json()["token"].as_str().unwrap().to_owned();
    let whoami = Request::new("GET", "/api/v1/actor").header("authorization", format!("Bearer {token}"));
    assert_eq!(world.ask(&whoami).await.json()["role"], "user");
    let link = admin.post(&format!("{own}/password_reset"), json!({})).await.json();
    assert_eq!(root.ask("PATCH", &own, Some(json!({"role": "admin"}))).await.status, 200);
    let taken = json!({"token": link["token"], "password": "a password of ada"});
    let answer = Browser::new(&world).post("/password_reset/complete", taken).await;
    assert_problem(&answer, 410, "link_not_good");
    assert_problem(&world.ask(&whoami).await, 401, "not_signed_in");
    // Who was removed is not there: there is nothing to hand out for him.
    assert_eq!(root.delete(&own).await.status, 204);
    assert_problem(&root.post(&format!("{own}/password_reset"), json!({})).await, 404, "not_found");
    world.close().await;
}

#[tokio::test]
async fn a_token_without_the_scope_is_no_admins_and_nothing_changes_by_get() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let token = root.post("/account/tokens", json!({"name": "t", "scopes": ["read", "write"]})).await;
    let token = token.json()["token"].as_str().unwrap().to_owned();
    let users = Request::new("GET", "/api/v1/users").header("authorization", format!("Bearer {token}"));
    assert_problem(&world.ask(&users).await, 403, "not_allowed");
    for path in [
        "/keys/1/rotate",
        "/channels/1/reveal",
        "/codes/1/void",
        "/codes/redeem",
        "/accounts/1/top-up",
        "/prices/list",
    ] {
        let answer = root.get(path).await;
        assert!(matches!(answer.status, 404 | 405), "{path}: {answer:?}");
    }
    let logged: Value = root.get("/audit?object=key").await.json();
    assert_eq!(logged["items"], json!([]));
    world.close().await;
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_the_books_say_by_whom() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let mut bob = Browser::invited(&mut root, "bob", "user").await;
    let made = root.post("/codes", json!({"batch": "b", "value": "5", "count": 3})).await.json();
    let code = |at: usize| json!({"code": made["codes"][at].as_str().unwrap().to_lowercase()});
    let first = ann.post("/codes/redeem", code(0)).await;
    assert_eq!((first.status, &first.json()["balance"]), (200, &json!("5")));
    assert_problem(&ann.post("/codes/redeem", code(0)).await, 409, "conflict");
    assert_problem(&bob.post("/codes/redeem", code(0)).await, 400, "bad_input");
    assert_problem(&bob.post("/codes/redeem", json!({"code": "ABC"})).await, 400, "bad_input");
    // The network broke, and the page asks again.
    ann.headers.push(("idempotency-key".to_owned(), "42".to_owned()));
    assert_eq!(ann.post("/codes/redeem", code(1)).await.json()["repeated"], false);
    let again = ann.post("/codes/redeem", code(1)).await.json();
    assert_eq!((&again["repeated"], &again["balance"]), (&json!(true), &json!("10")));
    root.post("/codes/void", json!({"batch": "b"})).await;
    assert_problem(&bob.post("/codes/redeem", code(2)).await, 400, "bad_input");
    let entries = ann.get("/accounts/me/entries").await.json();
    assert_eq!(entries["items"].as_array().unwrap().len(), 2);
    let listed = root.get("/codes?status=redeemed").await.json();
    assert_eq!((&listed["total"], &listed["items"][0]["redeemed_by_name"]), (&json!(2), &json!("ann")));
    world.close().await;
}

//! What goes by mail: signing up, invitations, a new address, a forgotten password. No answer tells who is known.

use serde_json::{Value, json};

use super::{
    browser::{Browser, PASSWORD, assert_problem},
    mailbox::Mailbox,
};
use crate::{
    harness::{World, four},
    wire::Answer,
};

async fn world(mailbox: &Mailbox, mode: &str) -> World {
    let more = format!("{}[sign_up]\nmode = \"{mode}\"\n", mailbox.config());
    World::start(|sim| format!("{}{more}", four(&sim.url()))).await
}

/// Everything that a caller could tell answers apart by.
fn told(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let own = ["x-request-id", "date"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.to_lowercase().as_str()));
    (answer.status, answer.text(), headers.cloned().collect())
}

/// A user whose address is known to be his.
async fn signed_up<'w>(world: &'w World, mailbox: &Mailbox, email: &str, name: &str) -> Browser<'w> {
    let mut browser = Browser::new(world);
    let before = mailbox.count();
    assert_eq!(browser.post("/sign_up", json!({"email": email})).await.status, 202);
    let letter = mailbox.letters(before + 1).await.pop().unwrap();
    assert_eq!(letter.to, email);
    let complete = json!({"token": letter.token(), "name": name, "password": PASSWORD});
    let answer = browser.post("/sign_up/complete", complete.clone()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_problem(&Browser::new(world).post("/sign_up/complete", complete).await, 410, "link_not_good");
    browser
}

#[tokio::test]
async fn who_signs_up_proves_his_address_and_nobody_learns_who_is_known() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "open").await;
    let mut ann = signed_up(&world, &mailbox, "ann@example.com", "ann").await;
    let me = ann.get("/account").await.json();
    assert_eq!(
        (&me["email"], &me["email_verified"], &me["role"]),
        (&json!("ann@example.com"), &json!(true), &json!("user"))
    );
    let mut stranger = Browser::new(&world);
    let known = stranger.post("/sign_up", json!({"email": "Ann@example.com"})).await;
    let unknown = stranger.post("/sign_up", json!({"email": "bob@example.com"})).await;
    assert_eq!(told(&known), told(&unknown));
    let letters = mailbox.letters(3).await;
    let to_ann = letters.iter().rfind(|letter| letter.to.to_lowercase() == "ann@example.com").unwrap();
    assert!(!to_ann.text.contains("#token="), "no link for an address that is known: {}", to_ann.text);
    assert_problem(&stranger.post("/sign_up", json!({"email": "no address"})).await, 400, "bad_input");
    world.close().await;
}

#[tokio::test]
async fn signing_up_is_off_unless_it_is_turned_on() {
    let mailbox = Mailbox::start().await;
    for (mode, invites) in [("off", 403), ("invitation", 201)] {
        let world = world(&mailbox, mode).await;
        let mut root = Browser::root(&world).await;
        assert_eq!(root.get("/sign_up").await.json()["sign_up"], mode);
        let mut stranger = Browser::new(&world);
        assert_problem(
            &stranger.post("/sign_up", json!({"email": "ann@example.com"})).await,
            403,
            "turned_off",
        );
        assert_eq!(root.post("/invitations", json!({})).await.status, invites);
        world.close().await;
    }
    assert_eq!(mailbox.count(), 0);
}

#[tokio::test]
async fn an_invitation_by_mail_is_shown_to_its_mailbox_only_and_works_once() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "invitation").await;
    let mut root = Browser::root(&world).await;
    let answer = root.post("/invitations", json!({"email": "ann@example.com", "role": "admin"})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let token = mailbox.letters(1).await.pop().unwrap().token();
    assert!(!answer.text().contains(&token) && answer.json().get("token").is_none());
    assert!(!root.get("/invitations").await.text().contains(&token));
    let mut ann = Browser::new(&world);
    let come = json!({"token": token, "name": "ann", "password": PASSWORD});
    assert_eq!(ann.post("/sign_up/complete", come.clone()).await.status, 201);
    assert_eq!(ann.get("/account").await.json()["role"], "admin");
    assert_problem(&Browser::new(&world).post("/sign_up/complete", come).await, 410, "link_not_good");
    // An admin is no root: he invites users, and nobody above.
    assert_problem(&ann.post("/invitations", json!({"role": "admin"})).await, 403, "not_allowed");
    assert_problem(&ann.post("/invitations", json!({"role": "root"})).await, 400, "bad_input");
    // One that is taken back is good no more.
    let open = ann.post("/invitations", json!({})).await.json();
    assert_eq!(ann.delete(&format!("/invitations/{}", open["id"].as_str().unwrap())).await.status, 204);
    let late = json!({"token": open["token"], "name": "bob", "password": PASSWORD});
    assert_problem(&Browser::new(&world).post("/sign_up/complete", late).await, 410, "link_not_good");
    world.close().await;
}

#[tokio::test]
async fn s10_a_reset_sets_a_password_shows_none_and_tells_nobody_who_is_known() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "open").await;
    let mut ann = signed_up(&world, &mailbox, "ann@example.com", "ann").await;
    let token =
        ann.post("/account/tokens", json!({"name": "ci", "scopes": ["read"]})).await.json()["token"].clone();
    let mut stranger = Browser::new(&world);
    // Whatever a request claims to be sent to: the link is the operator's.
    stranger.headers.push(("x-forwarded-host".to_owned(), "evil.example".to_owned()));
    let unknown = stranger.post("/password_reset", json!({"email": "bob@example.com"})).await;
    let known = stranger.post("/password_reset", json!({"email": "ann@example.com"})).await;
    assert_eq!(told(&known), told(&unknown));
    assert_eq!((known.status, known.text().as_str()), (202, ""));
    let letter = mailbox.letters(2).await.pop().unwrap();
    assert_eq!(letter.to, "ann@example.com");
    assert!(
        letter.text.replace("=\r\n", "").contains("https://llm.example.com/password_reset#token"),
        "{}",
        letter.text
    );
    let reset = |password: &str| json!({"token": letter.token(), "password": password});
    assert_problem(&stranger.post("/password_reset/complete", reset("short")).await, 400, "bad_input");
    let answer = stranger.post("/password_reset/complete", reset("another horse")).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0), "nothing is shown");
    assert_problem(
        &stranger.post("/password_reset/complete", reset("third horse")).await,
        410,
        "link_not_good",
    );
    assert!(!ann.is_signed_in().await, "sessions ended");
    let bearer = crate::wire::Request::new("GET", "/api/v1/actor")
        .header("authorization", format!("Bearer {}", token.as_str().unwrap()));
    assert_eq!(world.ask(&bearer).await.status, 401, "and access tokens");
    assert_problem(&ann.sign_in("ann", PASSWORD).await, 401, "wrong_credentials");
    assert_eq!(ann.sign_in("ann@example.com", "another horse").await.status, 201);
    world.close().await;
}

#[tokio::test]
async fn s1_an_address_alone_opens_nothing() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "open").await;
    signed_up(&world, &mailbox, "ann@example.com", "ann").await;
    let mut stranger = Browser::new(&world);
    for path in [
        "/session",
        "/sign_up",
        "/password_reset",
        "/oidc/start",
        "/session/second_factor",
        "/email_verification",
    ] {
        for body in [
            json!({"email": "ann@example.com"}),
            json!({"name": "ann@example.com", "password": ""}),
            json!({}),
        ] {
            let answer = stranger.post(path, body).await;
            assert!(answer.header("set-cookie").is_none(), "{path}: {answer:?}");
            assert!(!answer.text().contains("token\":"), "{path}: {answer:?}");
        }
    }
    assert!(!stranger.is_signed_in().await);
    world.close().await;
}

#[tokio::test]
async fn a_mailbox_is_not_filled() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "open").await;
    let mut stranger = Browser::new(&world);
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(told(&stranger.post("/sign_up", json!({"email": "ann@example.com"})).await));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "nobody is told");
    // A letter to somebody else, asked for last, comes after all that were to come.
    stranger.post("/sign_up", json!({"email": "bob@example.com"})).await;
    crate::harness::eventually("bob's letter", || mailbox.count() >= 4).await;
    let letters = mailbox.letters(4).await;
    assert_eq!(letters.iter().filter(|letter| letter.to == "ann@example.com").count(), 3);
    world.close().await;
}

#[tokio::test]
async fn a_new_address_is_a_users_when_its_letter_came_back() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "open").await;
    let mut ann = signed_up(&world, &mailbox, "ann@example.com", "ann").await;
    let change = |email: &str, password: &str| json!({"email": email, "password": password});
    let wrong = ann.put("/account/email", change("ann@example.net", "a wrong password")).await;
    assert_problem(&wrong, 401, "wrong_credentials");
    assert_eq!(ann.put("/account/email", change("ann@example.net", PASSWORD)).await.status, 202);
    assert_eq!(ann.get("/account").await.json()["email"], "ann@example.com", "not yet");
    let letter = mailbox.letters(2).await.pop().unwrap();
    assert_eq!(letter.to, "ann@example.net");
    let verify: Value = json!({"token": letter.token()});
    assert_eq!(Browser::new(&world).post("/email_verification", verify.clone()).await.status, 204);
    assert_problem(&ann.post("/email_verification", verify).await, 410, "link_not_good");
    assert_eq!(ann.get("/account").await.json()["email"], "ann@example.net");
    world.close().await;
}

#[tokio::test]
async fn s14_no_link_and_no_password_is_in_the_log() {
    let mailbox = Mailbox::start().await;
    let world = world(&mailbox, "open").await;
    let mut ann = signed_up(&world, &mailbox, "ann@example.com", "ann").await;
    let token =
        ann.post("/account/tokens", json!({"name": "ci", "scopes": ["read"]})).await.json()["token"].clone();
    let link = mailbox.letters(1).await.pop().unwrap().token();
    let log = crate::harness::log();
    let cookie = &ann.cookies["sluice_session"];
    for secret in [PASSWORD, &link, cookie, token.as_str().unwrap(), &world.setup_token().unwrap()] {
        assert!(!log.contains(secret));
    }
    world.close().await;
}

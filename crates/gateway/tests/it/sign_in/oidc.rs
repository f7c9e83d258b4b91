//! Signing in at an OpenID provider: who is who is told by issuer and subject, and nothing unsigned is believed.

use serde_json::{Value, json};

use super::{
    browser::{Browser, INVITATIONS, PASSWORD, assert_problem},
    mailbox::Mailbox,
    provider::Provider,
};
use crate::{
    harness::{World, four},
    wire::Answer,
};

async fn world(provider: &Provider, more: &str) -> World {
    let config = provider.config(more);
    World::start(|sim| format!("{}{INVITATIONS}{config}", four(&sim.url()))).await
}

/// To the provider and back. Where it leads, without the address of the console.
async fn travel(browser: &mut Browser<'_>, provider: &Provider, claims: Value) -> String {
    let began = browser.post("/oidc/start", json!({})).await;
    assert_eq!(began.status, 201, "{began:?}");
    let (code, state) = provider.agree(began.json()["url"].as_str().unwrap(), claims);
    led(&browser.get(&format!("/oidc/callback?code={code}&state={state}")).await)
}

#[track_caller]
fn led(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.header("location").unwrap().strip_prefix("https://llm.example.com/").unwrap().to_owned()
}

#[tokio::test]
async fn whom_the_provider_vouches_for_becomes_a_user_and_is_the_same_one_later() {
    let provider = Provider::start().await;
    let world = world(&provider, "create_users = true\n").await;
    Browser::root(&world).await;
    let ann =
        json!({"sub": "7", "preferred_username": "ann", "email": "ann@example.com", "email_verified": true});
    let mut browser = Browser::new(&world);
    assert_eq!(travel(&mut browser, &provider, ann).await, "");
    let me = browser.get("/account").await.json();
    assert_eq!((&me["name"], &me["role"], &me["has_oidc"]), (&json!("ann"), &json!("user"), &json!(true)));
    // S16: another name and address at the provider, and still the same.
    let renamed =
        json!({"sub": "7", "preferred_username": "root", "email": "x@example.com", "email_verified": true});
    let mut again = Browser::new(&world);
    assert_eq!(travel(&mut again, &provider, renamed).await, "");
    assert_eq!(again.get("/account").await.json()["id"], me["id"]);
    // And the name of somebody else at the provider is nobody's here.
    let twin = json!({"sub": "8", "preferred_username": "root"});
    let mut other = Browser::new(&world);
    assert_eq!(travel(&mut other, &provider, twin).await, "");
    let other = other.get("/account").await.json();
    assert_ne!(other["name"], "root");
    assert_eq!(other["role"], "user");
    world.close().await;
}

#[tokio::test]
async fn strangers_stay_outside_unless_the_operator_wants_them() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    Browser::root(&world).await;
    let mut browser = Browser::new(&world);
    assert_eq!(travel(&mut browser, &provider, json!({})).await, "sign_in#error=unknown");
    assert!(!browser.is_signed_in().await);
    world.close().await;
}

#[tokio::test]
async fn s1_an_address_counts_only_when_both_sides_verified_it_and_never_for_an_admin() {
    let (provider, mailbox) = (Provider::start().await, Mailbox::start().await);
    let mail = mailbox.config().replace("[admin]\npublic_url = \"https://llm.example.com\"\n", "");
    let world = world(&provider, &format!("create_users = true\n{mail}")).await;
    let mut root = Browser::root(&world).await;
    // An admin with a verified address, a user with one.
    for (role, name) in [("admin", "adam"), ("user", "ann")] {
        let sent = mailbox.count();
        root.post("/invitations", json!({"role": role, "email": format!("{name}@example.com")})).await;
        let token = mailbox.letters(sent + 1).await.pop().unwrap().token();
        let come = json!({"token": token, "name": name, "password": PASSWORD});
        assert_eq!(Browser::new(&world).post("/sign_up/complete", come).await.status, 201);
    }
    let claims = |sub: &str, email: &str, verified: bool| json!({"sub": sub, "email": email, "email_verified": verified});
    let mut browser = Browser::new(&world);
    assert_eq!(
        travel(&mut browser, &provider, claims("1", "adam@example.com", true)).await,
        "sign_in#error=unknown"
    );
    assert!(!browser.is_signed_in().await);
    // Not verified there: a new user without an address, not ann.
    assert_eq!(travel(&mut browser, &provider, claims("2", "ann@example.com", false)).await, "");
    let new = browser.get("/account").await.json();
    assert_ne!(new["name"], "ann");
    assert_eq!(new["email"], Value::Null);
    let mut ann = Browser::new(&world);
    assert_eq!(travel(&mut ann, &provider, claims("3", "ann@example.com", true)).await, "");
    assert_eq!(ann.get("/account").await.json()["name"], "ann");
    world.close().await;
}

#[tokio::test]
async fn nothing_is_believed_that_is_not_signed_for_us_now() {
    let provider = Provider::start().await;
    let world = world(&provider, "create_users = true\n").await;
    Browser::root(&world).await;
    for lie in [
        json!({"forged": true}),
        json!({"nonce": "another"}),
        json!({"aud": "somebody-else"}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": 1_000_000}),
    ] {
        let mut browser = Browser::new(&world);
        assert_eq!(travel(&mut browser, &provider, lie.clone()).await, "sign_in#error=provider", "{lie}");
        assert!(!browser.is_signed_in().await);
    }
    world.close().await;
}

#[tokio::test]
async fn a_journey_that_another_browser_began_is_refused() {
    let provider = Provider::start().await;
    let world = world(&provider, "create_users = true\n").await;
    Browser::root(&world).await;
    let mut attacker = Browser::new(&world);
    let began = attacker.post("/oidc/start", json!({})).await.json();
    let (code, state) = provider.agree(began["url"].as_str().unwrap(), json!({}));
    let path = format!("/oidc/callback?code={code}&state={state}");
    let mut victim = Browser::new(&world);
    assert_eq!(led(&victim.get(&path).await), "sign_in#error=journey");
    victim.post("/oidc/start", json!({})).await;
    assert_eq!(led(&victim.get(&path).await), "sign_in#error=journey", "with one of his own, too");
    assert!(!victim.is_signed_in().await);
    // The state is not in the cookie to be read or made up.
    attacker.cookies.insert("sluice_oidc".to_owned(), "bm90IHNlYWxlZA".to_owned());
    assert_eq!(led(&attacker.get(&path).await), "sign_in#error=journey");
    world.close().await;
}

#[tokio::test]
async fn an_account_is_tied_by_who_is_signed_in_and_then_opened_by_the_provider() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let mut root = Browser::root(&world).await;
    let began = root.post("/account/oidc", json!({})).await;
    assert_eq!(began.status, 201, "{began:?}");
    let (code, state) = provider.agree(began.json()["url"].as_str().unwrap(), json!({"sub": "r"}));
    assert_eq!(led(&root.get(&format!("/oidc/callback?code={code}&state={state}")).await), "account");
    let mut browser = Browser::new(&world);
    assert_eq!(travel(&mut browser, &provider, json!({"sub": "r"})).await, "");
    assert_eq!(browser.get("/account").await.json()["name"], "root");
    // A second factor here is asked for, whatever the provider did.
    let offer = root.post("/account/totp", json!({"password": PASSWORD})).await.json();
    assert!(offer["secret"].is_string());
    let untie = json!({"password": PASSWORD});
    assert_eq!(root.ask("DELETE", "/account/oidc", Some(untie)).await.status, 204);
    assert_eq!(travel(&mut browser, &provider, json!({"sub": "r"})).await, "sign_in#error=unknown");
    world.close().await;
}

#[tokio::test]
async fn s16_the_provider_does_not_stand_in_for_the_second_factor() {
    let provider = Provider::start().await;
    let world = world(&provider, "create_users = true\n").await;
    let mut root = Browser::root(&world).await;
    let began = root.post("/account/oidc", json!({})).await.json();
    let (code, state) = provider.agree(began["url"].as_str().unwrap(), json!({"sub": "r"}));
    led(&root.get(&format!("/oidc/callback?code={code}&state={state}")).await);
    let codes = super::second_factor::enrolled(&mut root).await.1;
    let mut browser = Browser::new(&world);
    assert_problem(
        &browser.post("/session/second_factor", json!({"code": codes[0]})).await,
        401,
        "not_signed_in",
    );
    assert_eq!(travel(&mut browser, &provider, json!({"sub": "r"})).await, "sign_in#second_factor");
    assert!(!browser.is_signed_in().await);
    let wrong = browser.post("/session/second_factor", json!({"code": "000000"})).await;
    assert_problem(&wrong, 401, "wrong_credentials");
    assert_eq!(browser.post("/session/second_factor", json!({"code": codes[0]})).await.status, 201);
    assert!(browser.is_signed_in().await);
    world.close().await;
}

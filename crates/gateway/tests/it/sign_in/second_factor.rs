//! The second factor: confirmed before it counts, each code good once, recovery codes for a lost phone.

use gateway::{clock::unix_ms, totp};
use serde_json::{Value, json};

use super::browser::{Browser, INVITATIONS, PASSWORD, assert_problem};
use crate::harness::{World, four};

async fn world() -> World {
    World::start(|sim| format!("{}{INVITATIONS}", four(&sim.url()))).await
}

/// What an authenticator app reads.
fn secret(offer: &Value) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bits, mut held, mut bytes) = (0_u64, 0, Vec::new());
    for symbol in offer["secret"].as_str().unwrap().chars() {
        bits = bits << 5 | ALPHABET.find(symbol).unwrap() as u64;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

/// The code of the step so many steps from now.
fn code(secret: &[u8], steps: i64) -> String {
    totp::code_at(secret, unix_ms() / 30_000 + steps)
}

/// A second factor in force, and its recovery codes. The present step is used up.
pub async fn enrolled(browser: &mut Browser<'_>) -> (Vec<u8>, Vec<String>) {
    let offer = browser.post("/account/totp", json!({"password": PASSWORD})).await;
    assert_eq!(offer.status, 201, "{offer:?}");
    let secret = secret(&offer.json());
    assert!(offer.json()["url"].as_str().unwrap().starts_with("otpauth://totp/Sluice:root?secret="));
    let confirmed = browser.put("/account/totp", json!({"code": code(&secret, 0)})).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let codes = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

fn sign_in(code: &str) -> Value {
    json!({"name": "root", "password": PASSWORD, "code": code})
}

#[tokio::test]
async fn s16_with_a_second_factor_the_password_is_not_enough_and_no_code_is_good_twice() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    assert_problem(
        &root.post("/account/totp", json!({"password": "a wrong password"})).await,
        401,
        "wrong_credentials",
    );
    // On offer it does not count yet.
    root.post("/account/totp", json!({"password": PASSWORD})).await;
    let mut browser = Browser::new(&world);
    assert_eq!(browser.sign_in("root", PASSWORD).await.status, 201);

    let (secret, _) = enrolled(&mut root).await;
    assert_problem(&browser.sign_in("root", PASSWORD).await, 401, "second_factor_needed");
    assert_problem(&browser.sign_in("root", "a wrong password").await, 401, "wrong_credentials");
    let next = code(&secret, 1);
    assert_eq!(browser.post("/session", sign_in(&next)).await.status, 201);
    assert_problem(&browser.post("/session", sign_in(&next)).await, 401, "wrong_credentials");
    assert_problem(&browser.post("/session", sign_in(&code(&secret, 0))).await, 401, "wrong_credentials");
    // The secret is sealed at rest.
    let stored: Vec<u8> = world
        .app
        .database
        .read(|connection| {
            Ok(connection.query_row("SELECT totp FROM users WHERE name = 'root'", [], |row| row.get(0))?)
        })
        .unwrap();
    assert!(!stored.windows(secret.len()).any(|window| window == secret));
    world.close().await;
}

#[tokio::test]
async fn a_recovery_code_stands_in_once() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let (_, codes) = enrolled(&mut root).await;
    assert_eq!(codes.len(), 10);
    let mut browser = Browser::new(&world);
    assert_eq!(
        browser.post("/session", sign_in(&codes[0].to_lowercase().replace('-', " "))).await.status,
        201
    );
    assert_problem(&browser.post("/session", sign_in(&codes[0])).await, 401, "wrong_credentials");
    assert_eq!(browser.get("/account").await.json()["recovery_codes_left"], 9);
    // New ones take the place of all.
    let proof = json!({"password": PASSWORD, "code": codes[1]});
    let renewed = browser.post("/account/totp/recovery_codes", proof).await;
    assert_eq!(renewed.status, 201, "{renewed:?}");
    assert_problem(&browser.post("/session", sign_in(&codes[2])).await, 401, "wrong_credentials");
    world.close().await;
}

#[tokio::test]
async fn the_second_factor_goes_only_with_itself_or_by_somebody_above() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let (_, codes) = enrolled(&mut root).await;
    let without = json!({"password": PASSWORD});
    assert_problem(&root.ask("DELETE", "/account/totp", Some(without)).await, 401, "second_factor_needed");
    let mut admin = Browser::invited(&mut root, "adam", "admin").await;
    let id = root.get("/account").await.json()["id"].clone();
    assert_problem(&admin.delete(&format!("/users/{id}/second_factor")).await, 403, "not_allowed");
    assert_problem(&admin.post(&format!("/users/{id}/password_reset"), json!({})).await, 403, "not_allowed");
    let with = json!({"password": PASSWORD, "code": codes[0]});
    assert_eq!(root.ask("DELETE", "/account/totp", Some(with)).await.status, 204);
    assert_eq!(Browser::new(&world).sign_in("root", PASSWORD).await.status, 201);
    world.close().await;
}

#[tokio::test]
async fn codes_are_not_guessed() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    enrolled(&mut root).await;
    let mut guesser = Browser::new(&world);
    let mut last = 0;
    for guess in 0..6 {
        last = guesser.post("/session", sign_in(&format!("00000{guess}"))).await.status;
    }
    assert_eq!(last, 429, "with the right password, too");
    world.close().await;
}

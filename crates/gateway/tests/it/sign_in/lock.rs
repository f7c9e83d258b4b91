//! Who guesses has to wait; and nobody learns by it who is known here.

use std::time::Instant;

use serde_json::json;

use super::browser::{Browser, INVITATIONS, PASSWORD, assert_problem};
use crate::harness::{World, four};

async fn world() -> World {
    // Each test names the addresses that its browsers come from.
    let proxies = "[proxies]\ntrusted = [\"127.0.0.0/8\"]\n";
    World::start(|sim| format!("{}{INVITATIONS}{proxies}", four(&sim.url()))).await
}

fn from(browser: &mut Browser<'_>, address: &str) {
    browser.headers = vec![("x-forwarded-for".to_owned(), address.to_owned())];
}

#[tokio::test]
async fn s16_an_account_that_is_guessed_at_is_locked_whether_there_is_one_or_not() {
    let world = world().await;
    Browser::root(&world).await;
    let mut guesser = Browser::new(&world);
    let mut said = Vec::new();
    for name in ["root", "nobody"] {
        let mut answers = Vec::new();
        for guess in 0..6 {
            // From everywhere: it is the account that is locked.
            from(&mut guesser, &format!("192.0.2.{guess}"));
            let answer = guesser.sign_in(name, "a wrong password").await;
            let body = answer.json();
            answers.push((answer.status, body["code"].clone(), body["detail"].clone()));
        }
        assert_eq!(answers[4].0, 401);
        assert_eq!(answers[5].0, 429);
        said.push(answers);
    }
    assert_eq!(said[0], said[1], "the same for a name that nobody has");
    from(&mut guesser, "192.0.2.99");
    let answer = guesser.sign_in("root", PASSWORD).await;
    assert_problem(&answer, 429, "too_many");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    world.close().await;
}

#[tokio::test]
async fn s16_an_address_that_guesses_at_many_accounts_is_locked() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut guesser = Browser::new(&world);
    from(&mut guesser, "192.0.2.1");
    let mut last = 0;
    for guess in 0..40 {
        last = guesser.sign_in(&format!("user{guess}"), "a wrong password").await.status;
    }
    assert_eq!(last, 429);
    from(&mut guesser, "192.0.2.2");
    assert_eq!(guesser.sign_in("root", PASSWORD).await.status, 201, "another address");
    assert!(root.is_signed_in().await);
    // S9: whoever is no listed proxy cannot say that he is somebody else.
    world.close().await;
}

#[tokio::test]
async fn s9_an_address_is_not_what_the_caller_says_it_is() {
    let world = World::start(|sim| four(&sim.url())).await;
    let mut guesser = Browser::new(&world);
    let mut last = 0;
    for guess in 0..40 {
        from(&mut guesser, &format!("192.0.2.{guess}"));
        last = guesser.sign_in(&format!("user{guess}"), "a wrong password").await.status;
    }
    assert_eq!(last, 429);
    world.close().await;
}

#[tokio::test]
async fn the_right_password_forgives_the_slips_before_it() {
    let world = world().await;
    Browser::root(&world).await;
    let mut browser = Browser::new(&world);
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(browser.sign_in("root", "a wrong password").await.status, 401);
        }
        assert_eq!(browser.sign_in("root", PASSWORD).await.status, 201);
    }
    world.close().await;
}

#[tokio::test]
async fn a_password_that_is_asked_for_again_is_guessed_no_faster() {
    let world = world().await;
    let mut root = Browser::root(&world).await;
    let mut last = 0;
    for _ in 0..6 {
        let body = json!({"current": "a wrong password", "new": "another horse"});
        last = root.put("/account/password", body).await.status;
    }
    assert_eq!(last, 429);
    world.close().await;
}

#[tokio::test]
async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let world = world().await;
    Browser::root(&world).await;
    let mut browser = Browser::new(&world);
    // The first one works out the hash that nobody has.
    browser.sign_in("warm-up", "a wrong password").await;
    let mut least = [u128::MAX; 2];
    for round in 0..4 {
        for (at, name) in [(0, "root".to_owned()), (1, format!("nobody{round}"))] {
            from(&mut browser, &format!("192.0.2.{round}"));
            let began = Instant::now();
            assert_eq!(browser.sign_in(&name, "a wrong password").await.status, 401);
            least[at] = least[at].min(began.elapsed().as_micros());
        }
    }
    // Without the hash it would be some hundredth of it.
    assert!(least[1] * 3 > least[0], "{least:?}");
    world.close().await;
}

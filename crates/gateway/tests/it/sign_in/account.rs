//! An account whose owner no mail reaches: somebody above him makes a link.

use serde_json::json;

use super::browser::{Browser, INVITATIONS, PASSWORD, assert_problem};
use crate::harness::{World, four};

#[tokio::test]
async fn s10_an_admin_makes_a_link_for_who_is_below_him_and_nobody_else() {
    let world = World::start(|sim| format!("{}{INVITATIONS}", four(&sim.url()))).await;
    let mut root = Browser::root(&world).await;
    let mut admin = Browser::invited(&mut root, "adam", "admin").await;
    let mut ann = Browser::invited(&mut root, "ann", "user").await;
    let id = async |browser: &mut Browser<'_>| browser.get("/account").await.json()["id"].clone();
    let (root_id, admin_id, ann_id) = (id(&mut root).await, id(&mut admin).await, id(&mut ann).await);
    let link = |id: &serde_json::Value| format!("/users/{id}/password_reset");
    for (browser, id) in [(&mut admin, &root_id), (&mut ann, &root_id)] {
        assert_problem(&browser.post(&link(id), json!({})).await, 403, "not_allowed");
    }
    assert_problem(&admin.post(&link(&admin_id), json!({})).await, 403, "not_allowed");
    let made = admin.post(&link(&ann_id), json!({})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.json()["token"].clone();
    let mut stranger = Browser::new(&world);
    let reset = json!({"token": token, "password": "another horse"});
    assert_eq!(stranger.post("/password_reset/complete", reset).await.status, 204);
    assert!(!ann.is_signed_in().await);
    assert_eq!(ann.sign_in("ann", "another horse").await.status, 201);
    let trail = root.get("/audit?object=user").await.text();
    assert!(trail.contains("password_reset_link") && !trail.contains(token.as_str().unwrap()));
    world.close().await;
}

#[tokio::test]
async fn names_that_could_be_addresses_are_refused() {
    let world = World::start(|sim| format!("{}{INVITATIONS}", four(&sim.url()))).await;
    let mut root = Browser::root(&world).await;
    let token = root.post("/invitations", json!({})).await.json()["token"].clone();
    let mut browser = Browser::new(&world);
    for name in ["root@example.com", "", " ", "a\nb", &"x".repeat(65)] {
        let answer = browser
            .post("/sign_up/complete", json!({"token": token, "name": name, "password": PASSWORD}))
            .await;
        assert_problem(&answer, 400, "bad_input");
        assert_eq!(answer.json()["errors"][0]["field"], "name");
    }
    let taken = json!({"token": token, "name": "root", "password": PASSWORD});
    assert_problem(&browser.post("/sign_up/complete", taken).await, 409, "taken");
    world.close().await;
}

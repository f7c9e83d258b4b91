//! Users, groups, roles.

use serde_json::json;

use super::local::{Operator, operated};

async fn user(operator: &mut Operator, name: &str, role: &str) -> i64 {
    let made = operator.good("POST", "/api/v1/users", Some(json!({"name": name, "role": role}))).await;
    made["id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_user_is_made_changed_and_removed_and_the_trail_says_so() {
    let (world, mut operator) = operated("users", "").await;
    let id = user(&mut operator, "ann", "user").await;
    let path = format!("/api/v1/users/{id}");
    let limited = json!({"requests_per_minute": 5, "max_in_flight": 2, "email": "ann@mail.test"});
    let changed = operator.good("PATCH", &path, Some(limited)).await;
    assert_eq!((&changed["requests_per_minute"], &changed["max_in_flight"]), (&json!(5), &json!(2)));
    // What is not named stays, null takes away, and an empty change changes nothing.
    let changed = operator.good("PATCH", &path, Some(json!({"max_in_flight": null}))).await;
    assert_eq!((&changed["requests_per_minute"], &changed["max_in_flight"]), (&json!(5), &json!(null)));
    operator.good("PATCH", &path, Some(json!({}))).await;
    let listed = operator.good("GET", "/api/v1/users?search=ANN", None).await;
    assert_eq!((&listed["total"], &listed["items"][0]["email"]), (&json!(1), &json!("ann@mail.test")));

    let taken = operator.refused("POST", "/api/v1/users", Some(json!({"name": "ann"})), 409, "taken").await;
    assert_eq!(taken["errors"][0]["field"], "name");
    assert!(!taken.to_string().contains("UNIQUE"), "{taken}");
    let same = json!({"name": "bob", "email": "ANN@mail.test"});
    let taken = operator.refused("POST", "/api/v1/users", Some(same), 409, "taken").await;
    assert_eq!(taken["errors"][0]["field"], "email");
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "config"}), "name"),
        (json!({"name": "bob", "role": "king"}), "role"),
        (json!({"name": "bob", "email": "nobody"}), "email"),
        (json!({"name": "bob", "group_id": 99}), "group_id"),
        (json!({"name": "bob", "requests_per_minute": 0}), "requests_per_minute"),
        (json!({"name": "bob", "requests_per_minute": -1}), "requests_per_minute"),
        (json!({"name": "bob", "pasword": "x"}), "pasword"),
    ] {
        let problem = operator.refused("POST", "/api/v1/users", Some(body.clone()), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    let listed = operator.good("GET", "/api/v1/users", None).await;
    assert_eq!(listed["total"], 1, "nothing half-written");

    let gone = operator.ask("DELETE", &path, None).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    operator.refused("DELETE", &path, None, 404, "not_found").await;
    operator.refused("GET", &path, None, 404, "not_found").await;
    user(&mut operator, "ann", "user").await;

    let trail = operator.good("GET", &format!("/api/v1/audit?object=user&object_id={id}"), None).await;
    let rows = trail["items"].as_array().unwrap();
    let actions: Vec<&str> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["delete", "update", "update", "create"]);
    assert_eq!(rows[1]["before"]["max_in_flight"], 2);
    assert_eq!(rows[1]["after"]["max_in_flight"], json!(null));
    assert_eq!(
        (&rows[0]["after"], &rows[3]["before"], &rows[0]["via"]),
        (&json!(null), &json!(null), &json!("local"))
    );
    world.close().await;
}

#[tokio::test]
async fn somebody_is_always_root_and_a_removed_user_takes_his_keys_along() {
    let (world, mut operator) = operated("roots", "").await;
    let root = user(&mut operator, "rosa", "root").await;
    let path = format!("/api/v1/users/{root}");
    for body in [json!({"role": "admin"}), json!({"status": "disabled"})] {
        operator.refused("PATCH", &path, Some(body), 409, "conflict").await;
    }
    operator.refused("DELETE", &path, None, 409, "conflict").await;
    user(&mut operator, "ruth", "root").await;
    let key = json!({"name": "k", "user_id": root});
    let secret =
        operator.good("POST", "/api/v1/keys", Some(key)).await["secret"].as_str().unwrap().to_owned();
    assert!(world.app.catalog.load().key(&secret).is_some());
    operator.good("DELETE", &path, None).await;
    assert!(world.app.catalog.load().key(&secret).is_none());
    world.close().await;
}

#[tokio::test]
async fn groups_have_users_or_can_be_removed() {
    let (world, mut operator) = operated("groups", "").await;
    let group = json!({"name": "vip", "factor": "0.8", "models": ["gpt-*"], "channels": ["one"]});
    let made = operator.good("POST", "/api/v1/groups", Some(group)).await;
    assert_eq!((&made["factor"], &made["models"]), (&json!("0.8"), &json!(["gpt-*"])));
    let path = format!("/api/v1/groups/{}", made["id"]);
    let ann = json!({"name": "ann", "group_id": made["id"]});
    let ann = operator.good("POST", "/api/v1/users", Some(ann)).await;
    assert_eq!(ann["group"], "vip");
    operator.refused("DELETE", &path, None, 409, "conflict").await;
    for (body, field) in [(json!({"factor": "-1"}), "factor"), (json!({"models": ["a*b"]}), "models[0]")] {
        let problem = operator.refused("PATCH", &path, Some(body), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let changed = operator.good("PATCH", &path, Some(json!({"models": []}))).await;
    assert_eq!(
        (&changed["models"], &changed["channels"], &changed["users"]),
        (&json!([]), &json!(["one"]), &json!(1))
    );
    operator.good("DELETE", &format!("/api/v1/users/{}", ann["id"]), None).await;
    operator.good("DELETE", &path, None).await;
    operator.refused("DELETE", "/api/v1/groups/1", None, 409, "conflict").await;
    operator.refused("PATCH", "/api/v1/groups/1", Some(json!({"name": "other"})), 409, "conflict").await;
    world.close().await;
}

#[tokio::test]
async fn pages_neither_repeat_nor_hide() {
    let (world, mut operator) = operated("pages", "").await;
    for at in 0..7 {
        user(&mut operator, &format!("user-{at}"), "user").await;
    }
    let (mut seen, mut path) = (Vec::new(), "/api/v1/users?limit=3".to_owned());
    loop {
        let page = operator.good("GET", &path, None).await;
        let names =
            page["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned());
        seen.extend(names);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/users?limit=3&cursor={next}");
        // One that comes meanwhile is before the first page.
        if seen.len() == 3 {
            user(&mut operator, "late", "user").await;
        }
    }
    assert_eq!(seen, ["user-6", "user-5", "user-4", "user-3", "user-2", "user-1", "user-0"]);
    world.close().await;
}

//! Aliases that the database keeps.

use serde_json::{Value, json};
use upstream_sim::Sim;

use crate::{
    admin::local::operated_with,
    harness::{CHAT, World, channel, get, post},
    wire::Answer,
};

async fn ask(world: &World, model: &str) -> Answer {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    world.ask(&post(CHAT, body.to_string())).await
}

fn file(sim: &Sim) -> String {
    channel("first", "openai_chat", &sim.url(), "a")
        + &channel("second", "openai_chat", &sim.url(), "b")
        + "[[alias]]\nname = \"filed\"\nmodels = [\"a\"]\n"
}

#[tokio::test]
async fn an_alias_stands_for_its_models_as_soon_as_it_is_made_and_no_longer_than_it_is_there() {
    let sim = Sim::start().await;
    let text = file(&sim);
    let (world, mut operator) = operated_with(sim, "aliases", &text);
    assert_eq!(ask(&world, "fast").await.status, 404);
    let body = json!({"name": "fast", "models": ["gone", "a"]});
    let made = operator.good("POST", "/api/v1/aliases", Some(body)).await;
    assert_eq!((&made["name"], &made["models"]), (&json!("fast"), &json!(["gone", "a"])));
    let path = format!("/api/v1/aliases/{}", made["id"]);
    assert_eq!(ask(&world, "fast").await.header("x-sluice-model"), Some("a"));
    let names = world.ask(&get("/v1/models")).await.json();
    let names: Vec<&Value> = names["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(names, ["a", "b", "fast", "filed"]);

    let changed = operator.good("PATCH", &path, Some(json!({"models": ["b"]}))).await;
    assert_eq!((&changed["name"], &changed["models"]), (&json!("fast"), &json!(["b"])));
    assert_eq!(ask(&world, "fast").await.header("x-sluice-model"), Some("b"));
    operator.good("PATCH", &path, Some(json!({"name": "quick"}))).await;
    assert_eq!(ask(&world, "fast").await.status, 404);
    assert_eq!(ask(&world, "quick").await.status, 200);
    assert_eq!(operator.good("GET", &path, None).await["models"], json!(["b"]));
    operator.good("DELETE", &path, None).await;
    assert_eq!(ask(&world, "quick").await.status, 404);
    operator.refused("GET", &path, None, 404, "not_found").await;

    let trail = operator.good("GET", "/api/v1/audit?object=alias", None).await;
    let actions: Vec<&Value> = trail["items"].as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(actions, ["delete", "update", "update", "create"]);
    assert_eq!(trail["items"][2]["before"]["models"], json!(["gone", "a"]), "{trail}");
    world.close().await;
}

#[tokio::test]
async fn one_of_the_file_stands_back_and_comes_again() {
    let sim = Sim::start().await;
    let text = file(&sim);
    let (world, mut operator) = operated_with(sim, "filed-aliases", &text);
    assert_eq!(ask(&world, "filed").await.header("x-sluice-model"), Some("a"));
    let body = json!({"name": "filed", "models": ["b"]});
    let made = operator.good("POST", "/api/v1/aliases", Some(body.clone())).await;
    assert_eq!(ask(&world, "filed").await.header("x-sluice-model"), Some("b"));
    operator.refused("POST", "/api/v1/aliases", Some(body), 409, "taken").await;
    let found = operator.good("GET", "/api/v1/aliases?name=filed", None).await;
    assert_eq!((&found["total"], &found["items"][0]["id"]), (&json!(1), &made["id"]));
    operator.good("DELETE", &format!("/api/v1/aliases/{}", made["id"]), None).await;
    assert_eq!(ask(&world, "filed").await.header("x-sluice-model"), Some("a"));
    world.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_one_is_told_by_its_field() {
    let (world, mut operator) = operated_with(Sim::start().await, "wrong-aliases", "");
    let many: Vec<String> = (0..21).map(|number| format!("m{number}")).collect();
    for (body, field) in [
        (json!({"models": ["a"]}), "name"),
        (json!({"name": "x"}), "models"),
        (json!({"name": "x*", "models": ["a"]}), "name"),
        (json!({"name": "x", "models": []}), "models"),
        (json!({"name": "x", "models": ["a*"]}), "models[0]"),
        (json!({"name": "x", "models": ["a", "a"]}), "models[1]"),
        (json!({"name": "x", "models": many}), "models"),
    ] {
        let problem = operator.refused("POST", "/api/v1/aliases", Some(body.clone()), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    let made = json!({"name": "x", "models": ["a"]});
    let made = operator.good("POST", "/api/v1/aliases", Some(made)).await;
    let path = format!("/api/v1/aliases/{}", made["id"]);
    let problem = operator.refused("PATCH", &path, Some(json!({"models": ["b c"]})), 400, "bad_input").await;
    assert_eq!(problem["errors"][0]["field"], "models[0]");
    assert_eq!(operator.good("GET", &path, None).await, made, "nothing of it was taken");
    world.close().await;
}

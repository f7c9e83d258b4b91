//! What programs poll with a caller's key: balance, limit and what was spent, as numbers.

use serde_json::{Value, json};
use upstream_sim::Sim;

use super::local::operated_with;
use crate::{
    harness::{CHAT, World, four},
    wire::Request,
};

const PRICED: &str = "[[price]]\nmodel = \"sim\"\ninput = 1000\noutput = 1000\n";

async fn poll(world: &World, path: &str, secret: &str) -> Value {
    let request = Request::new("GET", path).header("authorization", format!("Bearer {secret}"));
    let answer = world.ask(&request).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn limits_balances_and_what_was_spent_add_up() {
    let sim = Sim::start().await;
    let text = format!("{PRICED}{}", four(&sim.url()));
    let (world, mut operator) = operated_with(sim, "polls", &text);
    let ann = operator.good("POST", "/api/v1/users", Some(json!({"name": "ann"}))).await["id"].clone();
    let pay = json!({"amount": "20", "reason": "cash"});
    operator.good("POST", &format!("/api/v1/accounts/{ann}/top-up"), Some(pay)).await;
    let key = json!({"name": "k", "user_id": ann});
    let made = operator.good("POST", "/api/v1/keys", Some(key)).await;
    let (secret, path) =
        (made["secret"].as_str().unwrap().to_owned(), format!("/api/v1/keys/{}", made["id"]));

    let before = poll(&world, "/v1/dashboard/billing/subscription", &secret).await;
    assert_eq!(
        (&before["object"], &before["hard_limit_usd"]),
        (&json!("billing_subscription"), &json!(20.0))
    );
    assert_eq!(before["access_until"], 0);
    let chat = Request::new("POST", CHAT)
        .header("authorization", format!("Bearer {secret}"))
        .header("content-type", "application/json")
        .body(r#"{"model":"sim","messages":[],"max_tokens":100}"#);
    let answer = world.ask(&chat).await;
    assert_eq!(answer.status, 200);
    // Its line is written when it stands in the books.
    world.settlement(&answer).await;

    let spent = |value: &Value| value["total_usage"].as_f64().unwrap() / 100.0;
    for prefix in ["", "/v1"] {
        let limit = poll(&world, &format!("{prefix}/dashboard/billing/subscription"), &secret).await;
        let usage = poll(&world, &format!("{prefix}/dashboard/billing/usage?start_date=x"), &secret).await;
        assert!(spent(&usage) > 0.0, "{usage}");
        assert_eq!(limit["hard_limit_usd"], 20.0, "what was used and what is left are what there was");
    }
    let account = operator.good("GET", &format!("/api/v1/accounts/{ann}"), None).await;
    let usage = poll(&world, "/v1/dashboard/billing/usage", &secret).await;
    assert_eq!(account["spent"].as_str().unwrap().parse::<f64>().unwrap(), spent(&usage));

    // What is given back of a request counts as not spent, in the books and in memory; and never more than it was charged.
    let entries =
        operator.good("GET", &format!("/api/v1/accounts/{ann}/entries?kind=settlement"), None).await;
    let request = &entries["items"][0]["request_id"];
    let charged = entries["items"][0]["amount"].as_str().unwrap().trim_start_matches('-');
    let refund = format!("/api/v1/accounts/{ann}/refund");
    let back = |amount: &str, id: &str| json!({"amount": amount, "reason": "an outage", "operation_id": id, "request_id": request});
    let more = operator.refused("POST", &refund, Some(back("19", "1")), 400, "bad_input").await;
    assert_eq!(more["errors"][0]["field"], "amount");
    let done = operator.good("POST", &refund, Some(back(charged, "2"))).await;
    assert_eq!((&done["balance"], &done["repeated"]), (&json!("20"), &json!(false)));
    let again = operator.good("POST", &refund, Some(back(charged, "2"))).await;
    assert_eq!((&again["balance"], &again["repeated"]), (&json!("20"), &json!(true)));
    operator.refused("POST", &refund, Some(back("0.01", "3")), 400, "bad_input").await;
    let of_none = json!({"amount": "0.01", "reason": "an outage", "operation_id": "4"});
    let more = operator.refused("POST", &refund, Some(of_none), 400, "bad_input").await;
    assert_eq!(more["errors"][0]["field"], "amount", "all that was charged is given back");
    let usage = poll(&world, "/v1/dashboard/billing/usage", &secret).await;
    assert_eq!(spent(&usage), 0.0);
    let row = operator.good("GET", &path, None).await;
    assert_eq!(row["spent"], "0");
    let books = store::report::books(&mut store::database::reader(&operator.file).unwrap()).unwrap();
    assert_eq!(books.violations, Vec::<String>::new());

    // A limit of its own is what counts when it is less.
    operator.good("PATCH", &path, Some(json!({"spend_limit": "5", "models": ["sim"]}))).await;
    let limit = poll(&world, "/v1/dashboard/billing/subscription", &secret).await;
    assert_eq!(limit["hard_limit_usd"], 5.0);
    let token = poll(&world, "/api/usage/token/", &secret).await;
    let data = &token["data"];
    assert_eq!(
        (&token["code"], &data["object"], &data["unlimited_quota"]),
        (&json!(true), &json!("token_usage"), &json!(false))
    );
    assert_eq!((&data["total_granted"], &data["model_limits"]), (&json!(2_500_000), &json!({"sim": true})));
    let sum = data["total_used"].as_i64().unwrap() + data["total_available"].as_i64().unwrap();
    assert_eq!(sum, 2_500_000);

    let free = poll(&world, "/v1/dashboard/billing/subscription", crate::harness::KEY).await;
    assert_eq!(free["hard_limit_usd"], 100_000_000.0, "no limit at all");
    let status = poll(&world, "/api/status", &secret).await;
    assert_eq!((&status["success"], &status["data"]["quota_per_unit"]), (&json!(true), &json!(500_000)));
    let stranger =
        Request::new("GET", "/v1/dashboard/billing/usage").header("authorization", "Bearer sk-nobody");
    let answer = world.ask(&stranger).await;
    assert_eq!(answer.status, 401);
    assert!(answer.json()["error"]["message"].is_string());
    world.close().await;
}

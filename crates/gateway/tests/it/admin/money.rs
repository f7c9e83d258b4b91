//! Prices, codes and amounts that are moved by hand.

use serde_json::{Value, json};
use store::report;

use super::local::{Operator, operated};
use crate::{harness::CHAT, wire::Request};

async fn user(operator: &mut Operator, name: &str) -> Value {
    operator.good("POST", "/api/v1/users", Some(json!({"name": name}))).await["id"].clone()
}

fn balanced(operator: &Operator) {
    let books = report::books(&mut store::database::reader(&operator.file).unwrap()).unwrap();
    assert_eq!(books.violations, Vec::<String>::new());
}

#[tokio::test]
async fn an_amount_is_moved_once_for_each_operation() {
    let (world, mut operator) = operated("amounts", "").await;
    let ann = user(&mut operator, "ann").await;
    let bob = user(&mut operator, "bob").await;
    let path = |user: &Value, verb: &str| format!("/api/v1/accounts/{user}/{verb}");
    let pay = json!({"amount": "12.50", "reason": "invoice 7", "operation_id": "7"});
    let paid = operator.good("POST", &path(&ann, "top-up"), Some(pay.clone())).await;
    assert_eq!((&paid["balance"], &paid["repeated"]), (&json!("12.5"), &json!(false)));
    let again = operator.good("POST", &path(&ann, "top-up"), Some(pay.clone())).await;
    assert_eq!(
        (&again["balance"], &again["repeated"], &again["entry_id"]),
        (&json!("12.5"), &json!(true), &paid["entry_id"])
    );
    let header = Request::new("POST", path(&ann, "top-up"))
        .header("connection", "close")
        .header("idempotency-key", "7")
        .header("content-type", "application/json")
        .body(r#"{"amount": "12.50", "reason": "invoice 7"}"#);
    assert_eq!(operator.send(&header).await.json()["repeated"], true, "the header says the same");
    operator.refused("POST", &path(&bob, "top-up"), Some(pay), 409, "conflict").await;
    let more = json!({"amount": "13", "reason": "invoice 7", "operation_id": "7"});
    operator.refused("POST", &path(&ann, "top-up"), Some(more), 409, "conflict").await;
    operator.good("POST", &path(&ann, "adjust"), Some(json!({"amount": "-2", "reason": "a slip"}))).await;
    for (verb, body, field) in [
        ("top-up", json!({"amount": "-1", "reason": "x"}), "amount"),
        ("refund", json!({"amount": "0", "reason": "x"}), "amount"),
        // Nothing was charged that could be given back.
        ("refund", json!({"amount": 1, "reason": "an outage"}), "amount"),
        ("adjust", json!({"amount": "0", "reason": "x"}), "amount"),
        ("adjust", json!({"amount": "1e3", "reason": "x"}), "amount"),
        ("adjust", json!({"amount": "1", "reason": " "}), "reason"),
        ("adjust", json!({"amount": "1"}), "reason"),
    ] {
        let problem = operator.refused("POST", &path(&ann, verb), Some(body), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    operator
        .refused(
            "POST",
            &path(&json!(99), "top-up"),
            Some(json!({"amount": 1, "reason": "x"})),
            404,
            "not_found",
        )
        .await;
    let account = operator.good("GET", &format!("/api/v1/accounts/{ann}"), None).await;
    assert_eq!((&account["balance"], &account["spent"]), (&json!("10.5"), &json!("0")));
    let entries = operator.good("GET", &path(&ann, "entries"), None).await;
    let kinds: Vec<&str> =
        entries["items"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["adjustment", "top_up"]);
    balanced(&operator);
    world.close().await;
}

#[tokio::test]
async fn a_change_that_could_not_come_into_force_does_a_moment_later() {
    let (world, mut operator) = operated("later", "").await;
    let ann = user(&mut operator, "ann").await;
    let made = operator.good("POST", "/api/v1/keys", Some(json!({"name": "k", "user_id": ann}))).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    let chat = Request::new("POST", CHAT)
        .header("authorization", format!("Bearer {secret}"))
        .header("content-type", "application/json")
        .body(r#"{"model":"sim","messages":[]}"#);
    let before = world.ask(&chat).await.status;
    // A table that cannot be read: the change itself does not need it.
    let raw = rusqlite::Connection::open(&operator.file).unwrap();
    raw.execute_batch("ALTER TABLE prices RENAME TO away").unwrap();
    let disable = Some(json!({"status": "disabled"}));
    operator.good("PATCH", &format!("/api/v1/keys/{}", made["id"]), disable).await;
    assert_eq!(world.ask(&chat).await.status, before, "not in force yet");
    raw.execute_batch("ALTER TABLE away RENAME TO prices").unwrap();
    let in_force = async { while world.ask(&chat).await.status == before {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), in_force).await.unwrap();
    world.close().await;
}

#[tokio::test]
async fn codes_are_shown_once_and_voided_for_good() {
    let (world, mut operator) = operated("codes", "").await;
    let batch = json!({"batch": "spring", "value": "5", "count": 3});
    let made = operator.good("POST", "/api/v1/codes", Some(batch.clone())).await;
    let codes = made["codes"].as_array().unwrap();
    assert_eq!(codes.len(), 3);
    let listed = operator.good("GET", "/api/v1/codes?batch=spring", None).await;
    for code in codes {
        let code = code.as_str().unwrap();
        assert_eq!(code.len(), 27);
        assert!(!listed.to_string().contains(code));
    }
    operator.refused("POST", "/api/v1/codes", Some(batch), 409, "taken").await;
    for (body, field) in [
        (json!({"batch": "x", "value": "0", "count": 1}), "value"),
        (json!({"batch": "x", "value": "1", "count": 0}), "count"),
        (json!({"batch": "x", "value": "1", "count": 1001}), "count"),
        (json!({"batch": "x", "value": "1", "count": 1, "expires_ms": 5}), "expires_ms"),
        (json!({"value": "1", "count": 1}), "batch"),
    ] {
        let problem = operator.refused("POST", "/api/v1/codes", Some(body), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let one = &listed["items"][0]["id"];
    assert_eq!(operator.good("POST", &format!("/api/v1/codes/{one}/void"), None).await["status"], "void");
    let rest = operator.good("POST", "/api/v1/codes/void", Some(json!({"batch": "spring"}))).await;
    assert_eq!(rest["voided"], 2);
    let unknown = Some(json!({"batch": "sprng"}));
    operator.refused("POST", "/api/v1/codes/void", unknown, 404, "not_found").await;
    // The operator at the machine has no account.
    let code = json!({"code": codes[0]});
    operator.refused("POST", "/api/v1/codes/redeem", Some(code), 403, "not_allowed").await;
    world.close().await;
}

#[tokio::test]
async fn prices_are_read_as_the_file_reads_them_and_tell_their_ratio() {
    let (world, mut operator) = operated("prices", "").await;
    let price = json!({"model": "mine", "input": "2.5", "output": "10", "cache_read": "0.25"});
    let set = operator.good("POST", "/api/v1/prices", Some(price)).await;
    assert_eq!((&set["ratio"]["model"], &set["ratio"]["completion"]), (&json!("1.25"), &json!("4")));
    assert_eq!((&set["source"], &set["rates"]["cache_read"]), (&json!("admin"), &json!("0.25")));
    for (body, field) in [
        (json!({"input": "1", "output": "1"}), "model"),
        (json!({"model": "m", "output": "1"}), "input"),
        (json!({"model": "m", "input": "-1", "output": "1"}), "input"),
        (json!({"model": "m", "input": "1", "output": "1", "colour": 1}), "colour"),
        (json!({"model": "m", "input": "1", "output": "1", "valid_from_ms": "now"}), "valid_from_ms"),
    ] {
        let problem = operator.refused("POST", "/api/v1/prices", Some(body), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let at = json!({"model": "mine", "input": "1", "output": "1", "valid_from_ms": set["valid_from_ms"]});
    let taken = operator.refused("POST", "/api/v1/prices", Some(at), 409, "taken").await;
    assert_eq!(taken["errors"][0]["field"], "model");
    let mine = operator.good("GET", "/api/v1/prices/in-force?model=mine", None).await;
    assert_eq!(mine["rates"]["output"], "10", "in force at once");
    let known = operator.good("GET", "/api/v1/prices/in-force?model=gpt-4o", None).await;
    assert!(known["rates"]["input"].is_string(), "{known}");
    let none = operator.good("GET", "/api/v1/prices/in-force?model=nobody-has-it", None).await;
    assert_eq!(none["rates"], json!(null), "never made up");

    let list = "model\tinput\toutput\nlisted-a\t1\t2\nlisted-b\t3\t4\n";
    let taken = operator.good("POST", "/api/v1/prices/list", Some(json!({"table": list}))).await;
    assert_eq!((&taken["changed"], &taken["unchanged"]), (&json!(2), &json!(0)));
    let newer = "model\tinput\toutput\nlisted-a\t1\t2\nlisted-b\t3\t5\n";
    let taken = operator.good("POST", "/api/v1/prices/list", Some(json!({"table": newer}))).await;
    assert_eq!((&taken["changed"], &taken["unchanged"]), (&json!(1), &json!(1)));
    let broken = "model\tinput\toutput\nlisted-c\t1\t2\nlisted-d\tx\t4\n";
    let problem = operator
        .refused("POST", "/api/v1/prices/list", Some(json!({"table": broken})), 400, "bad_input")
        .await;
    assert_eq!(problem["errors"][0]["field"], "table, line 3, input");
    assert_eq!(
        operator.good("GET", "/api/v1/prices?search=listed-c", None).await["total"],
        0,
        "all or nothing"
    );
    operator.good("DELETE", &format!("/api/v1/prices/{}", set["id"]), None).await;
    world.close().await;
}

#[tokio::test]
async fn settings_are_known_ones_and_all_or_none_of_a_change_is_made() {
    let (world, mut operator) = operated("settings", "").await;
    let change = json!({"system_name": "Ours", "server_address": "https://ai.test"});
    let changed = operator.good("PATCH", "/api/v1/settings", Some(change)).await;
    let setting = |settings: &Value, name: &str| {
        settings.as_array().unwrap().iter().find(|setting| setting["name"] == name).unwrap().clone()
    };
    assert_eq!(setting(&changed, "system_name")["value"], "Ours");
    for (body, field) in [
        (json!({"system_name": "Other", "nonsense": "x"}), "nonsense"),
        (json!({"system_name": "Other", "top_up_link": "javascript:x"}), "top_up_link"),
        (json!({"system_name": 5}), "system_name"),
    ] {
        let problem = operator.refused("PATCH", "/api/v1/settings", Some(body), 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let back = operator.good("PATCH", "/api/v1/settings", Some(json!({"server_address": null}))).await;
    assert_eq!(
        (&setting(&back, "system_name")["value"], &setting(&back, "server_address")["changed"]),
        (&json!("Ours"), &json!(false))
    );
    world.close().await;
}

//! The request log and the sums of usage, as the API and the command line tell them.

use gateway::wanted::Wanted;

use super::local::operated;
use crate::harness::{eventually, plain};

#[tokio::test]
async fn requests_are_listed_filtered_paged_and_summed() {
    let (world, mut operator) = operated("requests", "").await;
    // Nobody serves the model: refused, and in the log of the key.
    for _ in 0..5 {
        assert_eq!(world.ask(&plain("openai_chat")).await.status, 404);
    }
    world.settlements(5).await;
    let (mut ids, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/requests?limit=2&ending=errors&status=4xx&key=app&since=1h{next}");
        let page = operator.good("GET", &path, None).await;
        for row in page["items"].as_array().unwrap() {
            assert_eq!((&row["ending"], &row["status"]), (&"refused".into(), &404.into()), "{row}");
            ids.push(row["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    let one = operator.good("GET", &format!("/api/v1/requests/{}", ids[0]), None).await;
    assert_eq!(
        (&one["id"], &one["key"], &one["charge"]),
        (&ids[0].clone().into(), &"app".into(), &"0".into())
    );
    let none = operator.good("GET", "/api/v1/requests?ending=completed", None).await;
    assert_eq!((none["items"].as_array().unwrap().len(), &none["next"]), (0, &serde_json::Value::Null));
    let nobody = operator.good("GET", "/api/v1/requests?user=nobody", None).await;
    assert_eq!(nobody["items"].as_array().unwrap().len(), 0);
    let usage = operator.good("GET", "/api/v1/usage?by=day,key&since=24h", None).await;
    assert_eq!((&usage["total"]["requests"], &usage["total"]["failed"]), (&5.into(), &5.into()), "{usage}");
    assert_eq!(usage["groups"][0]["key"], "app");

    for (path, field) in [
        ("/api/v1/requests?status=4x", "status"),
        ("/api/v1/requests?ending=cutt", "ending"),
        ("/api/v1/requests?since=yesterday", "since"),
        ("/api/v1/usage?by=colour", "by"),
    ] {
        let problem = operator.refused("GET", path, None, 400, "bad_input").await;
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    operator.refused("GET", "/api/v1/requests/nonsense", None, 404, "not_found").await;
    world.close().await;
}

#[tokio::test]
async fn what_retention_removed_is_said_to_be_removed() {
    let (world, mut operator) = operated("removed", "").await;
    let answer = world.ask(&plain("openai_chat")).await;
    world.settlements(1).await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    let later = i64::MAX >> 20;
    eventually("it is in the books, and then not any more", || {
        store::retention::remove(&world.app.database, later, 10).unwrap() == 1
    })
    .await;
    operator.refused("GET", &format!("/api/v1/requests/{id}"), None, 410, "removed").await;
    let mut out = Vec::new();
    let note = gateway::requests::requests(&operator.file, false, None, Wanted::default(), &mut out).unwrap();
    assert!(out.is_empty() && note.is_some_and(|note| note.contains("retention")));
    world.close().await;
}

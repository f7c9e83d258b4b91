//! Stopping in order: readiness, new work, running work, the rest.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    harness::{
        DIALECTS, GEMINI_ARRAY, World, assert_error, error_event, events, eventually, four, plain, post,
        stream,
    },
    wire::{End, Request, contains},
};

#[tokio::test]
async fn streams_run_on_while_new_work_is_refused() {
    let mut world = World::start(|sim| {
        format!("[shutdown]\ndrain = \"10s\"\n{}", four(&sim.scripted("every=150,events=12")))
    })
    .await;
    let mut running = Vec::new();
    for dialect in DIALECTS {
        let mut client = world.client().await;
        client.send(&stream(dialect).bytes()).await;
        client.until(|body| !body.is_empty()).await;
        running.push((dialect, client));
    }
    let mut idle = world.client().await;
    assert_eq!(idle.ask(&Request::new("GET", "/readyz")).await.text(), "yes\n");
    let mut plain_one = world.client().await;
    plain_one.send(&plain("openai_chat").bytes()).await;
    world.sim.wait_until(|log| log.len() == 5).await;

    let stopped = world.stop();
    assert_eq!(idle.closed().await, End::Fin, "an idle connection is closed");
    for dialect in DIALECTS {
        let refused = world.ask(&plain(dialect)).await;
        assert_eq!(refused.status, 503, "{dialect}: {refused:?}");
        assert_error(dialect, &refused.json(), 503);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(world.settlement(&refused).await["ending"], "rejected");
    }
    let answer = world.ask(&Request::new("GET", "/readyz")).await;
    assert_eq!((answer.status, &*answer.text()), (503, "no\n"));
    assert_eq!(world.ask(&Request::new("GET", "/healthz")).await.status, 200);
    let health = world.ask(&Request::new("GET", "/api/monitor/health")).await.json();
    assert_eq!(health["status"], "stopping");

    for (dialect, mut client) in running {
        let answer = client.answer().await;
        assert_eq!(answer.end, End::Whole, "{dialect}: {answer:?}");
        let told = events(&answer.body);
        assert!(!told.iter().any(|event| error_event(dialect, event).is_some()), "{dialect}: {answer:?}");
        assert_eq!(world.settlement(&answer).await["ending"], "completed", "{dialect}");
        client.closed().await;
    }
    assert_eq!(plain_one.answer().await.status, 200);
    timeout(Duration::from_secs(2), stopped).await.expect("it does not end by itself").unwrap();
    assert_eq!(world.sim.log().len(), 5, "nothing new reached an upstream");
    world.close().await;
}

#[tokio::test]
async fn what_outlasts_the_drain_ends_in_words() {
    let mut world = World::start(|sim| {
        let mut text = "[shutdown]\ndrain = \"300ms\"\n[bounds]\nin_flight = 12\n".to_owned();
        text += &four(&sim.scripted("stall=2"));
        for dialect in DIALECTS {
            text += &crate::harness::channel(
                &format!("silent-{dialect}"),
                dialect,
                &sim.scripted("silence"),
                "silent",
            );
        }
        text
    })
    .await;
    let silent = |request: Request| {
        let body = String::from_utf8(request.body.clone()).unwrap().replace("\"sim\"", "\"silent\"");
        Request { path: request.path.replace("/sim:", "/silent:"), ..request }.body(body)
    };
    let mut streaming = Vec::new();
    for (name, request) in DIALECTS
        .map(|dialect| (dialect, stream(dialect)))
        .into_iter()
        .chain([("array", post(GEMINI_ARRAY, "{}"))])
    {
        let mut client = world.client().await;
        client.send(&request.bytes()).await;
        client.until(|body| !body.is_empty()).await;
        streaming.push((name, client));
    }
    let mut waiting = Vec::new();
    for dialect in DIALECTS {
        for request in [plain(dialect), stream(dialect)] {
            if waiting.len() == 7 {
                break;
            }
            let mut client = world.client().await;
            client.send(&silent(request).bytes()).await;
            waiting.push((dialect, client));
        }
    }
    world.sim.wait_until(|log| log.len() == 12).await;
    let mut queued = world.client().await;
    queued.send(&plain("openai_chat").bytes()).await;
    eventually("one waits for a place", || world.app.admission.waiting() == 1).await;

    let began = Instant::now();
    let stopped = world.stop();
    for (dialect, mut client) in streaming {
        let answer = client.answer().await;
        assert_eq!(answer.end, End::Whole, "{dialect}: {answer:?}");
        if dialect == "array" {
            assert!(answer.json().as_array().unwrap().last().unwrap().get("error").is_some(), "{answer:?}");
        } else {
            let told = events(&answer.body);
            assert!(error_event(dialect, told.last().unwrap()).is_some(), "{dialect}: {answer:?}");
        }
        for end in ["[DONE]", "response.completed", "message_stop", "finishReason"] {
            assert!(!contains(&answer.body, end), "{dialect}: an invented end: {answer:?}");
        }
        assert_eq!(world.settlement(&answer).await["ending"], "shutdown", "{dialect}");
    }
    for (dialect, mut client) in waiting {
        let answer = client.answer().await;
        assert_eq!(answer.status, 503, "{dialect}: {answer:?}");
        assert_error(dialect, &answer.json(), 503);
        let line = world.settlement(&answer).await;
        assert_eq!(
            (&line["ending"], &line["status"]),
            (&"shutdown".into(), &503.into()),
            "{dialect}: {line}"
        );
    }
    let answer = queued.answer().await;
    assert_eq!(answer.status, 503, "the queued one: {answer:?}");
    timeout(Duration::from_secs(3), stopped).await.expect("it does not end by itself").unwrap();
    assert!(began.elapsed() > Duration::from_millis(290), "{:?}", began.elapsed());
    world.close().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_cannot_hold_up_the_stop() {
    let mut world = World::start(|sim| {
        format!("[shutdown]\ndrain = \"200ms\"\n{}", four(&sim.scripted("events=1000000,size=10000")))
    })
    .await;
    let mut client = world.client().await;
    client.send(&stream("openai_chat").bytes()).await;
    client.until(|body| !body.is_empty()).await;
    let stopped = world.stop();
    timeout(Duration::from_secs(10), stopped).await.expect("it waits for ever").unwrap();
    assert_eq!(world.settlements(1).await[0]["ending"], "shutdown");
    drop(client);
    world.close().await;
}

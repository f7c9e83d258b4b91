//! What monitors read, and who may.

use std::{sync::Arc, time::Duration};

use gateway::{connection::Connection, ending::Ending, flow::Flow};
use tokio::time::advance;

use crate::{
    harness::{World, eventually, four, log, plain, stream},
    wire::Request,
};

fn ask(path: &str) -> Request {
    Request::new("GET", path)
}

#[tokio::test]
async fn health_tells_who_is_here_and_what_became_of_the_rest() {
    let world = World::start(|sim| four(&sim.scripted("delay=1,stall=2"))).await;
    let health = ask("/api/monitor/health");
    let idle = world.ask(&health).await.json();
    assert_eq!(idle["status"], "ok");
    assert_eq!(idle["started"], 0);

    let mut client = world.client().await;
    client.send(&stream("openai_chat").bytes()).await;
    client.until(|body| !body.is_empty()).await;
    world.ask(&plain("openai_chat").body("{")).await;
    let busy = world.ask(&health).await.json();
    assert_eq!(busy["in_flight"]["delivering"], 1, "{busy}");
    for phase in ["receiving", "queued", "waiting"] {
        assert_eq!(busy["in_flight"][phase], 0, "{busy}");
    }
    assert_eq!((&busy["started"], &busy["unaccounted"]), (&2.into(), &0.into()), "{busy}");
    for ending in Ending::ALL {
        let count = u64::from(ending == Ending::Refused);
        assert_eq!(busy["finished"][ending.name()], count, "{busy}");
    }
    assert_eq!(busy["goroutines"], busy["tasks"], "{busy}");
    assert!(busy["tasks"].as_u64() > idle["tasks"].as_u64(), "{idle} {busy}");
    assert!(busy["oldest_ms"].is_u64(), "{busy}");
    assert_eq!(busy["sockets"]["upstreams"], 1, "{busy}");
    assert!(busy["sockets"]["clients"].as_u64().unwrap() >= 2, "{busy}");
    for part in ["alloc_mb", "sys_mb"] {
        assert!(busy["memory"][part].as_f64().unwrap() > 0.0, "{busy}");
    }
    client.leave();
    eventually("it left", || world.app.flow.finished(Ending::ClientLeft) == 1).await;
    eventually("the sockets close", || world.app.sockets() == (0, 0)).await;
    let after = world.ask(&health).await.json();
    assert_eq!(after["finished"]["client_left"], 1, "{after}");
    assert_eq!(after["in_flight"]["delivering"], 0, "{after}");
    world.close().await;
}

#[tokio::test]
async fn metrics_count_requests_attempts_and_tokens() {
    let world = World::start(|sim| four(&sim.scripted("usage=11:5"))).await;
    let answer = world.ask(&plain("openai_chat")).await;
    world.settlement(&answer).await;
    eventually("settled", || world.app.settlements_open() == 0).await;
    let answer = world.ask(&ask("/metrics")).await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text();
    for line in [
        "sluice_requests_total{dialect=\"openai_chat\",operation=\"chat\",ending=\"completed\"} 1",
        "sluice_requests_started_total 1",
        "sluice_attempts_total{channel=\"openai_chat\",lane=\"relay\",outcome=\"ok\"} 1",
        "sluice_in_flight{phase=\"waiting\"} 0",
        "sluice_unaccounted 0",
        "gen_ai_token_type=\"input\"} 11",
        "gen_ai_token_type=\"output\"} 5",
        "gen_ai_server_request_duration_seconds_count{",
        "gen_ai_server_time_to_first_token_seconds_count{",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    world.close().await;
}

#[tokio::test]
async fn a_caller_cannot_make_new_series() {
    let world = World::start(|sim| crate::harness::channel("c", "openai_chat", &sim.url(), "sim*")).await;
    for at in 0..20 {
        let body = format!(r#"{{"model":"sim-{at}"}}"#);
        world.ask(&plain("openai_chat").body(body)).await;
    }
    eventually("settled", || world.app.settlements_open() == 0).await;
    let text = world.ask(&ask("/metrics")).await.text();
    assert!(text.contains("gen_ai_request_model=\"other\"") && !text.contains("sim-"), "{text}");
    world.close().await;
}

#[tokio::test]
async fn who_is_not_on_this_machine_needs_the_token() {
    let closed = World::start(|sim| four(&sim.url())).await;
    let open = World::start(|sim| format!("[monitor]\ntoken = \"watch-me\"\n{}", four(&sim.url()))).await;
    for path in ["/api/monitor/health", "/metrics"] {
        assert_eq!(closed.ask(&ask(path)).await.status, 200);
        assert_eq!(open.ask(&ask(path)).await.status, 200);
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
            let proxied = ask(path).header(header, "203.0.113.9");
            let refused = closed.ask(&proxied).await;
            assert_eq!(refused.status, 401, "{header}: {refused:?}");
            assert!(refused.header("www-authenticate").is_some() && !refused.text().contains("started"));
            let bearer = |token: &str| proxied.clone().header("authorization", format!("Bearer {token}"));
            assert_eq!(closed.ask(&bearer("anything")).await.status, 401, "{header}");
            assert_eq!(open.ask(&proxied).await.status, 401, "{header}");
            assert_eq!(open.ask(&bearer("wrong")).await.status, 401, "{header}");
            assert_eq!(open.ask(&bearer("watch-me")).await.status, 200, "{header}");
        }
        // A wrong token is wrong from here, too: who sends one should learn it.
        let wrong = ask(path).header("authorization", "Bearer wrong");
        assert_eq!(open.ask(&wrong).await.status, 401);
        for world in [&open, &closed] {
            let answer = world.ask(&Request { method: "POST", ..ask(path) }).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
        }
    }
    for path in ["/healthz", "/readyz"] {
        let answer = closed.ask(&ask(path).header("x-forwarded-for", "203.0.113.9")).await;
        assert_eq!((answer.status, &*answer.text()), (200, "yes\n"));
    }
    open.close().await;
    closed.close().await;
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "what is forgotten is what this is about")]
async fn a_guard_that_somebody_forgot_shows() {
    let flow = Arc::new(Flow::new());
    let (kept, lost, late) = (
        Connection::detached(flow.clock),
        Connection::detached(flow.clock),
        Connection::detached(flow.clock),
    );
    let open = |connection: &Arc<Connection>, number: u128, seconds| {
        flow.open(uuid::Uuid::from_u128(number), connection.clone(), Duration::from_secs(seconds))
    };
    let present = open(&kept, 1, 600);
    std::mem::forget(open(&lost, 2, 600));
    std::mem::forget(open(&late, 3, 60));
    let unaccounted = || {
        let mut ids: Vec<u128> = flow.census().unaccounted.iter().map(|id| id.as_u128()).collect();
        ids.sort_unstable();
        ids
    };
    lost.close(flow.clock.now_ms());
    advance(Duration::from_millis(5_000)).await;
    assert!(unaccounted().is_empty(), "a connection may take five seconds to be gone");
    advance(Duration::from_millis(2)).await;
    assert_eq!(unaccounted(), [2], "its connection is gone");
    advance(Duration::from_secs(59)).await;
    assert_eq!(unaccounted(), [2], "within the grace of its deadline");
    advance(Duration::from_secs(2)).await;
    assert_eq!(unaccounted(), [2, 3], "past all its deadlines");
    drop(present);
    assert_eq!(flow.in_flight(), 2, "who is forgotten stays in the registry");
    assert_eq!((flow.started(), flow.finished(Ending::ClientLeft)), (3, 1));
}

#[tokio::test]
async fn crossing_a_limit_is_said_once() {
    let world =
        World::start(|sim| format!("[flow]\nwarn = 1\nalarm = 2\n{}", four(&sim.scripted("silence")))).await;
    let said = |what: &str| log().matches(what).count();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = world.client().await;
        client.send(&plain("openai_chat").bytes()).await;
        clients.push(client);
    }
    eventually("the alarm", || said("requests in flight: past flow.alarm") > 0).await;
    let ticks = said("tasks: past");
    // Another look or two must not say it again.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(said("requests in flight: past flow.alarm"), 1);
    assert_eq!(said("tasks: past"), ticks);
    drop(clients);
    eventually("the all-clear", || said("requests in flight: back to normal") > 0).await;
    world.close().await;
}

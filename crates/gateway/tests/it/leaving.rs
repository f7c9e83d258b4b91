//! Clients that leave: the provider sees it within a second, whatever the client was waiting for.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use upstream_sim::Outcome;

use crate::{
    harness::{
        CHAT, DIALECTS, KEY, World, error_event, events, eventually, four, plain, side_by_side, stream,
    },
    wire::{Client, Request},
};

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Exit {
    Fin,
    Rst,
    /// It stops writing, and still listens.
    HalfClose,
    /// A stray line end behind the body, then a FIN.
    StrayThenFin,
    /// A second request behind the first, then a RST.
    PipelinedThenRst,
    PipelinedThenFin,
}

const EXITS: [Exit; 6] = [
    Exit::Fin,
    Exit::Rst,
    Exit::HalfClose,
    Exit::StrayThenFin,
    Exit::PipelinedThenRst,
    Exit::PipelinedThenFin,
];

async fn leave(mut client: Client, exit: Exit) -> Option<Client> {
    match exit {
        Exit::Fin => client.leave(),
        Exit::Rst => client.reset(),
        Exit::HalfClose => {
            client.half_close().await;
            return Some(client);
        }
        Exit::StrayThenFin => {
            client.send(b"\r\n").await;
            client.leave();
        }
        Exit::PipelinedThenRst | Exit::PipelinedThenFin => {
            client.send(&plain("openai_chat").bytes()).await;
            // The bytes must be there before the end comes, or there is nothing to stumble over.
            tokio::task::yield_now().await;
            match exit {
                Exit::PipelinedThenRst => client.reset(),
                _ => client.leave(),
            }
        }
    }
    None
}

/// Clients of all dialects in one phase leave, each in its way.
async fn all_leave(script: &'static str, request: fn(&str) -> Request, content: bool) {
    side_by_side(DIALECTS.map(|dialect| leave_together(script, dialect, request, content))).await;
}

/// Clients in the same phase leave at once; the provider must see all of them go.
async fn leave_together(script: &str, dialect: &str, request: fn(&str) -> Request, content: bool) {
    let world = World::start(|sim| four(&sim.scripted(script))).await;
    let mut clients = Vec::new();
    for exit in EXITS {
        let mut client = world.client().await;
        client.send(&request(dialect).bytes()).await;
        clients.push((client, exit));
    }
    world.sim.wait_until(|log| log.len() == EXITS.len()).await;
    if content {
        for (client, _) in &mut clients {
            client.until(|body| !body.is_empty()).await;
        }
    }
    let mut still_here = Vec::new();
    let left = Instant::now();
    for (client, exit) in clients {
        still_here.extend(leave(client, exit).await);
    }
    let gone = world.sim.wait_until(|log| log.iter().all(|served| served.ended.is_some()));
    timeout(Duration::from_secs(1), gone).await.unwrap_or_else(|_| {
        let open = world.sim.log().iter().filter(|served| served.ended.is_none()).count();
        panic!("{script}, {dialect}: {open} of {} not seen to leave in a second", EXITS.len())
    });
    for served in world.sim.log() {
        assert!(matches!(served.outcome, Outcome::PeerClosed { .. }), "{script}, {dialect}: {served:?}");
        assert!(served.ended.unwrap() < left + Duration::from_secs(1));
    }
    for line in world.settlements(EXITS.len()).await {
        assert_eq!(line["ending"], "client_left", "{script}, {dialect}: {line}");
    }
    world.close().await;
}

#[tokio::test]
async fn while_it_waits_for_the_head_of_a_plain_answer() {
    all_leave("silence", plain, false).await;
}

#[tokio::test]
async fn while_it_waits_for_the_head_of_a_stream() {
    all_leave("silence", stream, false).await;
}

#[tokio::test]
async fn after_the_head_and_before_the_first_token() {
    all_leave("lifecycle-only", stream, false).await;
    all_leave("first=60000", plain, false).await;
}

#[tokio::test]
async fn in_the_middle_of_a_stream_that_flows() {
    all_leave("every=50,events=100000", stream, true).await;
}

#[tokio::test]
async fn in_the_middle_of_a_stream_that_is_silent() {
    all_leave("stall=2", stream, true).await;
}

#[tokio::test]
async fn in_the_middle_of_a_plain_answer() {
    all_leave("large-reply=400000,stall=1", plain, true).await;
}

#[tokio::test]
async fn while_another_channel_is_being_tried() {
    let world = World::start(|sim| {
        crate::harness::channel("bad", "openai_chat", &sim.scripted("status=500"), "sim")
            + "priority = 1\n"
            + &crate::harness::channel("slow", "openai_chat", &sim.scripted("silence"), "sim")
    })
    .await;
    let mut client = world.client().await;
    client.send(&stream("openai_chat").bytes()).await;
    world.sim.wait_until(|log| log.len() == 2).await;
    client.leave();
    let gone = world.sim.wait_until(|log| log.iter().all(|served| served.ended.is_some()));
    timeout(Duration::from_secs(1), gone).await.unwrap();
    let line = world.settlements(1).await.remove(0);
    assert_eq!(line["ending"], "client_left", "{line}");
    assert_eq!(line["attempts"].as_array().unwrap().len(), 2);
    world.close().await;
}

#[tokio::test]
async fn while_its_request_is_half_sent() {
    let world = World::start(|sim| four(&sim.url())).await;
    for (at, chunked) in [false, true, false, true].into_iter().enumerate() {
        let lengths = if chunked { "transfer-encoding: chunked" } else { "content-length: 100" };
        let part = if chunked { "64\r\n{\"model\"" } else { "{\"model\"" };
        let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n{lengths}\r\n\r\n{part}");
        let mut client = world.client().await;
        client.send(head.as_bytes()).await;
        eventually("the request began", || world.app.flow.in_flight() == 1).await;
        if at < 2 {
            client.leave()
        } else {
            client.reset()
        };
        eventually("the request ended", || world.app.flow.in_flight() == 0).await;
        let line = world.settlements(at + 1).await.remove(at);
        assert_eq!(line["ending"], "client_left", "{line}");
    }
    assert!(world.sim.log().is_empty());
    world.close().await;
}

#[tokio::test]
async fn while_it_waits_for_a_place() {
    let world =
        World::start(|sim| format!("[bounds]\nin_flight = 1\nqueue = 5\n{}", four(&sim.scripted("silence"))))
            .await;
    let mut first = world.client().await;
    first.send(&plain("openai_chat").bytes()).await;
    world.sim.wait_until(|log| log.len() == 1).await;
    let mut second = world.client().await;
    second.send(&plain("openai_chat").bytes()).await;
    eventually("one waits", || world.app.admission.waiting() == 1).await;
    second.leave();
    eventually("none waits", || world.app.admission.waiting() == 0).await;
    assert_eq!(world.settlements(1).await[0]["ending"], "client_left");
    first.leave();
    assert_eq!(world.settlements(2).await[1]["ending"], "client_left");
    world.close().await;
}

#[tokio::test]
async fn a_stray_line_end_or_a_pipelined_request_does_no_harm_to_those_who_stay() {
    let cases = DIALECTS.map(|dialect| async move {
        let world = World::start(|sim| four(&sim.scripted("delay=300"))).await;
        let mut client = world.client().await;
        client.send(&[plain(dialect).bytes(), b"\r\n".to_vec()].concat()).await;
        assert_eq!(client.answer().await.status, 200, "{dialect}");
        client.send(&[plain(dialect).bytes(), stream(dialect).bytes()].concat()).await;
        assert_eq!(client.answer().await.status, 200, "{dialect}");
        let second = client.answer().await;
        let told = events(&second.body);
        assert!(told.len() > 2, "{second:?}");
        assert!(!told.iter().any(|event| error_event(dialect, event).is_some()), "{second:?}");
        client.leave();
        world.close().await;
    });
    side_by_side(cases).await;
}

//! Leaks made on purpose must show.
#![allow(clippy::disallowed_methods, reason = "forgetting on purpose is the test")]

use std::sync::Arc;

use bytes::Bytes;
use dialect::{Dialect, Door, Operation};
use gateway::{
    app::App,
    config::{ChannelConfig, parse},
    connection::Connection,
    ending::Ending,
    flow::Flow,
    pipeline::{self, inbound::Head},
    rng::Rng,
    upstream::{RequestBody, Sending, Upstream},
};
use tokio::time::{Duration, advance};
use uuid::Uuid;

use crate::{client::visit, upstream::Calls, world::World};

#[tokio::test(start_paused = true)]
async fn a_mark_that_is_forgotten_shows_five_seconds_after_its_connection_is_gone() {
    let flow = Arc::new(Flow::new());
    let connection = Connection::detached(flow.clock);
    let id = Uuid::from_u128(7);
    std::mem::forget(flow.open(id, connection.clone(), Duration::from_secs(600)));
    advance(Duration::from_secs(60)).await;
    assert!(flow.census().unaccounted.is_empty());
    connection.close(flow.clock.now_ms());
    advance(Duration::from_millis(5_000)).await;
    assert!(flow.census().unaccounted.is_empty());
    advance(Duration::from_millis(1)).await;
    assert_eq!(flow.census().unaccounted, [id]);
    assert_eq!(flow.in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_outlives_its_limit_shows_though_its_connection_is_there() {
    let flow = Arc::new(Flow::new());
    let id = Uuid::from_u128(8);
    std::mem::forget(flow.open(id, Connection::detached(flow.clock), Duration::from_secs(10)));
    advance(Duration::from_millis(15_000)).await;
    assert!(flow.census().unaccounted.is_empty());
    advance(Duration::from_millis(1)).await;
    assert_eq!(flow.census().unaccounted, [id]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_does_not_begin() {
    let world = World::new(1);
    let calls = Calls::new(world.setup.clone(), world.asks.clone());
    let (app, queue) = world.build(&calls);
    drop(queue);
    for ask in world.asks.iter().take(10) {
        let seen = visit(app.clone(), world.setup.clone(), ask.clone(), calls.start).await;
        assert_eq!(seen.status, 503);
    }
    assert!(calls.all().is_empty());
    assert_eq!((app.flow.in_flight(), app.settlements_open()), (0, 0));
}

/// A way out that panics in the request's own task.
#[derive(Debug)]
struct Panicking;

impl Upstream for Panicking {
    fn send(&self, _: http::Request<RequestBody>) -> Sending {
        panic!("as a connector might")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_settles_its_request_and_gives_everything_back() {
    let text = "[[key]]\nname = \"k\"\nsecret = \"s\"\n[[channel]]\nname = \"c\"\nprovider = \"openai\"\n\
                secrets = [\"x\"]\nmodels = [\"*\"]\n";
    let config = parse(text, &|_: &str| None).unwrap();
    let places = config.bounds.in_flight;
    let connect = Box::new(|_: &ChannelConfig| Arc::new(Panicking) as Arc<dyn Upstream>);
    let (app, mut queue) = {
        let database = store::Database::in_memory().unwrap();
        App::with(config, database, Arc::new(Flow::new()), connect, Rng::seeded(1)).unwrap()
    };
    let (parts, ()) = http::Request::post("/v1/chat/completions")
        .header("authorization", "Bearer s")
        .body(())
        .unwrap()
        .into_parts();
    let door = Door::new(Dialect::OpenaiChat, Operation::Chat);
    let head = Box::new(Head { request_id: app.new_request_id(), door, target: Default::default(), parts });
    let body = RequestBody::new(vec![Bytes::from_static(b"{\"model\":\"m\"}")], None);
    let connection = Connection::detached(app.flow.clock);
    let serving = tokio::spawn(pipeline::serve(app.clone(), connection, head, body));
    assert!(serving.await.is_err_and(|error| error.is_panic()));
    let settlement = queue.recv().await.unwrap();
    assert_eq!((settlement.ending, settlement.status), (Ending::Failed, 500));
    assert_eq!(settlement.cause.as_deref(), Some("a panic in Sluice"));
    assert_eq!((app.flow.in_flight(), app.settlements_open()), (0, 0));
    assert_eq!(app.admission.free(), places);
}

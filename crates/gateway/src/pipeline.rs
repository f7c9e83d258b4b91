//! The life of a request: one straight line.
//!
//! In: a door and an HTTP request. Out: a response whose body owns what is still owed. Each step consumes the value of the
//! one before; inside `pipeline/` a step may use earlier steps' types, never later ones'.
//!
//! ```text
//! Head → Caller → Inbound → Plan → admission → attempt::run → Committed → Response ──(body dropped)──▶ Settlement
//! ```

pub mod admission;
pub mod attempt;
pub mod caller;
pub mod count;
pub mod inbound;
pub mod lease;
pub mod pace;
pub mod plan;
pub mod reply;
pub mod rewrite;
pub mod source;
pub mod terms;
pub mod translation;

use std::{
    borrow::Cow,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

use bytes::Bytes;
use dialect::{Dialect, Framing, Operation};
use http::Response;
use http_body::Body;
use tokio::time::{Duration, sleep};

use crate::{
    app::App,
    catalog::Catalog,
    connection::Connection,
    fault::{ClientFault, Fault, Rejection},
    pipeline::{
        attempt::Failed,
        caller::Caller,
        inbound::{Head, Inbound, Received},
        lease::Lease,
        plan::Plan,
        reply::{Attended, ReplyBody},
    },
};

/// A stream client that waits longer than this gets its head, and comments: failing over stays possible.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one request of a door.
pub async fn serve<B>(
    app: Arc<App>,
    connection: Arc<Connection>,
    head: Box<Head>,
    body: B,
) -> Response<ReplyBody>
where
    B: Body<Data = Bytes>,
{
    let (dialect, empty) = (head.door.dialect, body.is_end_stream());
    let catalog = app.catalog.load_full();
    let mut lease = app.open_lease(&head, connection);
    let entry = lease.mark().entry.clone();
    let prepared = app.shutdown.until_ending(pin!(prepare(&app, &catalog, head, body, &mut lease))).await;
    match prepared.unwrap_or(Err(Fault::Rejection(Rejection::Stopping))) {
        Ok((_, inbound, plan)) if plan.candidates.is_empty() => {
            estimate(&app, dialect, inbound.body.clone(), lease).await
        }
        Ok((caller, inbound, plan)) => {
            let framing = if inbound.wants_array() { Framing::JsonArray } else { Framing::Sse };
            let (stream, levels) = (inbound.stream, lease.levels());
            let counted = (inbound.door.operation == Operation::CountTokens).then(|| inbound.body.clone());
            let run = Box::pin(attempt::run(app.clone(), catalog, caller, inbound, plan, lease));
            let mut run = Attended::new(&app, &entry, run);
            let outcome = if stream { patiently(&mut run).await } else { Some((&mut run).await) };
            match outcome {
                Some(Ok(committed)) => reply::send(&app, committed),
                Some(Err(failed)) => match counted {
                    Some(body) if !failed.lease.decided() => {
                        estimate(&app, dialect, body, failed.lease).await
                    }
                    _ => reply::refuse(dialect, *failed),
                },
                None => reply::hold(&app, &entry, dialect, framing, levels, run),
            }
        }
        Err(fault) => {
            lease.end(fault.ending(), Cow::Owned(fault.cause()));
            let unread = !empty && lease.mark().entry.bytes_in.load(Ordering::Relaxed) == 0;
            let response = reply::refuse(dialect, Failed { fault, lease });
            if unread { reply::closing(response) } else { response }
        }
    }
}

/// How many tokens a body has, where no provider says it.
async fn estimate(app: &App, dialect: Dialect, body: Bytes, mut lease: Box<Lease>) -> Response<ReplyBody> {
    let counted = app.shutdown.until_ending(pin!(app.counter.count(body, &lease))).await;
    match counted.unwrap_or(Err(Rejection::Stopping)) {
        Ok(tokens) => reply::tell_count(dialect, tokens, lease),
        Err(rejection) => {
            let fault = Fault::Rejection(rejection);
            lease.end(fault.ending(), Cow::Owned(fault.cause()));
            reply::refuse(dialect, Failed { fault, lease })
        }
    }
}

/// Everything before the first attempt.
async fn prepare<B>(
    app: &App,
    catalog: &Catalog,
    head: Box<Head>,
    body: B,
    lease: &mut Lease,
) -> Result<(Caller, Box<Inbound>, Plan), Fault>
where
    B: Body<Data = Bytes>,
{
    if !lease.has_reserved() {
        return Err(Fault::Rejection(Rejection::SettlementsFull));
    }
    let (peer, asking) = (lease.mark().entry.connection.peer.ip(), &head.parts);
    let caller = Caller::identify(&asking.headers, asking.uri.query(), catalog).map_err(Fault::Client)?;
    lease.record().key = Some(caller.key.name.clone());
    // A key that is not good is named in the log; in the books it has no line.
    caller.check(peer, &asking.headers, catalog).map_err(Fault::Client)?;
    lease.record().payer = Some(caller.key.payer());
    if app.shutdown.draining() {
        return Err(Fault::Rejection(Rejection::Stopping));
    }
    if lease.mark().entry.connection.two_lengths() {
        return Err(Fault::Client(ClientFault::TwoLengths));
    }
    head.check().map_err(Fault::Client)?;
    let bounds = &catalog.config.bounds;
    let received = Received::read(body, bounds.body_bytes, &app.held_bodies, lease).await?;
    let mut inbound = Inbound::open(*head, received).map_err(Fault::Client)?;
    lease.record().model.clone_from(&inbound.model);
    lease.record().stream = inbound.stream;
    let mut plan = Plan::draw(&inbound, &caller, catalog, &app.affinity, lease.mark().now_ms(), &app.rng)?;
    let terms = terms::agree(&mut inbound, &caller, &mut plan)?;
    let tokens = if caller.key.limits.count_tokens() { terms::tokens(&mut inbound) } else { 0 };
    app.admission.admit(&caller, &catalog.config, tokens, terms, lease).await?;
    Ok((caller, inbound, plan))
}

/// Waits for the attempts for as long as a client waits without a sign; `None`: they still run.
async fn patiently(run: &mut Attended) -> Option<<Attended as Future>::Output> {
    let mut patience = pin!(sleep(PATIENCE));
    poll_fn(|context| {
        if let Poll::Ready(outcome) = Pin::new(&mut *run).poll(context) {
            return Poll::Ready(Some(outcome));
        }
        patience.as_mut().poll(context).map(|()| None)
    })
    .await
}

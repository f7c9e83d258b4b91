//! Reading on after the client has left, to learn what was used.
//!
//! In: an answer that nobody waits for any more, or the attempt at one, with its lease. Out: its settlement, like any other's.
//! It is bounded in number, in time and in bytes; whoever finds no place is given up. Nothing is detached: the lease stays
//! where the answer is, the flow shows it, and the stop ends it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http_body::Body;
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::JoinSet,
    time::{Duration, timeout},
};

use super::{ReplyBody, Run};
use crate::{app::App, flow::Entry, shutdown::Stage};

/// Why a request ended, whose answer was read on.
pub(super) const READ_ON: &str = "the client left; the answer was read on to learn what was used";
/// How long an answer is read on: most are over by then, and an upstream that dawdles holds no place for ever.
const LONGEST: Duration = Duration::from_secs(120);
/// Bytes that are read on at most: more than any answer of words has.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Answers that are read on.
#[derive(Debug)]
pub struct Drainer {
    places: Arc<Semaphore>,
    reading: Mutex<JoinSet<()>>,
}

/// What a client left behind.
pub(super) enum Left {
    /// The attempts, running.
    Run(Run),
    Body(ReplyBody),
}

impl Drainer {
    pub fn new(places: usize) -> Drainer {
        Drainer { places: Arc::new(Semaphore::new(places)), reading: Mutex::default() }
    }
}

/// Takes over what a client left behind, unless there is no place, or the stop is under way: then it is given up.
pub(super) fn take(app: &Arc<App>, entry: &Arc<Entry>, left: Left) {
    let place = app.drainer.places.clone().try_acquire_owned();
    // Marked even when it is given up now: what is dropped here must not come again.
    entry.leave(LONGEST);
    let (Ok(place), Ok(runtime)) = (place, Handle::try_current()) else { return };
    if app.shutdown.ending() || std::thread::panicking() {
        return;
    }
    let reading = {
        let app = app.clone();
        async move {
            let _place = place;
            let ended = pin!(app.shutdown.reached(Stage::Ending));
            let read = pin!(timeout(LONGEST, read_on(&app, left)));
            // Whichever is first: the other is dropped, and what is left of the answer settles by what is known.
            either(read, ended).await;
        }
    };
    let mut set = app.drainer.reading.lock().unwrap_or_else(PoisonError::into_inner);
    while set.try_join_next().is_some() {}
    set.spawn_on(reading, &runtime);
}

async fn either(one: Pin<&mut impl Future>, other: Pin<&mut impl Future>) {
    let (mut one, mut other) = (one, other);
    poll_fn(|context| {
        if one.as_mut().poll(context).is_ready() || other.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

async fn read_on(app: &Arc<App>, left: Left) {
    let mut body = match left {
        Left::Body(mut body) => {
            body.left();
            body
        }
        Left::Run(run) => match run.await {
            Ok(mut committed) => {
                let ending = crate::ending::Ending::ClientLeft;
                committed.lease.end(ending, super::cause(READ_ON));
                super::send(app, committed).into_body()
            }
            // Settled with what went wrong.
            Err(_) => return,
        },
    };
    let mut bytes = 0;
    while bytes <= MOST_BYTES {
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, bytes::Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

/// The attempts of a request whose client waits. If he leaves, and an attempt is under way whose channel wants that, they run
/// on without him.
pub struct Attended {
    app: Arc<App>,
    entry: Arc<Entry>,
    /// Gone when it is over.
    run: Option<Run>,
}

impl std::fmt::Debug for Attended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attended")
    }
}

impl Attended {
    pub fn new(app: &Arc<App>, entry: &Arc<Entry>, run: Run) -> Attended {
        Attended { app: app.clone(), entry: entry.clone(), run: Some(run) }
    }
}

impl Future for Attended {
    type Output = <Run as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(run) = &mut self.run else { return Poll::Pending };
        let outcome = run.as_mut().poll(context);
        if outcome.is_ready() {
            self.run = None;
        }
        outcome
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        if let Some(run) = self.run.take()
            && self.entry.is_worth_draining()
        {
            take(&self.app, &self.entry, Left::Run(run));
        }
    }
}

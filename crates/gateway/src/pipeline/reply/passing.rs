//! A plain body too large to hold, passed on as it comes.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use dialect::PlainTap;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    body::{Aborted, Polled},
    cause, drain, learn,
};
use crate::{
    app::App,
    catalog::Channel,
    ending::Ending,
    flow::Phase,
    pipeline::{caller::Caller, lease::Lease, pace::Pace, source::Source},
};

const PAST_TOTAL: &str = "past timeouts.total";
const NOT_WHOLE: &str = "upstream: ended in the middle of the document";

#[derive(Debug)]
pub(super) struct Passing {
    app: Arc<App>,
    caller: Caller,
    channel: Arc<Channel>,
    lease: Box<Lease>,
    ready: VecDeque<Bytes>,
    source: Source,
    tap: Box<PlainTap>,
    pace: Pace,
    total_at: Option<Instant>,
    clock: Pin<Box<Sleep>>,
    /// Bytes that the head promised and that were not handed on yet; `None`: it promised no number.
    left: Option<u64>,
    over: bool,
}

impl Passing {
    #[expect(clippy::too_many_arguments, reason = "one call site, which takes a committed answer apart")]
    pub(super) fn new(
        app: &Arc<App>,
        caller: Caller,
        channel: Arc<Channel>,
        lease: Box<Lease>,
        start: Vec<Bytes>,
        length: Option<u64>,
        source: Source,
        tap: Box<PlainTap>,
    ) -> Passing {
        let now = Instant::now();
        let pace = Pace::begin(channel.timeouts().idle, now);
        let total_at = lease.mark().total_at(channel.timeouts().total, now);
        lease.enter(Phase::Delivering, channel.timeouts().idle + crate::connection::CLIENT_STALL);
        Passing {
            app: app.clone(),
            caller,
            channel,
            lease,
            ready: start.into(),
            source,
            tap,
            pace,
            total_at,
            clock: Box::pin(sleep_until(total_at.map_or(pace.due(), |total_at| total_at.min(pace.due())))),
            left: length,
            over: false,
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        self.lease.mark().asked();
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                // With the last promised byte the HTTP library drops this body: it does not ask for an end.
                if self.left == Some(0) && !self.conclude() {
                    return self.abort(Ending::Cut, NOT_WHOLE);
                }
                let now_ms = self.lease.mark().now_ms();
                self.lease.mark().touch(now_ms);
                self.lease.mark().handed(bytes.len(), now_ms);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if self.app.shutdown.ending() {
                return self.abort(Ending::Shutdown, "stopped while the answer was passed on");
            }
            match self.source.poll_bytes(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    let now = Instant::now();
                    // A body that never pauses never lets the clock ring.
                    if self.total_at.is_some_and(|total_at| now >= total_at) {
                        return self.abort(Ending::TimedOut, PAST_TOTAL);
                    }
                    self.tap.feed(&bytes);
                    self.pace.bytes(bytes.len(), now);
                    self.ready.push_back(bytes);
                }
                Poll::Ready(Some(Err(error))) => {
                    return self.abort(Ending::Cut, format!("upstream: broke off: {error}"));
                }
                Poll::Ready(None) => {
                    if !self.conclude() {
                        return self.abort(Ending::Cut, NOT_WHOLE);
                    }
                }
                Poll::Pending => {
                    // The clock is moved only when it rings: a body that flows never touches the timer.
                    if self.clock.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    let (now, due) = (Instant::now(), self.pace.due());
                    if now >= due {
                        return self.abort(Ending::TimedOut, "upstream: silent past timeouts.idle");
                    }
                    if self.total_at.is_some_and(|total_at| now >= total_at) {
                        return self.abort(Ending::TimedOut, PAST_TOTAL);
                    }
                    let next = self.total_at.map_or(due, |total_at| total_at.min(due));
                    self.clock.as_mut().reset(next);
                }
            }
        }
    }

    /// All of it is here; false when it is not a whole document.
    fn conclude(&mut self) -> bool {
        self.tap.finish();
        if self.tap.whole() {
            self.over = true;
            self.write_down();
            self.channel.health.succeeded();
            self.lease.end(Ending::Completed, None);
        }
        self.tap.whole()
    }

    fn write_down(&mut self) {
        let usage = self.tap.usage();
        let delivered = usage.is_none().then(|| self.tap.delivered().clone());
        let stored_id = self.tap.stored_id();
        learn(&self.app, &mut self.lease, &self.caller, &self.channel, (usage, delivered), stored_id);
    }

    /// Whether to read on if the client leaves now.
    pub(super) fn is_worth_draining(&self) -> bool {
        !self.over && self.lease.mark().entry.is_worth_draining()
    }

    /// He has left, and it is read on.
    pub(super) fn left(&mut self) {
        self.lease.end(Ending::ClientLeft, cause(drain::READ_ON));
    }

    pub(super) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(super) fn entry(&self) -> &Arc<crate::flow::Entry> {
        &self.lease.mark().entry
    }

    /// A plain body has no words for an error: its connection is broken instead.
    fn abort(&mut self, ending: Ending, why: impl Into<std::borrow::Cow<'static, str>>) -> Polled {
        self.over = true;
        self.write_down();
        if ending != Ending::Shutdown {
            self.channel.health.broke(self.lease.mark().now_ms());
        }
        self.lease.end(ending, cause(why));
        Poll::Ready(Some(Err(Aborted)))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if !self.over {
            // The client left: what it got by then is known in any case.
            self.write_down();
        }
    }
}

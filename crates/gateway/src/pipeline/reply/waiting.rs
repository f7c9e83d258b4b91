//! A stream request whose head was sent while its attempts still run.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use dialect::{Dialect, Framing, Stage};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};
use uuid::Uuid;

use super::{
    body::Polled,
    drain::Attended,
    encode, learn,
    stream::{COMMENT, COMMENT_EVERY, Stream},
};
use crate::{
    app::App,
    ending::Ending,
    pipeline::attempt::{Answer, Committed, Failed},
};

/// The attempt loop, running.
pub type Run = Pin<Box<dyn Future<Output = Result<Committed, Box<Failed>>> + Send>>;

pub(super) struct Waiting {
    app: Arc<App>,
    dialect: Dialect,
    framing: Framing,
    /// Gone when it is over.
    run: Option<Attended>,
    comment_now: bool,
    clock: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

impl Waiting {
    pub(super) fn new(app: &Arc<App>, dialect: Dialect, framing: Framing, run: Attended) -> Waiting {
        let clock = Box::pin(sleep_until(Instant::now() + COMMENT_EVERY));
        Waiting { app: app.clone(), dialect, framing, run: Some(run), comment_now: true, clock }
    }

    /// `Err`: the attempts have an answer; go on with its stream.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Result<Polled, Box<Stream>> {
        let Some(run) = &mut self.run else { return Ok(Poll::Ready(None)) };
        if let Poll::Ready(result) = Pin::new(run).poll(context) {
            self.run = None;
            return match result {
                Ok(committed) => self.go_on(committed),
                Err(failed) => Ok(self.give_up(*failed)),
            };
        }
        if self.clock.as_mut().poll(context).is_ready() {
            self.comment_now = true;
            self.clock.as_mut().reset(Instant::now() + COMMENT_EVERY);
            // Registers the waker for the next round.
            let _ = self.clock.as_mut().poll(context);
        }
        if std::mem::take(&mut self.comment_now) {
            let comment: &'static [u8] = match self.framing {
                Framing::Sse => COMMENT,
                // White space before a JSON array is allowed, and all that is.
                _ => b"\n",
            };
            return Ok(Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(comment))))));
        }
        Ok(Poll::Pending)
    }

    fn go_on(&mut self, committed: Committed) -> Result<Polled, Box<Stream>> {
        let Committed { channel, caller, mut lease, answer, .. } = committed;
        lease.record().status = 200;
        match answer {
            Answer::Stream { start, framing, source, tap, interpreter } if framing == self.framing => {
                let mut stream =
                    Stream::new(&self.app, caller, channel, lease, start, framing, source, tap, interpreter);
                stream.comment_by(self.clock.deadline());
                Err(Box::new(stream))
            }
            Answer::Whole { body, framing, usage, delivered, .. } if framing == self.framing => {
                learn(&self.app, &mut lease, &caller, &channel, (usage, delivered), None);
                channel.health.succeeded();
                lease.mark().handed(body.len(), lease.mark().now_ms());
                lease.end(Ending::Completed, None);
                Ok(Poll::Ready(Some(Ok(Frame::data(body)))))
            }
            answer => {
                if let Answer::Whole { usage, .. } = answer {
                    lease.measured(usage, None); // Delivered or not, the provider counted it.
                }
                let detail = "the answer is not the stream whose head was sent".to_owned();
                let fault = crate::fault::Fault::Upstream(crate::fault::UpstreamFault::Unreadable { detail });
                lease.end(fault.ending(), std::borrow::Cow::Owned(fault.cause()));
                Ok(self.give_up(Failed { fault, lease }))
            }
        }
    }

    fn give_up(&mut self, mut failed: Failed) -> Polled {
        failed.lease.record().status = 200;
        let error = failed.fault.public();
        let request_id: Uuid = failed.lease.request_id();
        let stage = match self.framing {
            Framing::Sse => Stage::Sse { sequence: 0 },
            _ => Stage::JsonArray { first: true },
        };
        let bytes = encode(self.dialect, &error, request_id, stage);
        failed.lease.mark().handed(bytes.len(), failed.lease.mark().now_ms());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

//! A stream on its way: frames go out as they came, or as an interpreter tells them, while the tap watches.

use std::{
    borrow::Cow,
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use dialect::{Dialect, Framing, Stage, Tap};
use http_body::Frame;
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::{body::Polled, cause, drain, encode, learn};
use crate::{
    app::App,
    catalog::Channel,
    classify::classify_event,
    ending::Ending,
    fault::PublicError,
    flow::Phase,
    pipeline::{
        caller::Caller,
        lease::Lease,
        pace::Pace,
        source::Source,
        translation::{Failure, Interpreter},
    },
};

/// A silent stream gets a comment this often, so that nobody in between takes it for dead.
pub(super) const COMMENT_EVERY: Duration = Duration::from_secs(10);
/// The comment.
pub(super) const COMMENT: &[u8] = b": waiting for the provider\n\n";
/// After the dialect's last event the upstream gets this long to end its body, so that the connection can be used again.
const AFTER_CLOSE: Duration = Duration::from_millis(250);
/// After the answer is whole but more may come (usage, `[DONE]`).
const AFTER_END: Duration = Duration::from_secs(30);
/// The same where the dialect has no closing event, and the answer and its usage were told: a lost packet is sent again within
/// a second, and some providers never end the body. Translated only: who is relayed gets what comes as it comes.
const AFTER_SUM: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Stream {
    app: Arc<App>,
    caller: Caller,
    channel: Arc<Channel>,
    lease: Box<Lease>,
    dialect: Dialect,
    framing: Framing,
    /// What may go out now.
    ready: VecDeque<Bytes>,
    /// Filled by the tap, emptied at once: kept so that it is not allocated anew.
    fed: Vec<Bytes>,
    /// Gone as soon as nothing more is wanted of it.
    source: Option<Source>,
    tap: Box<Tap>,
    /// Where the provider speaks another dialect than the caller.
    interpreter: Option<Box<Interpreter>>,
    pace: Pace,
    total_at: Option<Instant>,
    /// When silence is next broken by a comment.
    comment_at: Instant,
    clock: Pin<Box<Sleep>>,
    ended: bool,
}

impl Stream {
    #[expect(clippy::too_many_arguments, reason = "one call site, which takes a committed answer apart")]
    pub(super) fn new(
        app: &Arc<App>,
        caller: Caller,
        channel: Arc<Channel>,
        mut lease: Box<Lease>,
        start: Vec<Bytes>,
        framing: Framing,
        source: Source,
        tap: Box<Tap>,
        interpreter: Option<Box<Interpreter>>,
    ) -> Stream {
        let now = Instant::now();
        let timeouts = channel.timeouts();
        let pace = Pace::begin(timeouts.idle, now);
        let total_at = lease.mark().total_at(timeouts.total, now);
        lease.enter(Phase::Delivering, timeouts.idle + crate::connection::CLIENT_STALL);
        let dialect = lease.record().door.dialect;
        let comment_at = now + COMMENT_EVERY;
        let mut stream = Stream {
            app: app.clone(),
            caller,
            channel,
            lease,
            dialect,
            framing,
            ready: start.into(),
            fed: Vec::new(),
            source: Some(source),
            tap,
            interpreter,
            pace,
            total_at,
            comment_at,
            clock: Box::pin(sleep_until(earliest(comment_at.min(pace.due()), total_at))),
            ended: false,
        };
        stream.look(now);
        stream
    }

    /// What has begun may have nothing to tell yet (in another dialect): a client that waits has his next sign when it was due.
    pub(super) fn comment_by(&mut self, at: Instant) {
        if self.ready.is_empty() {
            self.comment_at = at;
            self.clock.as_mut().reset(earliest(at.min(self.pace.due()), self.total_at));
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        self.lease.mark().asked();
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                let now_ms = self.lease.mark().now_ms();
                self.lease.mark().touch(now_ms);
                self.lease.mark().handed(bytes.len(), now_ms);
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.app.shutdown.ending() && !self.ended {
                self.break_off(Ending::Shutdown, "stopped at the drain limit", &PublicError::stopped());
                continue;
            }
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            match source.poll_bytes(context) {
                Poll::Ready(Some(Ok(bytes))) => self.take(bytes, Instant::now()),
                Poll::Ready(Some(Err(error))) => self.upstream_over(Some(error)),
                Poll::Ready(None) => self.upstream_over(None),
                Poll::Pending => {
                    if self.clock.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    self.clock_rang(Instant::now());
                }
            }
        }
    }

    fn take(&mut self, bytes: Bytes, now: Instant) {
        if self.tap.closed() || self.tap.error().is_some() {
            return; // Nothing may follow; it is only read so that the connection can be used again.
        }
        let count = bytes.len();
        let flow = self.tap.feed(bytes, &mut self.fed);
        self.forward();
        if flow.events > 0 {
            self.pace.event(now);
        } else if flow.mid_frame {
            self.pace.bytes(count, now);
        }
        if self.ready.is_empty() {
            // Held back, and progress all the same: nobody is forgotten here.
            self.lease.mark().touch(self.lease.mark().now_ms());
        } else {
            self.comment_at = now + COMMENT_EVERY;
        }
        self.look(now);
        // A stream that never pauses never lets the clock ring.
        if !self.ended && self.total_at.is_some_and(|total_at| now >= total_at) {
            self.clock_rang(now);
        }
    }

    /// What the tap let pass, as the caller gets it.
    fn forward(&mut self) {
        match &mut self.interpreter {
            None => self.ready.extend(self.fed.drain(..)),
            Some(interpreter) => interpreter.pass(self.fed.drain(..), &mut self.ready),
        }
    }

    /// The answer's end was seen: whether the caller has it, or gets it now.
    fn tell_end(&mut self) -> bool {
        let Some(interpreter) = &mut self.interpreter else { return true };
        interpreter.finish(&mut self.ready);
        interpreter.ended()
    }

    /// Acts on what the tap has seen by now.
    fn look(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        if let Some((frame, parsed)) = self.tap.error() {
            let redaction = &self.channel.redaction;
            let (answered, told) = (classify_event(parsed, redaction), redaction.apply_bytes(frame));
            let why = format!("upstream: error event ({:?}): {}", answered.blame, answered.message);
            match told {
                // About our own account: the caller reads that it is not his.
                _ if answered.blame.is_ours() || self.interpreter.is_some() => self.say(&answered.public()),
                Some(frame) => {
                    // Empty: a frame too large to hold back, which the client has already.
                    let sent = frame.is_empty();
                    let ended = [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"].iter().any(|end| frame.ends_with(end));
                    self.ready.extend((!sent).then_some(frame));
                    if self.framing == Framing::JsonArray {
                        self.ready.push_back(Bytes::from_static(b"]")); // The upstream's own is not waited for.
                    } else if !sent && !ended {
                        // The last event of a stream may lack its blank line; without one no client reads it.
                        self.ready.push_back(Bytes::from_static(b"\n\n"));
                    }
                }
                None => self.say(&PublicError::broken_off()),
            }
            if !answered.blame.is_of_request() {
                self.channel.health.broke(self.lease.mark().now_ms());
            }
            self.conclude(Ending::Cut, cause(why));
            self.source = None;
        } else if let Some(failure) = self.interpreter.as_ref().and_then(|interpreter| interpreter.failed()) {
            let fault = failure.fault();
            let error = match failure {
                Failure::NoAnswer(_) => PublicError::broken_off(),
                Failure::TooLong => fault.public(),
            };
            self.break_off(Ending::Cut, fault.cause(), &error);
        } else if self.tap.closed() && !self.tell_end() {
            let why = "upstream: ended without its end";
            self.break_off(Ending::Cut, why, &PublicError::broken_off());
        } else if self.tap.closed() {
            self.conclude(Ending::Completed, None);
            self.pace.within(AFTER_CLOSE, now);
            self.clock.as_mut().reset(self.pace.due());
        } else if self.tap.ended() {
            let one = self.interpreter.as_ref().is_some_and(|interpreter| interpreter.tells_one());
            self.pace.within(if one && self.tap.summed_up() { AFTER_SUM } else { AFTER_END }, now);
            self.clock.as_mut().reset(earliest(self.comment_at.min(self.pace.due()), self.total_at));
        }
    }

    /// The upstream's body is over, cleanly or not.
    fn upstream_over(&mut self, error: Option<String>) {
        self.source = None;
        if self.ended {
            return;
        }
        if error.is_none() {
            self.tap.finish(&mut self.fed);
            self.forward();
            self.look(Instant::now());
            self.source = None;
        }
        if self.ended {
            return;
        }
        let why = match error {
            Some(error) => format!("upstream: broke off: {error}"),
            None => "upstream: ended without its end".to_owned(),
        };
        self.break_off(Ending::Cut, why, &PublicError::broken_off());
    }

    fn clock_rang(&mut self, now: Instant) {
        if self.ended {
            // The answer is whole; the upstream only did not close in time.
            self.source = None;
            return;
        }
        let silent = now >= self.pace.due();
        if silent || self.total_at.is_some_and(|total_at| now >= total_at) {
            let why = if silent { "upstream: silent past timeouts.idle" } else { "past timeouts.total" };
            self.break_off(Ending::TimedOut, why, &PublicError::fell_silent());
            return;
        }
        if now >= self.comment_at {
            self.comment_at = now + COMMENT_EVERY;
            // Never into the middle of a frame that is passing in parts.
            if self.framing == Framing::Sse && !self.mid_frame() {
                self.ready.push_back(Bytes::from_static(COMMENT));
            }
        }
        let next = earliest(self.comment_at.min(self.pace.due()), self.total_at);
        self.clock.as_mut().reset(next);
    }

    /// Ends the stream with an error in its own words, unless the answer is whole and only its formalities are missing.
    fn break_off(&mut self, ending: Ending, why: impl Into<Cow<'static, str>>, error: &PublicError) {
        self.source = None;
        if self.tap.ended() && self.tell_end() {
            self.conclude(Ending::Completed, None);
            return;
        }
        self.say(error);
        let too_long = |interpreter: &Interpreter| interpreter.failed() == Some(&Failure::TooLong);
        let ours = ending == Ending::Shutdown || self.interpreter.as_deref().is_some_and(too_long);
        if !ours {
            self.channel.health.broke(self.lease.mark().now_ms());
        }
        self.conclude(ending, cause(why));
    }

    /// A frame is passing in parts: nothing may be written into it.
    fn mid_frame(&self) -> bool {
        self.interpreter.is_none() && self.tap.broken_frame_sent()
    }

    fn say(&mut self, error: &PublicError) {
        let (told_any, sequence) = match &self.interpreter {
            None => (self.tap.forwarded_any(), self.tap.next_sequence()),
            Some(interpreter) => (interpreter.wrote_any(), interpreter.next_sequence()),
        };
        let stage = match self.framing {
            Framing::JsonArray => Stage::JsonArray { first: !told_any },
            _ => Stage::Sse { sequence },
        };
        if self.framing == Framing::Sse && self.mid_frame() {
            // A frame was passing in parts: close it, or the error would become its tail.
            self.ready.push_back(Bytes::from_static(b"\n\n"));
        }
        self.ready.push_back(encode(self.dialect, error, self.lease.request_id(), stage));
    }

    fn conclude(&mut self, ending: Ending, why: Option<Cow<'static, str>>) {
        self.ended = true;
        if ending == Ending::Completed {
            self.channel.health.succeeded();
        }
        self.write_down();
        self.lease.end(ending, why);
    }

    fn write_down(&mut self) {
        let usage = self.tap.usage();
        let all = usage.is_some() && self.tap.usage_is_final();
        let delivered = (!all).then(|| self.tap.delivered().clone());
        if let Some(interpreter) = &self.interpreter {
            self.lease.record().losses.append(interpreter.losses());
        }
        // What was made for a request of ours is nothing that the caller could ask for.
        let stored_id = self.tap.stored_id().filter(|_| self.interpreter.is_none());
        learn(&self.app, &mut self.lease, &self.caller, &self.channel, (usage, delivered), stored_id);
    }

    /// Whether to read on if the client leaves now.
    pub(super) fn is_worth_draining(&self) -> bool {
        !self.ended && self.lease.mark().entry.is_worth_draining()
    }

    /// He has left, and it is read on.
    pub(super) fn left(&mut self) {
        if !self.tap.ended() {
            self.lease.end(Ending::ClientLeft, cause(drain::READ_ON));
        }
    }

    pub(super) fn app(&self) -> &Arc<App> {
        &self.app
    }

    pub(super) fn entry(&self) -> &Arc<crate::flow::Entry> {
        &self.lease.mark().entry
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The client left: perhaps with the whole answer; what was used until then is known in any case.
        if !self.ended && self.tap.ended() {
            self.conclude(Ending::Completed, None);
        } else if !self.ended {
            self.write_down();
        }
    }
}

fn earliest(next: Instant, total_at: Option<Instant>) -> Instant {
    total_at.map_or(next, |total_at| next.min(total_at))
}

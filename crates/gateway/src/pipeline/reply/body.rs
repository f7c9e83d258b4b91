//! The one body type of every response.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{drain, passing::Passing, stream::Stream, waiting::Waiting};
use crate::{app::App, flow::Entry, pipeline::lease::Lease};

/// Breaks the client's connection: what was sent must not look whole.
#[derive(Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer broke off")
    }
}

impl std::error::Error for Aborted {}

/// A response body; its lease is settled when it is dropped.
#[derive(Debug)]
pub struct ReplyBody {
    kind: Kind,
    gathered: Gathered,
}

/// What was handed on since the HTTP library last had nothing more to write: it sends only then, or when its buffer is full.
/// Many small events that come at once go out at once; a large piece goes out before the next is read; and what came before
/// a break goes out before it, so far as the client takes it at once.
#[derive(Debug)]
struct Gathered {
    bytes: usize,
    /// Something, were it the head alone.
    any: bool,
    /// The break is still to be told.
    broken: bool,
}

/// Bytes that are handed on before they are sent: a burst of some dozens of events.
const GATHERED: usize = 8 * 1024;

impl Gathered {
    fn pass(&mut self, context: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Polled) -> Polled {
        if std::mem::take(&mut self.broken) {
            return Poll::Ready(Some(Err(Aborted)));
        }
        if self.bytes >= GATHERED {
            return self.send_first(context);
        }
        let polled = poll(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.data_ref().map_or(0, Bytes::len);
                self.any = true;
            }
            Poll::Ready(Some(Err(_))) if self.any => {
                self.broken = true;
                return self.send_first(context);
            }
            Poll::Ready(_) => {}
            Poll::Pending => (self.bytes, self.any) = (0, false),
        }
        polled
    }

    fn send_first(&mut self, context: &mut Context<'_>) -> Polled {
        (self.bytes, self.any) = (0, false);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[derive(Debug)]
enum Kind {
    Whole { body: Option<Bytes>, _lease: Option<Box<Lease>> },
    Passing(Box<Passing>),
    Stream(Box<Stream>),
    Waiting(Box<Waiting>),
}

/// What polling a body gives.
pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, Aborted>>>;

impl ReplyBody {
    fn of(kind: Kind) -> ReplyBody {
        ReplyBody { kind, gathered: Gathered { bytes: 0, any: true, broken: false } }
    }

    pub fn whole(body: Bytes, lease: Option<Box<Lease>>) -> ReplyBody {
        if let Some(lease) = &lease {
            lease.mark().entry.bytes_out.store(body.len() as u64, std::sync::atomic::Ordering::Relaxed);
        }
        ReplyBody::of(Kind::Whole { body: (!body.is_empty()).then_some(body), _lease: lease })
    }

    pub(super) fn passing(body: Passing) -> ReplyBody {
        ReplyBody::of(Kind::Passing(Box::new(body)))
    }

    pub(super) fn stream(body: Stream) -> ReplyBody {
        ReplyBody::of(Kind::Stream(Box::new(body)))
    }

    pub(super) fn waiting(body: Waiting) -> ReplyBody {
        ReplyBody::of(Kind::Waiting(Box::new(body)))
    }

    /// Whose answer this is, if it is to be read on when it is dropped now.
    fn worth_draining(&self) -> Option<(Arc<App>, Arc<Entry>)> {
        match &self.kind {
            Kind::Passing(passing) if passing.is_worth_draining() => {
                Some((passing.app().clone(), passing.entry().clone()))
            }
            Kind::Stream(stream) if stream.is_worth_draining() => {
                Some((stream.app().clone(), stream.entry().clone()))
            }
            // What a waiting one waits for looks after itself.
            _ => None,
        }
    }

    /// The client has left, and this is read on.
    pub(super) fn left(&mut self) {
        match &mut self.kind {
            Kind::Passing(passing) => passing.left(),
            Kind::Stream(stream) => stream.left(),
            Kind::Whole { .. } | Kind::Waiting(_) => {}
        }
    }
}

impl Kind {
    fn poll(&mut self, context: &mut Context<'_>) -> Polled {
        match self {
            Kind::Whole { body, .. } => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Kind::Passing(passing) => passing.poll(context),
            Kind::Stream(stream) => stream.poll(context),
            Kind::Waiting(waiting) => match waiting.poll(context) {
                Ok(polled) => polled,
                Err(mut stream) => {
                    // The attempt has an answer now: go on as its stream.
                    let polled = stream.poll(context);
                    *self = Kind::Stream(stream);
                    polled
                }
            },
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let ReplyBody { kind, gathered } = &mut *self;
        gathered.pass(context, |context| kind.poll(context))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Whole { body: None, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { body, .. } => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            _ => SizeHint::default(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        if let Some((app, entry)) = self.worth_draining() {
            let rest = Kind::Whole { body: None, _lease: None };
            let body = ReplyBody::of(std::mem::replace(&mut self.kind, rest));
            drain::take(&app, &entry, drain::Left::Body(body));
        }
    }
}

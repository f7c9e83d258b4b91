//! The one HTTP client: everything that goes to a provider goes through here.
//!
//! In: a request whose body is slices of the caller's. Out: the answer's head and a body to be polled. Dropping either
//! closes or releases the connection; redirects are not followed, nothing that an upstream may have seen is sent
//! again. Only this file and those below it name the client library.

mod connector;
mod open;
mod pool;

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, atomic::AtomicI64},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Duration;

use self::{
    connector::Connector,
    pool::{Pool, Received},
};
use crate::{config::Proxy, flow::Entry};

/// A way to an upstream. The simulation puts a scripted one in the place of the network.
pub trait Upstream: Send + Sync + fmt::Debug {
    fn send(&self, request: Request<RequestBody>) -> Sending;
}

/// The answer's head, to come.
pub type Sending = Pin<Box<dyn Future<Output = Result<Response<ReplyBytes>, SendError>> + Send>>;

/// Why no answer's head came.
#[derive(Debug)]
pub enum SendError {
    /// Not connected: nothing was sent.
    Connect(String),
    ConnectTimedOut,
    /// Connected, and then the connection broke: the upstream may have seen the request.
    Broken(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Connect(detail) => write!(f, "cannot connect: {detail}"),
            SendError::ConnectTimedOut => f.write_str("cannot connect within timeouts.connect"),
            SendError::Broken(detail) => write!(f, "connection broke before an answer: {detail}"),
        }
    }
}

/// A request body in slices, written one after the other without a copy.
#[derive(Debug)]
pub struct RequestBody {
    parts: VecDeque<Bytes>,
    left: u64,
    /// Told when the body is first asked for: then there is a connection, and the request goes out.
    entry: Option<Arc<Entry>>,
}

impl RequestBody {
    pub fn new(parts: Vec<Bytes>, entry: Option<Arc<Entry>>) -> RequestBody {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        RequestBody { parts: parts.into(), left, entry }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(entry) = self.entry.take() {
            entry.sent();
        }
        Poll::Ready(self.parts.pop_front().map(|part| {
            self.left -= part.len() as u64;
            Ok(Frame::data(part))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An answer's body.
#[derive(Debug)]
pub enum ReplyBytes {
    Network(Box<Received>),
    Scripted(Scripted),
}

/// A body that a simulation makes up.
pub struct Scripted(pub Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>);

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl ReplyBytes {
    /// The next bytes; trailers are passed over.
    pub fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, String>>> {
        loop {
            let frame = match self {
                ReplyBytes::Network(body) => body
                    .poll_frame(context)
                    .map(|frame| frame.map(|frame| frame.map_err(|error| chain(&error)))),
                ReplyBytes::Scripted(body) => body
                    .0
                    .as_mut()
                    .poll_frame(context)
                    .map(|frame| frame.map(|frame| frame.map_err(|error| chain(&error)))),
            };
            return match frame {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Poll::Ready(Some(Ok(data))),
                    _ => continue,
                },
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    pub async fn next(&mut self) -> Option<Result<Bytes, String>> {
        std::future::poll_fn(|context| self.poll_bytes(context)).await
    }

    /// The length that the head promised.
    pub fn exact_length(&self) -> Option<u64> {
        match self {
            ReplyBytes::Network(body) => body.size_hint().exact(),
            ReplyBytes::Scripted(body) => body.0.size_hint().exact(),
        }
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// One channel's connections.
pub struct HttpUpstream(Arc<Pool>);

impl fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpUpstream")
    }
}

impl HttpUpstream {
    /// `sockets` counts this channel's open connections into the whole.
    pub fn new(connect: Duration, proxy: Option<&Proxy>, sockets: Arc<AtomicI64>) -> HttpUpstream {
        HttpUpstream(Arc::new(Pool::new(Connector::new(connect, proxy, sockets))))
    }
}

impl Upstream for HttpUpstream {
    fn send(&self, request: Request<RequestBody>) -> Sending {
        Box::pin(self.0.clone().send(request))
    }
}

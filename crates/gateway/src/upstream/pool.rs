//! The open connections of one channel: taken for a request, given back when its answer has been read.
//!
//! In: requests. Out: the answers' heads, with bodies that give their connection back at their end. A connection is given to
//! one request at a time, and the one that was used last goes first. A body that is dropped before its end closes its
//! connection. A request that went out is never sent again: only one that found its connection gone takes another.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use tokio::{
    task::AbortHandle,
    time::{Duration, Instant, sleep_until},
};

use super::{
    RequestBody, SendError, chain,
    connector::{Connector, timed_out},
};

/// Idle connections are closed after this: shorter than what providers keep, so that few are stale when used.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept per channel.
const MAX_IDLE: usize = 1024;
/// The most that a connection reads at once, and keeps to read into while it is idle; also the longest head of an answer.
/// Left alone, the buffer of each connection that a long answer came over grows to 400 KB, and stays.
const READ_BUFFER: usize = 64 * 1024;

pub(super) struct Pool {
    connector: Connector,
    idle: Arc<Idle>,
}

/// The connections that nobody uses, the oldest first.
#[derive(Default)]
struct Idle(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    connections: Vec<(Instant, SendRequest<RequestBody>)>,
    /// The task that looks after their age, while there are some.
    watch: Option<AbortHandle>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Pool {
        Pool { connector, idle: Arc::default() }
    }

    pub(super) async fn send(
        self: Arc<Pool>,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Received>, SendError> {
        let target = std::mem::take(request.uri_mut());
        if let Some(path) = target.path_and_query() {
            *request.uri_mut() = Uri::from(path.clone());
        }
        loop {
            let (mut connection, used) = match self.idle.take() {
                Some(connection) => (connection, true),
                None => (self.connect(target.clone()).await?, false),
            };
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let lent = Lent { connection, idle: self.idle.clone() };
                    return Ok(response.map(|body| Received::new(body, lent)));
                }
                Err(mut error) => match error.take_message() {
                    // The provider had closed it while it was idle, and has seen nothing.
                    Some(unsent) if used => request = unsent,
                    _ => return Err(SendError::Broken(chain(error.error()))),
                },
            }
        }
    }

    async fn connect(&self, target: Uri) -> Result<SendRequest<RequestBody>, SendError> {
        let stream = self.connector.connect(target).await.map_err(|error| {
            if timed_out(&*error) { SendError::ConnectTimedOut } else { SendError::Connect(chain(&*error)) }
        })?;
        let (sender, connection) = Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake(stream)
            .await
            .map_err(|error| SendError::Connect(chain(&error)))?;
        // It ends when the sender is dropped, or the provider closes; what went wrong is told to who sent the request.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}

impl Idle {
    /// One that can be used at once.
    fn take(&self) -> Option<SendRequest<RequestBody>> {
        let mut kept = self.lock();
        // One that was just given back may still be on its way to being ready: it stays.
        let mut at = kept.connections.len();
        while at > 0 {
            at -= 1;
            let (_, connection) = &kept.connections[at];
            if connection.is_ready() {
                return Some(kept.connections.remove(at).1);
            }
            if connection.is_closed() {
                kept.connections.remove(at);
            }
        }
        None
    }

    fn put(self: &Arc<Idle>, connection: SendRequest<RequestBody>) {
        if connection.is_closed() {
            return;
        }
        let mut kept = self.lock();
        if kept.connections.len() < MAX_IDLE {
            kept.connections.push((Instant::now(), connection));
        }
        kept.watch.get_or_insert_with(|| tokio::spawn(watch(Arc::downgrade(self))).abort_handle());
    }

    /// Closes those that are idle for too long; when the next will be, if there is one.
    fn close_old(&self) -> Option<Instant> {
        let mut kept = self.lock();
        let now = Instant::now();
        let old = kept.connections.partition_point(|(since, _)| *since + IDLE <= now);
        kept.connections.drain(..old);
        let next = kept.connections.first().map(|(since, _)| *since + IDLE);
        if next.is_none() {
            kept.watch = None;
        }
        next
    }

    /// Nothing in here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs for as long as there are idle connections, and does not keep them.
async fn watch(idle: Weak<Idle>) {
    while let Some(until) = idle.upgrade().and_then(|idle| idle.close_old()) {
        sleep_until(until).await;
    }
}

/// A connection under a request.
struct Lent {
    connection: SendRequest<RequestBody>,
    idle: Arc<Idle>,
}

/// The body of an answer.
pub struct Received {
    body: Incoming,
    /// Gone when it was given back.
    lent: Option<Lent>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Received")
    }
}

impl Received {
    fn new(body: Incoming, lent: Lent) -> Received {
        let mut received = Received { body, lent: Some(lent) };
        if received.body.is_end_stream() {
            received.give_back();
        }
        received
    }

    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::pin::Pin::new(&mut self.body).poll_frame(context);
        match frame {
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.give_back(),
            Poll::Ready(None) => self.give_back(),
            // The connection broke.
            Poll::Ready(Some(Err(_))) => self.lent = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn give_back(&mut self) {
        if let Some(Lent { connection, idle }) = self.lent.take() {
            idle.put(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        time::{advance, timeout},
    };

    use super::*;

    /// A connection that is ready, and the provider's end of it.
    async fn open() -> (SendRequest<RequestBody>, DuplexStream) {
        let (ours, theirs) = duplex(1024);
        let (mut sender, connection) = Builder::new().handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        sender.ready().await.unwrap();
        (sender, theirs)
    }

    async fn is_open(theirs: &mut DuplexStream) -> bool {
        timeout(Duration::from_millis(1), theirs.read_u8()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_used_goes_first_and_the_idle_are_closed_in_time() {
        let idle = Arc::<Idle>::default();
        let (first, mut first_end) = open().await;
        let (second, mut second_end) = open().await;
        idle.put(first);
        advance(IDLE / 2).await;
        idle.put(second);
        assert!(is_open(&mut first_end).await);
        advance(IDLE / 2).await;
        assert!(!is_open(&mut first_end).await, "idle for too long");
        assert!(is_open(&mut second_end).await);

        let taken = idle.take().unwrap();
        assert!(idle.take().is_none());
        advance(IDLE * 2).await;
        assert!(is_open(&mut second_end).await, "nobody closes what is in use");
        drop(second_end);
        tokio::task::yield_now().await;
        idle.put(taken);
        assert!(idle.take().is_none(), "the provider has closed it");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_outlives_the_channel() {
        let idle = Arc::<Idle>::default();
        let (connection, mut end) = open().await;
        idle.put(connection);
        tokio::task::yield_now().await;
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks(), 2, "the connection's and the watch");
        drop(idle);
        assert!(!is_open(&mut end).await);
        tokio::task::yield_now().await;
        assert_eq!(tasks(), 0);
    }
}

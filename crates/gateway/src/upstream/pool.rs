//! The open connections of one channel: taken for a request, given back when its answer has been read.
//!
//! In: requests. Out: the answers' heads, with bodies that give their connection back at their end. A connection is given to
//! one request at a time and to none of another host, and the one that was used last goes first. A request or a body that is
//! dropped before its end takes its connection with it. A request that went out is never sent again: only one that found its
//! connection gone takes another.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{
    task::AbortHandle,
    time::{Duration, Instant, sleep_until},
};

use super::{
    ReplyBytes, RequestBody, SendError, chain,
    connector::{Connector, timed_out},
    open::{Open, Origin},
};

/// Idle connections are closed after this: shorter than what providers keep, so that few are stale when used.
const IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept per channel.
const MAX_IDLE: usize = 1024;
pub(super) struct Pool {
    connector: Connector,
    idle: Arc<Idle>,
}

/// The connections that nobody uses, the oldest first.
#[derive(Default)]
struct Idle(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    connections: Vec<(Instant, Open)>,
    /// The task that looks after them, while there are some.
    watch: Option<AbortHandle>,
    /// Wakes it.
    waker: Option<Waker>,
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
    ) -> Result<Response<ReplyBytes>, SendError> {
        let target = std::mem::take(request.uri_mut());
        if let Some(path) = target.path_and_query() {
            *request.uri_mut() = Uri::from(path.clone());
        }
        let origin = Origin(target.scheme().cloned(), target.authority().cloned());
        if let Some(authority) = target.authority().filter(|_| !request.headers().contains_key(HOST)) {
            let host = HeaderValue::from_str(authority.as_str());
            request.headers_mut().insert(HOST, host.map_err(|error| SendError::Connect(chain(&error)))?);
        }
        loop {
            let (mut connection, used) = match self.idle.take(&origin) {
                Some(connection) => (connection, true),
                // Out of the way: it is rare, and has much to remember.
                None => (Box::pin(self.connect(target.clone(), origin.clone())).await?, false),
            };
            match connection.send(request).await {
                Ok(response) => {
                    let lent = Lent { connection, idle: self.idle.clone() };
                    return Ok(response.map(|body| ReplyBytes::Network(Box::new(Received::new(body, lent)))));
                }
                Err(mut error) => match error.take_message() {
                    // The provider had closed it while it was idle, and has seen nothing.
                    Some(unsent) if used => request = unsent,
                    _ => return Err(SendError::Broken(chain(error.error()))),
                },
            }
        }
    }

    async fn connect(&self, target: Uri, origin: Origin) -> Result<Open, SendError> {
        let stream = self.connector.connect(target).await.map_err(|error| {
            if timed_out(&*error) { SendError::ConnectTimedOut } else { SendError::Connect(chain(&*error)) }
        })?;
        Open::begin(origin, stream).await.map_err(|error| SendError::Connect(chain(&error)))
    }
}

impl Idle {
    /// One that can be used at once.
    fn take(&self, origin: &Origin) -> Option<Open> {
        loop {
            let mut kept = self.lock();
            let last = kept.connections.iter().rposition(|(_, open)| open.origin == *origin)?;
            let (_, mut open) = kept.connections.remove(last);
            drop(kept);
            if open.is_quiet() || open.is_free(Waker::noop()) {
                return Some(open);
            }
        }
    }

    fn put(self: &Arc<Idle>, mut open: Open) {
        let keeper = self.lock().waker.clone();
        // Not so if the provider ends it, or answered before it had the whole request.
        if !open.is_free(keeper.as_ref().unwrap_or(Waker::noop())) {
            return;
        }
        let mut kept = self.lock();
        if let Some(watch) = &kept.waker
            && !(open.is_quiet() && open.is_kept_by(watch))
        {
            // It began meanwhile, or was told of an end that it did not find here.
            watch.wake_by_ref();
        }
        if kept.connections.len() < MAX_IDLE {
            kept.connections.push((Instant::now(), open));
        }
        kept.watch.get_or_insert_with(|| tokio::spawn(watch(Arc::downgrade(self))).abort_handle());
    }

    /// Closes those that are idle for too long, or that their provider has closed; when the next will be idle for too long, if
    /// there is one.
    fn sweep(&self, waker: &Waker) -> Option<Instant> {
        let mut kept = self.lock();
        let now = Instant::now();
        kept.connections.retain_mut(|(since, open)| {
            let is_free = |open: &mut Open| open.is_quiet() && open.is_kept_by(waker) || open.is_free(waker);
            *since + IDLE > now && is_free(open)
        });
        let next = kept.connections.first().map(|(since, _)| *since + IDLE);
        kept.waker = next.map(|_| waker.clone());
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
    let mut clock = pin!(sleep_until(Instant::now()));
    poll_fn(|context| {
        while let Some(until) = idle.upgrade().and_then(|idle| idle.sweep(context.waker())) {
            clock.as_mut().reset(until);
            if clock.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// A connection under a request.
struct Lent {
    connection: Open,
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
        let frame = match &mut self.lent {
            Some(lent) => lent.connection.poll_frame(&mut self.body, context),
            None => std::pin::Pin::new(&mut self.body).poll_frame(context),
        };
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
    use std::sync::atomic::{AtomicI64, Ordering};

    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        net::{TcpListener, TcpStream},
        time::{advance, timeout},
    };

    use http::uri::Scheme;

    use super::*;

    fn nowhere() -> Origin {
        Origin(Some(Scheme::HTTP), None)
    }

    /// A connection, and the provider's end of it.
    async fn open() -> (Open, DuplexStream) {
        let (ours, theirs) = duplex(1024);
        (Open::begin(nowhere(), TokioIo::new(ours)).await.unwrap(), theirs)
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

        let taken = idle.take(&nowhere()).unwrap();
        assert!(idle.take(&nowhere()).is_none());
        advance(IDLE * 2).await;
        assert!(is_open(&mut second_end).await, "nobody closes what is in use");
        drop(second_end);
        idle.put(taken);
        assert!(idle.take(&nowhere()).is_none(), "the provider has closed it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_its_provider_closes_is_not_kept_until_somebody_asks() {
        let idle = Arc::<Idle>::default();
        let (left, mut left_end) = open().await;
        let (closed, closed_end) = open().await;
        let (broken, mut broken_end) = open().await;
        for connection in [left, closed, broken] {
            idle.put(connection);
        }
        tokio::task::yield_now().await;
        drop(closed_end);
        broken_end.write_all(b"unasked for").await.unwrap();
        tokio::task::yield_now().await;
        assert_eq!(idle.lock().connections.len(), 1);
        assert!(is_open(&mut left_end).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_outlives_the_channel() {
        let idle = Arc::<Idle>::default();
        let (connection, mut end) = open().await;
        idle.put(connection);
        tokio::task::yield_now().await;
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(tasks(), 1, "the watch");
        drop(idle);
        assert!(!is_open(&mut end).await);
        tokio::task::yield_now().await;
        assert_eq!(tasks(), 0);
    }

    struct Provider {
        listener: TcpListener,
        address: String,
    }

    impl Provider {
        async fn start() -> Provider {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            Provider { listener, address }
        }

        fn request(&self, body: Vec<Bytes>) -> Request<RequestBody> {
            let url = format!("http://{}/here", self.address);
            Request::post(url).body(RequestBody::new(body, None)).unwrap()
        }

        /// Takes a connection and answers the one request that comes over it, whose head is returned.
        async fn answer(&self) -> (String, TcpStream) {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            (String::from_utf8(head).unwrap(), stream)
        }
    }

    fn pool() -> (Arc<Pool>, Arc<AtomicI64>) {
        let sockets = Arc::new(AtomicI64::new(0));
        (Arc::new(Pool::new(Connector::new(Duration::from_secs(10), None, sockets.clone()))), sockets)
    }

    #[tokio::test]
    async fn a_connection_carries_no_request_to_another_host_and_each_names_its_own() {
        let (pool, sockets) = pool();
        let (one, two) = (Provider::start().await, Provider::start().await);
        let mut open = Vec::new();
        for provider in [&one, &two] {
            let sending = pool.clone().send(provider.request(Vec::new()));
            let (answer, (head, stream)) = tokio::join!(sending, provider.answer());
            assert_eq!(answer.unwrap().status(), 200);
            assert!(head.starts_with("POST /here HTTP/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("host: {}\r\n", provider.address)), "{head}");
            open.push(stream);
        }
        assert_eq!(sockets.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_takes_its_connection_with_it_though_nobody_reads() {
        let (pool, sockets) = pool();
        let provider = Provider::start().await;
        // More than the buffers of two sockets hold.
        let body = vec![Bytes::from(vec![b'x'; 32 << 20])];
        let mut stream = tokio::select! {
            sent = pool.send(provider.request(body)) => panic!("{:?}", sent.map(|_| ())),
            accepted = async {
                let (mut stream, _) = provider.listener.accept().await.unwrap();
                stream.read_u8().await.unwrap();
                stream
            } => accepted,
        };
        while sockets.load(Ordering::Relaxed) != 0 {
            tokio::task::yield_now().await;
        }
        // What was on its way comes, and then the end.
        let mut rest = vec![0; 1 << 16];
        while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    }
}

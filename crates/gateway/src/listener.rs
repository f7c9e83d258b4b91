//! The accept loop: one task per client connection, and the watch that sees a client leave.
//!
//! In: a bound socket. Out: requests for `http::route`. The HTTP library notices a client that leaves only while its
//! own read buffer is empty: one stray byte behind the body, or a pipelined request, and it looks no more. So every
//! connection shares its socket with the [`watch`], which asks the event loop's cached readiness (no system call)
//! whether the peer has closed, and ends the connection's task: that drops the request, and with it the upstream's.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use hyper::{
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::unconstrained,
    time::{Duration, MissedTickBehavior, interval, sleep},
};
use tracing::warn;

use crate::{app::App, clock::Clock, http, socket::ClientSocket};

/// How often the watch looks at every connection.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// A request head must be whole this long after its first byte.
const HEAD_LIMIT_MS: u64 = 15_000;
/// An idle keep-alive connection is closed after this: longer than the 75 s that proxies in front expect.
const IDLE_LIMIT_MS: u64 = 90_000;
/// A client that takes none of the bytes it was given for this long has left, whatever its socket says.
pub const CLIENT_STALL: Duration = Duration::from_secs(60);
/// Largest request head, in bytes; the HTTP library answers 431 beyond it.
const HEAD_BYTES: usize = 64 * 1024;
/// Wait after an accept error that is not the connection's own (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection's task is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Order {
    Stay,
    /// Finish the running request, take no other.
    Finish,
    /// As `Finish`, and look at the running request again: it is to end itself now.
    End,
    /// Drop everything now.
    Drop,
}

/// A client connection, as others may see it.
#[derive(Debug)]
pub struct Connection {
    pub peer: SocketAddr,
    pub clock: Clock,
    socket: Mutex<Option<Arc<TcpStream>>>,
    requests: AtomicU32,
    /// When the first byte of a request head came in, 0: none is under way.
    head_ms: AtomicU64,
    /// When the connection last became idle.
    idle_ms: AtomicU64,
    /// When it was closed; 0: open.
    closed_ms: AtomicU64,
    order: AtomicU8,
    ordered: Notify,
}

impl Connection {
    /// A connection without a socket: for requests that come from inside a simulation.
    pub fn detached(clock: Clock) -> Arc<Connection> {
        Arc::new(Connection::new(SocketAddr::from(([127, 0, 0, 1], 0)), clock, None))
    }

    fn new(peer: SocketAddr, clock: Clock, socket: Option<Arc<TcpStream>>) -> Connection {
        Connection {
            peer,
            clock,
            socket: Mutex::new(socket),
            requests: AtomicU32::new(0),
            head_ms: AtomicU64::new(0),
            idle_ms: AtomicU64::new(clock.now_ms()),
            closed_ms: AtomicU64::new(0),
            order: AtomicU8::new(Order::Stay as u8),
            ordered: Notify::new(),
        }
    }

    pub fn closed_ms(&self) -> u64 {
        self.closed_ms.load(Ordering::Relaxed)
    }

    /// A request head is in: whatever comes next, no head is under way, and the idle time begins anew.
    fn head_arrived(&self) {
        self.head_ms.store(0, Ordering::Relaxed);
        self.idle_ms.store(self.clock.now_ms(), Ordering::Relaxed);
    }

    pub(crate) fn request_began(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_ended(&self, now_ms: u64) {
        self.idle_ms.store(now_ms, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes came in from the client.
    pub(crate) fn received(&self) {
        if self.requests.load(Ordering::Relaxed) == 0 && self.head_ms.load(Ordering::Relaxed) == 0 {
            self.head_ms.store(self.clock.now_ms(), Ordering::Relaxed);
        }
    }

    /// The connection is over. Simulations call it in the place of a connection's task.
    pub fn close(&self, now_ms: u64) {
        self.closed_ms.store(now_ms, Ordering::Relaxed);
        // The socket closes with the task's own half: the watch must not keep it open.
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn tell(&self, order: Order) {
        if self.order.fetch_max(order as u8, Ordering::AcqRel) < order as u8 {
            self.ordered.notify_one();
        }
    }

    async fn order(&self) -> bool {
        loop {
            self.ordered.notified().await;
            match self.order.load(Ordering::Acquire) {
                order if order == Order::Drop as u8 => return true,
                order if order >= Order::Finish as u8 => return false,
                _ => {}
            }
        }
    }

    /// Whether the peer has closed its side, from the event loop's own notes.
    fn peer_gone(&self) -> bool {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(socket) = socket else { return false };
        let ready = std::pin::pin!(unconstrained(socket.ready(Interest::READABLE | Interest::WRITABLE)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match ready.poll(&mut context) {
            std::task::Poll::Ready(Ok(ready)) => ready.is_read_closed() || ready.is_write_closed(),
            std::task::Poll::Ready(Err(_)) => true,
            std::task::Poll::Pending => false,
        }
    }

    /// Whether the connection has outstayed one of its limits.
    fn overdue(&self, now_ms: u64) -> bool {
        let head_ms = self.head_ms.load(Ordering::Relaxed);
        if self.requests.load(Ordering::Relaxed) > 0 {
            return false;
        }
        if head_ms != 0 {
            return now_ms > head_ms + HEAD_LIMIT_MS;
        }
        now_ms > self.idle_ms.load(Ordering::Relaxed) + IDLE_LIMIT_MS
    }
}

/// Every open client connection.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

impl Connections {
    fn enter(&self, connection: &Arc<Connection>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, connection.clone());
        number
    }

    fn leave(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Idle connections close, busy ones after their request.
    pub fn finish_all(&self) {
        self.all().iter().for_each(|connection| connection.tell(Order::Finish));
    }

    /// Running requests are polled once more, and find that they must end.
    pub fn end_all(&self) {
        self.all().iter().for_each(|connection| connection.tell(Order::End));
    }

    /// Everything is dropped now, running requests with it.
    pub fn drop_all(&self) {
        self.all().iter().for_each(|connection| connection.tell(Order::Drop));
    }
}

/// Binds the listening socket. Accepted connections inherit its options.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
    /// Connections the kernel may hold for us before `accept`.
    const BACKLOG: i32 = 4096;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    // A client that vanishes without a word (power, NAT) sends no FIN: probes find it within half a minute.
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    #[cfg(target_os = "linux")]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until `app.shutdown` says stop.
pub async fn run(app: Arc<App>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.shutdown.listener_closed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(serve_connection(app.clone(), stream, peer));
            }
            Err(error) if own_fault(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// An accept error of that one connection, not of the listener.
fn own_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Leaves the registry and the gauge when the connection's task ends, however it ends.
struct Presence {
    app: Arc<App>,
    connection: Arc<Connection>,
    number: u64,
}

impl Presence {
    fn enter(app: Arc<App>, connection: Arc<Connection>) -> Presence {
        app.flow.client_sockets.fetch_add(1, Ordering::Relaxed);
        let number = app.connections.enter(&connection);
        Presence { app, connection, number }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.connection.close(self.app.flow.clock.now_ms());
        self.app.connections.leave(self.number);
        self.app.flow.client_sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve_connection(app: Arc<App>, stream: TcpStream, peer: SocketAddr) {
    let stream = Arc::new(stream);
    let connection = Arc::new(Connection::new(peer, app.flow.clock, Some(stream.clone())));
    let _presence = Presence::enter(app.clone(), connection.clone());
    let socket = TokioIo::new(ClientSocket::new(stream, connection.clone()));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        connection.head_arrived();
        let (answering, app) = (http::route(&app, &connection, request), app.clone());
        async move {
            let mut response = answering.await;
            if let (Ok(response), true) = (&mut response, app.shutdown.draining()) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    });
    let serving = http1::Builder::new()
        .header_read_timeout(None) // it would also close idle connections: the watch tells the two apart
        .max_header_size(HEAD_BYTES)
        .serve_connection(socket, service);
    let mut serving = std::pin::pin!(serving);
    loop {
        tokio::select! {
            // An error here is the client's connection breaking: its request was dropped and settled itself.
            _ = serving.as_mut() => return,
            at_once = connection.order() => {
                if at_once {
                    return;
                }
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Looks after every connection and every request in flight, until it is dropped.
pub async fn watch(app: Arc<App>) {
    let mut ticks = interval(WATCH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let now_ms = app.flow.clock.now_ms();
        for connection in app.connections.all() {
            if connection.overdue(now_ms)
                || connection.requests.load(Ordering::Relaxed) > 0 && connection.peer_gone()
            {
                connection.tell(Order::Drop);
            }
        }
        for entry in app.flow.entries() {
            let handed_ms = entry.handed_ms();
            if handed_ms != 0 && now_ms > handed_ms + CLIENT_STALL.as_millis() as u64 {
                entry.connection.tell(Order::Drop);
            }
        }
    }
}

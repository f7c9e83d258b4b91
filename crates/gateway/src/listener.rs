//! The accept loop: one task per client connection, and the watch that sees a client leave.
//!
//! In: a bound socket. Out: requests for `http::route`. The HTTP library notices a client that leaves only while its
//! own read buffer is empty: one stray byte behind the body, or a pipelined request, and it looks no more. So every
//! connection shares its socket with the [`watch`], which asks the event loop's cached readiness (no system call)
//! whether the peer has closed, and ends the connection's task: that drops the request, and with it the upstream's.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use hyper::{
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Duration, MissedTickBehavior, interval, sleep},
};
use tracing::warn;

use crate::{
    app::App,
    connection::{CLIENT_STALL, Connection, Order},
    http,
    socket::ClientSocket,
};

/// How often the watch looks at every connection.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// Largest request head, in bytes; the HTTP library answers 431 beyond it.
const HEAD_BYTES: usize = 64 * 1024;
/// Wait after an accept error that is not the connection's own (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    socket.set_tcp_user_timeout(Some(CLIENT_STALL))?;
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
            if connection.overdue(now_ms) || connection.busy() && connection.peer_gone() {
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

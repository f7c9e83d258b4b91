//! A client connection, as the rest of the program may see it: its requests, its limits, its end.
//!
//! In: what the listener's task and the socket note down. Out: whether the client has left or outstayed a limit, and orders
//! to the connection's task. It must not know what the requests are.

use std::{
    collections::HashMap,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::{io::Interest, net::TcpStream, sync::Notify, task::unconstrained, time::Duration};

use crate::clock::Clock;

/// A request head must be whole this long after its first byte.
const HEAD_LIMIT_MS: u64 = 15_000;
/// An idle keep-alive connection is closed after this: longer than the 75 s that proxies in front expect.
const IDLE_LIMIT_MS: u64 = 90_000;
/// A client that takes none of the bytes it was given for this long has left, whatever its socket says.
pub const CLIENT_STALL: Duration = Duration::from_secs(60);

/// What a connection's task is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
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
    /// What the head that is coming in has named so far; see [`LengthsNamed`].
    lengths: AtomicU8,
    order: AtomicU8,
    ordered: Notify,
}

impl Connection {
    /// A connection without a socket: for requests that come from inside a simulation.
    pub fn detached(clock: Clock) -> Arc<Connection> {
        Arc::new(Connection::new(SocketAddr::from(([127, 0, 0, 1], 0)), clock, None))
    }

    pub(crate) fn new(peer: SocketAddr, clock: Clock, socket: Option<Arc<TcpStream>>) -> Connection {
        Connection {
            peer,
            clock,
            socket: Mutex::new(socket),
            requests: AtomicU32::new(0),
            head_ms: AtomicU64::new(0),
            idle_ms: AtomicU64::new(clock.now_ms()),
            closed_ms: AtomicU64::new(0),
            lengths: AtomicU8::new(LengthsNamed::START.0),
            order: AtomicU8::new(Order::Stay as u8),
            ordered: Notify::new(),
        }
    }

    pub fn closed_ms(&self) -> u64 {
        self.closed_ms.load(Ordering::Relaxed)
    }

    /// A request head is in: whatever comes next, no head is under way, and the idle time begins anew, with its first byte.
    pub(crate) fn head_arrived(&self) {
        let head_ms = self.head_ms.load(Ordering::Relaxed);
        // Pipelined, it came in while another was answered, and nobody noted when.
        let arrived_ms = if head_ms == 0 { self.clock.now_ms() } else { head_ms };
        // In this order: whoever sees that no head is under way sees the idle time that begins with it.
        self.idle_ms.store(arrived_ms, Ordering::Relaxed);
        self.head_ms.store(0, Ordering::Release);
    }

    pub(crate) fn request_began(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        // What came in between head and here was of its body.
        self.head_ms.store(0, Ordering::Release);
    }

    pub(crate) fn request_ended(&self, now_ms: u64) {
        self.idle_ms.store(now_ms, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Bytes came in from the client.
    pub(crate) fn received(&self, bytes: &[u8]) {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return;
        }
        if self.head_ms.load(Ordering::Relaxed) == 0 {
            self.head_ms.store(self.clock.now_ms(), Ordering::Relaxed);
            self.lengths.store(LengthsNamed::START.0, Ordering::Relaxed);
        }
        let lengths = LengthsNamed(self.lengths.load(Ordering::Relaxed)).after(bytes);
        self.lengths.store(lengths.0, Ordering::Relaxed);
    }

    /// The last head named both Content-Length and Transfer-Encoding.
    pub fn two_lengths(&self) -> bool {
        LengthsNamed(self.lengths.load(Ordering::Relaxed)).both()
    }

    /// The connection is over. Simulations call it in the place of a connection's task.
    pub fn close(&self, now_ms: u64) {
        self.closed_ms.store(now_ms, Ordering::Relaxed);
        // The socket closes with the task's own half: the watch must not keep it open.
        self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn tell(&self, order: Order) {
        if self.order.fetch_max(order as u8, Ordering::AcqRel) < order as u8 {
            self.ordered.notify_one();
        }
    }

    pub(crate) async fn order(&self) -> bool {
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
    pub(crate) fn peer_gone(&self) -> bool {
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

    pub(crate) fn busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Whether the connection has outstayed one of its limits.
    pub(crate) fn overdue(&self, now_ms: u64) -> bool {
        let head_ms = self.head_ms.load(Ordering::Acquire);
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
    pub(crate) fn enter(&self, connection: &Arc<Connection>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(number, connection.clone());
        number
    }

    pub(crate) fn leave(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
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

/// Whether a head names Content-Length, Transfer-Encoding or both, as it comes in. The HTTP library takes the former out
/// where both stand and reads the body as chunked, which is safe (RFC 9112, section 6.3) but hides it. A name that is cut
/// in two by the network is not found, and such a request is read the library's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LengthsNamed(u8);

impl LengthsNamed {
    const CONTENT_LENGTH: u8 = 1;
    const TRANSFER_ENCODING: u8 = 2;
    /// A line begins with the next byte.
    const AT_LINE: u8 = 4;
    /// The head is over: what comes is body.
    const OVER: u8 = 8;

    const START: LengthsNamed = LengthsNamed(0);

    fn both(self) -> bool {
        self.0 & (Self::CONTENT_LENGTH | Self::TRANSFER_ENCODING)
            == Self::CONTENT_LENGTH | Self::TRANSFER_ENCODING
    }

    /// After more of the head.
    fn after(self, bytes: &[u8]) -> LengthsNamed {
        let mut found = self.0 & !Self::AT_LINE;
        if found & Self::OVER != 0 {
            return self;
        }
        let at_once = (self.0 & Self::AT_LINE != 0).then_some(0);
        let lines = memchr::memchr_iter(b'\n', bytes).map(|newline| newline + 1);
        for line in at_once.into_iter().chain(lines).map(|begin| &bytes[begin..]) {
            let named = |name: &str| {
                line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            };
            match line.first() {
                Some(b'\r' | b'\n') => return LengthsNamed(found | Self::OVER),
                None => found |= Self::AT_LINE,
                Some(b'c' | b'C') if named("content-length:") => found |= Self::CONTENT_LENGTH,
                Some(b't' | b'T') if named("transfer-encoding:") => found |= Self::TRANSFER_ENCODING,
                Some(_) => {}
            }
        }
        LengthsNamed(found)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[test]
    fn two_lengths_are_found_in_the_head_only() {
        let both = [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nhost: x\r\ncontent-length:5\r\n\r\n",
        ];
        let one = [
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\r\nX-Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "content-length: 5\r\n",
        ];
        let whole = |head: &&str| LengthsNamed::START.after(head.as_bytes()).both();
        assert!(both.iter().all(whole));
        assert!(!one.iter().any(whole));
        // In pieces that end with a line.
        let in_lines = |head: &&str| {
            let lines = head.split_inclusive('\n');
            lines.fold(LengthsNamed::START, |named, line| named.after(line.as_bytes())).both()
        };
        assert!(both.iter().all(in_lines));
        assert!(!one.iter().any(in_lines));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_outlive_what_stands_in_front_and_slow_heads_do_not_live_long() {
        let connection = Connection::detached(Clock::start());
        let overdue = || connection.overdue(connection.clock.now_ms());
        advance(Duration::from_secs(75)).await;
        assert!(!overdue());
        advance(Duration::from_secs(16)).await;
        assert!(overdue());
        connection.head_arrived();
        assert!(!overdue(), "any request renews the idle time");
        connection.received(b"GET / HT");
        advance(Duration::from_secs(14)).await;
        assert!(!overdue());
        advance(Duration::from_secs(2)).await;
        assert!(overdue(), "the head is under way for too long");
        connection.request_began();
        assert!(!overdue(), "a running request has clocks of its own");
    }
}

//! The running provider: its listener, its connections and what they share.
//!
//! In: an address and a default script; out: a `Sim` handle. Dropping the handle stops the listener and every
//! connection; nothing may outlive it.

use crate::connection;
use crate::percent;
use crate::record::Record;
use crate::script::Script;
use crate::served::Served;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Waiting connections: a gateway under load opens hundreds at once.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept, which means that file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running fake provider. Dropping it stops the listener and every connection.
pub struct Sim {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    /// The accept task, which owns the connection tasks.
    accepting: AbortHandle,
}

/// What all the connections of a sim use.
pub(crate) struct Shared {
    pub(crate) record: Arc<Record>,
    /// For requests that no script was given for.
    pub(crate) default_script: Arc<Script>,
    pushed: Mutex<HashMap<String, VecDeque<Arc<Script>>>>,
    /// Scripts in `pushed`; spares the healthy path the lock.
    pushed_count: AtomicUsize,
}

impl Shared {
    /// The next script pushed for this secret.
    pub(crate) fn next_pushed(&self, secret: &str) -> Option<Arc<Script>> {
        if self.pushed_count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        let script = pushed.get_mut(secret)?.pop_front()?;
        self.pushed_count.fetch_sub(1, Ordering::AcqRel);
        Some(script)
    }
}

impl Sim {
    /// A healthy provider on a free port of the loopback address.
    #[allow(clippy::expect_used, reason = "a machine without a loopback port cannot run any test")]
    pub async fn start() -> Sim {
        Sim::bind((Ipv4Addr::LOCALHOST, 0).into()).await.expect("no free port on 127.0.0.1")
    }

    pub async fn bind(addr: SocketAddr) -> io::Result<Sim> {
        Sim::bind_with(addr, Script::default()).await
    }

    /// Like `bind`; `default_script` answers the requests that no script was given for.
    pub async fn bind_with(addr: SocketAddr, default_script: Script) -> io::Result<Sim> {
        let listener = listen(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            record: Arc::default(),
            default_script: Arc::new(default_script),
            pushed: Mutex::default(),
            pushed_count: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Sim { addr, shared, accepting })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A base URL under which every request follows the script. Panics if the script does not parse.
    pub fn scripted(&self, script: &str) -> String {
        if let Err(error) = script.parse::<Script>() {
            panic!("{error} (in `{script}`)");
        }
        format!("http://{}/~{}", self.addr, percent::encode(script))
    }

    /// The next request signed with this secret follows the script; several wait in order.
    pub fn push(&self, secret: &str, script: Script) {
        let mut pushed = self.shared.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        pushed.entry(secret.to_owned()).or_default().push_back(Arc::new(script));
        self.shared.pushed_count.fetch_add(1, Ordering::AcqRel);
    }

    /// The requests so far (the last 10,000), in order of arrival.
    pub fn log(&self) -> Vec<Served> {
        self.shared.record.log()
    }

    pub fn open_requests(&self) -> usize {
        self.shared.record.open_requests.load(Ordering::Relaxed)
    }

    pub fn open_connections(&self) -> usize {
        self.shared.record.open_connections.load(Ordering::Relaxed)
    }

    pub fn connections_total(&self) -> u64 {
        self.shared.record.connections_total.load(Ordering::Relaxed)
    }

    /// Resolves as soon as the log satisfies `what`; looks again at each change, whether of the log or of the
    /// counters.
    pub async fn wait_until(&self, what: impl Fn(&[Served]) -> bool) {
        self.shared.record.wait_until(what).await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let present = Present::new(&shared.record);
                    connections.spawn(attend(stream, Arc::clone(&shared), present));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            // Takes ended connections out of the set, so that it does not grow.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn attend(stream: TcpStream, shared: Arc<Shared>, _present: Present) {
    // Without it the events of a stream would be gathered by the kernel. A refusal means that the peer has left.
    let _ = stream.set_nodelay(true);
    connection::serve(stream, &shared).await;
}

/// Counts a connection as open for as long as it lives.
struct Present(Arc<Record>);

impl Present {
    fn new(record: &Arc<Record>) -> Present {
        record.open_connections.fetch_add(1, Ordering::Relaxed);
        record.connections_total.fetch_add(1, Ordering::Relaxed);
        record.tell();
        Present(Arc::clone(record))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::Relaxed);
        self.0.tell();
    }
}

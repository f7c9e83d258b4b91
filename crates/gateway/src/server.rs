//! From a bound socket to the last lease: starting and stopping.
//!
//! In: a configuration and a listening socket. Out: a running [`Server`]; [`Server::stop`] ends it in order: readiness fails
//! and new work gets 503, running requests go on to the drain limit, then they end in words, then what is left is
//! dropped, and at last the settler has written everything down.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use store::{
    Database, StoreError,
    ledger::{self, LostCharge},
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Duration, Instant, interval, timeout},
};
use tracing::{error, info, warn};

use crate::{
    admin::{local::Local, setup},
    app::App,
    calendar, checkpoint,
    clock::unix_ms,
    config::{Config, Lost, StoreConfig},
    listener, monitor, retention,
    secret::Secret,
    settler::{self, Sink},
    shutdown::Stage,
    sweep,
};

/// How often the stop looks whether the last request is gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After the drain limit, time for the last in-band errors to be written to the clients.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// At the very end, time for the settler to write: money is worth a wait.
const LAST_WRITES: Duration = Duration::from_secs(30);

/// The disk or the reader of the request lines stood still at the end: what waited for it is lost.
#[derive(Debug)]
pub struct NotWritten {
    /// Still in the queue; those being written come on top.
    pub settlements: usize,
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stopped without everything being written: {} settlements waited for the books or for the reader of the request lines",
            self.settlements
        )
    }
}

/// Why a server cannot start.
#[derive(Debug)]
pub enum StartError {
    Listener(io::Error),
    Store(StoreError),
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> StartError {
        StartError::Store(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listener(error) => write!(f, "cannot listen: {error}"),
            StartError::Store(error) => write!(f, "the books cannot be opened: {error}"),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    pub app: Arc<App>,
    pub address: SocketAddr,
    /// Of the link that makes the first user; `None`: there is one.
    pub setup_token: Option<Secret>,
    accepting: JoinHandle<()>,
    watches: [JoinHandle<()>; 6],
    settling: JoinHandle<()>,
    /// For the commands of this machine.
    local: Option<Local>,
}

impl Server {
    /// Starts serving on a bound socket.
    pub fn start(config: Config, listener: TcpListener, sink: Sink) -> Result<Server, StartError> {
        let address = listener.local_addr().map_err(StartError::Listener)?;
        let database = match &config.store {
            StoreConfig::Sqlite(path) => Database::open(path)?,
            StoreConfig::Memory => Database::in_memory()?,
        };
        for violation in sweep::at_start(&database)? {
            error!(violation, "the books do not balance: see `sluice books`");
        }
        let charge = match config.lost {
            Lost::Free => LostCharge::Nothing,
            Lost::Estimate => LostCharge::Hold,
        };
        let lost = ledger::recover(&database, unix_ms(), charge)?;
        if lost > 0 {
            let charged = charge == LostCharge::Hold;
            warn!(lost, charged, "requests that ran when the process died are listed as lost");
        }
        let setup_token = setup::link(&database)?.map(Secret::new);
        let (app, queue) = App::new(config, database)?;
        let local = app.database.path().and_then(|path| {
            Local::open(app.clone(), path)
                .inspect_err(|error| warn!(%error, "commands cannot reach this process: its socket beside the database cannot be made"))
                .ok()
        });
        Ok(Server {
            setup_token,
            local,
            accepting: tokio::spawn(listener::run(app.clone(), listener)),
            watches: [
                tokio::spawn(listener::watch(app.clone())),
                tokio::spawn(monitor::watch(app.clone())),
                tokio::spawn(calendar::watch(app.clone())),
                tokio::spawn(sweep::watch(app.clone())),
                tokio::spawn(checkpoint::watch(app.clone())),
                tokio::spawn(retention::watch(app.clone())),
            ],
            settling: settler::start(app.clone(), queue, sink),
            app,
            address,
        })
    }

    /// Ends everything in order. Returns when nothing is left, or says what could not be written down.
    pub async fn stop(self) -> Result<(), NotWritten> {
        let app = &self.app;
        let drain = app.catalog.load().config.shutdown.drain;
        app.shutdown.advance(Stage::Draining);
        app.connections.finish_all();
        info!(
            in_flight = app.flow.in_flight(),
            ?drain,
            "stopping: new requests are refused, running ones go on"
        );
        if !self.emptied(drain).await {
            warn!(in_flight = app.flow.in_flight(), "the drain limit passed: running requests end now");
            app.shutdown.advance(Stage::Ending);
            app.connections.end_all();
            self.emptied(LAST_WORDS).await;
        }
        app.shutdown.advance(Stage::Over);
        app.connections.drop_all();
        drop(self.local);
        for watch in &self.watches {
            watch.abort();
        }
        let _ = self.accepting.await;
        if timeout(LAST_WRITES, self.settling).await.is_err() {
            return Err(NotWritten { settlements: app.settlements_open() });
        }
        info!("stopped");
        Ok(())
    }

    /// Waits until no request is in flight and the last answers are written out; false when `limit` passed first.
    async fn emptied(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut looks = interval(LOOK_EVERY);
        let mut written_by = None;
        loop {
            looks.tick().await;
            let now = Instant::now();
            if self.app.flow.in_flight() > 0 {
                if now >= until {
                    return false;
                }
                continue;
            }
            // Monitors keep connecting while readiness fails: they must not hold up the end.
            let written_by = *written_by.get_or_insert(now + LAST_WORDS);
            if self.app.connections.is_empty() || now >= written_by {
                return true;
            }
        }
    }
}

//! The running program: what all requests share.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use arc_swap::ArcSwap;
use store::{Database, Nanos, StoreError, directory::Directory};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    affinity::Affinity,
    budget::RetryBudget,
    catalog::{Catalog, Outfit, Purses},
    clock::unix_ms,
    config::{ChannelConfig, Config},
    connection::{Connection, Connections},
    enroll,
    flow::Flow,
    limits::Meters,
    pipeline::{
        admission::Admission,
        count::Counter,
        inbound::{Head, HeldBodies, RECEIVING_LIMIT},
        lease::Lease,
        reply::drain::Drainer,
    },
    rng::Rng,
    settlement::Settlement,
    shutdown::Shutdown,
    sign_in::SignIn,
    sweep::Findings,
    telemetry::Telemetry,
    thoughts::Thoughts,
    upstream::{HttpUpstream, Upstream},
};

/// Settlements that may wait beyond one for each request that can be in flight.
const BACKLOG: usize = 4096;

/// A new app, and the settler's end of its queue.
pub type Begun = (Arc<App>, mpsc::Receiver<Box<Settlement>>);

/// Makes a channel's way out.
pub type Connect = Box<dyn Fn(&ChannelConfig) -> Arc<dyn Upstream> + Send + Sync>;

pub struct App {
    /// The books.
    pub database: Arc<Database>,
    /// The picture in force; a request takes one and keeps it.
    pub catalog: ArcSwap<Catalog>,
    pub flow: Arc<Flow>,
    pub connections: Connections,
    pub shutdown: Arc<Shutdown>,
    pub admission: Admission,
    /// Of tokens, where no channel can be asked.
    pub counter: Counter,
    /// Answers whose clients have left.
    pub drainer: Drainer,
    /// What the sweep found in the books.
    pub findings: Findings,
    pub held_bodies: Arc<HeldBodies>,
    pub budget: RetryBudget,
    pub affinity: Affinity,
    /// For clients that do not keep what a model thought before it called a tool.
    pub thoughts: Arc<Thoughts>,
    pub rng: Rng,
    pub telemetry: Telemetry,
    /// Who tries to sign in.
    pub sign_in: SignIn,
    settlements: mpsc::Sender<Box<Settlement>>,
    connect: Connect,
    purses: Mutex<Purses>,
    meters: Mutex<Meters>,
    /// Something was changed in the database that could not be put in force then.
    behind: AtomicBool,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    /// An app whose channels go out over the network. The receiver is the settler's.
    pub fn new(config: Config, database: Database) -> Result<Begun, StoreError> {
        let flow = Arc::new(Flow::new());
        let sockets = flow.upstream_sockets.clone();
        let connect: Connect = Box::new(move |channel| {
            Arc::new(HttpUpstream::new(channel.timeouts.connect, channel.proxy.as_ref(), sockets.clone()))
        });
        App::with(config, database, flow, connect, Rng::from_entropy())
    }

    /// An app with another way out and a known seed: for simulations.
    pub fn with(
        config: Config,
        database: Database,
        flow: Arc<Flow>,
        connect: Connect,
        rng: Rng,
    ) -> Result<Begun, StoreError> {
        let (settlements, receiver) = mpsc::channel(config.bounds.in_flight + config.bounds.queue + BACKLOG);
        let admission = Admission::new(&config.bounds);
        let drainer = Drainer::new(config.bounds.draining);
        let sign_in = SignIn::new(flow.upstream_sockets.clone());
        enroll::enter(&database, &config)?;
        let directory = Directory::read(&database)?;
        let kept = enroll::kept(&database, &directory, &config.timeouts);
        let mut purses = Purses::default();
        let mut meters = Meters::new(flow.clock);
        let catalog = Catalog::build(
            config,
            &directory,
            kept,
            None,
            &mut purses,
            &mut meters,
            (database.sealer()?, &*connect),
        );
        let app = App {
            database: Arc::new(database),
            catalog: ArcSwap::from_pointee(catalog),
            flow,
            connections: Connections::default(),
            shutdown: Arc::default(),
            admission,
            counter: Counter::default(),
            drainer,
            findings: Findings::default(),
            held_bodies: Arc::default(),
            budget: RetryBudget::default(),
            affinity: Affinity::default(),
            thoughts: Arc::default(),
            rng,
            telemetry: Telemetry::new(),
            sign_in,
            settlements,
            connect,
            purses: Mutex::new(purses),
            meters: Mutex::new(meters),
            behind: AtomicBool::new(false),
        };
        Ok((Arc::new(app), receiver))
    }

    /// Puts a new configuration in force; requests under way keep the one they began with.
    /// It waits for the database: not for a thread that serves requests.
    pub fn apply(&self, config: Config) -> Result<(), StoreError> {
        self.renew(Some(config))
    }

    /// Puts in force what was changed in the database. It waits, as [`App::apply`] does. Where it cannot, the picture in force
    /// is behind until somebody can: see [`App::is_behind`].
    pub fn refresh(&self) -> Result<(), StoreError> {
        self.renew(None).inspect_err(|_| self.behind.store(true, Ordering::Relaxed))
    }

    /// Whether something stands in the database that is not in force.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// A refund stands in the books: what the key has spent follows. Once for each.
    pub fn refunded(&self, entered: &store::ledger::Entered) {
        let purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(purse) = entered.key.and_then(|key| purses.of_key(key)) {
            entered.follow(purse);
        }
    }

    /// One at a time, and what is read is read within its turn: no picture takes the place of a later one. `config` is a new
    /// one; what the one in force says stands in the database already.
    fn renew(&self, config: Option<Config>) -> Result<(), StoreError> {
        let mut purses = self.purses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.catalog.load_full();
        let config = match config {
            Some(config) => {
                enroll::enter(&self.database, &config)?;
                config
            }
            None => before.config.clone(),
        };
        let directory = Directory::read(&self.database)?;
        self.behind.store(false, Ordering::Relaxed);
        let kept = enroll::kept(&self.database, &directory, &config.timeouts);
        let before = Some(&*before);
        let outfit: Outfit<'_> = (self.database.sealer()?, &*self.connect);
        let catalog = Catalog::build(config, &directory, kept, before, &mut purses, &mut meters, outfit);
        self.catalog.store(Arc::new(catalog));
        Ok(())
    }

    /// Enters a request: from here on it ends exactly once.
    pub fn open_lease(&self, head: &Head, connection: Arc<Connection>) -> Box<Lease> {
        let mark = self.flow.open(head.request_id, connection, RECEIVING_LIMIT);
        let reserved = self.settlements.clone().try_reserve_owned().ok();
        Lease::open(mark, head.door, reserved, self.shutdown.clone())
    }

    /// A UUID of version 7: sorts by time. Its random part need not be secret.
    pub fn new_request_id(&self) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.rng.next().to_le_bytes());
        random[8..].copy_from_slice(&(self.rng.next() as u16).to_le_bytes());
        uuid::Builder::from_unix_timestamp_millis(unix_ms() as u64, &random).into_uuid()
    }

    /// Whose money is held; `None`: a new picture is being made, look again later.
    pub fn held(&self) -> Option<Vec<(&'static str, i64, Nanos)>> {
        Some(self.purses.try_lock().ok()?.held())
    }

    /// Settlements that are reserved or wait to be written.
    pub fn settlements_open(&self) -> usize {
        self.settlements.max_capacity() - self.settlements.capacity()
    }

    /// Sockets open to clients and to upstreams.
    pub fn sockets(&self) -> (i64, i64) {
        let flow = &self.flow;
        (flow.client_sockets.load(Ordering::Relaxed), flow.upstream_sockets.load(Ordering::Relaxed))
    }
}

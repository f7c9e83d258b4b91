//! One world: everything is drawn from its seed, then it runs to its end, then the laws are held against what was seen.

use std::{collections::BTreeMap, sync::Arc};

use gateway::{
    app::App, charge, config::parse, ending::Ending, estimate::Tokenizer, flow::Flow, limits::Whose,
    rng::Rng, settlement::Settlement, shutdown::Stage, upstream::Upstream,
};
use store::{Database, Nanos};
use tokio::{
    runtime::{Builder, Handle},
    time::{Duration, Instant, sleep, timeout},
};

use crate::{
    ask::Ask,
    client::{Visit, visit},
    dice::Dice,
    laws,
    setup::Setup,
    upstream::{Call, Calls, ScriptedUpstream},
};

/// No request lives longer than this in any world: every clock of theirs is far shorter.
const END_OF_TIME: Duration = Duration::from_secs(24 * 3600);

/// When the stop reached its stages, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) draining: u64,
    pub(crate) ending: u64,
    pub(crate) over: u64,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) setup: Arc<Setup>,
    pub(crate) asks: Arc<Vec<Ask>>,
    pub(crate) stop: Option<Stop>,
    /// When the same configuration is put in force again, which must change nothing.
    pub(crate) reloads: Vec<u64>,
    pub(crate) visits: Vec<Visit>,
    pub(crate) calls: Vec<Call>,
    /// With the time at which each was sent.
    pub(crate) settlements: Vec<(u64, Settlement)>,
    /// What is held of each key at the end, and what it has spent.
    pub(crate) purses: BTreeMap<String, (Nanos, Nanos)>,
    /// Counted by ending.
    pub(crate) finished: [u64; Ending::ALL.len()],
    /// What the laws found.
    pub(crate) broken: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let setup = Setup::draw(&mut dice);
        let count = if dice.chance(50) { dice.between(20, 50) } else { dice.between(50, 200) };
        let crowd = dice.pick(&[1_000, 20_000, 300_000]);
        let mut asks = Vec::new();
        for _ in 0..count {
            let at = dice.next() % crowd;
            asks.push(Ask::draw(&mut dice.fork(), &asks, at, &setup));
        }
        let reloads = (0..dice.weigh(&[(3, 0), (1, 3)])).map(|_| dice.next() % crowd).collect();
        let stop = dice.chance(25).then(|| {
            let draining = dice.next() % (2 * crowd);
            let ending = draining + dice.time(120_000);
            Stop { draining, ending, over: ending + 5_000 }
        });
        World {
            seed,
            setup: Arc::new(setup),
            asks: Arc::new(asks),
            stop,
            reloads,
            visits: Vec::new(),
            calls: Vec::new(),
            settlements: Vec::new(),
            purses: BTreeMap::new(),
            finished: Default::default(),
            broken: Vec::new(),
        }
    }

    /// Runs the world; its laws' violations are in `broken`.
    pub(crate) fn run(mut self) -> World {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(self.live());
        drop(runtime);
        laws::hold(&mut self);
        self
    }

    async fn live(&mut self) {
        let calls = Calls::new(self.setup.clone(), self.asks.clone());
        let start = calls.start;
        let app = self.build(&calls);
        let (app, queue) = (app.0, app.1);
        let settling = tokio::spawn(settle(queue, start));
        let visiting: Vec<_> = self
            .asks
            .iter()
            .map(|ask| tokio::spawn(visit(app.clone(), self.setup.clone(), ask.clone(), start)))
            .collect();
        let reloading: Vec<_> = self
            .reloads
            .iter()
            .map(|at| tokio::spawn(reload(app.clone(), self.setup.toml(), *at, start)))
            .collect();
        let stopping = self.stop.map(|stop| tokio::spawn(bring_down(app.clone(), stop, start)));
        let census = tokio::spawn(take_census(app.clone(), Dice::new(self.seed ^ 0xCE)));
        let all = async {
            let mut visits = Vec::new();
            for visiting in visiting {
                visits.push(visiting.await.expect("no client panics, and no request of his"));
            }
            visits
        };
        match timeout(END_OF_TIME, all).await {
            Ok(visits) => self.visits = visits,
            Err(_) => {
                self.broken.push(format!("requests hang: {:?}", app.flow.entries()));
                return;
            }
        }
        for other in reloading.into_iter().chain(stopping) {
            other.await.unwrap();
        }
        if census.is_finished() {
            self.broken.extend(census.await);
        } else {
            census.abort();
            let _ = census.await;
        }
        self.nothing_left(&app, &calls);
        // The settler's queue closes when the last who could settle is gone.
        drop(app);
        self.settlements = match timeout(Duration::from_secs(1), settling).await {
            Ok(settled) => settled.unwrap(),
            Err(_) => {
                self.broken.push("something still holds the app".to_owned());
                return;
            }
        };
        self.calls = calls.all();
        let tasks = Handle::current().metrics().num_alive_tasks();
        if tasks != 0 {
            self.broken.push(format!("{tasks} tasks are alive after the end"));
        }
    }

    pub(crate) fn build(
        &self,
        calls: &Arc<Calls>,
    ) -> (Arc<App>, tokio::sync::mpsc::Receiver<Box<Settlement>>) {
        let config = parse(&self.setup.toml(), &|_: &str| None)
            .unwrap_or_else(|problems| panic!("seed {}: {problems:?}", self.seed));
        let (calls, setup) = (calls.clone(), self.setup.clone());
        let connect = Box::new(move |config: &gateway::config::ChannelConfig| {
            let channel = setup.channels.iter().position(|channel| channel.name == config.name).unwrap();
            let connect = config.timeouts.connect;
            Arc::new(ScriptedUpstream { channel, connect, calls: calls.clone() }) as Arc<dyn Upstream>
        });
        let database = Database::in_memory().unwrap();
        App::with(config, database, Arc::new(Flow::new()), connect, Rng::seeded(self.seed)).unwrap()
    }

    /// What came in went out.
    fn nothing_left(&mut self, app: &Arc<App>, calls: &Calls) {
        let flow = &app.flow;
        let mut left = |what: &str, count: u64| {
            if count != 0 {
                self.broken.push(format!("left behind: {count} {what}"));
            }
        };
        left("in flight", flow.in_flight() as u64);
        self.finished = Ending::ALL.map(|ending| flow.finished(ending));
        left("started without an end", flow.started() - self.finished.iter().sum::<u64>());
        left("settlements open", app.settlements_open() as u64);
        left("admission places", self.setup.in_flight - app.admission.free() as u64);
        left("waiting for admission", app.admission.waiting() as u64);
        left("connections", app.connections.len() as u64);
        left("calls or their bodies", calls.alive());
        left("request bodies counted", u64::from(format!("{:?}", app.held_bodies) != "HeldBodies(0)"));
        let catalog = app.catalog.load();
        for channel in catalog.channels() {
            left("places of a channel", u64::from(channel.occupancy.inside()));
        }
        for key in &self.setup.keys {
            let key = catalog.key(&key.secret).expect("keys stay");
            let purse = key.purse.state();
            let held = purse.held.plus(key.account.state().held);
            self.purses.insert(key.name.to_string(), (held, purse.spent));
            for whose in Whose::ALL {
                let meter = key.limits.of(whose);
                left("places of a key, its user or its group", meter.inside().into());
                left("waiting for a limit", meter.waiting() as u64);
                left("tokens reserved", meter.reserved());
            }
        }
        if flow.started() != self.asks.len() as u64 {
            self.broken.push(format!("{} asked, {} started", self.asks.len(), flow.started()));
        }
    }
}

async fn settle(
    mut queue: tokio::sync::mpsc::Receiver<Box<Settlement>>,
    start: Instant,
) -> Vec<(u64, Settlement)> {
    let mut settled = Vec::new();
    while let Some(settlement) = queue.recv().await {
        let at = start.elapsed().as_millis() as u64;
        let mut settlement = *settlement;
        // As the settler does, without a vocabulary.
        charge::measure(&mut settlement, &Tokenizer::default());
        settled.push((at, settlement));
    }
    settled
}

async fn reload(app: Arc<App>, toml: String, at: u64, start: Instant) {
    tokio::time::sleep_until(start + Duration::from_millis(at)).await;
    app.apply(parse(&toml, &|_: &str| None).unwrap()).unwrap();
}

/// The order of a real stop.
async fn bring_down(app: Arc<App>, stop: Stop, start: Instant) {
    for (at, stage) in
        [(stop.draining, Stage::Draining), (stop.ending, Stage::Ending), (stop.over, Stage::Over)]
    {
        tokio::time::sleep_until(start + Duration::from_millis(at)).await;
        app.shutdown.advance(stage);
    }
}

/// Looks at random moments whether everybody who is here is accounted for.
async fn take_census(app: Arc<App>, mut dice: Dice) -> String {
    loop {
        sleep(Duration::from_millis(dice.time(20_000) + 1)).await;
        let census = app.flow.census();
        if !census.unaccounted.is_empty() {
            let entries = app.flow.entries();
            let who: Vec<_> =
                entries.iter().filter(|entry| census.unaccounted.contains(&entry.request_id)).collect();
            return format!("unaccounted at {}: {who:?}", app.flow.clock.now_ms());
        }
    }
}

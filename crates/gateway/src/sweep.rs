//! The sweep: whether the books keep their rules, looked at while they are written.
//!
//! In: the books, a few thousand rows at a time, and what is held in memory. Out: a metric, a line in the log when it changes,
//! and words for the monitor. It must hold up nobody, however large the books are.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use store::{Database, Nanos, StoreError, ledger::sweep::Sweep};
use tokio::time::{Duration, MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::app::App;

/// How often a step is taken: ten million rows are gone through within the hour.
const STEP_EVERY: Duration = Duration::from_secs(1);
/// A round begins no sooner than this after the one before.
const ROUND_EVERY: Duration = Duration::from_secs(60);
/// At the start the books are looked at for this long: small ones to the end.
const AT_START: Duration = Duration::from_millis(200);
/// Looks in a row that find money held while nobody is here: between two of them a hold may be on its way.
const LOOKS_HELD: u32 = 3;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Vec<String>>);

impl Findings {
    /// Rules that do not hold, in words.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The whole truth now. What is new about it is said once.
    fn set(&self, app: &App, found: Vec<String>) {
        app.telemetry.books_violations.set(found.len() as i64);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == found {
            return;
        }
        match found.first() {
            Some(first) => error!(count = found.len(), first, "the books do not balance: see `sluice books`"),
            None => info!("the books balance again"),
        }
        *known = found;
    }
}

/// The rules at the start, as far as they can be looked at in a moment.
pub fn at_start(database: &Database) -> Result<Vec<String>, StoreError> {
    let (began, mut sweep) = (Instant::now(), Sweep::default());
    database.read(|connection| {
        while began.elapsed() < AT_START {
            if let Some(found) = sweep.step(connection)? {
                return Ok(found);
            }
        }
        Ok(sweep.found().to_vec())
    })
}

/// Goes through the books until it is dropped.
pub async fn watch(app: Arc<App>) {
    let mut ticks = interval(STEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut sweep, mut of_books, mut held) = (Sweep::default(), app.findings.all(), Held::default());
    let mut next_round = tokio::time::Instant::now();
    loop {
        ticks.tick().await;
        held.look(&app);
        if tokio::time::Instant::now() >= next_round {
            let database = app.database.clone();
            let step = tokio::task::spawn_blocking(move || {
                let done = database.read(|connection| sweep.step(connection));
                (sweep, done)
            });
            let done = match step.await {
                Ok((stepped, done)) => {
                    sweep = stepped;
                    done
                }
                Err(error) if error.is_panic() => {
                    error!("the sweep of the books panicked: it begins anew");
                    sweep = Sweep::default();
                    next_round = tokio::time::Instant::now() + ROUND_EVERY;
                    continue;
                }
                Err(_) => return,
            };
            match done {
                Ok(Some(found)) => {
                    of_books = found;
                    next_round = tokio::time::Instant::now() + ROUND_EVERY;
                }
                // What was found in a round is said at once; what was found before stays until the round is over.
                Ok(None) if !sweep.found().is_empty() => of_books = sweep.found().to_vec(),
                Ok(None) => {}
                Err(error) => warn!(%error, "the books cannot be swept now"),
            }
        }
        app.findings.set(&app, of_books.iter().cloned().chain(held.found()).collect());
    }
}

/// Money that is held while no request is here.
#[derive(Default)]
struct Held {
    looks: u32,
    by: Vec<(&'static str, i64, Nanos)>,
}

impl Held {
    fn look(&mut self, app: &App) {
        let nobody = app.flow.in_flight() == 0 && app.settlements_open() == 0;
        let Some(mut by) = app.held() else { return };
        by.retain(|(_, _, held)| nobody || *held < Nanos::ZERO);
        self.looks = if by == self.by { self.looks.saturating_add(1) } else { 0 };
        self.by = by;
    }

    fn found(&self) -> impl Iterator<Item = String> {
        let sure = self.looks >= LOOKS_HELD;
        self.by.iter().filter(move |_| sure).map(|(whose, id, held)| {
            format!("{whose} {id}: {held} is held, and no request is here that holds it")
        })
    }
}

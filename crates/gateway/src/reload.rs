//! A changed configuration file, put in force without dropping a request.
//!
//! In: the file, looked at every second and on SIGHUP. Out: a new catalog; a bad file leaves the old one in force and says
//! so, with all its problems.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    signal::unix::Signal,
    time::{Duration, MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use crate::{
    app::App,
    config::{Config, Problem, ProcessEnvironment, StoreConfig, parse, parse_store},
};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Reads and checks a file; the error is ready to be shown.
pub fn load(path: &Path) -> Result<(String, Config), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match parse(&text, &ProcessEnvironment) {
        Ok(config) => Ok((text, config)),
        Err(problems) => Err(told(path, &problems)),
    }
}

/// Where a file says that the books are. Its secrets are not asked for: who only reads needs none.
pub fn load_store(path: &Path) -> Result<StoreConfig, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse_store(&text).map_err(|problems| told(path, &problems))
}

fn told(path: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> =
        problems.iter().map(|problem| format!("{}: {problem}", path.display())).collect();
    lines.join("\n")
}

/// Watches the file for as long as the program runs.
pub async fn watch(app: Arc<App>, path: PathBuf, mut text: String, mut hangups: Signal) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let asked = tokio::select! {
            _ = looks.tick() => false,
            _ = hangups.recv() => true,
        };
        let look = path.clone();
        let Ok(found) = tokio::task::spawn_blocking(move || std::fs::read_to_string(look)).await else {
            return;
        };
        let changed = match &found {
            Ok(found) => *found != text,
            Err(_) => false, // An editor between delete and rename; the next look finds the new file.
        };
        if asked || changed {
            let (app, path) = (app.clone(), path.clone());
            let settled = match tokio::task::spawn_blocking(move || reload(&app, &path)).await {
                Ok(settled) => settled,
                Err(error) if error.is_panic() => {
                    error!("reading the configuration panicked: the one before stays in force");
                    true
                }
                Err(_) => return,
            };
            // What the database would not take is tried again at the next look.
            if let (Ok(found), true) = (found, settled) {
                text = found;
            }
        }
    }
}

/// Whether the file was taken or refused for good.
fn reload(app: &App, path: &Path) -> bool {
    match load(path) {
        Ok((_, config)) => {
            let before = app.catalog.load_full();
            if config.listen != before.config.listen
                || config.store != before.config.store
                || config.bounds.in_flight != before.config.bounds.in_flight
            {
                warn!("listen, store and bounds.in_flight take effect at the next start only");
            }
            let (keys, channels) = (config.keys.len(), config.channels.len());
            match app.apply(config) {
                Ok(()) => info!(keys, channels, "configuration reloaded"),
                Err(error) => {
                    error!(%error, "the configuration was not reloaded: the one before stays in force, for now");
                    return false;
                }
            }
        }
        Err(problems) => {
            for problem in problems.lines() {
                error!("{problem}");
            }
            error!("the configuration was not reloaded: the one before stays in force");
        }
    }
    true
}

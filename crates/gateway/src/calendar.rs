//! What changes by the date: periods of spend limits begin, and prices come into force.
//!
//! In: the clock. Out: a new catalog when a date has passed, and when a change could not be put in force as it was made. It
//! asks the clock again and again: a machine may sleep, and its clock may be set.

use std::sync::Arc;

use store::keys::{ResetPeriod, begin_periods};
use tokio::time::{Duration, sleep};
use tracing::{error, info};

use crate::{app::App, clock::unix_ms};

/// How often the clock is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs for as long as the program does.
pub async fn watch(app: Arc<App>) {
    // All periods begin where a day begins.
    let mut day = None;
    loop {
        let now_ms = unix_ms();
        let today = ResetPeriod::Day.start_ms(now_ms);
        let due = app.is_behind()
            || app.catalog.load().prices_change_ms().is_some_and(|change_ms| change_ms <= now_ms);
        if due || day != Some(today) {
            let turning = app.clone();
            match tokio::task::spawn_blocking(move || turn(&turning, due)).await {
                Ok(true) => day = Some(today),
                Ok(false) => {}
                Err(error) if error.is_panic() => error!("what changes by the date panicked: trying again"),
                Err(_) => return,
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether it was done; what the database would not take is tried again at the next look.
fn turn(app: &App, due: bool) -> bool {
    let turned = begin_periods(&app.database, unix_ms()).and_then(|begun| {
        if begun > 0 {
            info!(keys = begun, "spend limits begin a new period");
        }
        if begun > 0 || due {
            app.refresh()?;
        }
        Ok(())
    });
    if let Err(error) = &turned {
        error!(%error, "what changes by the date cannot: trying again");
    }
    turned.is_ok()
}

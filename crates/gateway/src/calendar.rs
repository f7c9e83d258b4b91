//! What changes by the date: periods of spend limits begin.
//!
//! In: the clock. Out: a new catalog when a date has passed. It asks the clock again and again: a machine may sleep, and its
//! clock may be set.

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
        let today = ResetPeriod::Day.start_ms(unix_ms());
        if day != Some(today) {
            let turning = app.clone();
            match tokio::task::spawn_blocking(move || turn(&turning)).await {
                Ok(true) => day = Some(today),
                Ok(false) => {}
                Err(_) => return,
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Whether it was done; what the database would not take is tried again at the next look.
fn turn(app: &App) -> bool {
    let turned = begin_periods(&app.database, unix_ms()).and_then(|begun| {
        if begun > 0 {
            info!(keys = begun, "spend limits begin a new period");
            app.refresh()?;
        }
        Ok(())
    });
    if let Err(error) = &turned {
        error!(%error, "periods of spend limits cannot begin");
    }
    turned.is_ok()
}

//! Old requests leave the log, while everything else goes on.
//!
//! In: `[retention]` of the configuration in force, and the clock. Out: fewer rows. Between two small batches it leaves the
//! database to those who write, for longer than it held it.

use std::{sync::Arc, time::Duration};

use store::retention;
use tokio::{
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tracing::{info, warn};

use crate::{app::App, clock::unix_ms};

const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Requests removed at once: some ten milliseconds for which the settler waits.
const BATCH: u32 = 200;
/// Between two batches at least; and as long as the last one took.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks for ever.
pub async fn watch(app: Arc<App>) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let Some(kept) = app.catalog.load().config.retention.requests else { continue };
        let before = unix_ms() - i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        let removed = remove(&app, before).await;
        if removed > 0 {
            info!(removed, ?kept, "requests that were kept long enough have left the log");
        }
    }
}

async fn remove(app: &App, before_ms: i64) -> u64 {
    let mut all = 0;
    loop {
        let (database, began) = (app.database.clone(), Instant::now());
        let removing = spawn_blocking(move || retention::remove(&database, before_ms, BATCH)).await;
        match removing {
            Ok(Ok(removed)) => {
                all += u64::from(removed);
                if removed < BATCH {
                    return all;
                }
            }
            Ok(Err(error)) => {
                warn!(%error, "old requests cannot be removed now; trying again in a minute");
                return all;
            }
            Err(_) => return all,
        }
        sleep(PAUSE.max(began.elapsed())).await;
    }
}

//! What was written into the books goes from the write-ahead file into the database, while more is written.
//!
//! In: a look at how much there is, again and again. Out: checkpoints. The settler must not wait for them: a slow disk would
//! fill its queue, and new requests would be refused.

use std::sync::Arc;

use tokio::{
    task::spawn_blocking,
    time::{Duration, MissedTickBehavior, interval},
};
use tracing::warn;

use crate::{app::App, telemetry::thread_cpu};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks for ever.
pub async fn watch(app: Arc<App>) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        if !app.database.wants_checkpoint() {
            continue;
        }
        let (database, cpu) = (app.database.clone(), app.telemetry.books_cpu.clone());
        let done = spawn_blocking(move || {
            let (done, spent) = thread_cpu(|| database.checkpoint());
            cpu.inc_by(spent.as_secs_f64());
            done
        });
        if let Ok(Err(error)) = done.await {
            warn!(%error, "the books cannot be worked into the database now; the settler does it when it must");
        }
    }
}

//! What was written into the books goes from the write-ahead file into the database, while more is written.
//!
//! In: a look at how much there is, again and again. Out: checkpoints. The settler must not wait for them: a slow disk would
//! fill its queue, and new requests would be refused.

use std::sync::Arc;

use tokio::{
    task::spawn_blocking,
    time::{Duration, Instant, MissedTickBehavior, interval},
};
use tracing::warn;

use crate::{app::App, telemetry::thread_cpu};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Rows written before they are worked into the database: the ends of the indexes are written to by every batch, and into the
/// database only once for all of them.
const ROWS: u64 = 10_000;
/// Fewer rows wait no longer: what a power loss may cost is bounded in time too.
const LONGEST: Duration = Duration::from_secs(60);

/// Looks for ever.
pub async fn watch(app: Arc<App>) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        looks.tick().await;
        let rows = app.database.since_checkpoint();
        if rows < ROWS && (rows == 0 || last.elapsed() < LONGEST) {
            continue;
        }
        last = Instant::now();
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

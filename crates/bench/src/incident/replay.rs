//! The replay, from the first process to the last check.
//!
//! In: a plan; out: the evidence. The gateway and the upstream run as processes of their own, as they would.

use std::{fs::File, path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    crowd::Crowd,
    lines,
    mix::Mix,
    reading::{Highest, Reading, Watched},
    tally::Tally,
    verdict::{self, Evidence},
};
use crate::servers::{
    sim::{Sim, Stats},
    sluice::{self, Sluice},
};

/// The incident's own size.
pub const REQUESTS: u64 = 169_000;
pub const AT_ONCE: u64 = 2_000;
/// With fewer at once than this nothing would be in anybody's way.
const AT_ONCE_LEAST: u64 = 50;

/// For the last requests to end after their clients have theirs.
const SETTLE: Duration = Duration::from_secs(30);
/// For tasks and sockets to be back at their baseline: pooled connections and their keepers go at once when the
/// channels go, and within twice the pool's 30 s otherwise.
const BASELINE: Duration = Duration::from_secs(70);
/// Before memory is read: the settler and the allocator come to rest.
const REST: Duration = Duration::from_secs(1);
/// For the allocator to give back what the last requests had.
const MEMORY: Duration = Duration::from_secs(15);
/// For the gateway to end after SIGTERM.
const STOP: Duration = Duration::from_secs(30);

/// Short clocks, so that what takes minutes in production takes half a second here. `connect` counts into the wait for the
/// first byte: together 1.5 s, which an answer needs at times while 2,000 requests share two cores.
const SETTINGS: &str = r#"
[timeouts]
connect = "1s"
first_byte = "500ms"
first_event = "500ms"
idle = "300ms"
[attempts]
max = 2
[shutdown]
drain = "10s"
"#;

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub requests: u64,
    pub at_once: u64,
    pub seed: u64,
    pub full_size: bool,
}

impl Plan {
    /// A replay so many times smaller: fewer requests, and fewer at once by the square root.
    pub fn scaled(scale: u64, seed: u64) -> Plan {
        let at_once = (AT_ONCE as f64 / (scale as f64).sqrt()) as u64;
        Plan {
            requests: (REQUESTS / scale).max(10),
            at_once: at_once.max(AT_ONCE_LEAST),
            seed,
            full_size: scale == 1,
        }
    }
}

/// Replays, and returns what was seen, and what the upstream counted.
pub async fn run(plan: Plan, directory: &Path, say: impl Fn(&str)) -> Result<(Evidence, Stats), String> {
    let sim = Sim::start(directory, None).await?;
    let (config, output) = (directory.join("sluice.toml"), directory.join("requests.jsonl"));
    let blocks = format!("{SETTINGS}{}", Mix::channels(sim.address));
    let requests = File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
    let mut gateway = Sluice::start(&config, &blocks, None, Stdio::from(requests)).await?;
    let watched = Watched { address: gateway.address, pid: gateway.process.pid };
    sleep(REST).await;
    let before = watched.read().await?;

    let mix = Arc::new(Mix::prepare());
    let crowd = Crowd { address: gateway.address, mix, seed: plan.seed, at_once: plan.at_once };
    let (mut highest, mut tally) = (Highest::default(), Tally::default());
    let first_tenth = plan.requests / 10;
    crowd.send(0..first_tenth, &watched, &mut highest, &mut tally).await?;
    let after_tenth = settled(&watched).await?;
    say(&through(first_tenth, &after_tenth));
    let mut done = first_tenth;
    // At full size memory is read after every tenth: a leak would be a line that rises.
    let part = if plan.full_size { first_tenth } else { plan.requests };
    while done < plan.requests {
        let end = plan.requests.min(done + part);
        crowd.send(done..end, &watched, &mut highest, &mut tally).await?;
        done = end;
        say(&through(done, &settled(&watched).await?));
    }
    // The allocator gives memory back in its own time, and only while the process works, as it does for each reading.
    let most = verdict::most_resident(&after_tenth, plan.full_size);
    let at_rest = watched.until(MEMORY, |reading| reading.resident <= most).await?;
    let stats = upstream_at_rest(&sim).await?;

    // Without channels there are no pools: what is idle closes, what is not stays and is found.
    sluice::write(&config, gateway.address, SETTINGS)?;
    gateway.process.hang_up()?;
    let back = watched.until(BASELINE, |reading| {
        reading.tasks <= before.tasks && reading.clients <= before.clients && reading.upstreams == 0
    });
    let after = back.await?;
    gateway.process.terminate()?;
    let exit = match gateway.process.ended_within(STOP).await? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{status}: {}", gateway.process.last_words())),
        None => Err(format!("did not end within {STOP:?}")),
    };
    let evidence = Evidence {
        full_size: plan.full_size,
        before,
        after_tenth,
        at_rest,
        highest,
        after,
        tally,
        lines: lines::read(&output)?,
        open_at_upstream: stats.open_requests,
        exit,
    };
    Ok((evidence, stats))
}

/// The gateway when its last request is over and memory has come to rest.
async fn settled(watched: &Watched) -> Result<Reading, String> {
    watched.until(SETTLE, |reading| reading.in_flight == 0 && reading.open_settlements == 0).await?;
    sleep(REST).await;
    watched.read().await
}

fn through(done: u64, reading: &Reading) -> String {
    format!(
        "{done:>7} requests are through; at rest: RSS {:.1} MB, {} tasks, {} pooled connections",
        reading.resident as f64 / 1e6,
        reading.tasks,
        reading.upstreams
    )
}

/// The upstream's counters, once it has no open request or will not get there.
async fn upstream_at_rest(sim: &Sim) -> Result<Stats, String> {
    let mut stats = sim.stats().await?;
    for _ in 0..100 {
        if stats.open_requests == 0 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        stats = sim.stats().await?;
    }
    Ok(stats)
}

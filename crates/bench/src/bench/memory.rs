//! Memory: with nothing to do, and per held stream.
//!
//! In: servers; out: rows. Each reading is of a process that has done nothing else, because what an earlier load has
//! left in the allocator would hide what a stream needs.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    setup::Setup,
    sizes::Sizes,
    table::{Better, Row, Target},
    ways::{Case, LONG_EVENTS, SILENT_EVENTS, Subject, Way},
};
use crate::{load::held, procfs};

/// For a server to come to rest before its memory is read.
const REST: Duration = Duration::from_millis(700);
/// Requests of these streams that are large.
const LARGE_BYTES: usize = 100 * 1024;
const SMALL_BYTES: usize = 1024;

pub async fn rows(setup: &mut Setup, sizes: &Sizes) -> Result<Vec<Row>, String> {
    let (small, large) = (sizes.held, sizes.held_large);
    let mut idle = Row::new("idle RSS", "MB", Better::Less, Target::AtMost(20.0));
    let mut each =
        Row::new(format!("memory per held stream, {small} held"), "KB", Better::Less, Target::AtMost(40.0));
    let mut all = Row::new(format!("RSS with {small} held streams"), "MB", Better::Less, Target::None);
    let mut heavy = Row::new(
        format!("RSS with {large} held streams of 100 KB requests"),
        "MB",
        Better::Less,
        Target::None,
    );
    let mut heavy_each = Row::new(
        format!("memory per held stream of a 100 KB request, {large} held"),
        "KB",
        Better::Less,
        Target::None,
    );
    for round in 0..sizes.rounds {
        setup.refresh().await?;
        for subject in setup.subjects(round, Case::Silent) {
            let Some(pid) = subject.meter.0 else { continue };
            let (before, with) = hold(&subject, pid, Case::Silent, SMALL_BYTES, small).await?;
            idle.put(subject.way, before / 1e6);
            all.put(subject.way, with / 1e6);
            each.put(subject.way, (with - before) / 1024.0 / small as f64);
        }
        setup.refresh().await?;
        for subject in setup.subjects(round, Case::Silent) {
            let Some(pid) = subject.meter.0 else { continue };
            let (before, with) = hold(&subject, pid, Case::Silent, LARGE_BYTES, large).await?;
            heavy.put(subject.way, with / 1e6);
            heavy_each.put(subject.way, (with - before) / 1024.0 / large as f64);
        }
    }
    Ok(vec![idle, each, all, heavy, heavy_each])
}

/// What a stream needs must not grow with what has passed through it, in either lane.
pub async fn lengths(setup: &mut Setup, sizes: &Sizes) -> Result<Vec<Row>, String> {
    let count = sizes.held_long;
    let mut rows = Vec::new();
    for (case, events) in [(Case::Silent, SILENT_EVENTS), (Case::Long, LONG_EVENTS)] {
        let what = format!("memory per stream after {events} events, {count} held");
        let mut row = Row::new(what, "KB", Better::Less, Target::None);
        for round in 0..sizes.rounds {
            for way in [Way::Sluice, Way::Translated] {
                setup.refresh().await?;
                let subjects = setup.subjects_of_both_lanes(round, case);
                let subject = subjects.iter().find(|subject| subject.way == way);
                let Some((subject, pid)) = subject.and_then(|it| Some((it, it.meter.0?))) else { continue };
                let (before, with) = hold(subject, pid, case, SMALL_BYTES, count).await?;
                row.put(way, (with - before) / 1024.0 / count as f64);
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Memory in bytes before the streams and with them.
async fn hold(
    subject: &Subject,
    pid: u32,
    case: Case,
    size: usize,
    count: usize,
) -> Result<(f64, f64), String> {
    sleep(REST).await;
    let before = procfs::resident(pid)?;
    let request = case.request(subject.way, true, size);
    let events = if matches!(case, Case::Long) { LONG_EVENTS } else { SILENT_EVENTS };
    let held = held::open(subject.address, &request, count, events).await?;
    sleep(REST).await;
    let with = procfs::resident(pid)?;
    drop(held);
    Ok((before as f64, with as f64))
}

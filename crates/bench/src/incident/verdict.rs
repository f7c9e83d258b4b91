//! What has to hold afterwards.
//!
//! In: the readings, the clients' tally, the gateway's lines; out: one check a sentence, each held or not.

use super::{
    lines::Lines,
    mix,
    reading::{Highest, Reading},
    tally::Tally,
};

/// Memory may end so much above where it stood after the first tenth.
const GROWTH: f64 = 0.10;
/// Below full size a tenth is so few requests that the allocator has not yet seen the peak: this much more is allowed.
/// A leak of a connection a request would be twice that in a run a hundred times smaller.
const SMALL_RUN_SLACK: u64 = 32 * 1024 * 1024;

#[derive(Debug)]
pub struct Check {
    pub held: bool,
    pub what: String,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Evidence {
    pub full_size: bool,
    pub before: Reading,
    pub after_tenth: Reading,
    /// At rest, before the pooled connections were closed: comparable with `after_tenth`.
    pub at_rest: Reading,
    pub highest: Highest,
    pub after: Reading,
    pub tally: Tally,
    pub lines: Lines,
    /// Requests that the upstream still held open at the end.
    pub open_at_upstream: u64,
    /// How the gateway ended after SIGTERM.
    pub exit: Result<(), String>,
}

pub fn checks(seen: &Evidence) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |held: bool, what: String| checks.push(Check { held, what });
    let (before, after, tally) = (&seen.before, &seen.after, &seen.tally);

    check(after.in_flight == 0, format!("in flight: {}", after.in_flight));
    check(after.tasks <= before.tasks, format!("tasks: {} before, {} after", before.tasks, after.tasks));
    check(
        after.clients <= before.clients,
        format!("client sockets: {} before, {} after", before.clients, after.clients),
    );
    check(after.upstreams == 0, format!("upstream sockets: {} after", after.upstreams));
    check(seen.open_at_upstream == 0, format!("requests open at the upstream: {}", seen.open_at_upstream));
    check(
        after.open_settlements == 0 && after.waiting == 0,
        format!("settlements open: {}, waiting for admission: {}", after.open_settlements, after.waiting),
    );
    check(
        seen.highest.0.unaccounted == 0 && after.unaccounted == 0,
        format!("unaccounted: {} at most, {} after", seen.highest.0.unaccounted, after.unaccounted),
    );

    let finished = after.finished_sum();
    check(after.started == finished, format!("started {} = finished {finished}", after.started));
    check(
        (tally.taken_at_least()..=tally.taken_at_most()).contains(&after.started),
        format!(
            "started {} = requests that were answered ({}), or may have been taken (at most {})",
            after.started,
            tally.taken_at_least(),
            tally.taken_at_most()
        ),
    );
    check(
        tally.stuck == 0 && tally.unanswered == 0 && tally.refused == 0,
        format!(
            "clients without an answer: {} stuck, {} closed on without a word, {} not connected",
            tally.stuck, tally.unanswered, tally.refused
        ),
    );
    check(
        seen.lines.lines == after.started && seen.lines.requests == after.started,
        format!(
            "request lines: {} for {} different requests, {} started",
            seen.lines.lines, seen.lines.requests, after.started
        ),
    );
    let counted = after.finished.iter().filter(|(_, count)| **count > 0);
    check(counted.eq(seen.lines.endings.iter()), "endings in the lines as in the counters".to_owned());
    let invented: Vec<&String> =
        seen.lines.completed.iter().filter(|model| !mix::can_complete(model)).collect();
    check(invented.is_empty(), format!("completed although the upstream broke off: {invented:?}"));

    let growth = seen.at_rest.resident as f64 / seen.after_tenth.resident as f64 - 1.0;
    let allowed = if seen.full_size { "10 %" } else { "10 % and 32 MB, not being full size" };
    check(
        seen.at_rest.resident <= most_resident(&seen.after_tenth, seen.full_size),
        format!("RSS {:+.1} % against after the first tenth (allowed: {allowed})", growth * 100.0),
    );
    check(
        seen.exit.is_ok(),
        match &seen.exit {
            Ok(()) => "ended by itself after SIGTERM, with success".to_owned(),
            Err(why) => format!("after SIGTERM: {why}"),
        },
    );
    checks
}

/// The memory that the gateway may have at the end.
pub fn most_resident(after_tenth: &Reading, full_size: bool) -> u64 {
    let slack = if full_size { 0 } else { SMALL_RUN_SLACK };
    (after_tenth.resident as f64 * (1.0 + GROWTH)) as u64 + slack
}

/// The readings side by side.
pub fn table(seen: &Evidence) -> String {
    let readings = [&seen.before, &seen.after_tenth, &seen.highest.0, &seen.at_rest, &seen.after];
    let columns = ["before", "first tenth", "during (max)", "at rest", "after"];
    let megabytes = |reading: &Reading| format!("{:.1} MB", reading.resident as f64 / 1e6);
    type Told<'a> = (&'a str, &'a dyn Fn(&Reading) -> String);
    let rows: [Told<'_>; 6] = [
        ("tasks", &|reading| reading.tasks.to_string()),
        ("client sockets", &|reading| reading.clients.to_string()),
        ("upstream sockets", &|reading| reading.upstreams.to_string()),
        ("in flight", &|reading| reading.in_flight.to_string()),
        ("unaccounted", &|reading| reading.unaccounted.to_string()),
        ("RSS", &megabytes),
    ];
    let mut text = format!("{:18}", "");
    for column in columns {
        text += &format!("{column:>14}");
    }
    for (name, tell) in rows {
        text += &format!("\n{name:18}");
        for reading in readings {
            text += &format!("{:>14}", tell(reading));
        }
    }
    text
}

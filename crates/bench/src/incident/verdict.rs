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
const SMALL_RUN_SLACK: u64 = 8 << 20;
/// With nothing open the process is so small that two things that are bounded, but not full after a tenth, count: who made
/// which stored response, and the allocator's own books. With the tenth of some 16 MB that is allowed beside it, a leak
/// of 40 bytes a request shows.
const REMEMBERED: u64 = 4 << 20;

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
    /// After the first tenth, nothing in flight.
    pub after_tenth: Reading,
    /// Then, as at the end: the pools closed, memory at rest.
    pub cleared_tenth: Reading,
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

    let slack = if seen.full_size { 0 } else { SMALL_RUN_SLACK };
    let mut grown = |since: &Reading, what: &str, slack: u64| {
        let growth = after.resident as f64 / since.resident as f64 - 1.0;
        let allowed = if slack == 0 { String::new() } else { format!(" and {} MB", slack / (1 << 20)) };
        check(
            after.resident <= (since.resident as f64 * (1.0 + GROWTH)) as u64 + slack,
            format!(
                "RSS {:+.1} % against after the first tenth{what} (allowed: 10 %{allowed})",
                growth * 100.0
            ),
        );
    };
    grown(&seen.after_tenth, "", slack);
    grown(&seen.cleared_tenth, " with its pools closed", slack + REMEMBERED);
    check(
        seen.exit.is_ok(),
        match &seen.exit {
            Ok(()) => "ended by itself after SIGTERM, with success".to_owned(),
            Err(why) => format!("after SIGTERM: {why}"),
        },
    );
    checks
}

/// The readings side by side.
pub fn table(seen: &Evidence) -> String {
    let readings = [&seen.before, &seen.after_tenth, &seen.cleared_tenth, &seen.highest.0, &seen.after];
    let columns = ["before", "first tenth", "cleared", "during (max)", "after"];
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

//! Work per request, per event and per byte; and how long it takes.
//!
//! In: running servers; out: rows.

use super::{
    setup::Setup,
    sizes::Sizes,
    table::{Better, Row, Target},
    ways::{Case, EVENT_EVERY_MS, Subject, Way},
};
use crate::{
    load::{paced, saturation, streams},
    servers::sluice::{BooksCost, books_cost},
};

/// Body sizes and what they are called.
const BODIES: [(usize, &str); 3] = [(1024, "1 KB"), (100 * 1024, "100 KB"), (1024 * 1024, "1 MB")];

/// CPU per request and requests per second at saturation, for one body size.
pub async fn saturated(setup: &Setup, sizes: &Sizes, body: usize) -> Result<Vec<Row>, String> {
    let (bytes, name) = BODIES[body];
    let connections = if bytes > 500_000 { sizes.large_connections } else { sizes.connections };
    let target = match body {
        0 => Target::Ratio(1.8),
        2 => Target::Ratio(1.6),
        _ => Target::None,
    };
    let of = format!("{name} request, {connections} connections");
    let lanes = if body == 0 { Target::Lanes(2.0) } else { Target::None };
    let mut cpu = Row::new(format!("CPU per {of}"), "µs", Better::Less, lanes);
    let mut rate = Row::new(format!("requests/s on one core, {of}"), "/s", Better::More, Target::None);
    let mut books =
        Row::new("of that, the books: CPU per settled request", "µs", Better::Less, Target::AtMost(30.0));
    let mut apart = Row::new(format!("CPU per {of}, the books apart"), "µs", Better::Less, target);
    let mut busy = Row::new(format!("share of the core used, {of}"), "%", Better::More, Target::None);
    let plan = saturation::Plan { connections, warm_up: sizes.warm_up, window: sizes.window };
    let rounds = if body == 0 { sizes.close_rounds } else { sizes.rounds };
    for round in 0..rounds {
        for subject in setup.subjects_of_both_lanes(round, Case::Lean) {
            let request = Case::Lean.request(subject.way, false, bytes);
            let before = cost(subject).await?;
            let found = saturation::run(subject.address, &request, plan, subject.meter).await?;
            rate.put(subject.way, found.per_second());
            if subject.way != Way::Direct {
                let mut rest = found.cpu_micros_per_request();
                cpu.put(subject.way, rest);
                if let (Some(before), Some(after)) = (before, cost(subject).await?) {
                    let micros = (after.seconds - before.seconds) * 1e6 / (after.requests - before.requests);
                    books.put(subject.way, micros);
                    rest -= micros;
                }
                apart.put(subject.way, rest);
                busy.put(subject.way, found.busy() * 100.0);
            }
        }
    }
    Ok(vec![cpu, books, apart, rate, busy])
}

/// What the books of Sluice cost so far; other ways have none.
async fn cost(subject: Subject) -> Result<Option<BooksCost>, String> {
    match subject.way {
        Way::Sluice | Way::Translated => books_cost(subject.address).await.map(Some),
        Way::Direct | Way::Nginx => Ok(None),
    }
}

pub async fn all_bodies(setup: &Setup, sizes: &Sizes) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for body in 0..BODIES.len() {
        rows.extend(saturated(setup, sizes, body).await?);
    }
    Ok(rows)
}

/// What a way adds to the latency of plain requests at a fixed rate.
pub async fn latency(setup: &Setup, sizes: &Sizes) -> Result<Vec<Row>, String> {
    let plan = paced::Plan {
        connections: sizes.connections,
        rate: sizes.rate,
        warm_up: sizes.warm_up,
        window: sizes.window,
    };
    let of = format!("latency at {} requests/s", plan.rate);
    added(setup, sizes, plan, false, &of, |paced| &paced.whole).await
}

/// What a way adds to the time to the first byte of a stream.
pub async fn first_byte(setup: &Setup, sizes: &Sizes) -> Result<Vec<Row>, String> {
    let plan = paced::Plan {
        connections: sizes.connections,
        rate: sizes.stream_rate,
        warm_up: sizes.warm_up,
        window: sizes.window,
    };
    let of = format!("time to first byte at {} streams/s", plan.rate);
    added(setup, sizes, plan, true, &of, |paced| &paced.first_byte).await
}

async fn added(
    setup: &Setup,
    sizes: &Sizes,
    plan: paced::Plan,
    stream: bool,
    of: &str,
    which: impl Fn(&paced::Paced) -> &crate::load::histogram::Histogram,
) -> Result<Vec<Row>, String> {
    let mut p50 = Row::new(format!("p50 {of}: direct, and added to it"), "µs", Better::Less, Target::None);
    let mut p99 = Row::new(format!("p99 {of}: direct, and added to it"), "µs", Better::Less, Target::None);
    for round in 0..sizes.rounds {
        let mut found = Vec::new();
        for subject in setup.subjects(round, Case::Prompt) {
            let request = Case::Prompt.request(subject.way, stream, 1024);
            let paced = paced::run(subject.address, &request, plan).await?;
            let micros = |duration: std::time::Duration| duration.as_secs_f64() * 1e6;
            found.push((subject.way, micros(which(&paced).p50()), micros(which(&paced).p99())));
        }
        let direct = found.iter().find(|(way, ..)| *way == Way::Direct).map_or((0.0, 0.0), |d| (d.1, d.2));
        for (way, middle, tail) in found {
            let (middle_base, tail_base) = if way == Way::Direct { (0.0, 0.0) } else { direct };
            p50.put(way, middle - middle_base);
            p99.put(way, tail - tail_base);
        }
    }
    Ok(vec![p50, p99])
}

/// CPU per relayed event.
pub async fn events(setup: &Setup, sizes: &Sizes) -> Result<Vec<Row>, String> {
    let count = sizes.streams;
    let of = format!("{count} streams, an event every {EVENT_EVERY_MS} ms");
    let mut cpu = Row::new(format!("CPU per SSE event, {of}"), "µs", Better::Less, Target::Ratio(1.3));
    let mut lanes = Row::new("the same, translated", "µs", Better::Less, Target::Lanes(3.0));
    let mut rate = Row::new(format!("events/s, {of}"), "/s", Better::More, Target::None);
    let mut length = Row::new("bytes per event", "B", Better::Less, Target::None);
    let mut gathered = Row::new("events per piece as the client gets them", "", Better::Less, Target::None);
    let plan = streams::Plan { streams: count, warm_up: sizes.warm_up, window: sizes.window };
    for round in 0..sizes.close_rounds {
        for subject in setup.subjects_of_both_lanes(round, Case::Flowing) {
            let request = Case::Flowing.request(subject.way, true, 1024);
            let found = streams::run(subject.address, &request, plan, subject.meter).await?;
            if subject.way != Way::Direct {
                let micros = found.cpu_micros_per_event();
                if subject.way != Way::Translated {
                    cpu.put(subject.way, micros);
                }
                if matches!(subject.way, Way::Sluice | Way::Translated) {
                    lanes.put(subject.way, micros);
                }
            }
            rate.put(subject.way, found.events_per_second());
            length.put(subject.way, found.bytes as f64 / found.events as f64);
            gathered.put(subject.way, found.events as f64 / found.pieces as f64);
        }
    }
    Ok(vec![cpu, lanes, rate, length, gathered])
}

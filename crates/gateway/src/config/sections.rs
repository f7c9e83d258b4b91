//! The tables of the file that hold limits: one reader each.
//!
//! In: the top level. Out: the section, with its default for every key that is absent.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Attempts, Bounds, Cors, FlowLimits, Monitor, Retention, Shutdown, Timeouts, address,
    fields::{Field, Fields},
    known,
    report::Report,
};

/// A clock of a millisecond is for tests; a day is longer than any request.
pub(super) const WAITS: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
/// Less than an hour would remove what is being looked at.
const KEPT: RangeInclusive<Duration> =
    Duration::from_secs(60 * 60)..=Duration::from_secs(3650 * 24 * 60 * 60);
/// Channels tried for one request: more would only multiply an outage.
const ATTEMPTS_MAX: RangeInclusive<i128> = 1..=20;
/// A request needs some room; beyond 1 GiB a body would not fit into memory twice.
const BODY_BYTES: RangeInclusive<u64> = 1_024..=1 << 30;
/// Far above what one process can hold: guards against a slip of the finger, not against load.
pub(super) const MANY: i128 = 1_000_000;

/// `base` with whatever the table sets.
pub(super) fn timeouts(report: &mut Report<'_>, table: Option<Field<'_>>, base: &Timeouts) -> Timeouts {
    let mut timeouts = base.clone();
    let expected = "a table of timeouts such as { idle = \"10m\" }";
    let Some(fields) = table.and_then(|field| field.fields(report, expected, known::TIMEOUTS)) else {
        return timeouts;
    };
    set(&mut timeouts.connect, wait(report, &fields, "connect"));
    set(&mut timeouts.first_byte, wait(report, &fields, "first_byte"));
    set(&mut timeouts.first_event, wait(report, &fields, "first_event"));
    set(&mut timeouts.idle, wait(report, &fields, "idle"));
    set(&mut timeouts.total, fields.get(report, "total").and_then(|field| field.limit(report, WAITS)));
    timeouts
}

pub(super) fn attempts(report: &mut Report<'_>, top: &Fields<'_>) -> Attempts {
    let mut attempts = Attempts::default();
    if let Some(fields) = section(report, top, "attempts", known::ATTEMPTS) {
        set(&mut attempts.max, whole(report, &fields, "max", ATTEMPTS_MAX));
        set(&mut attempts.deadline, wait(report, &fields, "deadline"));
    }
    attempts
}

pub(super) fn bounds(report: &mut Report<'_>, top: &Fields<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    if let Some(fields) = section(report, top, "bounds", known::BOUNDS) {
        let bytes = fields.get(report, "body_bytes").and_then(|field| field.size(report, BODY_BYTES));
        set(&mut bounds.body_bytes, bytes);
        set(&mut bounds.in_flight, whole(report, &fields, "in_flight", 1..=MANY));
        set(&mut bounds.queue, whole(report, &fields, "queue", 0..=MANY));
        set(&mut bounds.draining, whole(report, &fields, "draining", 0..=MANY));
    }
    bounds
}

pub(super) fn shutdown(report: &mut Report<'_>, top: &Fields<'_>) -> Shutdown {
    let mut shutdown = Shutdown::default();
    if let Some(fields) = section(report, top, "shutdown", known::SHUTDOWN) {
        set(&mut shutdown.drain, wait(report, &fields, "drain"));
    }
    shutdown
}

pub(super) fn flow(report: &mut Report<'_>, top: &Fields<'_>) -> FlowLimits {
    let mut flow = FlowLimits::default();
    let Some(fields) = section(report, top, "flow", known::FLOW) else { return flow };
    let warn = whole(report, &fields, "warn", 1..=MANY);
    let alarm = whole(report, &fields, "alarm", 1..=MANY);
    set(&mut flow.warn, warn);
    set(&mut flow.alarm, alarm);
    if flow.warn >= flow.alarm && (warn.is_some() || alarm.is_some()) {
        // Told where the operator wrote a number; the other one may be the default.
        if let Some(field) = fields.get(report, if alarm.is_some() { "alarm" } else { "warn" }) {
            let message =
                format!("found warn {} and alarm {}, expected warn below alarm", flow.warn, flow.alarm);
            field.problem(report, message);
        }
    }
    flow
}

pub(super) fn monitor(report: &mut Report<'_>, top: &Fields<'_>) -> Monitor {
    let Some(fields) = section(report, top, "monitor", known::MONITOR) else { return Monitor::default() };
    Monitor { token: fields.get(report, "token").and_then(|field| field.secret(report)) }
}

pub(super) fn retention(report: &mut Report<'_>, top: &Fields<'_>) -> Retention {
    let mut retention = Retention::default();
    if let Some(fields) = section(report, top, "retention", known::RETENTION) {
        set(
            &mut retention.requests,
            fields.get(report, "requests").and_then(|field| field.limit(report, KEPT)),
        );
    }
    retention
}

pub(super) fn cors(report: &mut Report<'_>, top: &Fields<'_>) -> Cors {
    let mut cors = Cors::default();
    let Some(fields) = section(report, top, "cors", known::CORS) else { return cors };
    let Some(field) = fields.get(report, "origins") else { return cors };
    for entry in
        field.list(report, "a list of origins such as [\"https://chat.example.com\"]").unwrap_or_default()
    {
        let Some(text) = entry.text(report, address::ORIGIN) else { continue };
        match address::origin(text) {
            Some(origin) => cors.origins.push(origin),
            None => entry.wrong(report, address::ORIGIN),
        }
    }
    cors
}

/// `max_in_flight` of a key or a channel.
pub(super) fn max_in_flight(report: &mut Report<'_>, fields: &Fields<'_>) -> Option<u32> {
    whole(report, fields, "max_in_flight", 1..=MANY)
}

pub(super) fn whole<N: TryFrom<i128> + Copy>(
    report: &mut Report<'_>,
    fields: &Fields<'_>,
    key: &str,
    range: RangeInclusive<i128>,
) -> Option<N> {
    fields.get(report, key).and_then(|field| field.whole(report, range))
}

fn wait(report: &mut Report<'_>, fields: &Fields<'_>, key: &str) -> Option<Duration> {
    fields.get(report, key).and_then(|field| field.duration(report, WAITS))
}

pub(super) fn section<'t>(
    report: &mut Report<'_>,
    top: &Fields<'t>,
    name: &str,
    known: &'static [&'static str],
) -> Option<Fields<'t>> {
    let field = top.get(report, name)?;
    field.fields(report, &format!("a table that starts with [{name}], one bracket each"), known)
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

//! What keys may do and from where: rates, ends, networks; and the proxies that are believed.
//!
//! In: a block or the top level. Out: the limits in it. A day is one of UTC.

use std::time::{Duration, UNIX_EPOCH};

use toml::value::{Datetime, Offset};

use super::{
    LimitsConfig, Proxies,
    fields::{Field, Fields},
    known,
    report::Report,
    sections::{MANY, WAITS, max_in_flight, section, whole},
};
use crate::{
    limits::{Caps, Patience},
    networks::Networks,
};

/// Far more than a provider lets anybody have.
pub(crate) const MOST_TOKENS: i128 = 1_000_000_000_000;
/// Requests that may wait at one limit when the file does not say.
const DEFAULT_QUEUE: usize = 100;
const EXPIRES: &str = "a day such as 2027-01-31, which is its last, or a moment such as 2027-01-31T12:00:00Z";
const NETWORK: &str = "an address or a network such as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\"";

pub(super) fn limits(report: &mut Report<'_>, top: &Fields<'_>) -> LimitsConfig {
    let Some(fields) = section(report, top, "limits", known::LIMITS) else { return LimitsConfig::default() };
    let wait = fields.get(report, "wait").and_then(|field| field.limit(report, WAITS)).flatten();
    let queue = whole(report, &fields, "queue", 1..=MANY).unwrap_or(DEFAULT_QUEUE);
    LimitsConfig { caps: caps(report, &fields), patience: wait.map(|wait| Patience { wait, queue }) }
}

pub(super) fn proxies(report: &mut Report<'_>, top: &Fields<'_>) -> Proxies {
    let Some(fields) = section(report, top, "proxies", known::PROXIES) else { return Proxies::default() };
    Proxies { trusted: networks(report, fields.get(report, "trusted")) }
}

pub(super) fn caps(report: &mut Report<'_>, fields: &Fields<'_>) -> Caps {
    Caps {
        requests_per_minute: whole(report, fields, "requests_per_minute", 1..=MANY),
        tokens_per_minute: whole(report, fields, "tokens_per_minute", 1..=MOST_TOKENS),
        max_in_flight: max_in_flight(report, fields),
    }
}

pub(super) fn networks(report: &mut Report<'_>, field: Option<Field<'_>>) -> Networks {
    let Some(field) = field else { return Networks::default() };
    let mut networks = Networks::default();
    for entry in field.list(report, "a list of networks such as [\"10.0.0.0/8\"]").unwrap_or_default() {
        let Some(text) = entry.text(report, NETWORK) else { continue };
        match text.parse() {
            Ok(network) => networks.0.push(network),
            Err(_) => entry.wrong(report, NETWORK),
        }
    }
    networks
}

/// With or without quotes.
pub(super) fn expires(report: &mut Report<'_>, field: Option<Field<'_>>) -> Option<i64> {
    let field = field?;
    let found = field.datetime().and_then(|datetime| unix_ms(&datetime));
    if found.is_none() {
        field.wrong(report, EXPIRES);
    }
    found
}

/// The end of a day, or a moment that says where its clock stands.
fn unix_ms(datetime: &Datetime) -> Option<i64> {
    let day = humantime::parse_rfc3339(&format!("{}T00:00:00Z", datetime.date?)).ok()?;
    let day_ms = day.duration_since(UNIX_EPOCH).ok()?.as_millis() as i64;
    let minutes_ms = |minutes: i64| minutes * 60_000;
    match (datetime.time, datetime.offset) {
        (None, None) => Some(day_ms + minutes_ms(24 * 60)),
        (Some(time), Some(offset)) => {
            let seconds = u64::from(time.hour) * 3600
                + u64::from(time.minute) * 60
                + u64::from(time.second.unwrap_or(0));
            let time =
                Duration::from_secs(seconds) + Duration::from_nanos(time.nanosecond.unwrap_or(0).into());
            let ahead = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i64::from(minutes),
            };
            Some(day_ms + time.as_millis() as i64 - minutes_ms(ahead))
        }
        _ => None,
    }
}

//! Runs a tap over a stream cut into pieces and writes down all that it says.

use std::fmt::Write;

use bytes::Bytes;
use dialect::{Accounting, Door, Framing, ParsedError, PlainTap, Tap, TapOptions, Usage};

pub(crate) fn options(door: Door) -> TapOptions {
    TapOptions { door, accounting: Accounting::Standard, strip_usage: false }
}

/// What a tap said in the end, and what it let through.
pub(crate) struct Watched {
    pub(crate) tap: Tap,
    pub(crate) out: Vec<u8>,
    pub(crate) events: u32,
    pub(crate) facts: String,
    pub(crate) written: String,
}

pub(crate) fn watch(options: TapOptions, framing: Framing, pieces: &[&[u8]]) -> Watched {
    let mut tap = Tap::new(options, framing);
    let (mut parts, mut events, mut mid_frame) = (Vec::new(), 0, false);
    for piece in pieces {
        let flow = tap.feed(Bytes::copy_from_slice(piece), &mut parts);
        events += flow.events;
        mid_frame = flow.mid_frame;
    }
    tap.finish(&mut parts);
    assert!(parts.iter().all(|part| !part.is_empty()), "an empty part was appended");
    let out = parts.concat();
    let facts = describe(&tap, events, mid_frame);
    // Not in the snapshots, and as independent of the cuts as the rest.
    let written =
        format!("{:?}, final usage {}, summed up {}", tap.delivered(), tap.usage_is_final(), tap.summed_up());
    Watched { tap, out, events, facts, written }
}

fn describe(tap: &Tap, events: u32, mid_frame: bool) -> String {
    let mut facts = String::new();
    let flags = [
        ("meaningful", tap.meaningful()),
        ("ended", tap.ended()),
        ("closed", tap.closed()),
        ("forwarded_any", tap.forwarded_any()),
        ("broken_frame_sent", tap.broken_frame_sent()),
        ("mid_frame", mid_frame),
    ];
    let said: Vec<_> = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
    writeln!(facts, "events: {events}").unwrap();
    writeln!(facts, "says: {}", said.join(", ")).unwrap();
    writeln!(facts, "next_sequence: {}", tap.next_sequence()).unwrap();
    writeln!(facts, "stored_id: {}", tap.stored_id().unwrap_or("-")).unwrap();
    facts += &describe_usage(tap.usage());
    match tap.error() {
        None => writeln!(facts, "error: -").unwrap(),
        Some((bytes, error)) => {
            facts += &describe_error(error);
            writeln!(facts, "error frame: {:?}", String::from_utf8_lossy(bytes)).unwrap();
        }
    }
    facts
}

pub(crate) fn describe_usage(usage: Option<Usage>) -> String {
    let Some(usage) = usage else { return "usage: -\n".to_owned() };
    let buckets = [
        ("input", usage.input),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("cache_write_1h", usage.cache_write_1h),
        ("audio_input", usage.audio_input),
        ("image_input", usage.image_input),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
        ("audio_output", usage.audio_output),
        ("image_output", usage.image_output),
    ];
    let said: Vec<_> =
        buckets.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    format!("usage: {} = {}\n", said.join(" + "), usage.total())
}

pub(crate) fn describe_error(error: &ParsedError) -> String {
    let ParsedError { message, kind, code, param, status, retry_after_ms } = error;
    let mut line = format!("error: {message:?}");
    for (name, value) in [("kind", kind), ("code", code), ("param", param)] {
        if let Some(value) = value {
            write!(line, " {name}={value}").unwrap();
        }
    }
    if let Some(status) = status {
        write!(line, " status={status}").unwrap();
    }
    if let Some(wait) = retry_after_ms {
        write!(line, " retry_after_ms={wait}").unwrap();
    }
    line + "\n"
}

pub(crate) fn watch_plain(options: TapOptions, pieces: &[&[u8]]) -> PlainTap {
    let mut tap = PlainTap::new(options);
    for piece in pieces {
        tap.feed(piece);
    }
    tap.finish();
    tap
}

pub(crate) fn describe_plain(tap: &PlainTap) -> String {
    let mut facts = format!("whole: {}\nstored_id: {}\n", tap.whole(), tap.stored_id().unwrap_or("-"));
    facts += &describe_usage(tap.usage());
    facts += &tap.error().map_or("error: -\n".to_owned(), describe_error);
    facts
}

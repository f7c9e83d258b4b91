//! Reading an upstream's answer up to where it can be told what it is: a bounded prefix of an error, a whole small
//! document, or a stream up to its first meaningful frame. Every read has a clock.

use bytes::{Bytes, BytesMut};
use dialect::{Framing, PlainTap, Tap, TapOptions, read_delivered, sniff};
use tokio::time::{Duration, Instant, timeout_at};

use super::Answer;
use crate::{
    catalog::Channel,
    classify::classify_event,
    fault::{Answered, UpstreamFault},
    pipeline::{lease::Lease, pace::Pace, source::Source},
};

/// What is read of an error's body at most, in bytes and in time.
const ERROR_BYTES: usize = 64 * 1024;
pub(super) const ERROR_WAIT: Duration = Duration::from_secs(1);
/// A plain answer up to this size is held until it is whole: if it breaks off, another channel can still be tried.
pub(super) const HELD_BYTES: usize = 64 * 1024;
/// A byte order mark, in bytes: the first of a body is looked at together with what follows it.
const LONGEST_MARK: usize = 3;
/// A stream that says nothing meaningful for this long is passed on as it is.
const PRELUDE_BYTES: usize = 256 * 1024;

/// The bounds of one attempt.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) clock: &'static str,
    /// For the first meaningful byte.
    pub(super) first_at: Instant,
    /// For the whole request.
    pub(super) total_at: Option<Instant>,
    pub(super) idle: Duration,
    /// Bytes of a plain answer that are held until it is whole; a longer one passes.
    pub(super) most_held: usize,
}

pub(super) fn earlier(first: (Instant, &'static str), total_at: Option<Instant>) -> (Instant, &'static str) {
    match total_at {
        Some(total_at) if total_at < first.0 => (total_at, "total"),
        _ => first,
    }
}

/// A bounded prefix of an error's body, and whether it is all of it. What is left unread goes down with the connection.
pub(super) async fn read_error(source: &mut Source, total_at: Option<Instant>) -> (Bytes, bool) {
    let until = Instant::now() + ERROR_WAIT;
    let until = total_at.map_or(until, |total_at| total_at.min(until));
    let mut body = BytesMut::new();
    loop {
        match timeout_at(until, source.next()).await {
            Ok(Some(Ok(bytes))) => {
                let room = ERROR_BYTES - body.len();
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if body.len() == ERROR_BYTES {
                    return (body.freeze(), false);
                }
            }
            Ok(None) => return (body.freeze(), true),
            Ok(Some(Err(_))) | Err(_) => return (body.freeze(), false),
        }
    }
}

/// Reads as far as it takes to tell what an answer is that was asked for as a stream: what was read, and its framing.
pub(super) async fn begin_stream(
    source: &mut Source,
    waiting: Waiting,
    lease: &Lease,
) -> Result<(Vec<Bytes>, Framing), UpstreamFault> {
    let mut early: Vec<Bytes> = Vec::new();
    loop {
        let bytes =
            next_before(source, waiting.first_at, waiting.clock).await?.ok_or(UpstreamFault::Truncated)?;
        lease.mark().touch(lease.mark().now_ms());
        // Blanks before the first event say nothing, however many; a byte order mark is too short to be thrown away.
        let blanks = early.iter().map(Bytes::len).sum::<usize>();
        if blanks > LONGEST_MARK {
            source.passed_over(blanks);
            early.clear();
        }
        early.push(bytes);
        if let Some(framing) = sniffed(&early) {
            return Ok((early, framing));
        }
    }
}

/// Reads a stream up to its first meaningful frame.
pub(super) async fn gain_stream(
    mut source: Source,
    (early, framing): (Vec<Bytes>, Framing),
    options: TapOptions,
    channel: &Channel,
    waiting: Waiting,
) -> Result<Answer, UpstreamFault> {
    let mut tap = Box::new(Tap::new(options, framing));
    let (mut start, mut counted, mut held) = (Vec::new(), 0, 0);
    let mut early = early.into_iter();
    loop {
        let bytes = match early.next() {
            Some(bytes) => Some(bytes),
            None => next_before(&mut source, waiting.first_at, waiting.clock).await?,
        };
        match bytes {
            Some(bytes) => {
                tap.feed(bytes, &mut start);
            }
            None => {
                tap.finish(&mut start);
                if !tap.meaningful() && tap.error().is_none() {
                    return Err(UpstreamFault::Truncated);
                }
            }
        }
        if let Some((_, parsed)) = tap.error()
            && !tap.meaningful()
        {
            let answered = classify_event(parsed, &channel.redaction);
            return Err(UpstreamFault::Answered(Box::new(answered)));
        }
        held += start[counted..].iter().map(Bytes::len).sum::<usize>();
        counted = start.len();
        if tap.meaningful() || held > PRELUDE_BYTES {
            return Ok(Answer::Stream { start, framing, source, tap, interpreter: None });
        }
    }
}

fn sniffed(early: &[Bytes]) -> Option<Framing> {
    match early {
        [only] => sniff(only),
        several => sniff(&several.concat()),
    }
}

async fn next_before(
    source: &mut Source,
    until: Instant,
    clock: &'static str,
) -> Result<Option<Bytes>, UpstreamFault> {
    match timeout_at(until, source.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Ok(Some(Err(detail))) => Err(UpstreamFault::Broken { detail }),
        Err(_) => Err(UpstreamFault::Silent { clock }),
    }
}

/// Reads a plain answer: whole, where it is small enough to hold.
pub(super) async fn gain_plain(
    mut source: Source,
    early: Vec<Bytes>,
    options: TapOptions,
    channel: &Channel,
    waiting: Waiting,
    lease: &Lease,
) -> Result<Answer, UpstreamFault> {
    let length = source.exact_length();
    let (mut held, mut start) = (0, Vec::new());
    let mut early = early.into_iter();
    let mut pace: Option<Pace> = None;
    loop {
        let (until, clock) = match &pace {
            None => (waiting.first_at, waiting.clock),
            Some(pace) => earlier((pace.due(), "idle"), waiting.total_at),
        };
        let next = match early.next() {
            Some(bytes) => Some(bytes),
            None => next_before(&mut source, until, clock).await?,
        };
        let Some(bytes) = next else { break };
        held += bytes.len();
        let now = Instant::now();
        lease.mark().touch(lease.clock().at_ms(now));
        // Some providers send blanks while they think: the answer has begun only with its first other byte.
        match &mut pace {
            Some(pace) => pace.bytes(bytes.len(), now),
            None if bytes.iter().any(|byte| !byte.is_ascii_whitespace()) => {
                pace = Some(Pace::begin(waiting.idle, now));
            }
            None => {}
        }
        start.push(bytes);
        if held > waiting.most_held {
            let mut tap = Box::new(PlainTap::new(options));
            start.iter().for_each(|bytes| tap.feed(bytes));
            return Ok(Answer::Passing { start, length, source, tap });
        }
    }
    let body = joined(start);
    let tap = PlainTap::of_whole(options, &body);
    if !tap.whole() {
        return Err(UpstreamFault::Truncated);
    }
    if let Some(parsed) = tap.error() {
        let mut answered: Answered = classify_event(parsed, &channel.redaction);
        answered.body = channel.redaction.apply_bytes(&body);
        return Err(UpstreamFault::Answered(Box::new(answered)));
    }
    let stored_id = tap.stored_id().map(str::to_owned);
    let usage = tap.usage();
    let delivered = usage.is_none().then(|| read_delivered(options.door, &body));
    Ok(Answer::Whole { usage, delivered, stored_id, framing: Framing::Document, body })
}

fn joined(mut parts: Vec<Bytes>) -> Bytes {
    match parts.len() {
        1 => parts.remove(0),
        _ => parts.concat().into(),
    }
}

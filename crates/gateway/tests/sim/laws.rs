//! The laws: what must hold of every world, whatever happened in it.

use std::collections::HashMap;

use gateway::{ending::Ending, settlement::Settlement};
use uuid::Uuid;

use crate::{
    arrived::{arrived, closed_at, ended_at, last_event},
    client::{Over, Visit},
    conduct, limits,
    model::{Fault, Maker, Outcome, Story},
    money,
    script::{Reply, Tail},
    upstream::Call,
    view,
    world::World,
};

/// Holds every law against a world that has ended.
pub(crate) fn hold(world: &mut World) {
    if world.visits.len() != world.asks.len() {
        return; // It did not end: that is said already.
    }
    let mut broken = Vec::new();
    let mut settled: HashMap<Uuid, Vec<&(u64, Settlement)>> = HashMap::new();
    for settlement in &world.settlements {
        settled.entry(settlement.1.request_id).or_default().push(settlement);
    }
    for ending in Ending::ALL {
        let count =
            world.settlements.iter().filter(|(_, settlement)| settlement.ending == ending).count() as u64;
        if count != world.finished[ending as usize] {
            broken
                .push(format!("{count} settled as {ending:?}, {} counted", world.finished[ending as usize]));
        }
    }
    let mut ends = Vec::new();
    for (number, ask) in world.asks.iter().enumerate() {
        let visit = &world.visits[number];
        let calls = world.calls.iter().filter(|call| call.ask == number).collect();
        let maker = conduct::maker(world, ask);
        let story = Story { setup: &world.setup, stop: world.stop, ask, visit, calls, maker };
        let mine = visit.request_id.and_then(|id| settled.remove(&id)).unwrap_or_default();
        let mut wrong = Vec::new();
        match mine[..] {
            [(at, settlement)] => {
                ends.push(*at);
                ending(&story, settlement, &mut wrong);
                record(&story, settlement, &mut wrong);
                clocks(&story, *at, &mut wrong);
                wrong.extend(view::faults(&story, settlement.ending));
                secrecy(&story, settlement, &mut wrong);
                conduct::of_one(&story, settlement, &mut wrong);
            }
            _ => {
                ends.push(0);
                wrong.push(format!("{} settlements", mine.len()));
            }
        }
        broken.extend(wrong.into_iter().map(|wrong| {
            format!(
                "request {number}: {wrong}\n{}",
                tell(&story, mine.first().map(|(_, settlement)| settlement))
            )
        }));
    }
    broken.extend(settled.into_keys().map(|id| format!("a settlement of nobody: {id}")));
    conduct::of_all(world, &ends, &mut broken);
    money::of_all(world, &mut broken);
    limits::of_all(world, &ends, &mut broken);
    world.broken.extend(broken);
}

/// The recorded ending is one of those that the model gives.
fn ending(story: &Story<'_>, settlement: &Settlement, wrong: &mut Vec<String>) {
    let right = story.endings();
    if !right.contains(&settlement.ending) {
        wrong.push(format!("ended {:?}, should have {right:?}", settlement.ending));
    }
    let asked: Vec<_> = story.calls.iter().zip(&settlement.attempts).collect();
    for (nth, (call, attempt)) in asked.iter().enumerate() {
        let (outcomes, translated) = (story.outcomes(call), call.is_translated(story.ask));
        for (later, of) in &asked[nth + 1..] {
            let own_words = translated && !later.is_translated(story.ask);
            let again = |outcome: &Outcome| match outcome {
                Outcome::Fault(Fault::Told(said)) => {
                    said.lets_on(translated, own_words, of.model != attempt.model)
                }
                Outcome::Fault(_) => true,
                _ => false,
            };
            if !outcomes.iter().any(again) {
                wrong.push(format!("another call after {outcomes:?}"));
            }
        }
    }
    let (told, seen) = (settlement.status, story.visit.status);
    if story.visit.head_at.is_some() && told != seen {
        wrong.push(format!("status {told} written, {seen} given"));
    }
    if story.visit.head_at.is_none() {
        return;
    }
    let expected = match settlement.ending {
        _ if story.head_came_first() => Some(200),
        Ending::Completed | Ending::Cut => Some(200),
        _ if story.answer().is_some() => Some(200),
        Ending::Shutdown => Some(503),
        _ if !story.calls.is_empty() => {
            let anthropic = story.ask.dialect == dialect::Dialect::AnthropicMessages;
            let status = Story::told(&story.faults()).map(Fault::status);
            status.map(|status| if status == 529 && !anthropic { 503 } else { status })
        }
        // What is built on, and whether its maker has the model, is asked before other questions.
        Ending::Refused if story.maker != Maker::Nobody => None,
        Ending::Refused if story.visit.body_in_at.is_some() && !story.visit.body_broke => story.ask.fault,
        _ => None,
    };
    if expected.is_some_and(|expected| expected != seen) {
        wrong.push(format!("status {seen}, should be {expected:?}"));
    }
}

/// What the settlement says beside the ending.
fn record(story: &Story<'_>, settlement: &Settlement, wrong: &mut Vec<String>) {
    let channels: Vec<&str> =
        story.calls.iter().map(|call| story.setup.channels[call.channel].name.as_str()).collect();
    let written: Vec<&str> = settlement.attempts.iter().map(|attempt| &*attempt.channel).collect();
    if channels != written {
        wrong.push(format!("called {channels:?}, wrote {written:?}"));
    }
    for (attempt, call) in settlement.attempts.iter().zip(&story.calls) {
        let translated = call.is_translated(story.ask).then_some(call.asked.dialect);
        if attempt.translated != translated {
            wrong.push(format!("{attempt:?} of a call in {:?}", call.asked.dialect));
        }
        let delivered = attempt.fault.is_none() && attempt.status != 0;
        if delivered != story.outcomes(call).contains(&Outcome::Answer) {
            wrong.push(format!("{attempt:?} of a call that came to {:?}", story.outcomes(call)));
        }
    }
    if story.answer().is_none() {
        money::of_one(story, None, settlement, wrong);
    }
    if let Some(call) = story.answer() {
        let expected = match &call.script.reply {
            Reply::Stream(_) => arrived(call).usage,
            // Held whole, it was used, even if it could not be given.
            Reply::Document { usage, .. } if settlement.ending == Ending::Completed => *usage,
            Reply::Document { usage, .. } if call.bytes_taken() <= story.held_bytes(call) => *usage,
            _ => None,
        };
        money::of_one(story, expected, settlement, wrong);
        if settlement.usage != expected && !settlement.estimated {
            wrong.push(format!("usage {:?}, should be {expected:?}", settlement.usage));
        }
        if settlement.first_byte_ms.is_none() {
            wrong.push("an answer without a first byte".to_owned());
        }
    }
    if !story.calls.is_empty() && settlement.bytes_in != story.ask.body.len() as u64 {
        wrong.push(format!("{} bytes in, {} sent", settlement.bytes_in, story.ask.body.len()));
    }
    let received: usize = story.visit.frames.iter().map(|(_, bytes)| bytes.len()).sum();
    let comments: usize = story
        .visit
        .frames
        .iter()
        .filter(|(_, bytes)| &bytes[..] == view::COMMENT || &bytes[..] == b"\n")
        .map(|(_, bytes)| bytes.len())
        .sum();
    let out = settlement.bytes_out as usize;
    let stayed = story.visit.over.is_some_and(|(_, over)| over == Over::Whole);
    if stayed && (out > received || out + comments < received) {
        wrong.push(format!("{out} bytes out, {received} received"));
    }
}

/// No wait is longer than its clock.
fn clocks(story: &Story<'_>, settled_at: u64, wrong: &mut Vec<String>) {
    let (visit, ask) = (story.visit, story.ask);
    let body_in = visit.body_in_at.unwrap_or(u64::MAX);
    let (mut longest, mut from) = (story.ask.at, ask.at);
    // For its limits, and for a place among all.
    let queue = story.setup.patience.map_or(0, |(wait, _)| wait) + 30_000;
    // Chunks of a request body come at most 40 s apart, and are waited for for 30 s.
    longest += ask.chunks.iter().map(|(after, _)| after).sum::<u64>().min(600_000) + 30_000;
    if let Some(first) = story.calls.first() {
        if first.at > body_in + queue {
            wrong.push(format!("queued for {} ms", first.at - body_in));
        }
        from = first.at;
    } else if settled_at > longest + queue && visit.over.is_some_and(|(_, over)| over == Over::Whole) {
        wrong.push(format!("ended at {settled_at}, without a call, should by {longest}"));
    }
    for call in &story.calls {
        let over_at = call.over_at.unwrap_or(u64::MAX);
        if call.at != from {
            wrong.push(format!("a call at {}, the one before was over at {from}", call.at));
        }
        from = over_at;
        let latest = latest(story, call) + visit.paused_ms;
        if over_at > latest {
            wrong.push(format!("a call was over at {over_at}, should have been by {latest}"));
        }
    }
    if let (Some(last), Some((over_at, _))) = (story.calls.last(), visit.over) {
        let ended = last.over_at.unwrap_or(u64::MAX).max(over_at);
        if settled_at > ended {
            wrong.push(format!("settled at {settled_at}, over at {ended}"));
        }
    }
}

/// When a call must be over, whatever its upstream does.
fn latest(story: &Story<'_>, call: &Call) -> u64 {
    let idle = story.setup.channels[call.channel].clocks.idle;
    let first = story.first_due(call).1;
    let total = story.total_at().max(call.at);
    let last_taken = call.taken.last().map_or(first, |(at, _)| *at);
    let flowing = match &call.script.reply {
        Reply::Error { .. } => call.head_at.map_or(first, |head_at| head_at + 1_000),
        Reply::Document { .. } if call.taken.is_empty() => first,
        Reply::Document { .. } => {
            // Bytes buy time at 100 a second, and never more than the whole clock.
            let begun = story.earliest_silence(call).max(first);
            (last_taken + idle)
                .min(begun.saturating_add(10 * call.bytes_taken() as u64).saturating_add(idle))
                .max(first)
        }
        Reply::Stream(pieces) => {
            if !arrived(call).content {
                first
            } else {
                let (end, event_at) = last_event(pieces, call).unwrap_or((0, first));
                if let Some(closed_at) = closed_at(pieces, call) {
                    return closed_at + 250;
                }
                // A finished event renews the clock; bytes of one under way buy time at 100 a second.
                let bought = 10 * call.bytes_taken().saturating_sub(end) as u64;
                let began = event_at.max(call.taken_at(1).unwrap_or(first));
                let ended = ended_at(pieces, call).is_some();
                let rest = if ended { idle.min(30_000) } else { idle };
                (began + rest + bought).min(last_taken.max(began) + rest)
            }
        }
    };
    let tail = call.tail_at.filter(|_| call.script.tail != Tail::Hang).unwrap_or(u64::MAX);
    flowing.min(total).min(tail)
}

/// Nobody reads what is not his.
fn secrecy(story: &Story<'_>, settlement: &Settlement, wrong: &mut Vec<String>) {
    let received = String::from_utf8_lossy(&story.visit.received()).into_owned();
    let headers = format!("{:?}", story.visit.headers);
    let written = format!("{settlement:?}");
    for channel in &story.setup.channels {
        for secret in &channel.secrets {
            if received.contains(secret) || headers.contains(secret) || written.contains(secret) {
                wrong.push(format!("a secret got out: {secret}"));
            }
        }
        let page = story.answer().is_some_and(|call| matches!(call.script.reply, Reply::Document { .. }));
        if (received.contains(&channel.host) && !page) || headers.contains(&channel.host) {
            wrong.push(format!("an upstream's host got out: {}", channel.host));
        }
    }
}

/// One request's story, for whoever reads the failure.
fn tell(story: &Story<'_>, settlement: Option<&Settlement>) -> String {
    let Visit { head_at, status, over, paused_ms, body_in_at, .. } = story.visit;
    let frames: Vec<(u64, usize)> =
        story.visit.frames.iter().map(|(at, bytes)| (*at, bytes.len())).take(20).collect();
    let ask = story.ask;
    let mut text = format!(
        "  asked at {} {:?} stream {} array {} model {} fault {:?} {:?} leaves {:?}\n  saw head {head_at:?} status {status} body in {body_in_at:?} over {over:?} paused {paused_ms} frames {frames:?}\n  stop {:?} total {:?}\n",
        ask.at,
        ask.dialect,
        ask.stream,
        ask.array,
        ask.model,
        ask.fault,
        ask.reading,
        ask.leaves_after,
        story.stop,
        story.setup.total
    );
    for call in &story.calls {
        let script = &call.script;
        let kind = match &script.reply {
            Reply::Stream(pieces) => {
                let kinds: Vec<_> =
                    pieces.iter().map(|(end, piece)| format!("{end}:{:?}", piece.kind)).take(14).collect();
                format!("stream {kinds:?}")
            }
            other => format!("{other:?}"),
        };
        text.push_str(&format!(
            "  call at {} sent {:?} channel {} {:?}: {:?} {} body {}/{} packed {} announced {} {:?} | failed {:?} head {:?} taken {:?} tail {:?} over {:?}\n    {kind}\n    came to {:?}\n",
            call.at,
            call.sent_at,
            call.channel,
            story.setup.channels[call.channel].clocks,
            script.start,
            script.status,
            script.body.len(),
            script.full,
            script.packed,
            script.announced,
            script.tail,
            call.failed_at,
            call.head_at,
            &call.taken[call.taken.len().saturating_sub(12)..],
            call.tail_at,
            call.over_at,
            story.outcomes(call),
        ));
    }
    if let Some(settlement) = settlement {
        text.push_str(&format!("  {settlement:?}\n"));
    }
    text
}

//! Step 5: try, and try elsewhere: the only retry in the program.
//!
//! In: the request, its plan and its lease. Out: [`Committed`], an answer with something meaningful in it, from which there
//! is no way back here; or [`Failed`]. It is bounded: each channel once, `attempts.max`, `attempts.deadline`, the retry
//! budget, and a clock for every wait. An answer that is thrown away is read to a bound first, so that its connection
//! can be used again; what is not read then is closed.

mod gain;
mod outbound;
mod turns;

use std::{borrow::Cow, pin::pin, sync::Arc};

use bytes::Bytes;
use dialect::{
    Delivered, Dialect, Framing, Operation, PlainTap, Tap, TapOptions, Usage, translate::read_count,
};
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::time::{Instant, timeout_at};

use self::{
    gain::{ERROR_WAIT, Waiting, begin_stream, earlier, gain_plain, gain_stream, read_error},
    outbound::{Worded, build, tap_options},
    turns::Turns,
};
use crate::{
    app::App,
    catalog::{Catalog, Channel, ChannelSecret, Endpoint},
    classify::classify,
    ending::Ending,
    fault::{Fault, Help, Rejection, UpstreamFault},
    flow::Phase,
    pipeline::{
        caller::Caller,
        count,
        inbound::Inbound,
        lease::Lease,
        plan::{Candidate, Lane, Plan, Wanted},
        source::Source,
        translation::{self, Interpreter, Translated, Translator},
    },
    upstream::SendError,
};

/// An answer that will be given.
#[derive(Debug)]
pub struct Committed {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub channel: Arc<Channel>,
    pub caller: Caller,
    pub lease: Box<Lease>,
    pub answer: Answer,
}

#[derive(Debug)]
pub enum Answer {
    /// All of it, and what it said.
    Whole {
        body: Bytes,
        /// As the caller reads it: a stream where he asked for one and it was translated.
        framing: Framing,
        usage: Option<Usage>,
        delivered: Option<Delivered>,
        stored_id: Option<String>,
    },
    /// A plain body, the rest of it still to come.
    Passing { start: Vec<Bytes>, length: Option<u64>, source: Source, tap: Box<PlainTap> },
    /// A stream with something meaningful in it.
    Stream {
        start: Vec<Bytes>,
        framing: Framing,
        source: Source,
        tap: Box<Tap>,
        /// Tells it in the caller's dialect, where the channel speaks another.
        interpreter: Option<Box<Interpreter>>,
    },
}

/// No answer; the lease is decided already, but for a count that can be estimated.
#[derive(Debug)]
pub struct Failed {
    pub fault: Fault,
    pub lease: Box<Lease>,
}

/// One channel's answer, before it is joined with the lease.
struct Gained {
    status: StatusCode,
    headers: HeaderMap,
    answer: Answer,
}

/// Tries the plan's channels in turn.
pub async fn run(
    app: Arc<App>,
    catalog: Arc<Catalog>,
    caller: Caller,
    mut inbound: Box<Inbound>,
    plan: Plan,
    mut lease: Box<Lease>,
) -> Result<Committed, Box<Failed>> {
    let attempts = &catalog.config.attempts;
    let counts = inbound.door.operation == Operation::CountTokens;
    let (mut tried, mut busy) = (0, false);
    let mut told: Option<UpstreamFault> = None;
    // Why the first channel was not asked that could not be told the request.
    let mut untold: Option<Fault> = None;
    let mut soonest_ms = plan.soonest_ms;
    let mut translator: Option<Box<Translator>> = None;
    app.budget.deposit();
    let mut turns = Turns::new(&plan.candidates);
    while let Some(candidate) = turns.next(attempts.max - tried) {
        let Candidate { channel, lane, wanted } = candidate;
        // However long the request itself took to come in: one attempt it has.
        let late = tried > 0 && lease.mark().elapsed_ms() >= attempts.deadline.as_millis() as u64;
        if tried == attempts.max || late || app.shutdown.ending() {
            break;
        }
        let now = Instant::now();
        let now_ms = lease.clock().at_ms(now);
        let total_at = lease.mark().total_at(channel.timeouts().total, now);
        if total_at.is_some_and(|total_at| now >= total_at) {
            told.get_or_insert(UpstreamFault::Silent { clock: "total" });
            continue;
        }
        // What cannot be told to a channel does not wait for it: whether it is busy, or rests, is no matter.
        let worded = match lane {
            Lane::Relay => Worded::edited(&inbound, channel, wanted, caller.key.refuses_losses)
                .map_err(|fault| Some(Fault::Client(fault))),
            Lane::Translate => {
                let open = || Box::new(Translator::new(&app.thoughts, &inbound, &caller, &lease));
                translator.get_or_insert_with(open).tell(channel, wanted).map(Worded::translated)
            }
        };
        let mut worded = match worded {
            Ok(worded) => worded,
            Err(refusal) => {
                untold = untold.or(refusal);
                continue;
            }
        };
        let spoken = worded.translated.as_ref().map(|translated| translated.door);
        let door = spoken.unwrap_or(inbound.door);
        let Some(endpoint) = channel.endpoint(door) else { continue };
        let secret = match channel.secret(app.rng.next(), now_ms) {
            Ok(secret) => secret,
            Err(until_ms) => {
                soonest_ms = soonest_ms.min(until_ms);
                continue;
            }
        };
        let Some(place) = channel.occupancy.enter(channel.config.max_in_flight) else {
            busy = true;
            continue;
        };
        if tried > 0 && !app.budget.withdraw() {
            break;
        }
        tried += 1;
        turns.attempted(candidate);
        lease.attempt_began(
            channel,
            (&wanted.model, &wanted.price),
            spoken.map(|door| door.dialect),
            place,
            now_ms,
        );
        // Of the attempt under way: also where nothing comes of it, it may be why.
        lease.record().losses = std::mem::take(&mut worded.losses);
        lease.measured(None, None);
        let asking = Asking { channel, wanted, endpoint, secret };
        let total_at = if counts { Some(count::asked_until(now, total_at)) } else { total_at };
        let attempt = attempt(&inbound, worded, asking, (now, total_at), &mut lease);
        let outcome = app.shutdown.until_ending(pin!(attempt)).await;
        match outcome {
            None => {
                lease.attempt_failed(0, "stopped at the drain limit".to_owned());
                break;
            }
            Some(Ok(gained)) => {
                secret.health.accepted();
                lease.attempt_answered(gained.status.as_u16());
                if !matches!(&gained.answer, Answer::Whole { usage: Some(_), .. }) {
                    lease.keep_prompt(inbound.take_prompt());
                }
                inbound.free_body();
                let Gained { status, headers, answer } = gained;
                return Ok(Committed { status, headers, channel: channel.clone(), caller, lease, answer });
            }
            Some(Err(fault)) => {
                let fault = if *lane == Lane::Relay { fault } else { fault.reworded() };
                lease.attempt_failed(fault.status(), fault.cause());
                let (effect, help) = if counts {
                    let help = if fault.refuses_count() { Help::Nobody } else { Help::Anybody };
                    (fault.count_health_effect(), help)
                } else {
                    (fault.health_effect(), fault.who_may_help(*lane == Lane::Translate))
                };
                channel.health.failed(&secret.health, &wanted.model, effect, lease.mark().now_ms());
                told = Some(worth_telling(told, fault));
                if lease.mark().entry.has_left() {
                    // Nobody waits for another channel's answer.
                    lease.end(
                        Ending::ClientLeft,
                        Cow::Borrowed("the attempt failed after the client had left"),
                    );
                    break;
                }
                if !turns.failed(candidate, help) {
                    break;
                }
            }
        }
    }
    if app.shutdown.ending() {
        lease.end(Ending::Shutdown, Cow::Borrowed("stopped at the drain limit"));
        return Err(Box::new(Failed { fault: Fault::Rejection(Rejection::Stopping), lease }));
    }
    let fault = match (told, untold) {
        (Some(fault), _) => Fault::Upstream(fault),
        // Nobody is there to whom it could be told, also not later.
        (None, Some(fault)) if !busy && soonest_ms == u64::MAX => fault,
        (None, _) if busy => Fault::Rejection(Rejection::ChannelsBusy { model: inbound.model.clone() }),
        (None, _) => Fault::Rejection(Rejection::ChannelsResting {
            model: inbound.model.clone(),
            retry_after_ms: soonest_ms.saturating_sub(lease.mark().now_ms()).min(60_000),
        }),
    };
    // What a provider keeps of the conversation cannot be looked at here.
    let estimated = counts && inbound.envelope.stored.is_none() && fault.leaves_estimate();
    if !estimated {
        lease.end(fault.ending(), Cow::Owned(fault.cause()));
    }
    Err(Box::new(Failed { fault, lease }))
}

/// Of two failures the one the caller should read: the first that is about the request; else the last real answer of an
/// upstream, but rather one about the load than one about our own account, and rather any answer than none.
fn worth_telling(before: Option<UpstreamFault>, now: UpstreamFault) -> UpstreamFault {
    fn rank(fault: &UpstreamFault) -> u8 {
        match fault {
            UpstreamFault::Answered(answered) => match answered.blame {
                blame if blame.is_of_request() => 3,
                blame if blame.is_ours() => 1,
                _ => 2,
            },
            _ => 0,
        }
    }
    match before {
        Some(before) if rank(&before) > rank(&now) || rank(&before) == 3 => before,
        _ => now,
    }
}

/// Whom one try asks for what, where and in whose name.
#[derive(Clone, Copy)]
struct Asking<'a> {
    channel: &'a Channel,
    wanted: &'a Wanted,
    endpoint: &'a Endpoint,
    secret: &'a ChannelSecret,
}

/// One try at one channel.
async fn attempt(
    inbound: &Inbound,
    worded: Worded,
    asking: Asking<'_>,
    (began, total_at): (Instant, Option<Instant>),
    lease: &mut Lease,
) -> Result<Gained, UpstreamFault> {
    let channel = asking.channel;
    let timeouts = channel.timeouts();
    let (clock, limit) = if inbound.stream {
        ("first_event", timeouts.first_event)
    } else {
        ("first_byte", timeouts.first_byte)
    };
    let entry = lease.mark().entry.clone();
    let longest = timeouts.connect + limit + ERROR_WAIT + timeouts.idle;
    lease.enter_at(Phase::Waiting, longest, lease.clock().at_ms(began));
    entry.not_sent();
    // The upstream's time to think begins when the request goes out: connecting has a clock of its own.
    let first_at = || earlier((entry.sent_at().unwrap_or(began + timeouts.connect) + limit, clock), total_at);
    let Worded { parts, translated, .. } = worded;
    let request = build(inbound, parts, translated.is_some(), asking, &entry)
        .map_err(|detail| UpstreamFault::Send(SendError::Connect(detail)))?;
    let mut sending = channel.upstream.send(request);
    let response = match timeout_at(earlier((began + limit, clock), total_at).0, &mut sending).await {
        Ok(response) => response,
        Err(_) => timeout_at(first_at().0, &mut sending)
            .await
            .map_err(|_| UpstreamFault::Silent { clock: first_at().1 })?,
    };
    let response = response.map_err(UpstreamFault::Send)?;
    let (first_at, clock) = first_at();
    let (parts, body) = response.into_parts();
    if let Some(id) = upstream_request_id(&parts.headers) {
        lease.record().upstream_request_id = Some(id);
    }
    let source = Source::open(&parts.headers, body);
    if !parts.status.is_success() {
        // The status before the label (`error-labelled-stream`, `error-labelled-octets`). An error in an encoding that
        // cannot be read still has its status and headers.
        let (body, whole) = match source {
            Ok(mut source) => read_error(&mut source, total_at).await,
            Err(_) => (Bytes::new(), false),
        };
        let answered = classify(parts.status.as_u16(), &parts.headers, &body, whole, &channel.redaction);
        return Err(UpstreamFault::Answered(Box::new(answered)));
    }
    let mut source = source.map_err(|detail| UpstreamFault::Unreadable { detail })?;
    let options = match &translated {
        None => tap_options(inbound, channel),
        // It goes by what the provider says, and nothing is taken out: the interpreter does not pass it on.
        Some(translated) => {
            TapOptions { door: translated.door, accounting: translated.accounting(), strip_usage: false }
        }
    };
    let most_held = if translated.is_some() { translation::WHOLE_BYTES } else { gain::HELD_BYTES };
    let waiting = Waiting { clock, first_at, total_at, idle: timeouts.idle, most_held };
    // A stream that was asked for may come as a document all the same.
    let (early, framing) = if inbound.stream {
        begin_stream(&mut source, waiting, lease).await?
    } else {
        (Vec::new(), Framing::Document)
    };
    let answer = match framing {
        Framing::Document => gain_plain(source, early, options, channel, waiting, lease).await?,
        framing => gain_stream(source, (early, framing), options, channel, waiting).await?,
    };
    let Some(translated) = translated else {
        if inbound.door.operation == Operation::CountTokens {
            check_count(inbound.door.dialect, &answer)?;
        }
        return Ok(Gained { status: parts.status, headers: parts.headers, answer });
    };
    let answer = tell_back(*translated, answer, lease)?;
    // Whatever its headers say, they say of another dialect.
    Ok(Gained { status: parts.status, headers: HeaderMap::new(), answer })
}

/// A count that is none is not passed on.
fn check_count(dialect: Dialect, answer: &Answer) -> Result<(), UpstreamFault> {
    match answer {
        Answer::Whole { body, .. } if read_count(dialect, body).is_some() => Ok(()),
        _ => Err(count::without()),
    }
}

/// The answer in the caller's dialect.
fn tell_back(mut translated: Translated, answer: Answer, lease: &mut Lease) -> Result<Answer, UpstreamFault> {
    match answer {
        Answer::Whole { body, usage, delivered, .. } => {
            let framing = translated.whole_framing();
            let (body, lost) = translated.reply(&body)?;
            lease.record().losses.append(lost);
            Ok(Answer::Whole { body, framing, usage, delivered, stored_id: None })
        }
        Answer::Passing { tap, .. } => {
            lease.measured(tap.usage(), None);
            Err(UpstreamFault::TooLong)
        }
        Answer::Stream { start: came, framing, source, tap, .. } => {
            let mut interpreter = Box::new(translated.interpreter(framing));
            let mut start = Vec::new();
            interpreter.pass(came.into_iter(), &mut start);
            if let Some(failure) = interpreter.failed() {
                lease.measured(tap.usage(), None);
                return Err(failure.fault());
            }
            let framing = interpreter.framing();
            Ok(Answer::Stream { start, framing, source, tap, interpreter: Some(interpreter) })
        }
    }
}

/// What an upstream calls this exchange; told to its support by the operator.
fn upstream_request_id(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 128;
    static NAMES: [HeaderName; 4] = [
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("request-id"),
        HeaderName::from_static("x-goog-request-id"),
        HeaderName::from_static("apim-request-id"),
    ];
    let ranked = headers.iter().filter_map(|(name, value)| {
        Some((NAMES.iter().position(|known| known == name)?, value.to_str().ok()?))
    });
    let (_, id) = ranked.min_by_key(|(rank, _)| *rank)?;
    (id.len() <= LONGEST).then(|| id.to_owned())
}

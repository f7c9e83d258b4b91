//! What should have happened: judged afterwards, from what the upstreams really did and the clients really saw.
//!
//! In: a request, its calls and its client's visit. Out: the endings that are right, nearly always one. It knows the
//! promises (issue 2, DESIGN.md section 2), not the pipeline. Two endings are right only where two causes fall on the
//! same millisecond.

use gateway::ending::Ending;

use crate::{
    arrived::{arrived, last_event},
    ask::{Ask, KeyUse},
    client::{Over, Visit},
    said::Said,
    script::{Reply, Start, Tail},
    setup::Setup,
    upstream::Call,
    world::Stop,
};

/// A plain answer is held until it is whole, up to this size; one that is translated always is, here.
const HELD_BYTES: usize = 64 * 1024;
/// What is read of an error: so much, for so long.
const ERROR_BYTES: usize = 64 * 1024;
const ERROR_MS: u64 = 1_000;

/// Everything that is known about one request.
pub(crate) struct Story<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) stop: Option<Stop>,
    pub(crate) ask: &'a Ask,
    pub(crate) visit: &'a Visit,
    pub(crate) calls: Vec<&'a Call>,
    pub(crate) maker: Maker,
}

/// Which channel made the object that a request builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// It builds on nothing that was made here.
    Nobody,
    Channel(usize),
    /// It was being made when the request came.
    Perhaps(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Unreachable,
    ConnectTimedOut,
    Broke,
    Silent,
    Truncated,
    Told(Said),
}

impl Fault {
    /// What a caller would rather read.
    fn rank(self) -> u8 {
        match self {
            Fault::Told(Said::Ours(_)) => 1,
            Fault::Told(said) if said.final_word() => 3,
            Fault::Told(_) => 2,
            _ => 0,
        }
    }

    pub(crate) fn ending(self) -> Ending {
        match self {
            Fault::Silent | Fault::ConnectTimedOut => Ending::TimedOut,
            Fault::Told(said) if said.final_word() => Ending::Refused,
            _ => Ending::Failed,
        }
    }

    /// The status that the caller gets.
    pub(crate) fn status(self) -> u16 {
        match self {
            Fault::Silent => 504,
            Fault::Told(Said::Ours(_)) => 503,
            Fault::Told(
                Said::Request(status) | Said::Content(status) | Said::Length(status) | Said::Load(status, _),
            ) => status,
            _ => 502,
        }
    }
}

/// What one call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fault(Fault),
    /// Something meaningful came.
    Answer,
    /// The client or the stop ended it.
    Interrupted,
}

impl Story<'_> {
    fn ending_at(&self) -> u64 {
        self.stop.map_or(u64::MAX, |stop| stop.ending)
    }

    /// How the client or the stop ended a call that was let go then; both, if they came at once.
    fn interrupted(&self, at: u64) -> Vec<Ending> {
        let gone = self.visit.over.filter(|(over_at, _)| *over_at == at).map(|(_, over)| over);
        let mut endings = Vec::new();
        if gone == Some(Over::Left) && self.stop.is_none_or(|stop| at <= stop.over) {
            endings.push(Ending::ClientLeft);
        }
        if gone == Some(Over::Dropped) || at >= self.ending_at() {
            endings.push(Ending::Shutdown);
        }
        endings
    }

    pub(crate) fn interrupted_at(&self, at: u64) -> bool {
        !self.interrupted(at).is_empty()
    }

    /// All that one call may have come to.
    pub(crate) fn outcomes(&self, call: &Call) -> Vec<Outcome> {
        let over_at = call.over_at.unwrap_or(u64::MAX);
        let stopped = || {
            let mut outcomes = Vec::new();
            if self.interrupted_at(over_at) {
                outcomes.push(Outcome::Interrupted);
            }
            if over_at >= self.earliest_silence(call) {
                outcomes.push(Outcome::Fault(Fault::Silent));
            }
            outcomes
        };
        if call.failed_at.is_some() {
            return vec![Outcome::Fault(match call.script.start {
                Start::Refused => Fault::Unreachable,
                _ if call.sent_at.is_none() => Fault::ConnectTimedOut,
                _ => Fault::Broke,
            })];
        }
        let Some(head_at) = call.head_at else { return stopped() };
        if call.script.unreadable {
            return vec![Outcome::Fault(Fault::Broke)];
        }
        let complete = call.script.body.len() == call.script.full
            && call.bytes_taken() == call.script.steps.iter().map(|step| step.bytes.len()).sum::<usize>();
        let broke = match call.script.tail {
            Tail::Reset => Fault::Broke,
            _ => Fault::Truncated,
        };
        match &call.script.reply {
            Reply::Error { with_body, without } => {
                let read = call.tail_at.is_some() || call.bytes_taken() >= ERROR_BYTES;
                let mut outcomes = Vec::new();
                if read || over_at >= self.total_at().min(head_at + ERROR_MS) {
                    let said = if complete { *with_body } else { *without };
                    outcomes.push(Outcome::Fault(Fault::Told(said)));
                }
                if !read && self.interrupted_at(over_at) {
                    outcomes.push(Outcome::Interrupted);
                }
                outcomes
            }
            Reply::Stream(_) => {
                let arrived = arrived(call);
                match arrived.error {
                    _ if arrived.content => vec![Outcome::Answer],
                    Some(said) => vec![Outcome::Fault(Fault::Told(said))],
                    None if call.tail_at.is_some() => vec![Outcome::Fault(broke)],
                    None => stopped(),
                }
            }
            Reply::Document { whole, told, .. } => {
                let ended = call.tail_at.is_some();
                match told {
                    _ if call.bytes_taken() > self.held_bytes(call) => vec![Outcome::Answer],
                    // As an array of one it is an element of a stream, and needs no end.
                    Some(said) if call.asked.array && call.bytes_taken() + 1 >= call.script.full => {
                        vec![Outcome::Fault(Fault::Told(*said))]
                    }
                    _ if ended && call.script.tail == Tail::Reset => vec![Outcome::Fault(Fault::Broke)],
                    Some(said) if ended => vec![Outcome::Fault(Fault::Told(*said))],
                    None if ended && *whole => vec![Outcome::Answer],
                    _ if ended => vec![Outcome::Fault(Fault::Truncated)],
                    _ => stopped(),
                }
            }
        }
    }

    /// Up to this size a plain answer is held until it is whole.
    pub(crate) fn held_bytes(&self, call: &Call) -> usize {
        if call.is_translated(self.ask) { usize::MAX } else { HELD_BYTES }
    }

    /// When the whole request is given up, by `timeouts.total`.
    pub(crate) fn total_at(&self) -> u64 {
        self.setup.total.map_or(u64::MAX, |total| self.ask.at + total)
    }

    /// When a call that says nothing is given up, at the soonest and at the latest: the upstream's time to think begins
    /// when the request goes out.
    pub(crate) fn first_due(&self, call: &Call) -> (u64, u64) {
        let clocks = &self.setup.channels[call.channel].clocks;
        let limit = if self.ask.stream { clocks.first_event } else { clocks.first_byte };
        let longest = call.at + clocks.connect + limit;
        match call.sent_at {
            Some(sent_at) if sent_at >= call.at + limit => (sent_at + limit, longest),
            Some(sent_at) => (sent_at + limit, sent_at + limit),
            None => (longest, longest),
        }
    }

    /// Before this the upstream of a call cannot be called silent.
    pub(crate) fn earliest_silence(&self, call: &Call) -> u64 {
        let idle = self.setup.channels[call.channel].clocks.idle;
        let body = &call.script.body;
        let blank = body.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let begun = match &call.script.reply {
            // An array is a stream until it proves to be an error.
            Reply::Document { told: Some(_), .. } if call.asked.array => None,
            Reply::Document { .. } if !call.script.packed => call.taken_at(blank + 1),
            Reply::Document { .. } => call.taken.first().map(|(at, _)| *at),
            _ => None,
        };
        let first_due = self.first_due(call).0;
        let due = match begun {
            Some(begun) if call.script.packed => first_due.min(begun + idle), // Nothing may have come out yet.
            Some(begun) => begun + idle,
            None => first_due,
        };
        due.min(self.total_at())
    }

    /// Before this a stream under way cannot be called silent: `idle` after its last whole event.
    fn earliest_cut(&self, call: &Call) -> u64 {
        let idle = self.setup.channels[call.channel].clocks.idle;
        let last = match &call.script.reply {
            Reply::Stream(pieces) => last_event(pieces, call).map(|(_, at)| at),
            _ => call.taken_at(self.held_bytes(call).saturating_add(1)),
        };
        let due = last.unwrap_or(call.at) + idle;
        due.min(self.total_at())
    }

    /// The fault that the caller is told: the first that is about his request, or the last of the best.
    pub(crate) fn told(faults: &[Fault]) -> Option<Fault> {
        let best = faults.iter().map(|fault| fault.rank()).max()?;
        let mut those = faults.iter().filter(|fault| fault.rank() == best);
        if best == 3 { those.next().copied() } else { those.next_back().copied() }
    }

    /// The faults of the calls that came to nothing.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let fault = |call: &&Call| {
            self.outcomes(call).into_iter().find_map(|outcome| match outcome {
                Outcome::Fault(fault) => Some(fault),
                _ => None,
            })
        };
        self.calls.iter().filter_map(fault).collect()
    }

    /// The call that delivered.
    pub(crate) fn answer(&self) -> Option<&Call> {
        self.calls.last().copied().filter(|call| self.outcomes(call).contains(&Outcome::Answer))
    }

    /// The head of a waiting stream was sent before there was an answer.
    pub(crate) fn head_came_first(&self) -> bool {
        let comment = |bytes: &[u8]| bytes.starts_with(b": waiting") || bytes == b"\n";
        self.ask.stream
            && self.visit.status == 200
            && self.visit.frames.first().is_none_or(|(_, bytes)| comment(bytes))
            && self.calls.first().is_some_and(|call| self.visit.head_at >= Some(call.at + 10_000))
    }

    /// The endings that are right.
    pub(crate) fn endings(&self) -> Vec<Ending> {
        let Some(last) = self.calls.last() else { return self.endings_before_any_call() };
        let over_at = last.over_at.unwrap_or(u64::MAX);
        let mut endings = Vec::new();
        for outcome in self.outcomes(last) {
            match outcome {
                Outcome::Answer => endings.extend(self.endings_of_answer(last)),
                Outcome::Interrupted => endings.extend(self.interrupted(over_at)),
                Outcome::Fault(_) => {
                    endings.extend(Story::told(&self.faults()).map(Fault::ending));
                    if over_at >= self.ending_at() {
                        endings.push(Ending::Shutdown);
                    }
                }
            }
        }
        endings
    }

    fn endings_of_answer(&self, call: &Call) -> Vec<Ending> {
        let over_at = call.over_at.unwrap_or(u64::MAX);
        let all = call.script.steps.iter().map(|step| step.bytes.len()).sum::<usize>();
        let verdict = match &call.script.reply {
            Reply::Stream(_) => {
                let arrived = arrived(call);
                if arrived.ended {
                    Some(Ending::Completed)
                } else {
                    (arrived.error.is_some() || call.tail_at.is_some()).then_some(Ending::Cut)
                }
            }
            Reply::Document { whole, .. } => {
                let ended = call.tail_at.is_some() && call.script.tail == Tail::End
                    || call.script.announced && call.bytes_taken() == all;
                if self.head_came_first() && !call.is_translated(self.ask) {
                    Some(Ending::Failed) // A document cannot follow a stream's head; translated it is told as a stream.
                } else if ended && *whole {
                    Some(Ending::Completed)
                } else {
                    call.tail_at.map(|_| Ending::Cut)
                }
            }
            Reply::Error { .. } => None,
        };
        let mut endings = self.interrupted(over_at);
        // Two things at once: the whole document is here and the client goes while its first part is handed on, or the
        // client goes at the moment at which the upstream does.
        let both = match verdict {
            Some(Ending::Completed) => {
                call.tail_at.is_none() && matches!(call.script.reply, Reply::Document { .. })
            }
            Some(Ending::Cut) => call.tail_at.is_some(),
            _ => false,
        };
        if let Some(verdict) = verdict {
            endings.retain(|_| both);
            // The rest comes to a client that has not read until after the limit.
            let late = matches!(call.script.reply, Reply::Document { .. }) && over_at >= self.total_at();
            endings.extend(late.then_some(Ending::TimedOut));
            endings.push(verdict);
            return endings;
        }
        if over_at >= self.earliest_cut(call) {
            endings.push(Ending::TimedOut);
        }
        endings
    }

    fn endings_before_any_call(&self) -> Vec<Ending> {
        let (ask, visit) = (self.ask, self.visit);
        let (draining, ending_at) = (self.stop.map_or(u64::MAX, |stop| stop.draining), self.ending_at());
        let mut endings = Vec::new();
        // Who was not admitted by then is not taken any more.
        if visit.head_at.is_some_and(|head_at| head_at >= ending_at) {
            endings.push(Ending::Rejected);
        }
        if visit.head_at.is_some_and(|head_at| head_at > ending_at) {
            return endings;
        }
        let known = matches!(ask.key, KeyUse::Known(_));
        if known && ask.at >= draining {
            endings.push(Ending::Rejected);
        }
        if known && ask.at > draining {
            return endings;
        }
        let fault = ask.fault.is_some() || visit.body_in_at.is_none();
        let lost = |maker: usize| !self.setup.channels[maker].serves(&ask.model);
        let refused = fault || matches!(self.maker, Maker::Channel(maker) if lost(maker));
        if matches!(self.maker, Maker::Perhaps(maker) if lost(maker)) {
            endings.push(Ending::Refused);
        }
        // Before it is found that it cannot be told, it has to be let in.
        endings.extend(ask.is_refused_late(self.setup).then_some(Ending::Rejected));
        endings.push(match visit.over {
            Some((_, Over::Left)) if visit.head_at.is_none() => Ending::ClientLeft,
            Some((_, Over::Dropped)) if visit.head_at.is_none() => Ending::Shutdown,
            _ if !known || ask.content_type != "application/json" => Ending::Refused,
            // Its own connection broke: nobody is there to be told.
            _ if visit.body_broke => Ending::ClientLeft,
            _ if refused => Ending::Refused,
            _ => Ending::Rejected,
        });
        if !refused && visit.head_at.is_some_and(|head_at| head_at >= self.total_at()) {
            endings.push(Ending::TimedOut);
        }
        endings
    }
}

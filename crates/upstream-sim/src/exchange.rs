//! One request with everything that its answer depends on, and how the exchange ended.
//!
//! In: what was read and which script was chosen; out: the `Reply` and the `Failure` made from it. It must never
//! write.

use crate::ask::Ask;
use crate::conversation;
use crate::error_body::{ErrorKind, Failure};
use crate::head::unix_seconds;
use crate::operation::{Dialect, Operation, Target};
use crate::record::Tracked;
use crate::reply::{Call, Reply, Reported, SIGNATURE, TOOL_ARGUMENTS, TOOL_NAME};
use crate::request::Head;
use crate::script::{Ending, Script};
use crate::served::{Outcome, Usage};
use bytes::Bytes;
use std::time::Duration;

pub(crate) struct Exchange<'a> {
    pub(crate) head: &'a Head,
    pub(crate) target: &'a Target,
    pub(crate) script: &'a Script,
    /// `None` when the body is not JSON.
    pub(crate) ask: Option<&'a Ask>,
    pub(crate) model: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) tracked: &'a Tracked,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    KeepAlive,
    Fin,
    Rst,
    /// Close in order although the peer is still sending.
    FinAfterReading,
}

/// How an exchange ended while the peer was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) outcome: Outcome,
    pub(crate) usage: Option<Usage>,
}

impl Ended {
    pub(crate) fn cut(exit: Exit) -> Ended {
        Ended { exit, outcome: Outcome::Cut, usage: None }
    }
}

impl<'a> Exchange<'a> {
    pub(crate) fn reply(&self) -> Reply<'a> {
        let ask = self.ask;
        let quoted = self.script.quotes_result.then(|| conversation::find_result(self.body)).flatten();
        let call = self.call().filter(|_| quoted.is_none());
        Reply {
            id: self.tracked.id(),
            model: self.model,
            created: unix_seconds(),
            include_usage: ask.is_some_and(|ask| ask.include_usage),
            usage: self.script.usage,
            counted: Usage { input: (self.body.len() as u64 / 4).max(1), output: 0 },
            tool: call,
            busy: self.script.busy && call.is_some(),
            quoted,
            reasoning: self.script.reasoning,
            encrypts: ask.is_some_and(|ask| ask.wants_encrypted),
        }
    }

    /// The call that the script wants. One that is made once is for callers who offer that tool: others ask for
    /// something else beside their conversation (a title for it, for one).
    fn call(&self) -> Option<Call<'a>> {
        let script = self.script;
        if !script.tool {
            return None;
        }
        let offered = self.ask.and_then(|ask| ask.tool.as_deref());
        let name = script.tool_name.as_deref().or(offered).unwrap_or(TOOL_NAME);
        if script.quotes_result && !conversation::offers(self.body, name) {
            return None;
        }
        Some(Call { name, arguments: script.arguments.as_deref().unwrap_or(TOOL_ARGUMENTS) })
    }

    /// Whether a tool's result comes without the thinking that led to its call: its signature, or (in Responses) the
    /// name of the item that the provider keeps. Chat has neither.
    fn lacks_signature(&self) -> bool {
        let has = |words: &str| memchr::memmem::find(self.body, words.as_bytes()).is_some();
        self.script.wants_signature
            && self.target.dialect != Dialect::OpenaiChat
            && conversation::find_result(self.body).is_some()
            && !has(SIGNATURE)
            && !(self.target.dialect == Dialect::OpenaiResponses && (has("item_reference") || has("rs_sim")))
    }

    /// Whether thinking is only named, by a caller who keeps nothing here.
    fn names_what_nobody_kept(&self) -> bool {
        self.target.dialect == Dialect::OpenaiResponses && conversation::names_unkept_thinking(self.body)
    }

    /// Whether the answer is to be a stream.
    pub(crate) fn streams(&self) -> bool {
        let can_stream = matches!(self.target.operation, Operation::Chat | Operation::Completion);
        let asked = self.ask.is_some_and(|ask| ask.stream);
        can_stream && self.target.streams.unwrap_or(asked)
    }

    /// The error this request is answered with, if it is one: the script's, or one of the caller's own making.
    pub(crate) fn failure(&self) -> Option<Failure<'a>> {
        let script = self.script;
        let inside_a_stream = matches!(script.ending, Ending::ErrorEvent(_));
        let kind = match script.status {
            Some(status) if status >= 400 => Some(script.error.unwrap_or(ErrorKind::of_status(status))),
            // An error event on an answer that is not a stream is an error inside a 200.
            _ if inside_a_stream && !self.streams() => {
                return Some(Failure { status: Some(200), ..self.failure_of(self.event_kind()) });
            }
            _ if inside_a_stream => None,
            _ => script.error,
        };
        let own_fault = || match self.target.operation {
            Operation::Unknown => Some((ErrorKind::ModelMissing, 404)),
            _ if self.ask.is_none() => Some((ErrorKind::BadRequest, 400)),
            Operation::Chat if self.names_what_nobody_kept() => Some((ErrorKind::ItemMissing, 404)),
            Operation::Chat if self.lacks_signature() => Some((ErrorKind::BadRequest, 400)),
            _ => None,
        };
        match kind {
            Some(kind) => Some(self.failure_of(kind)),
            None => {
                own_fault().map(|(kind, status)| Failure { status: Some(status), ..self.failure_of(kind) })
            }
        }
    }

    pub(crate) fn failure_of(&self, kind: ErrorKind) -> Failure<'a> {
        Failure {
            kind,
            status: self.script.status,
            dialect: self.target.dialect,
            model: self.model,
            secret: &self.head.secret,
            retry_info: self.script.retry_info,
            id: self.tracked.id(),
        }
    }

    /// The kind of an error event.
    pub(crate) fn event_kind(&self) -> ErrorKind {
        self.script.error.unwrap_or(ErrorKind::Server)
    }

    /// After an answer that ended in order.
    pub(crate) fn answered(&self, exit: Exit, usage: Option<Usage>) -> Ended {
        let exit = if self.head.closes && exit == Exit::KeepAlive { Exit::Fin } else { exit };
        Ended { exit, outcome: Outcome::Answered, usage }
    }

    pub(crate) fn every(&self) -> Duration {
        Duration::from_millis(self.script.every_ms.unwrap_or(0))
    }

    pub(crate) fn every_or(&self, usual: Duration) -> Duration {
        self.script.every_ms.map_or(usual, Duration::from_millis)
    }
}

/// What counts as reported once the whole answer was sent.
pub(crate) fn reported_usage(reply: &Reply<'_>, output: u64) -> Option<Usage> {
    match reply.reported(output) {
        Reported::Tokens(usage) => Some(usage),
        Reported::Absent | Reported::Null => None,
    }
}

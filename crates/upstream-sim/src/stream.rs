//! Streaming an answer event by event, up to its end or up to where the script breaks it.
//!
//! In: an `Exchange` that wants a stream; out: events on the wire and how it ended. It must never send content
//! after an error event, and never a terminal event that the script took away.

use crate::dialect::Telling;
use crate::exchange::{Ended, Exchange, Exit};
use crate::frames::Framing;
use crate::head::AnswerHead;
use crate::message::{given_text, stream_type};
use crate::operation::{Dialect, Operation};
use crate::outlet::{Delimit, Outlet};
use crate::prose::{self, Prose};
use crate::reply::{Reply, Reported};
use crate::script::{Body, Ending, Packets};
use crate::served::Usage;
use crate::socket::{Gone, Socket};
use std::time::Duration;

/// Pause between pings when nothing but pings is sent.
const PING_EVERY: Duration = Duration::from_millis(100);

impl<'a> Telling<'a> {
    /// The stream that this exchange asks for.
    pub(crate) fn of(exchange: &Exchange<'_>, reply: &'a Reply<'a>) -> Telling<'a> {
        let dialect = exchange.target.dialect;
        let framing = match dialect {
            _ if exchange.target.array => Framing::Array,
            Dialect::GeminiGenerate => Framing::Crlf,
            _ if exchange.script.crlf => Framing::Crlf,
            _ => Framing::Lf,
        };
        let is_completion = exchange.target.operation == Operation::Completion;
        Telling::new(dialect, is_completion, reply, framing, exchange.script.comments)
    }

    /// What the whole stream has reported as used.
    pub(crate) fn reported_usage(&self) -> Option<Usage> {
        if self.dialect == Dialect::OpenaiChat && !self.reply.include_usage {
            return None;
        }
        match self.reply.reported(self.reply.tokens_of(self.text.len())) {
            Reported::Tokens(usage) => Some(usage),
            Reported::Absent | Reported::Null => None,
        }
    }
}

pub(crate) async fn send(
    exchange: &Exchange<'_>,
    socket: &mut Socket,
    pending: &mut Vec<u8>,
) -> Result<Ended, Gone> {
    let script = exchange.script;
    let is_gzip = script.gzip_sse || script.body == Body::Gzip;
    let delimit = if script.eof_delimited { Delimit::Eof } else { Delimit::Chunked };
    let head = AnswerHead {
        status: script.status.unwrap_or(200),
        content_type: stream_type(exchange),
        is_gzip,
        delimit,
        closes: script.eof_delimited || exchange.head.closes,
        dialect: exchange.target.dialect,
        id: exchange.tracked.id(),
        script,
    };
    let mut outlet = Outlet::new(socket, exchange.tracked, pending, delimit, script.packets);
    head.write(outlet.head());
    if let Some(every) = script.head_trickle_ms {
        outlet.trickle_head(Duration::from_millis(every)).await?;
    }
    if is_gzip {
        outlet.compress();
    }
    outlet.pause(Duration::from_millis(script.first_ms)).await?;
    let reply = exchange.reply();
    let telling = Telling::of(exchange, &reply);
    Run { exchange, telling, outlet }.run_through().await
}

struct Run<'a, 'b> {
    exchange: &'a Exchange<'b>,
    telling: Telling<'a>,
    outlet: Outlet<'a>,
}

impl Run<'_, '_> {
    async fn run_through(mut self) -> Result<Ended, Gone> {
        let script = self.exchange.script;
        for _ in 0..script.pings {
            self.telling.ping();
        }
        self.send_told().await?;
        match script.ending {
            Ending::PingOnly => return self.ping_for_ever().await,
            Ending::LifecycleOnly => {
                self.telling.open_without_content();
                self.send_told().await?;
                return Err(self.outlet.fall_silent().await);
            }
            Ending::ErrorEvent(0) => return self.fail().await,
            _ => self.telling.open(),
        }
        self.send_told().await?;
        if let Some(ended) = self.tell_content().await? {
            return Ok(ended);
        }
        match script.ending {
            Ending::Whole | Ending::NoDone | Ending::Linger => {
                self.telling.close(script.ending != Ending::NoDone);
            }
            Ending::NoTerminal => {
                self.outlet.finish().await?;
                return Ok(Ended::cut(self.exit()));
            }
            // It was to break after more events than there are.
            _ => self.telling.close(true),
        }
        self.send_told().await?;
        if script.ending == Ending::Linger {
            return Err(self.outlet.fall_silent().await);
        }
        self.outlet.finish().await?;
        Ok(self.exchange.answered(self.exit(), self.telling.reported_usage()))
    }

    /// Sends the content events; `Some` when the script broke them off.
    async fn tell_content(&mut self) -> Result<Option<Ended>, Gone> {
        let exchange = self.exchange;
        let given = given_text(exchange, self.telling.reply);
        let opening = prose::opening(exchange.model);
        let mut prose = Prose::new(exchange.script, &opening, given.as_deref());
        if exchange.target.dialect == Dialect::GeminiGenerate && self.telling.reply.tool.is_some() {
            // A call comes whole in one part.
            prose.at_most(1);
        }
        let mut piece = String::new();
        loop {
            let goes_on = prose.next(&mut piece);
            if self.is_at_the_break() {
                return self.break_off(&piece).await.map(Some);
            }
            if !goes_on {
                return Ok(None);
            }
            if self.telling.told > 0 && exchange.script.packets != Packets::Burst {
                self.outlet.pause(exchange.every()).await?;
            }
            self.telling.content(&piece);
            self.send_told().await?;
        }
    }

    fn is_at_the_break(&self) -> bool {
        let told = self.telling.told;
        match self.exchange.script.ending {
            Ending::Stall(k) | Ending::Cut(k) | Ending::Fin(k) | Ending::Reset(k) | Ending::ErrorEvent(k) => {
                told == k
            }
            _ => false,
        }
    }

    /// Does what the script wants after so many events; `piece` would have been the next one.
    async fn break_off(&mut self, piece: &str) -> Result<Ended, Gone> {
        match self.exchange.script.ending {
            Ending::Cut(_) => {
                self.outlet.finish().await?;
                Ok(Ended::cut(self.exit()))
            }
            Ending::Fin(_) => {
                self.telling.content(piece);
                self.outlet.half(self.telling.frames.all()).await?;
                Ok(Ended::cut(Exit::Fin))
            }
            Ending::Reset(_) => {
                self.outlet.flush().await?;
                Ok(Ended::cut(Exit::Rst))
            }
            Ending::ErrorEvent(_) => self.fail().await,
            _ => Err(self.outlet.fall_silent().await),
        }
    }

    /// The error event, which is the end.
    async fn fail(&mut self) -> Result<Ended, Gone> {
        let exchange = self.exchange;
        self.telling.fail(&exchange.failure_of(exchange.event_kind()));
        self.send_told().await?;
        self.outlet.finish().await?;
        Ok(exchange.answered(self.exit(), None))
    }

    async fn ping_for_ever(&mut self) -> Result<Ended, Gone> {
        loop {
            self.telling.ping();
            self.send_told().await?;
            self.outlet.flush().await?;
            self.outlet.socket.pause(self.exchange.every_or(PING_EVERY)).await?;
            tokio::task::yield_now().await;
        }
    }

    /// Sends what was told since the last time, each event by itself.
    async fn send_told(&mut self) -> Result<(), Gone> {
        for event in self.telling.frames.each() {
            self.outlet.body(event).await?;
        }
        self.telling.frames.clear();
        Ok(())
    }

    fn exit(&self) -> Exit {
        if self.exchange.script.eof_delimited || self.exchange.head.closes {
            Exit::Fin
        } else {
            Exit::KeepAlive
        }
    }
}

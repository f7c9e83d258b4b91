//! One connection: request after request, each answered as its script says.
//!
//! In: an accepted stream; out: answers and their record. An entry of the record is ended before the connection
//! is closed, so that who sees the close finds the record complete. It must never answer two requests at once.

use crate::ask::Ask;
use crate::delivery;
use crate::exchange::{Ended, Exchange, Exit};
use crate::head::AnswerHead;
use crate::message::{JSON, Message};
use crate::operation::{Dialect, Target};
use crate::outlet::Delimit;
use crate::report;
use crate::request::{Head, NoRequest};
use crate::script::{BadScript, Before, Script};
use crate::served::Outcome;
use crate::sim::Shared;
use crate::socket::{Gone, Socket};
use crate::stream;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a client may go on sending a body whose answer it already has.
const LINGER: Duration = Duration::from_secs(5);
/// Larger buffers for answers are given back after use.
const KEPT_BUFFER_MAX: usize = 256 * 1024;

pub(crate) async fn serve(stream: TcpStream, shared: &Shared) {
    let socket = Socket::new(stream);
    if shared.default_script.before == Before::RefuseAfterAccept {
        return socket.rst();
    }
    let mut connection = Connection { socket, shared, pending: Vec::new(), known: None, earlier: 0 };
    loop {
        let exit = connection.exchange().await;
        connection.earlier += 1;
        connection.pending.clear();
        connection.pending.shrink_to(KEPT_BUFFER_MAX);
        match exit {
            Exit::KeepAlive if connection.socket.can_be_reused() => {}
            Exit::KeepAlive | Exit::Fin => return connection.socket.fin(),
            Exit::Rst => return connection.socket.rst(),
            Exit::FinAfterReading => return connection.socket.fin_after_reading(LINGER).await,
        }
    }
}

struct Connection<'a> {
    socket: Socket,
    shared: &'a Shared,
    /// Bytes of the answer under way.
    pending: Vec<u8>,
    /// The last script that was parsed: a channel sends the same with each request.
    known: Option<(String, Arc<Script>)>,
    /// Requests answered on this connection.
    earlier: u64,
}

impl Connection<'_> {
    async fn exchange(&mut self) -> Exit {
        let head = match Head::read(&mut self.socket).await {
            Ok(head) => head,
            Err(NoRequest::Gone) => return Exit::Fin,
            Err(NoRequest::Malformed(why)) => return self.complain(why).await,
        };
        let arrived = Instant::now();
        if let Some(answer) = report::answer(&head.path, &self.shared.record) {
            return match self.send_json(200, &answer).await {
                Ok(()) if !head.closes => Exit::KeepAlive,
                _ => Exit::Fin,
            };
        }
        let record = &self.shared.record;
        let script = match choose(&mut self.known, self.shared, &head) {
            Ok(script) => script,
            Err(error) => {
                record.arrive(&head, "", &Bytes::new(), arrived).end(Outcome::Refused, None);
                return self.complain(&error.to_string()).await;
            }
        };
        if script.before == Before::RefuseAfterAccept {
            record.arrive(&head, "", &Bytes::new(), arrived).end(Outcome::Refused, None);
            return Exit::Rst;
        }
        let body = match script.before {
            Before::Early413 => Ok(Bytes::new()),
            _ => head.read_body(&mut self.socket).await,
        };
        let body = match body {
            Ok(body) => body,
            Err(no_request) => {
                let tracked = record.arrive(&head, "", &Bytes::new(), arrived);
                return match no_request {
                    NoRequest::Gone => {
                        tracked.peer_closed();
                        Exit::Fin
                    }
                    NoRequest::Malformed(why) => {
                        tracked.end(Outcome::Refused, None);
                        self.complain(why).await
                    }
                };
            }
        };
        let target = Target::of(&head.method, &head.path, &head.query, head.speaks_anthropic);
        let ask = Ask::read(&body);
        let named = target.named.as_deref().unwrap_or("");
        let model = match &ask {
            Some(ask) if !ask.model.is_empty() => &ask.model,
            _ => named,
        };
        let tracked = record.arrive(&head, model, &body, arrived);
        let exchange = Exchange {
            head: &head,
            target: &target,
            script: &script,
            ask: ask.as_ref(),
            model,
            body: &body,
            tracked: &tracked,
        };
        match answer(&exchange, &mut self.socket, &mut self.pending, self.earlier).await {
            Ok(ended) => {
                tracked.end(ended.outcome, ended.usage);
                ended.exit
            }
            Err(Gone) => {
                tracked.peer_closed();
                Exit::Fin
            }
        }
    }

    /// Answers what is not a request that can be served.
    async fn complain(&mut self, why: &str) -> Exit {
        let body = serde_json::json!({"error": {"message": why, "type": "sim_error"}}).to_string();
        match self.send_json(400, &body).await {
            Ok(()) => Exit::FinAfterReading,
            Err(Gone) => Exit::Fin,
        }
    }

    async fn send_json(&mut self, status: u16, body: &str) -> Result<(), Gone> {
        let head = AnswerHead {
            status,
            content_type: JSON,
            is_gzip: false,
            delimit: Delimit::Length(body.len() as u64),
            closes: status != 200,
            dialect: Dialect::OpenaiChat,
            id: 0,
            script: &Script::default(),
        };
        let mut bytes = Vec::with_capacity(body.len() + 256);
        head.write(&mut bytes);
        bytes.extend_from_slice(body.as_bytes());
        self.socket.write(&bytes, &AtomicU64::new(0)).await
    }
}

/// The script of a request: in its path or header, pushed for its secret, or the sim's own.
fn choose(
    known: &mut Option<(String, Arc<Script>)>,
    shared: &Shared,
    head: &Head,
) -> Result<Arc<Script>, BadScript> {
    let Some(written) = &head.script else {
        return Ok(shared.next_pushed(&head.secret).unwrap_or_else(|| Arc::clone(&shared.default_script)));
    };
    if let Some((text, script)) = known
        && text == written
    {
        return Ok(Arc::clone(script));
    }
    let script = Arc::new(written.parse::<Script>()?);
    *known = Some((written.clone(), Arc::clone(&script)));
    Ok(script)
}

async fn answer(
    exchange: &Exchange<'_>,
    socket: &mut Socket,
    pending: &mut Vec<u8>,
    earlier: u64,
) -> Result<Ended, Gone> {
    let script = exchange.script;
    socket.pause(Duration::from_millis(script.delay_ms)).await?;
    match script.before {
        Before::Silence => return Err(socket.left().await),
        Before::Close => return Ok(Ended::cut(Exit::Fin)),
        Before::Rst => return Ok(Ended::cut(Exit::Rst)),
        Before::Stale if earlier > 0 => return Ok(Ended::cut(Exit::Fin)),
        Before::Early413 => {
            let early = Script { status: Some(413), ..script.clone() };
            let exchange = Exchange { script: &early, ..*exchange };
            let ended = delivery::send(&exchange, Message::compose(&exchange), socket, pending).await?;
            return Ok(Ended { exit: Exit::FinAfterReading, ..ended });
        }
        Before::Stale | Before::Answer | Before::RefuseAfterAccept => {}
    }
    let is_stream = exchange.streams() && script.redirect.is_none() && exchange.failure().is_none();
    let by_event = script.body_is_streamed();
    if is_stream && by_event {
        return stream::send(exchange, socket, pending).await;
    }
    delivery::send(exchange, Message::compose(exchange), socket, pending).await
}

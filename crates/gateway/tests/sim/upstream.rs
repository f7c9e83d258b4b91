//! The providers: a scripted way out in the place of the network, which writes down what it really did.

use std::{
    collections::VecDeque,
    fmt,
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use dialect::Dialect;
use gateway::upstream::{ReplyBytes, RequestBody, Scripted, SendError, Sending, Upstream};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until};

use crate::{
    ask::Ask,
    dice::Dice,
    script::{Hidden, Script, Start, Tail},
    setup::Setup,
    wire::Asked,
};

/// What really happened on one call. Times are milliseconds of the world.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) ask: usize,
    pub(crate) channel: usize,
    pub(crate) secret: String,
    pub(crate) at: u64,
    /// When it was connected, and the request went out.
    pub(crate) sent_at: Option<u64>,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) asked: Asked,
    pub(crate) script: Arc<Script>,
    /// No head came: when that was told.
    pub(crate) failed_at: Option<u64>,
    pub(crate) head_at: Option<u64>,
    /// Body bytes that the gateway took so far, and when.
    pub(crate) taken: Vec<(u64, usize)>,
    /// When the gateway saw the clean end or the reset.
    pub(crate) tail_at: Option<u64>,
    /// When the gateway let go.
    pub(crate) over_at: Option<u64>,
}

impl Call {
    /// It was asked in another dialect than its caller's.
    pub(crate) fn is_translated(&self, ask: &Ask) -> bool {
        self.asked.dialect != ask.dialect
    }

    pub(crate) fn bytes_taken(&self) -> usize {
        self.taken.last().map_or(0, |(_, bytes)| *bytes)
    }

    /// When so many bytes had been taken.
    pub(crate) fn taken_at(&self, bytes: usize) -> Option<u64> {
        self.taken.iter().find(|(_, so_far)| *so_far >= bytes).map(|(at, _)| *at)
    }
}

/// Names the nth call of a request.
pub(crate) fn call_id(ask: usize, nth: u64) -> u64 {
    ask as u64 * 100 + nth
}

/// All calls of a world, and what is alive of them.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) start: Instant,
    setup: Arc<Setup>,
    asks: Arc<Vec<Ask>>,
    calls: Mutex<Vec<Call>>,
    alive: AtomicU64,
}

impl Calls {
    pub(crate) fn new(setup: Arc<Setup>, asks: Arc<Vec<Ask>>) -> Arc<Calls> {
        Arc::new(Calls {
            start: Instant::now(),
            setup,
            asks,
            calls: Mutex::default(),
            alive: AtomicU64::new(0),
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// Futures and bodies that were not dropped yet.
    pub(crate) fn alive(&self) -> u64 {
        self.alive.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn begin(&self, channel: usize, parts: &http::request::Parts) -> (usize, Arc<Script>) {
        let number = parts.headers.get("x-sim-ask").and_then(|value| value.to_str().ok());
        let number: usize =
            number.and_then(|number| number.parse().ok()).expect("the client's own header travels");
        let (who, ask) = (&self.setup.channels[channel], &self.asks[number]);
        let signs_in = |secret: &&String| {
            parts.headers.values().any(|value| value.to_str().is_ok_and(|value| value.contains(*secret)))
        };
        let secret =
            who.secrets.iter().find(signs_in).expect("a call signs in with one of its channel's secrets");
        let builds = ask.previous.is_some();
        let dialect = who.lane(ask.dialect, builds).expect("only channels that can be asked are called");
        let relayed = dialect == ask.dialect;
        let chat_stream = ask.stream && dialect == Dialect::OpenaiChat;
        let asked = Asked {
            dialect,
            array: ask.array && relayed,
            usage: chat_stream && (ask.wants_usage && relayed || !who.tells_usage_unasked()),
            usage_unasked: who.tells_usage_unasked(),
            reasons_apart: who.reasons_apart(),
            id: 0,
        };
        let mut calls = self.calls.lock().unwrap();
        let nth = calls.iter().filter(|call| call.ask == number).count() as u64;
        let asked = Asked { id: call_id(number, nth), ..asked };
        // The same whatever other requests do: a world stays recognisable when the gateway changes.
        let mut dice = Dice::new(ask.seed.wrapping_add(nth.wrapping_mul(0x1234_5678_9ABC)));
        let hidden = Hidden { secret: secret.clone(), host: who.host.clone() };
        let script = Arc::new(Script::draw(&mut dice, asked, ask.stream, &hidden));
        calls.push(Call {
            ask: number,
            channel,
            secret: secret.clone(),
            at: self.now(),
            sent_at: None,
            uri: parts.uri.to_string(),
            headers: parts.headers.clone(),
            body: Bytes::new(),
            asked,
            script: script.clone(),
            failed_at: None,
            head_at: None,
            taken: Vec::new(),
            tail_at: None,
            over_at: None,
        });
        (calls.len() - 1, script)
    }
}

/// The whole of a body that is there at once.
fn read_all(mut body: RequestBody) -> Bytes {
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut whole = Vec::new();
    loop {
        match Pin::new(&mut body).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(frame))) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Poll::Ready(None) => return whole.into(),
            Poll::Pending => panic!("a request body made the upstream wait"),
        }
    }
}

/// One channel's way out.
pub(crate) struct ScriptedUpstream {
    pub(crate) channel: usize,
    pub(crate) connect: Duration,
    pub(crate) calls: Arc<Calls>,
}

impl fmt::Debug for ScriptedUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptedUpstream({})", self.channel)
    }
}

impl Upstream for ScriptedUpstream {
    fn send(&self, request: Request<RequestBody>) -> Sending {
        let (parts, body) = request.into_parts();
        let (number, script) = self.calls.begin(self.channel, &parts);
        let (guard, connect) = (Guard::new(self.calls.clone(), number), self.connect);
        Box::pin(async move {
            match converse(&guard, &script, connect, body).await {
                Ok(()) => Ok(answer(guard, &script)),
                Err(failed) => {
                    guard.note(|call, now| call.failed_at = Some(now));
                    Err(failed)
                }
            }
        })
    }
}

/// Up to the answer's head.
async fn converse(
    guard: &Guard,
    script: &Script,
    connect: Duration,
    body: RequestBody,
) -> Result<(), SendError> {
    let connecting = Duration::from_millis(script.connecting);
    sleep(connecting.min(connect)).await;
    if script.start == Start::Refused {
        return Err(SendError::Connect("refused, says the script".to_owned()));
    }
    if connecting >= connect {
        return Err(SendError::ConnectTimedOut);
    }
    let body = read_all(body);
    guard.note(|call, now| (call.sent_at, call.body) = (Some(now), body));
    match script.start {
        Start::Head(after) => {
            sleep(Duration::from_millis(after)).await;
            Ok(())
        }
        Start::Silence => std::future::pending().await,
        Start::Refused | Start::Broken(_) => {
            let after = if let Start::Broken(after) = script.start { after } else { 0 };
            sleep(Duration::from_millis(after)).await;
            Err(SendError::Broken("reset, says the script".to_owned()))
        }
    }
}

fn answer(guard: Guard, script: &Arc<Script>) -> Response<ReplyBytes> {
    guard.note(|call, now| call.head_at = Some(now));
    let mut response = Response::builder().status(script.status);
    for (name, value) in &script.headers {
        response = response.header(*name, value);
    }
    let length = script.steps.iter().map(|step| step.bytes.len()).sum();
    let began = Instant::now();
    let steps = script
        .steps
        .iter()
        .map(|step| (began + Duration::from_millis(step.at), Bytes::from(step.bytes.clone())))
        .collect();
    let body = ScriptedBody {
        guard,
        steps,
        left: script.announced.then_some(length),
        tail: script.tail,
        taken: 0,
        clock: Box::pin(sleep_until(began)),
    };
    response.body(ReplyBytes::Scripted(Scripted(Box::pin(body)))).expect("script heads are well-formed")
}

/// An answer's body. It is sent on the upstream's own schedule: what the gateway does not take waits for it.
struct ScriptedBody {
    guard: Guard,
    steps: VecDeque<(Instant, Bytes)>,
    /// Of the length that the head promised.
    left: Option<usize>,
    tail: Tail,
    taken: usize,
    clock: Pin<Box<Sleep>>,
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some((due, _)) = self.steps.front() else {
            return match self.tail {
                Tail::Hang => Poll::Pending,
                tail => {
                    self.guard.note(|call, now| call.tail_at = call.tail_at.or(Some(now)));
                    let reset = io::Error::new(io::ErrorKind::ConnectionReset, "reset, says the script");
                    Poll::Ready((tail == Tail::Reset).then_some(Err(reset)))
                }
            };
        };
        let due = *due;
        if Instant::now() < due {
            self.clock.as_mut().reset(due);
            if self.clock.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        let Some((_, bytes)) = self.steps.pop_front() else { return Poll::Pending };
        self.taken += bytes.len();
        self.left = self.left.map(|left| left - bytes.len());
        let taken = self.taken;
        self.guard.note(|call, now| call.taken.push((now, taken)));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left as u64))
    }
}

/// Alive as long as the gateway holds on to a call.
struct Guard {
    calls: Arc<Calls>,
    number: usize,
}

impl Guard {
    fn new(calls: Arc<Calls>, number: usize) -> Guard {
        calls.alive.fetch_add(1, Ordering::Relaxed);
        Guard { calls, number }
    }

    fn note(&self, write: impl FnOnce(&mut Call, u64)) {
        let now = self.calls.now();
        write(&mut self.calls.calls.lock().unwrap()[self.number], now);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.note(|call, now| call.over_at = Some(now));
        self.calls.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

//! A client, and what stands for its connection's task: sends a request, reads the answer as its nature is, and writes
//! down what it saw. The HTTP library's habits that matter are copied: it drops a body whose promised length is out, and
//! polls its task again when the stop says so.

use std::{
    collections::VecDeque,
    future::{Future, pending, poll_fn},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use gateway::{
    app::App,
    connection::{CLIENT_STALL, Connection},
    flow::Entry,
    pipeline,
    shutdown::Stage,
};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until};
use uuid::Uuid;

use crate::{
    ask::{Ask, BodyEnd, Reading},
    dice::Dice,
    setup::Setup,
};

/// How often the real watch looks for clients that do not read.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// How the exchange ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The whole response was there.
    Whole,
    /// The response's body broke: its connection was cut.
    Aborted,
    /// The client left, or was left by the watch because it did not read.
    Left,
    /// The stop dropped it.
    Dropped,
}

/// What one client saw. Times are milliseconds of the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    pub(crate) request_id: Option<Uuid>,
    /// When the last byte of the request body was taken, or the body broke.
    pub(crate) body_in_at: Option<u64>,
    pub(crate) body_broke: bool,
    pub(crate) body_taken: usize,
    pub(crate) head_at: Option<u64>,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) frames: Vec<(u64, Bytes)>,
    pub(crate) over: Option<(u64, Over)>,
    /// Time during which the client did not read.
    pub(crate) paused_ms: u64,
}

impl Visit {
    pub(crate) fn received(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

/// Goes on only if the client stays.
enum Go<T> {
    On(T),
    Off(Over),
}

/// Everything that ends a client's connection from outside.
struct Fate {
    leaves: Pin<Box<dyn Future<Output = ()> + Send>>,
    ending: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Fate {
    fn of(app: &Arc<App>, ask: &Ask) -> Fate {
        let reached = |stage: Stage| {
            let app = app.clone();
            Box::pin(async move { app.shutdown.reached(stage).await })
        };
        let leaves: Pin<Box<dyn Future<Output = ()> + Send>> = match ask.leaves_after {
            Some(after) => Box::pin(sleep(Duration::from_millis(after))),
            None => Box::pin(pending()),
        };
        Fate { leaves, ending: reached(Stage::Ending), ended: false, over: reached(Stage::Over) }
    }

    /// Runs until the client leaves or the stop is over; once more at the stage before it.
    async fn allow<F: Future>(&mut self, future: F) -> Go<F::Output> {
        let mut future = std::pin::pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Go::On(output));
            }
            if self.leaves.as_mut().poll(context).is_ready() {
                return Poll::Ready(Go::Off(Over::Left));
            }
            if self.over.as_mut().poll(context).is_ready() {
                return Poll::Ready(Go::Off(Over::Dropped));
            }
            if !self.ended && self.ending.as_mut().poll(context).is_ready() {
                self.ended = true;
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Go::On(output));
                }
            }
            Poll::Pending
        })
        .await
    }
}

pub(crate) async fn visit(app: Arc<App>, setup: Arc<Setup>, ask: Ask, start: Instant) -> Visit {
    sleep_until(start + Duration::from_millis(ask.at)).await;
    let now = || start.elapsed().as_millis() as u64;
    let connection = Connection::detached(app.flow.clock);
    let seen: Arc<Mutex<Visit>> = Arc::default();
    let body = RequestStream::new(&ask, seen.clone(), start);
    let mut fate = Fate::of(&app, &ask);
    // Boxed, so that it is dropped when it is done or the client leaves, as a connection's task does.
    let mut serving = Box::pin(pipeline::serve(
        app.clone(),
        connection.clone(),
        ask.head(&setup, app.new_request_id()),
        body,
    ));
    let (at_once, request_id) = poll_fn(|context| {
        let polled = serving.as_mut().poll(context);
        Poll::Ready((polled, entry_of(&app, &connection).map(|entry| entry.request_id)))
    })
    .await;
    let response = match at_once {
        Poll::Ready(response) => Go::On(response),
        Poll::Pending => fate.allow(serving).await,
    };
    let mut visit = std::mem::take(&mut *seen.lock().unwrap());
    visit.request_id = request_id;
    match response {
        Go::On(response) => {
            let (parts, body) = response.into_parts();
            visit.head_at = Some(now());
            visit.status = parts.status.as_u16();
            visit.headers = parts.headers;
            let over = read(&app, &connection, &ask, &mut fate, body, &mut visit, start).await;
            visit.over = Some((now(), over));
        }
        Go::Off(over) => visit.over = Some((now(), over)),
    }
    if visit.over.is_some_and(|(_, over)| over != Over::Whole) {
        connection.close(app.flow.clock.now_ms());
    }
    visit
}

/// The registry's entry of the request on this connection.
fn entry_of(app: &App, connection: &Arc<Connection>) -> Option<Arc<Entry>> {
    app.flow.entries().into_iter().find(|entry| Arc::ptr_eq(&entry.connection, connection))
}

async fn read<B>(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    ask: &Ask,
    fate: &mut Fate,
    body: B,
    visit: &mut Visit,
    start: Instant,
) -> Over
where
    B: Body<Data = Bytes>,
{
    let now = || start.elapsed().as_millis() as u64;
    let mut body = Box::pin(body);
    let mut dice = Dice::new(ask.seed ^ 0xC11E);
    let said = visit.headers.get(http::header::CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    let mut left: Option<u64> = said.or(body.size_hint().exact());
    let mut contents = 0;
    loop {
        if body.is_end_stream() || left == Some(0) {
            return Over::Whole;
        }
        let frame = match fate.allow(poll_fn(|context| body.as_mut().poll_frame(context))).await {
            Go::Off(over) => return over,
            // Less than was promised: the HTTP library breaks the connection.
            Go::On(None) if left.is_some_and(|left| left > 0) => return Over::Aborted,
            Go::On(None) => return Over::Whole,
            Go::On(Some(Err(_))) => return Over::Aborted,
            Go::On(Some(Ok(frame))) => frame,
        };
        let Ok(bytes) = frame.into_data() else { continue };
        left = left.map(|left| left.saturating_sub(bytes.len() as u64));
        // Comments fit into the socket: who does not read is not noticed by them.
        let content = !bytes.starts_with(b": waiting") && !bytes.trim_ascii().is_empty();
        visit.frames.push((now(), bytes));
        contents += usize::from(content);
        if !content || body.is_end_stream() || left == Some(0) {
            continue;
        }
        let paused_at = now();
        let off = match ask.reading {
            Reading::LeavesAfter(count) if contents >= count => return Over::Left,
            Reading::Slow(longest) if dice.chance(30) => {
                let until = Instant::now() + Duration::from_millis(dice.time(longest.max(1)));
                pause(app, connection, fate, Some(until)).await
            }
            Reading::StopsAfter(count) if contents >= count => pause(app, connection, fate, None).await,
            _ => None,
        };
        visit.paused_ms += now() - paused_at;
        if let Some(over) = off {
            return over;
        }
    }
}

/// Does not read until then; the watch's part in it is played as it is written: after a minute it takes the client for gone.
async fn pause(
    app: &Arc<App>,
    connection: &Arc<Connection>,
    fate: &mut Fate,
    until: Option<Instant>,
) -> Option<Over> {
    let stall_ms = CLIENT_STALL.as_millis() as u64;
    loop {
        let tick = Instant::now() + WATCH_EVERY;
        match fate.allow(sleep_until(until.map_or(tick, |until| until.min(tick)))).await {
            Go::Off(over) => return Some(over),
            Go::On(()) => {}
        }
        // Without an entry it is over, but for the end that still waits to be read.
        let handed_ms = entry_of(app, connection)?.handed_ms();
        if handed_ms != 0 && app.flow.clock.now_ms() > handed_ms + stall_ms {
            return Some(Over::Left);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
    }
}

/// The request body as the client sends it.
struct RequestStream {
    chunks: VecDeque<(u64, Bytes)>,
    end: BodyEnd,
    left: Option<usize>,
    seen: Arc<Mutex<Visit>>,
    start: Instant,
    clock: Option<Pin<Box<Sleep>>>,
}

impl RequestStream {
    fn new(ask: &Ask, seen: Arc<Mutex<Visit>>, start: Instant) -> RequestStream {
        let chunks = ask.chunks.clone().into();
        RequestStream {
            chunks,
            end: ask.body_end,
            left: ask.announced.then_some(ask.body.len()),
            seen,
            start,
            clock: None,
        }
    }

    fn over(&self, broke: bool) {
        let mut seen = self.seen.lock().unwrap();
        seen.body_broke = broke;
        seen.body_in_at = seen.body_in_at.or(Some(self.start.elapsed().as_millis() as u64));
    }
}

impl Body for RequestStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some((after, _)) = self.chunks.front() else {
            // With its promised length in, a body has ended.
            let end = if self.left == Some(0) { BodyEnd::Whole } else { self.end };
            return match end {
                BodyEnd::Never => Poll::Pending,
                BodyEnd::Broken => {
                    self.over(true);
                    Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof))))
                }
                BodyEnd::Whole => {
                    self.over(false);
                    Poll::Ready(None)
                }
            };
        };
        let after = Duration::from_millis(*after);
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(after)));
        if clock.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.clock = None;
        let Some((_, bytes)) = self.chunks.pop_front() else { return Poll::Ready(None) };
        self.left = self.left.map(|left| left.saturating_sub(bytes.len()));
        self.seen.lock().unwrap().body_taken += bytes.len();
        if self.chunks.is_empty() && self.left == Some(0) {
            self.over(false);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left as u64))
    }
}

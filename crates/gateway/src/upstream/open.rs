//! An open connection to a provider, driven by whoever waits for its answer: it has no task of its own.
//!
//! In: one request at a time. Out: the answer's head and the frames of its body. Dropping it closes it at once, whatever it
//! was doing. While nobody uses it, its pool is told when the provider closes it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http::{
    Request, Response,
    uri::{Authority, Scheme},
};
use http_body::{Body, Frame};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, SendRequest},
    },
    rt::{Read, Write},
};
use tokio::task::unconstrained;

use super::RequestBody;

/// The most that a connection reads at once, and keeps to read into while it is idle; also the longest head of an answer.
/// Left alone, the buffer of each connection that a long answer came over grows to 400 KB, and stays.
const READ_BUFFER: usize = 64 * 1024;

/// Turns of the connection and of who waits for it before others get theirs. One is enough when something has come; the first
/// question of a body needs two.
const TURNS: usize = 3;

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Origin(pub(super) Option<Scheme>, pub(super) Option<Authority>);

pub(super) struct Open {
    pub(super) origin: Origin,
    sender: SendRequest<RequestBody>,
    driven: Driven,
}

/// The connection's own half: it reads and writes when it is polled.
struct Driven {
    /// Gone when it has ended.
    connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    turn: Arc<Turn>,
    /// The same as what the connection wakes.
    waker: Waker,
}

/// Whom the connection wakes. While it is driven, its own half and the other wake each other: that goes no further.
struct Turn {
    inside: AtomicBool,
    woken: AtomicBool,
    waiting: Mutex<Waker>,
}

impl Wake for Turn {
    fn wake(self: Arc<Turn>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Turn>) {
        self.woken.store(true, SeqCst);
        if !self.inside.load(SeqCst) {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
            waiting.wake();
        }
    }
}

impl Open {
    pub(super) async fn begin<S>(origin: Origin, stream: S) -> hyper::Result<Open>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new().max_buf_size(READ_BUFFER).handshake(stream).await?;
        let (inside, woken) = (AtomicBool::new(false), AtomicBool::new(false));
        let turn = Arc::new(Turn { inside, woken, waiting: Mutex::new(Waker::noop().clone()) });
        let driven =
            Driven { connection: Some(Box::pin(connection)), waker: Waker::from(turn.clone()), turn };
        Ok(Open { origin, sender, driven })
    }

    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        // What this wakes is driven at once.
        self.driven.turn.inside.store(true, SeqCst);
        // Polled for nobody, it must not yield for others' sake: nobody would come back for it.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        poll_fn(|context| self.driven.poll(context, |nobody| answer.as_mut().poll(nobody))).await
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.driven.poll(context, |nobody| Pin::new(&mut *body).poll_frame(nobody))
    }

    /// Nothing has come since it was found free.
    pub(super) fn is_quiet(&self) -> bool {
        !self.driven.turn.woken.load(SeqCst)
    }

    /// Whether this is who is woken when something comes.
    pub(super) fn is_kept_by(&self, keeper: &Waker) -> bool {
        self.driven.turn.waiting.lock().unwrap_or_else(PoisonError::into_inner).will_wake(keeper)
    }

    /// Whether it can take a request now. From here on `keeper` is woken when something comes from the provider: mostly its end.
    pub(super) fn is_free(&mut self, keeper: &Waker) -> bool {
        let _: Poll<()> = self.driven.poll(&mut Context::from_waker(keeper), |_| Poll::Pending);
        self.driven.connection.is_some() && self.sender.is_ready()
    }
}

impl Driven {
    /// Polls the connection and what hangs on it in turns, until neither gets on. What hangs on it is not woken by itself: it
    /// has nothing new but what the connection brings.
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut other: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.turn.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker());
        self.turn.inside.store(true, SeqCst);
        let mut found = Poll::Pending;
        for _ in 0..TURNS {
            self.turn.woken.store(false, SeqCst);
            if let Some(connection) = &mut self.connection
                && connection.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready()
            {
                // What went wrong with it is told to who waits.
                self.connection = None;
            }
            found = other(&mut Context::from_waker(Waker::noop()));
            if found.is_ready() || !self.turn.woken.load(SeqCst) {
                break;
            }
        }
        self.turn.inside.store(false, SeqCst);
        // Woken by the network meanwhile, or for others' sake. Who has what he wanted asks again before he waits.
        if found.is_pending() && self.turn.woken.load(SeqCst) {
            context.waker().wake_by_ref();
        }
        found
    }
}

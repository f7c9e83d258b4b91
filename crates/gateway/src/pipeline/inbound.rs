//! Step 1: the request as it came in.
//!
//! In: a door and an HTTP request. Out: [`Head`] (before the body is read: enough to tell who calls), then [`Inbound`]
//! with the whole body and its envelope. Every read has a clock and a bound. It must not look at keys or channels.

use std::{
    borrow::Cow,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use dialect::{Dialect, Door, Edits, Envelope, Operation, PeekError, Prompt, peek, splice};
use http::{HeaderMap, Method, header::CONTENT_TYPE, request::Parts};
use http_body::Body;
use percent_encoding::percent_decode_str;
use tokio::time::{Duration, timeout};
use uuid::Uuid;

use crate::{
    fault::{ClientFault, Fault, Rejection},
    pipeline::lease::Lease,
};

/// Silence within a request body after which the client is given up.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// The whole body must be in within this.
const BODY_TOTAL: Duration = Duration::from_secs(600);
/// The registry's limit for the phase: both clocks above.
pub const RECEIVING_LIMIT: Duration = BODY_TOTAL;
/// Bodies up to this size are not counted into [`HeldBodies`]: they are no danger and most requests.
const SMALL_BODY: usize = 64 * 1024;
/// Request bodies held at once, all together, in bytes, with what is made of them where they are translated; beyond it large
/// requests are shed.
pub const HELD_BODIES: usize = 1024 * 1024 * 1024;
/// Longer names are no model's: they would be kept in logs and memories.
const LONGEST_MODEL: usize = 256;
/// Room for a chunked body to begin with.
const FIRST_ROOM: usize = 16 * 1024;

/// What a request's path and query say beyond its door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The model, where the path carries it.
    pub model: Option<String>,
    /// Gemini's version segment (`v1beta`), where the path carries one.
    pub version: Option<String>,
    /// A stored response's id and what follows it.
    pub rest: Option<String>,
    /// The path itself says that a stream is wanted.
    pub stream: bool,
}

/// The request's head: enough to tell who calls.
#[derive(Debug)]
pub struct Head {
    pub request_id: Uuid,
    pub door: Door,
    pub target: Target,
    pub parts: Parts,
}

/// The whole request.
#[derive(Debug)]
pub struct Inbound {
    pub door: Door,
    pub target: Target,
    pub method: Method,
    /// The query without what signs in, ready to be appended; empty or starting with `?`.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub envelope: Envelope,
    /// As the caller named it; empty where the operation has none.
    pub model: String,
    pub stream: bool,
    /// What the caller can pay for: the limit of the output that goes out is no higher.
    pub output_limit: Option<u64>,
    /// Bytes of what is remembered of earlier answers that money was held for; `None`: no bound but the usual one.
    pub remembered: Option<usize>,
    /// Looked through once, by who needs it first.
    prompt: Option<Prompt>,
    held: Held,
}

impl Head {
    /// Checks what can be checked before the body.
    pub fn check(&self) -> Result<(), ClientFault> {
        let headers = &self.parts.headers;
        if self.door.operation == Operation::Stored {
            return Ok(());
        }
        match headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("something unreadable")) {
            None => Ok(()),
            Some(found) if is_json(found) => Ok(()),
            Some(found) => Err(ClientFault::WrongContentType { found: found.to_owned() }),
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.rsplit('+').next().is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
            && essence.contains('/')
}

/// A body that is all there.
#[derive(Debug)]
pub struct Received {
    bytes: Bytes,
    held: Held,
}

impl Received {
    /// Reads a body to its end.
    pub async fn read<B>(
        body: B,
        limit: usize,
        held: &Arc<HeldBodies>,
        lease: &mut Lease,
    ) -> Result<Received, Fault>
    where
        B: Body<Data = Bytes>,
    {
        let promised = body.size_hint().exact();
        if promised.is_some_and(|promised| promised > limit as u64) {
            return Err(Fault::Client(ClientFault::BodyTooLarge { limit }));
        }
        let mut holding = held.share();
        if let Some(promised) = promised {
            holding.grow(promised as usize)?;
        }
        let body = pin!(body);
        let reading = read_body(body, promised.map(|promised| promised as usize), limit, &mut holding);
        let bytes = match timeout(BODY_TOTAL, reading).await {
            Ok(bytes) => bytes?,
            Err(_) => return Err(Fault::Client(ClientFault::BodyTooSlow)),
        };
        lease.mark().entry.bytes_in.store(bytes.len() as u64, Ordering::Relaxed);
        Ok(Received { bytes, held: holding })
    }
}

impl Inbound {
    /// Reads the envelope of a body that is all there.
    pub fn open(head: Head, received: Received) -> Result<Box<Inbound>, ClientFault> {
        let Head { door, target, parts, .. } = head;
        let Received { bytes: body, held } = received;
        let envelope = if door.operation == Operation::Stored {
            Envelope::default()
        } else {
            peek(door, &body).map_err(fault_of)?
        };
        let model = match &target.model {
            Some(model) => model.clone(),
            None => envelope.model.clone(),
        };
        let longest = envelope.fallbacks.iter().map(String::len).chain([model.len()]).max();
        if longest > Some(LONGEST_MODEL) {
            let expected = "a model's name has at most 256 bytes";
            return Err(ClientFault::BadField { field: "model", expected });
        }
        let query = query_without_key(parts.uri.query().unwrap_or(""));
        Ok(Box::new(Inbound {
            door,
            stream: envelope.stream || target.stream,
            target,
            method: parts.method,
            query,
            headers: parts.headers,
            body,
            envelope,
            model,
            output_limit: None,
            remembered: None,
            prompt: None,
            held,
        }))
    }

    /// The body without the list of models, which is ours to go through.
    pub fn told_body(&self) -> Cow<'_, [u8]> {
        if self.envelope.lists_models() {
            Cow::Owned(
                splice(&self.body, &self.envelope, &Edits { one_model: true, ..Edits::default() })
                    .parts
                    .concat(),
            )
        } else {
            Cow::Borrowed(&self.body)
        }
    }

    /// Whether the stream, if it is one, is a JSON array and not server-sent events.
    pub fn wants_array(&self) -> bool {
        self.door.dialect == Dialect::GeminiGenerate && !self.query.contains("alt=sse")
    }

    /// The names of the models that may answer, as the caller gives them, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.model.as_str()).chain(self.envelope.fallbacks.iter().map(String::as_str))
    }

    /// What the body gives a model to read.
    pub fn prompt(&mut self) -> &Prompt {
        let body = &self.body;
        self.prompt.get_or_insert_with(|| Prompt::of(body))
    }

    pub fn take_prompt(&mut self) -> Prompt {
        self.prompt.take().unwrap_or_else(|| Prompt::of(&self.body))
    }

    /// A share for what is made of the body, beside its own.
    pub fn share(&self) -> Held {
        self.held.all.share()
    }

    /// The body is sent and will not be needed again.
    pub fn free_body(&mut self) {
        self.body = Bytes::new();
        self.headers = HeaderMap::new();
        self.held.release();
    }
}

fn fault_of(error: PeekError) -> ClientFault {
    match error {
        PeekError::Empty => ClientFault::EmptyBody,
        PeekError::NotJson(detail) => ClientFault::NotJson { detail },
        PeekError::NotObject => ClientFault::NotObject,
        PeekError::MissingModel => ClientFault::MissingModel,
        PeekError::BadField { field, expected } => ClientFault::BadField { field, expected },
    }
}

/// `?key=` is a way to sign in to us; it must not travel on.
fn query_without_key(query: &str) -> String {
    let mut kept = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = percent_decode_str(pair.split('=').next().unwrap_or(pair));
        if name.ne(*b"key") {
            kept.push(if kept.is_empty() { '?' } else { '&' });
            kept.push_str(pair);
        }
    }
    kept
}

async fn read_body<B>(
    mut body: Pin<&mut B>,
    promised: Option<usize>,
    limit: usize,
    holding: &mut Held,
) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes>,
{
    let Some(first) = next_bytes(&mut body).await? else { return Ok(Bytes::new()) };
    if promised == Some(first.len()) {
        // The whole body in one read: most requests, and no copy.
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(promised.unwrap_or(FIRST_ROOM.max(first.len())));
    let mut next = Some(first);
    while let Some(bytes) = next {
        if whole.len() + bytes.len() > limit {
            return Err(Fault::Client(ClientFault::BodyTooLarge { limit }));
        }
        if promised.is_none() {
            holding.grow(bytes.len())?;
        }
        whole.extend_from_slice(&bytes);
        next = next_bytes(&mut body).await?;
    }
    Ok(whole.freeze())
}

async fn next_bytes<B>(body: &mut Pin<&mut B>) -> Result<Option<Bytes>, Fault>
where
    B: Body<Data = Bytes>,
{
    loop {
        let frame =
            timeout(BODY_IDLE, std::future::poll_fn(|context| body.as_mut().poll_frame(context))).await;
        return match frame {
            Err(_) => Err(Fault::Client(ClientFault::BodyTooSlow)),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(Fault::Client(ClientFault::BodyBroken)),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => Ok(Some(bytes)),
                Err(_) => continue,
            },
        };
    }
}

/// Bytes of large request bodies held by all requests together, and of what is made of them.
#[derive(Debug, Default)]
pub struct HeldBodies(AtomicUsize);

impl HeldBodies {
    pub fn share(self: &Arc<HeldBodies>) -> Held {
        Held { seen: 0, bytes: 0, all: self.clone() }
    }
}

/// One request's share of [`HeldBodies`], given back when dropped.
#[derive(Debug)]
pub struct Held {
    /// Of this request, small or not.
    seen: usize,
    /// Counted into the whole.
    bytes: usize,
    all: Arc<HeldBodies>,
}

impl Held {
    pub fn grow(&mut self, bytes: usize) -> Result<(), Fault> {
        self.seen += bytes;
        if self.seen <= SMALL_BODY {
            return Ok(());
        }
        let uncounted = self.seen - self.bytes;
        self.bytes = self.seen;
        let before = self.all.0.fetch_add(uncounted, Ordering::Relaxed);
        if before + uncounted > HELD_BODIES { Err(Fault::Rejection(Rejection::MemoryFull)) } else { Ok(()) }
    }

    fn release(&mut self) {
        self.seen = 0;
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.all.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_in_the_query_stays_here() {
        assert_eq!(query_without_key("key=abc&alt=sse"), "?alt=sse");
        assert_eq!(query_without_key("alt=sse&key=abc&x=%20"), "?alt=sse&x=%20");
        assert_eq!(query_without_key("key=abc"), "");
        assert_eq!(query_without_key(""), "");
        assert_eq!(query_without_key("keyboard=1"), "?keyboard=1");
        assert_eq!(query_without_key("k%65y=abc&x=1"), "?x=1");
    }

    #[test]
    fn json_in_all_its_names() {
        for name in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
            assert!(is_json(name), "{name}");
        }
        for name in ["text/plain", "multipart/form-data; boundary=x", "json", ""] {
            assert!(!is_json(name), "{name}");
        }
    }
}

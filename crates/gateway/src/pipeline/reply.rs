//! Step 6: the answer, on its way to the caller.
//!
//! In: [`Committed`], or an attempt still running. Out: an HTTP response whose body owns the lease: streaming time counts,
//! and dropping the body, for whatever reason, settles. After the first content byte a failure is an in-band error of
//! the caller's dialect, never an invented end.

mod body;
pub mod drain;
mod levels;
mod losses;
mod passing;
mod stream;
mod waiting;

use std::{
    borrow::Cow,
    sync::{Arc, atomic::Ordering},
};

use dialect::{
    Dialect, ErrorView, Framing, Operation, Stage, encode_error, is_error_of, translate::write_count,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use uuid::Uuid;

use crate::{
    app::App,
    ending::Ending,
    fault::{PublicError, status_for},
    flow::Entry,
    limits::Levels,
    pipeline::{
        attempt::{Answer, Committed, Failed},
        lease::Lease,
        rewrite,
    },
};

pub use body::ReplyBody;
pub use drain::Attended;
pub use waiting::Run;

/// What a reply says in its head about which request it answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a translation could not carry, so far as it is known when the head is sent.
pub const LOSSES: HeaderName = HeaderName::from_static("x-sluice-losses");

/// The count is ours, and not the provider's.
pub const ESTIMATED: HeaderName = HeaderName::from_static("x-sluice-estimated");

/// The model that answered, where it is not the one that was named.
pub const MODEL: HeaderName = HeaderName::from_static("x-sluice-model");

/// The response to a request that has an answer.
pub fn send(app: &Arc<App>, committed: Committed) -> Response<ReplyBody> {
    let Committed { status, headers, channel, caller, mut lease, answer } = committed;
    if !lease.mark().entry.has_left() {
        lease.record().status = status.as_u16();
    }
    let (dialect, request_id, levels) = (lease.record().door.dialect, lease.request_id(), lease.levels());
    let losses = losses::header(&lease.record().losses);
    let model = lease.record().attempts.last().and_then(|attempt| attempt.model.as_deref());
    // A name that no header can carry is in the request log.
    let model = model.and_then(|model| HeaderValue::from_str(model).ok());
    let (mut headers, body) = match answer {
        Answer::Whole { body, usage, delivered, stored_id } => {
            learn(app, &mut lease, &caller, &channel, (usage, delivered), stored_id.as_deref());
            // Who can count may be unable to answer.
            if lease.record().door.operation != Operation::CountTokens {
                channel.health.succeeded();
            }
            lease.end(Ending::Completed, None);
            (rewrite::reply_headers(&headers, Framing::Document), ReplyBody::whole(body, Some(lease)))
        }
        Answer::Passing { start, length, source, tap } => {
            let mut reply = rewrite::reply_headers(&headers, Framing::Document);
            if let Some(length) = length {
                reply.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            (
                reply,
                ReplyBody::passing(passing::Passing::new(
                    app, caller, channel, lease, start, length, source, tap,
                )),
            )
        }
        Answer::Stream { start, framing, source, tap, interpreter } => {
            let reply = rewrite::reply_headers(&headers, framing);
            let body =
                stream::Stream::new(app, caller, channel, lease, start, framing, source, tap, interpreter);
            (reply, ReplyBody::stream(body))
        }
    };
    sign(&mut headers, dialect, request_id);
    levels::write(&mut headers, dialect, &levels);
    if let Some(losses) = losses {
        headers.insert(LOSSES, losses);
    }
    if let Some(model) = model {
        headers.insert(MODEL, model);
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The response to who asked how many tokens his request has, where no provider said it.
pub fn tell_count(dialect: Dialect, tokens: u64, mut lease: Box<Lease>) -> Response<ReplyBody> {
    let (request_id, levels) = (lease.request_id(), lease.levels());
    let elapsed_ms = lease.mark().elapsed_ms();
    let record = lease.record();
    (record.status, record.estimated) = (200, true);
    record.first_byte_ms = Some(elapsed_ms);
    lease.end(Ending::Completed, None);
    let mut headers = rewrite::reply_headers(&HeaderMap::new(), Framing::Document);
    sign(&mut headers, dialect, request_id);
    levels::write(&mut headers, dialect, &levels);
    headers.insert(ESTIMATED, HeaderValue::from_static("true"));
    let mut response = Response::new(ReplyBody::whole(write_count(dialect, tokens).into(), Some(lease)));
    *response.headers_mut() = headers;
    response
}

/// The response to a stream request whose attempts still run: its head and, from time to time, a comment.
pub fn hold(
    app: &Arc<App>,
    entry: &Entry,
    dialect: Dialect,
    framing: Framing,
    levels: Levels,
    run: Attended,
) -> Response<ReplyBody> {
    entry.head_sent.store(true, Ordering::Relaxed);
    let mut headers = rewrite::reply_headers(&HeaderMap::new(), framing);
    sign(&mut headers, dialect, entry.request_id);
    levels::write(&mut headers, dialect, &levels);
    let mut response = Response::new(ReplyBody::waiting(waiting::Waiting::new(app, dialect, framing, run)));
    *response.headers_mut() = headers;
    response
}

/// The response to a request that failed before any head was sent.
pub fn refuse(dialect: Dialect, failed: Failed) -> Response<ReplyBody> {
    let Failed { fault, mut lease } = failed;
    let error = fault.public();
    lease.record().status = status_for(dialect, error.status);
    let (request_id, levels) = (lease.request_id(), fault.levels().unwrap_or(lease.levels()));
    let mut response = tell(dialect, &error, request_id, Some(lease));
    levels::write(response.headers_mut(), dialect, &levels);
    response
}

/// An error as a whole response.
pub fn tell(
    dialect: Dialect,
    error: &PublicError,
    request_id: Uuid,
    lease: Option<Box<Lease>>,
) -> Response<ReplyBody> {
    let status = status_for(dialect, error.status);
    let body = match &error.original {
        Some(original) if is_error_of(dialect, original) => original.clone(),
        _ => encode(dialect, error, request_id, Stage::Head),
    };
    let mut response = Response::new(ReplyBody::whole(body, lease));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(retry_after_ms) = error.retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1000)));
    }
    if let Some(allow) = error.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    sign(headers, dialect, request_id);
    response
}

/// The same, for a request whose body was not read to its end: its connection cannot be used again.
pub fn closing(mut response: Response<ReplyBody>) -> Response<ReplyBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An error as bytes of the dialect.
fn encode(dialect: Dialect, error: &PublicError, request_id: Uuid, stage: Stage) -> bytes::Bytes {
    let mut buffer = Uuid::encode_buffer();
    let view = ErrorView {
        kind: error.kind,
        status: status_for(dialect, error.status),
        message: &error.message,
        code: Some(&error.code),
        param: error.param.as_deref(),
        request_id: request_id.hyphenated().encode_lower(&mut buffer),
        retry_after_ms: error.retry_after_ms,
    };
    encode_error(dialect, &view, stage)
}

/// Puts the request id where the dialect's SDKs look for it.
fn sign(headers: &mut HeaderMap, dialect: Dialect, request_id: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    let text = request_id.hyphenated().encode_lower(&mut buffer);
    if let Ok(value) = HeaderValue::from_str(text) {
        if dialect == Dialect::AnthropicMessages {
            headers.insert(HeaderName::from_static("request-id"), value.clone());
        }
        headers.insert(REQUEST_ID, value);
    }
}

/// The usage, and what was delivered where it is not said, or not to the end.
type Told = (Option<dialect::Usage>, Option<dialect::Delivered>);

/// Writes down what the tap saw.
fn learn(
    app: &App,
    lease: &mut Lease,
    caller: &crate::pipeline::caller::Caller,
    channel: &crate::catalog::Channel,
    (usage, delivered): Told,
    stored_id: Option<&str>,
) {
    lease.measured(usage, delivered);
    if let Some(id) = stored_id {
        app.affinity.remember(caller.id(), id, &channel.name, lease.mark().now_ms());
    }
}

/// A cause in the operator's words.
fn cause(text: impl Into<Cow<'static, str>>) -> Option<Cow<'static, str>> {
    Some(text.into())
}

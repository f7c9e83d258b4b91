//! Everything under `/api/v1`: managing the gateway, and its users about themselves.
//!
//! In: a request that the listener's routes did not take, or one from the local socket. Out: JSON, or a [`Problem`] with a code
//! and the request's id. This is the only place that names axum. It must never show a secret but in the one answer that is
//! made for it, and never hold up a request of the data plane: bodies, time and the number of requests at once are bounded,
//! and the database is asked on threads that may wait.

mod access_tokens;
mod accounts;
pub mod actor;
mod aliases;
pub mod asked;
pub mod audit;
mod channels;
mod codes;
pub mod cookie;
mod fields;
mod groups;
pub mod input;
pub mod invitations;
mod keys;
pub mod letters;
pub mod local;
pub mod oidc;
pub mod own;
pub mod paging;
pub mod password_reset;
mod prices;
pub mod problem;
pub mod proof;
mod requests;
mod second_factor;
pub mod session;
pub(crate) mod settings;
pub mod setup;
pub mod sign_up;
mod status;
mod usage;
mod users;

use std::{
    convert::Infallible,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::OnceLock,
    task::Poll,
};

use axum::{Router, extract::DefaultBodyLimit};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Duration, timeout},
};
use tower_service::Service;
use tracing::error;
use utoipa::{
    OpenApi,
    openapi::{
        Content, Ref, ResponseBuilder,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    asked::Asked,
    problem::{Code, Problem},
};
use crate::pipeline::reply::{REQUEST_ID, ReplyBody};

/// Largest request body: a table of prices, several times over.
const BODY_BYTES: usize = 4 << 20;
/// Largest answer: a page is far below it.
const ANSWER_BYTES: usize = 64 << 20;
/// The whole request, its body included. What is being written to the database then is still written.
const TOTAL: Duration = Duration::from_secs(30);
/// Requests that are answered at once; more are told to come again. Only whole ones are: who sends slowly takes no place here.
static PLACES: Semaphore = Semaphore::const_new(64);
/// Of commands at this machine: strangers who take all places of the network do not keep the operator out.
static LOCAL_PLACES: Semaphore = Semaphore::const_new(16);
/// Bodies that are read at once. What has none, such as every look, waits for none of them.
static READING: Semaphore = Semaphore::const_new(1024);
/// Bodies of more than [`SHORT_BODY`] in memory at once.
static LONG_BODIES: Semaphore = Semaphore::const_new(32);
/// Nearly everything but a table of prices.
const SHORT_BODY: usize = 16 << 10;

/// The path under which everything here is.
pub const PREFIX: &str = "/api/v1";

/// What the document says beside the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sluice",
        description = "Managing a Sluice gateway, and its users about themselves. Money is written as decimal strings of dollars, times as \
                       milliseconds since 1970 (UTC). An error is a problem by RFC 9457 with a `code` and the `request_id`. Lists are paged by \
                       `limit` and the `next` of the page before as `cursor`."
    ),
    components(schemas(Problem))
)]
struct Document;

fn api() -> OpenApiRouter {
    OpenApiRouter::with_openapi(Document::openapi()).nest(
        PREFIX,
        OpenApiRouter::new()
            .routes(routes!(openapi))
            .merge(actor::routes())
            .merge(users::routes())
            .merge(groups::routes())
            .merge(keys::routes())
            .merge(channels::routes())
            .merge(prices::routes())
            .merge(aliases::routes())
            .merge(codes::routes())
            .merge(accounts::routes())
            .merge(settings::routes())
            .merge(audit::routes())
            .merge(setup::routes())
            .merge(session::routes())
            .merge(own::routes())
            .merge(access_tokens::routes())
            .merge(second_factor::routes())
            .merge(sign_up::routes())
            .merge(invitations::routes())
            .merge(password_reset::routes())
            .merge(oidc::routes())
            .merge(requests::routes())
            .merge(usage::routes()),
    )
}

/// The routes, made at their first use.
fn router() -> &'static Router {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    ROUTER.get_or_init(|| {
        let (router, _) = api().split_for_parts();
        router
            .route("/api/status", axum::routing::get(status::status))
            .fallback(async || Problem::new(Code::NoSuchPath, "There is nothing at this path."))
            .method_not_allowed_fallback(async || {
                Problem::new(Code::WrongMethod, "This path does not take this method.")
            })
            .layer(DefaultBodyLimit::disable()) // The edge has read it already, within a bound.
    })
}

/// The document of the whole API, as `docs/openapi.json` has it.
pub fn document() -> String {
    let mut document = api().into_openapi();
    let problem = ResponseBuilder::new()
        .description("What went wrong.")
        .content("application/problem+json", Content::new(Some(Ref::from_schema_name("Problem"))))
        .build();
    for item in document.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in methods.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), problem.clone().into());
        }
    }
    let mut parts = document.components.take().unwrap_or_default();
    parts.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let session = ApiKey::Cookie(ApiKeyValue::new(cookie::SESSION));
    parts.add_security_scheme("session", SecurityScheme::ApiKey(session));
    document.components = Some(parts);
    let either = ["token", "session"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
    document.security = Some(either.to_vec());
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "api", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn openapi() -> Response<axum::body::Body> {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let mut response = Response::new(axum::body::Body::from(DOCUMENT.get_or_init(document).as_str()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers a request whose body is still to be read.
pub async fn answer<B>(asked: Asked, request: Request<B>) -> Result<Response<ReplyBody>, Infallible>
where
    B: Body<Data = Bytes>,
{
    let request_id = asked.request_id;
    let (parts, body) = request.into_parts();
    let answering = async {
        let (body, _place) = read(body, asked.local).await?;
        let places = if asked.local { &LOCAL_PLACES } else { &PLACES };
        let _answering = places.try_acquire().map_err(|_| busy())?;
        Ok(respond(asked, Request::from_parts(parts, body)).await)
    };
    let response = match timeout(TOTAL, answering).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => told(problem, request_id),
        Err(_) => {
            let detail = "The request took too long. A change may have been made: look before you repeat it.";
            told(Problem::new(Code::TimedOut, detail), request_id)
        }
    };
    Ok(whole(response))
}

fn busy() -> Problem {
    Problem::new(Code::Busy, "Too many requests to the API at once; try again in a moment.")
}

fn whole(response: Response<Bytes>) -> Response<ReplyBody> {
    response.map(|body| ReplyBody::whole(body, None))
}

/// The body, and the place that a long one takes for as long as it is there. Of the machine's own there are few, by its socket.
async fn read<B: Body<Data = Bytes>>(
    body: B,
    local: bool,
) -> Result<(Bytes, Option<SemaphorePermit<'static>>), Problem> {
    let too_large = || {
        let detail = format!("The body has more than {BODY_BYTES} bytes.");
        Problem::new(Code::TooLarge, detail)
    };
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let place = |of: &'static Semaphore| match local {
        true => Ok(None),
        false => of.try_acquire().map(Some).map_err(|_| busy()),
    };
    let (_reading, mut long) = (place(&READING)?, None);
    let (mut body, mut whole) = (pin!(body), BytesMut::new());
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let Ok(frame) = frame else {
            return Err(Problem::new(Code::BadInput, "The body broke off."));
        };
        let Ok(bytes) = frame.into_data() else { continue };
        if whole.len() + bytes.len() > BODY_BYTES {
            return Err(too_large());
        }
        if whole.len() + bytes.len() > SHORT_BODY && long.is_none() {
            long = place(&LONG_BODIES)?;
        }
        whole.extend_from_slice(&bytes);
    }
    Ok((whole.freeze(), long))
}

/// Answers a request that is all there. A panic is that request's 500 and nobody else's trouble.
pub async fn respond(asked: Asked, request: Request<Bytes>) -> Response<Bytes> {
    let request_id = asked.request_id;
    if from_another_site(&request) {
        let detail = "A page of another site cannot change anything here.";
        return told(Problem::new(Code::NotAllowed, detail), request_id);
    }
    let mut request = request.map(axum::body::Body::from);
    // The one place where the router lets a value travel beside the request.
    request.extensions_mut().insert(asked);
    let mut router = router().clone();
    let mut serving = pin!(async move {
        let Ok(response) = router.call(request).await;
        finished(response, request_id).await
    });
    match caught(serving.as_mut()).await {
        Some(response) => response,
        None => {
            error!(%request_id, "a request to the API panicked");
            told(Problem::internal(), request_id)
        }
    }
}

/// A browser says whose page asks. Programs say nothing, and are not led by pages.
fn from_another_site(request: &Request<Bytes>) -> bool {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let site = request.headers().get("sec-fetch-site");
    !looks && site.is_some_and(|site| site != "same-origin" && site != "none")
}

async fn caught<T>(mut serving: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context))) {
        Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(None),
    })
    .await
}

async fn finished(mut response: Response<axum::body::Body>, request_id: uuid::Uuid) -> Response<Bytes> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let mut told = told(problem, request_id);
        if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
            told.headers_mut().insert(header::ALLOW, allow);
        }
        return told;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, ANSWER_BYTES).await else {
        error!(%request_id, "an answer of the API is too long");
        return told(Problem::internal(), request_id);
    };
    signed(Response::from_parts(parts, body), request_id)
}

/// A problem as a response.
fn told(problem: Problem, request_id: uuid::Uuid) -> Response<Bytes> {
    let (status, retry_after) = (problem.code.status(), problem.retry_after);
    let mut response = Response::new(problem.body(request_id));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    signed(response, request_id)
}

/// With the request's id, and not to be kept: an answer may be for one pair of eyes.
fn signed(mut response: Response<Bytes>, request_id: uuid::Uuid) -> Response<Bytes> {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

//! Every route, in one list.
//!
//! In: a request from the listener. Out: a response. It must do no work of its own beyond finding who does it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use dialect::{Dialect, Door, Operation};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tracing::error;
use uuid::Uuid;

use crate::{
    admin,
    app::App,
    billing::{self, Polled},
    connection::Connection,
    cors,
    fault::{ClientFault, Fault, InternalFault},
    models, monitor,
    pipeline::{
        self,
        inbound::{Head, Target},
        reply::{self, ReplyBody},
    },
};

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Door(Door, Target),
    /// A list of models, or one of them.
    Models(Dialect, Option<String>),
    Healthz,
    Readyz,
    Health,
    Metrics,
    /// What a caller's key has and may, for programs that poll it.
    Billing(Polled),
    /// The rest of `/api`, whatever there is or is not.
    Admin,
}

/// The methods of [`Route::Admin`]: its own router knows which path takes which.
const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Finds the route of a path, and the methods it takes.
pub fn find(path: &str, headers: &HeaderMap, query: Option<&str>) -> Option<(Route, &'static str)> {
    use Dialect::{AnthropicMessages, OpenaiChat, OpenaiResponses};
    let door =
        |dialect, operation| Some((Route::Door(Door::new(dialect, operation), Target::default()), "POST"));
    match path {
        "/v1/chat/completions" => door(OpenaiChat, Operation::Chat),
        "/v1/completions" => door(OpenaiChat, Operation::Completions),
        "/v1/embeddings" => door(OpenaiChat, Operation::Embeddings),
        "/v1/moderations" => door(OpenaiChat, Operation::Moderations),
        "/v1/responses" => door(OpenaiResponses, Operation::Chat),
        "/v1/responses/compact" => door(OpenaiResponses, Operation::Compact),
        "/v1/responses/input_tokens" => door(OpenaiResponses, Operation::CountTokens),
        "/v1/messages" => door(AnthropicMessages, Operation::Chat),
        "/v1/messages/count_tokens" => door(AnthropicMessages, Operation::CountTokens),
        "/v1/models" => Some((Route::Models(asking(headers), None), "GET")),
        "/v1beta/models" | "/v1alpha/models" => Some((Route::Models(Dialect::GeminiGenerate, None), "GET")),
        "/healthz" => Some((Route::Healthz, "GET, HEAD")),
        "/readyz" => Some((Route::Readyz, "GET, HEAD")),
        "/api/monitor/health" => Some((Route::Health, "GET")),
        "/metrics" => Some((Route::Metrics, "GET")),
        "/v1/dashboard/billing/subscription" | "/dashboard/billing/subscription" => {
            Some((Route::Billing(Polled::Subscription), "GET"))
        }
        "/v1/dashboard/billing/usage" | "/dashboard/billing/usage" => {
            Some((Route::Billing(Polled::Usage), "GET"))
        }
        "/api/usage/token" | "/api/usage/token/" => Some((Route::Billing(Polled::Token), "GET")),
        _ if path == "/api" || path.starts_with("/api/") => Some((Route::Admin, ANY)),
        _ => stored(path, query).or_else(|| gemini(path, headers)),
    }
}

/// `/v1/responses/{id}` and what hangs below it.
fn stored(path: &str, query: Option<&str>) -> Option<(Route, &'static str)> {
    let rest = path.strip_prefix("/v1/responses/")?;
    let (id, below) = rest.split_once('/').map_or((rest, None), |(id, below)| (id, Some(below)));
    let methods = match below {
        None => "GET, DELETE",
        Some("cancel") => "POST",
        Some("input_items") => "GET",
        Some(_) => return None,
    };
    // As providers make them, and nothing else: with our key, `..` could lead to what other callers made.
    if !(1..=256).contains(&id.len())
        || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    {
        return None;
    }
    let stream = query.is_some_and(|query| query.split('&').any(|pair| pair == "stream=true"));
    let target = Target { rest: Some(rest.to_owned()), stream, ..Target::default() };
    Some((Route::Door(Door::new(Dialect::OpenaiResponses, Operation::Stored), target), methods))
}

/// `/{version}/models/{model}` and `/{version}/models/{model}:{method}`.
fn gemini(path: &str, headers: &HeaderMap) -> Option<(Route, &'static str)> {
    let (version, rest) = path.strip_prefix('/')?.split_once("/models/")?;
    if !matches!(version, "v1beta" | "v1" | "v1alpha") || rest.is_empty() {
        return None;
    }
    let Some((model, method)) = rest.rsplit_once(':') else {
        let dialect = if version == "v1" { asking(headers) } else { Dialect::GeminiGenerate };
        return Some((Route::Models(dialect, Some(decoded(rest))), "GET"));
    };
    let (operation, stream) = match method {
        "generateContent" => (Operation::Chat, false),
        "streamGenerateContent" => (Operation::Chat, true),
        "countTokens" => (Operation::CountTokens, false),
        "embedContent" => (Operation::Embeddings, false),
        "batchEmbedContents" => (Operation::BatchEmbeddings, false),
        _ if version == "v1" => return Some((Route::Models(asking(headers), Some(decoded(rest))), "GET")),
        _ => return None,
    };
    if model.is_empty() {
        return None;
    }
    let target =
        Target { model: Some(decoded(model)), version: Some(version.to_owned()), rest: None, stream };
    Some((Route::Door(Door::new(Dialect::GeminiGenerate, operation), target), "POST"))
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// The dialect of whoever asks on a path that several share.
fn asking(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") {
        Dialect::AnthropicMessages
    } else if headers.contains_key("x-goog-api-key") {
        Dialect::GeminiGenerate
    } else {
        Dialect::OpenaiChat
    }
}

/// The dialect in which a request to nowhere is told so.
fn guess(path: &str, headers: &HeaderMap) -> Dialect {
    if path.starts_with("/v1/messages") {
        Dialect::AnthropicMessages
    } else if path.starts_with("/v1beta/") || path.starts_with("/v1alpha/") {
        Dialect::GeminiGenerate
    } else if path.starts_with("/v1/responses") {
        Dialect::OpenaiResponses
    } else {
        asking(headers)
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, Infallible>> + Send>>;

/// Answers one request.
pub fn route(app: &Arc<App>, connection: &Arc<Connection>, request: Request<Incoming>) -> Answering {
    let path = request.uri().path();
    let (dialect, found) =
        (guess(path, request.headers()), find(path, request.headers(), request.uri().query()));
    // Pages of others are told nothing about what can be managed here: it is for our own.
    let managing = matches!(found, Some((Route::Admin, _)));
    let origin = if managing { None } else { cors::allowed_origin(app, request.headers()) };
    let unread = !request.body().is_end_stream();
    if request.method() == Method::OPTIONS && origin.is_some() {
        let response = cors::preflight(request.headers());
        return ready(cors::with(response, origin));
    }
    let Some((route, methods)) = found else {
        let fault = ClientFault::NoSuchPath {
            method: request.method().to_string(),
            path: path.chars().take(128).collect(),
        };
        return ready(cors::with(refuse(app, dialect, &fault, unread), origin));
    };
    if !methods.split(", ").any(|method| method == request.method().as_str()) {
        let dialect = if let Route::Door(door, _) = &route { door.dialect } else { dialect };
        return ready(cors::with(
            refuse(app, dialect, &ClientFault::WrongMethod { allow: methods }, unread),
            origin,
        ));
    }
    match route {
        Route::Door(door, target) => {
            let (parts, body) = request.into_parts();
            let request_id = app.new_request_id();
            let head = Box::new(Head { request_id, door, target, parts });
            let (app, connection) = (app.clone(), connection.clone());
            Box::pin(async move {
                let serving = pin!(pipeline::serve(app, connection, head, body));
                Ok(cors::with(guarded(serving, door.dialect, request_id).await, origin))
            })
        }
        Route::Models(dialect, id) => {
            let (peer, headers, query) = (connection.peer.ip(), request.headers(), request.uri().query());
            ready(cors::with(models::answer(app, dialect, id.as_deref(), peer, headers, query), origin))
        }
        Route::Billing(poll) => {
            let (peer, headers, query) = (connection.peer.ip(), request.headers(), request.uri().query());
            ready(cors::with(billing::answer(app, poll, peer, headers, query), origin))
        }
        Route::Healthz => ready(monitor::healthz()),
        Route::Readyz => ready(monitor::readyz(app)),
        Route::Health | Route::Metrics if !monitor::may_read(app, connection, request.headers()) => {
            ready(monitor::not_allowed())
        }
        Route::Health => ready(monitor::health(app)),
        Route::Metrics => ready(monitor::metrics(app)),
        Route::Admin => {
            let asked = admin::asked::Asked::by_network(app, connection.peer.ip(), request.headers());
            Box::pin(admin::answer(asked, request))
        }
    }
}

fn ready(response: Response<ReplyBody>) -> Answering {
    Box::pin(std::future::ready(Ok(response)))
}

fn refuse(app: &App, dialect: Dialect, fault: &ClientFault, unread: bool) -> Response<ReplyBody> {
    let response = reply::tell(dialect, &fault.public(), app.new_request_id(), None);
    if unread { reply::closing(response) } else { response }
}

/// A panic in one request is that request's 500 and nobody else's trouble. Its lease was settled by the unwinding.
async fn guarded(
    mut serving: Pin<&mut impl Future<Output = Response<ReplyBody>>>,
    dialect: Dialect,
    request_id: Uuid,
) -> Response<ReplyBody> {
    let polled = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| serving.as_mut().poll(context))) {
        Ok(Poll::Ready(response)) => Poll::Ready(Some(response)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(None),
    });
    match polled.await {
        Some(response) => response,
        None => {
            error!(%request_id, "a request panicked");
            let fault = Fault::Internal(InternalFault { detail: "panic".to_owned() });
            reply::tell(dialect, &fault.public(), request_id, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door_of(path: &str) -> Option<(Door, Target)> {
        match find(path, &HeaderMap::new(), None) {
            Some((Route::Door(door, target), _)) => Some((door, target)),
            _ => None,
        }
    }

    #[test]
    fn gemini_paths_name_version_model_and_method() {
        for version in ["v1beta", "v1", "v1alpha"] {
            let path = format!("/{version}/models/gemini-x:streamGenerateContent");
            let (door, target) = door_of(&path).unwrap();
            assert_eq!(door, Door::new(Dialect::GeminiGenerate, Operation::Chat));
            assert!(target.stream);
            assert_eq!(
                (target.model.as_deref(), target.version.as_deref()),
                (Some("gemini-x"), Some(version))
            );
        }
        assert_eq!(door_of("/v1beta/models/a%2Fb:countTokens").unwrap().1.model.as_deref(), Some("a/b"));
        assert_eq!(door_of("/v1beta/models/gemini-x:explode"), None);
        assert_eq!(door_of("/v2/models/gemini-x:generateContent"), None);
        assert_eq!(door_of("/v1beta/models/:generateContent"), None);
    }

    #[tokio::test]
    async fn a_panic_is_that_requests_500_under_its_own_id() {
        let request_id = Uuid::from_u128(7);
        let serving = pin!(async { panic!("as a request might") });
        let response = guarded(serving, Dialect::AnthropicMessages, request_id).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[reply::REQUEST_ID], request_id.to_string().as_str());
    }

    #[test]
    fn model_lists_are_told_apart_by_who_asks() {
        let mut headers = HeaderMap::new();
        assert_eq!(find("/v1/models", &headers, None).unwrap().0, Route::Models(Dialect::OpenaiChat, None));
        headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
        assert_eq!(
            find("/v1/models", &headers, None).unwrap().0,
            Route::Models(Dialect::AnthropicMessages, None)
        );
        let one = Route::Models(Dialect::AnthropicMessages, Some("claude-x".to_owned()));
        assert_eq!(find("/v1/models/claude-x", &headers, None).unwrap().0, one);
        assert_eq!(
            find("/v1beta/models", &headers, None).unwrap().0,
            Route::Models(Dialect::GeminiGenerate, None)
        );
    }

    #[test]
    fn stored_responses_have_their_paths_and_no_others() {
        let (door, target) = door_of("/v1/responses/resp_1/input_items").unwrap();
        assert_eq!(door.operation, Operation::Stored);
        assert_eq!(target.rest.as_deref(), Some("resp_1/input_items"));
        for path in ["resp_1/else", "..", "resp_1%2F..%2Fx", "a.b", "resp_1/../resp_2", ""] {
            assert_eq!(door_of(&format!("/v1/responses/{path}")), None, "{path}");
        }
        assert_eq!(door_of("/v1/responses/compact").unwrap().0.operation, Operation::Compact);
    }
}

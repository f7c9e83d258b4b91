//! Browser clients of the doors: only the origins of `[cors]`, and nothing at all where none is listed.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    app::App,
    pipeline::reply::{REQUEST_ID, ReplyBody},
};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// The value of `Access-Control-Allow-Origin`, if this request's origin is listed.
pub fn allowed_origin(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let catalog = app.catalog.load();
    let origins = &catalog.config.cors.origins;
    if origins.iter().any(|listed| listed == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// The answer to a browser that asks before it sends.
pub fn preflight(headers: &HeaderMap) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(Bytes::new(), None));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// The response with what the browser must see.
pub fn with(mut response: Response<ReplyBody>, origin: Option<HeaderValue>) -> Response<ReplyBody> {
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        let exposed: [&HeaderName; 2] = [&REQUEST_ID, &header::RETRY_AFTER];
        for name in exposed {
            headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from(name.clone()));
        }
    }
    response
}

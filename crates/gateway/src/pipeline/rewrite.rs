//! The named edits of head and path: what travels on, in both directions.
//!
//! In: the caller's request or the upstream's answer. Out: a URL and headers. The caller's credentials, hop-by-hop headers
//! and what identifies his own account or network never go out; of the upstream's headers only named ones come back.

use dialect::{Dialect, Framing, Operation};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    catalog::{Channel, ChannelSecret, Endpoint},
    pipeline::inbound::Inbound,
    provider::Auth,
};

/// A model's name as one path segment: RFC 3986 unreserved characters stay, and `:` and `@`, which names have.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'@');
/// Sent to Anthropic where the client named no version.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Where this request goes at this endpoint.
pub fn uri(inbound: &Inbound, endpoint: &Endpoint, model: &str) -> Result<Uri, String> {
    if let (Some(fixed), true) = (&endpoint.fixed, inbound.query.is_empty()) {
        return Ok(fixed.clone());
    }
    let mut url = endpoint.url.clone();
    if let Some(version) = &inbound.target.version {
        url = url.replacen("/v1beta/models/", &format!("/{version}/models/"), 1);
    }
    // The model last: it is the caller's text, and must not be searched for places to fill in.
    url = url.replacen("{method}", method(inbound), 1);
    if let Some(rest) = &inbound.target.rest {
        url = url.replacen("{rest}", rest, 1);
    }
    with_model(&url, model, &inbound.query)
}

/// Where a translated request goes: what the caller's path and query say belongs to his dialect.
pub fn translated_uri(inbound: &Inbound, endpoint: &Endpoint, model: &str) -> Result<Uri, String> {
    if let Some(fixed) = &endpoint.fixed {
        return Ok(fixed.clone());
    }
    let query =
        if inbound.stream && endpoint.door.dialect == Dialect::GeminiGenerate { "?alt=sse" } else { "" };
    with_model(&endpoint.url.replacen("{method}", method(inbound), 1), model, query)
}

fn with_model(url: &str, model: &str, query: &str) -> Result<Uri, String> {
    let mut url = url.replacen("{model}", &utf8_percent_encode(model, SEGMENT).to_string(), 1);
    url.push_str(query);
    url.parse().map_err(|error| format!("no URL can be made for this channel: {error}"))
}

/// Gemini's verb.
fn method(inbound: &Inbound) -> &'static str {
    match inbound.door.operation {
        Operation::Chat if inbound.stream => "streamGenerateContent",
        Operation::CountTokens => "countTokens",
        Operation::Embeddings => "embedContent",
        Operation::BatchEmbeddings => "batchEmbedContents",
        _ => "generateContent",
    }
}

/// The headers of the request to the upstream, at whose endpoint it may be told in another dialect.
pub fn request_headers(
    inbound: &Inbound,
    channel: &Channel,
    endpoint: &Endpoint,
    secret: &ChannelSecret,
) -> HeaderMap {
    let door = endpoint.door;
    let translated = door != inbound.door;
    let mut headers = HeaderMap::with_capacity(inbound.headers.len() + 4);
    headers.insert(header::HOST, channel.host().clone());
    let hops: Vec<&str> =
        inbound.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok()).collect();
    for (name, value) in &inbound.headers {
        if travels(name)
            && !(translated && is_of_dialect(name))
            && !hops.iter().any(|hop| named_in(hop, name))
        {
            headers.append(name, value.clone());
        }
    }
    // The answer is read on its way: it must not be packed.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let anthropic =
        endpoint.auth == Auth::AnthropicKey || translated && door.dialect == Dialect::AnthropicMessages;
    if anthropic && !headers.contains_key("anthropic-version") {
        headers.insert(HeaderName::from_static("anthropic-version"), ANTHROPIC_VERSION);
    }
    if translated || !inbound.body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &channel.config.headers {
        headers.insert(name.clone(), value.clone());
    }
    if let Some((name, value)) = secret.header(endpoint.auth) {
        headers.insert(name, value);
    }
    headers
}

/// Whether a header asks for something in the words of one dialect, or of its SDKs.
fn is_of_dialect(name: &HeaderName) -> bool {
    ["anthropic-", "openai-", "x-goog-", "x-stainless-"].iter().any(|start| name.as_str().starts_with(start))
}

fn named_in(connection: &str, name: &HeaderName) -> bool {
    !connection.is_empty()
        && connection.split(',').any(|named| named.trim().eq_ignore_ascii_case(name.as_str()))
}

/// Whether a caller's header may go out to a provider.
fn travels(name: &HeaderName) -> bool {
    let name = name.as_str();
    let stays = matches!(
        name,
        // The caller's own credentials.
        "authorization" | "x-api-key" | "x-goog-api-key" | "api-key" | "cookie" | "proxy-authorization"
        // His own account at the provider: our key belongs to another.
        | "openai-organization" | "openai-project" | "x-goog-user-project"
        // Hop by hop, and what belongs to this message on this connection.
        | "host" | "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding"
        | "upgrade" | "content-length" | "expect" | "accept-encoding" | "content-encoding" | "http2-settings"
        // Where he is, and what stands in front of us.
        | "forwarded" | "via" | "x-real-ip" | "true-client-ip" | "x-client-ip" | "origin" | "referer"
        | "x-request-id" | "cdn-loop" | "ocp-apim-subscription-key"
    );
    let starts = [
        "x-forwarded-",
        "x-original-",
        "cf-",
        "x-sluice-",
        "sec-",
        "x-envoy-",
        "x-amz-",
        "x-amzn-",
        "x-vercel-",
        "fly-",
        "fastly-",
    ];
    let ends = ["-client-ip", "-token"];
    !stays
        && !starts.iter().any(|start| name.starts_with(start))
        && !ends.iter().any(|end| name.ends_with(end))
}

/// Headers of an upstream's answer that the caller gets; all others may tell about our account or the upstream's host.
static COME_BACK: [HeaderName; 4] = [
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("x-should-retry"),
];

/// The headers of the reply to the caller.
pub fn reply_headers(upstream: &HeaderMap, framing: Framing) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    match framing {
        Framing::Sse => stream_headers(&mut headers),
        Framing::JsonArray => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        Framing::Document => {
            let json = HeaderValue::from_static("application/json");
            let found = upstream.get(header::CONTENT_TYPE);
            let said = found.filter(|value| value.to_str().is_ok_and(|value| value.contains("json")));
            headers.insert(header::CONTENT_TYPE, said.cloned().unwrap_or(json));
        }
    }
    // One look at each of a few, and not a search for each of ours.
    for (name, value) in upstream {
        if COME_BACK.contains(name) && !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// Of an event stream: proxies in front must neither keep nor hold it.
pub fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_hops_stay_and_features_travel() {
        for name in
            ["authorization", "x-api-key", "connection", "x-forwarded-for", "cookie", "cf-ray", "host"]
        {
            assert!(!travels(&HeaderName::from_static(name)), "{name}");
        }
        for name in
            ["anthropic-beta", "openai-beta", "user-agent", "idempotency-key", "x-stainless-lang", "accept"]
        {
            assert!(travels(&HeaderName::from_static(name)), "{name}");
        }
        assert!(named_in("close, X-Mine", &HeaderName::from_static("x-mine")));
    }
}

//! `GET /v1/models` and its kin: the models a key may use, in the format of whoever asks.

use std::net::IpAddr;

use bytes::Bytes;
use dialect::Dialect;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};

use crate::{
    app::App,
    fault::ClientFault,
    pipeline::{
        caller::Caller,
        reply::{self, ReplyBody},
    },
};

/// Shown as the time a model was made: the catalog does not know it, and the SDKs want one.
const MADE: &str = "1970-01-01T00:00:00Z";

/// Answers a listing (`id` absent) or a look-up.
pub fn answer(
    app: &App,
    dialect: Dialect,
    id: Option<&str>,
    peer: IpAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Response<ReplyBody> {
    let request_id = app.new_request_id();
    match body(app, dialect, id, peer, headers, query) {
        Ok(body) => {
            let mut response = Response::new(ReplyBody::whole(Bytes::from(body.to_string()), None));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
                response.headers_mut().insert(reply::REQUEST_ID, value);
            }
            response
        }
        Err(fault) => reply::tell(dialect, &fault.public(), request_id, None),
    }
}

fn body(
    app: &App,
    dialect: Dialect,
    id: Option<&str>,
    peer: IpAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Value, ClientFault> {
    let catalog = app.catalog.load_full();
    let caller = Caller::of(peer, headers, query, &catalog)?;
    let key = &caller.key;
    // OpenAI's list serves its two dialects.
    let mut models = catalog.models(dialect, key);
    if dialect == Dialect::OpenaiChat {
        models.extend(catalog.models(Dialect::OpenaiResponses, key));
        models.sort_unstable();
        models.dedup();
    }
    match id {
        None => Ok(list(dialect, &models)),
        Some(id) => {
            let served = models.contains(&id) || catalog.offers(id, key);
            let unknown = ClientFault::UnknownModel { model: id.to_owned() };
            if served { Ok(one(dialect, id)) } else { Err(unknown) }
        }
    }
}

fn list(dialect: Dialect, models: &[&str]) -> Value {
    let rows: Vec<Value> = models.iter().map(|model| one(dialect, model)).collect();
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => json!({ "object": "list", "data": rows }),
        Dialect::AnthropicMessages => json!({
            "data": rows,
            "has_more": false,
            "first_id": models.first(),
            "last_id": models.last(),
        }),
        Dialect::GeminiGenerate => json!({ "models": rows }),
    }
}

fn one(dialect: Dialect, model: &str) -> Value {
    match dialect {
        Dialect::OpenaiChat | Dialect::OpenaiResponses => {
            json!({ "id": model, "object": "model", "created": 0, "owned_by": "sluice" })
        }
        Dialect::AnthropicMessages => {
            json!({ "type": "model", "id": model, "display_name": model, "created_at": MADE })
        }
        Dialect::GeminiGenerate => json!({
            "name": format!("models/{model}"),
            "displayName": model,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens", "embedContent"],
        }),
    }
}

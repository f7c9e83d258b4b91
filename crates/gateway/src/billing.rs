//! What clients poll with a caller's key: what it may spend, what it has spent, until when it is good.
//!
//! In: a key, in every form in which callers send it. Out: the forms that programs of the one-api family read, from the purses in
//! memory. The one form that has floats: those programs want numbers.

use std::net::IpAddr;

use bytes::Bytes;
use dialect::Dialect;
use http::{HeaderMap, HeaderValue, Response, header};
use serde_json::{Value, json};
use store::{Nanos, money::NANOS_PER_USD, ratio::UNITS_PER_USD};

use crate::{
    app::App,
    catalog::Key,
    pipeline::{
        caller::Caller,
        reply::{self, ReplyBody},
    },
};

/// Dollars that stand for no limit.
const UNLIMITED_USD: i64 = 100_000_000;
const NANOS_PER_UNIT: i64 = NANOS_PER_USD / UNITS_PER_USD as i64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    Subscription,
    Usage,
    Token,
}

pub fn answer(
    app: &App,
    poll: Polled,
    peer: IpAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Response<ReplyBody> {
    let request_id = app.new_request_id();
    let catalog = app.catalog.load_full();
    let caller = match Caller::of(peer, headers, query, &catalog) {
        Ok(caller) => caller,
        Err(fault) => return reply::tell(Dialect::OpenaiChat, &fault.public(), request_id, None),
    };
    let body = body(poll, &caller.key);
    let mut response = Response::new(ReplyBody::whole(Bytes::from(body.to_string()), None));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(reply::REQUEST_ID, value);
    }
    response
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    used: Nanos,
    /// What it can still spend, by its own limit and by its account, whichever is less; `None`: as much as it likes.
    left: Option<Nanos>,
    expires_ms: Option<i64>,
}

impl Standing {
    fn of(key: &Key) -> Standing {
        let (own, account) = (key.purse.state(), key.account.state());
        let left = [own, account].iter().filter_map(|purse| Some(purse.limit?.minus(purse.spent))).min();
        Standing { used: own.spent, left: left.map(|left| left.max(Nanos::ZERO)), expires_ms: key.expires_ms }
    }

    /// What the used is measured against.
    fn granted(&self) -> Nanos {
        match self.left {
            Some(left) => self.used.plus(left),
            None => Nanos(UNLIMITED_USD * NANOS_PER_USD),
        }
    }
}

fn body(poll: Polled, key: &Key) -> Value {
    let standing = Standing::of(key);
    let until = standing.expires_ms.map_or(0, |expires_ms| expires_ms / 1000);
    match poll {
        Polled::Subscription => {
            let limit = usd(standing.granted());
            json!({
                "object": "billing_subscription",
                "has_payment_method": true,
                "soft_limit_usd": limit,
                "hard_limit_usd": limit,
                "system_hard_limit_usd": limit,
                "access_until": until,
            })
        }
        Polled::Usage => json!({ "object": "list", "total_usage": cents(standing.used) }),
        Polled::Token => {
            let (granted, used) = (units(standing.granted()), units(standing.used));
            json!({
                "code": true,
                "message": "ok",
                "data": {
                    "object": "token_usage",
                    "name": &*key.name,
                    "total_granted": granted,
                    "total_used": used,
                    "total_available": granted - used,
                    "unlimited_quota": standing.left.is_none(),
                    "model_limits": model_limits(key),
                    "model_limits_enabled": !key.models.list().is_empty(),
                    "expires_at": until,
                },
            })
        }
    }
}

fn usd(amount: Nanos) -> f64 {
    amount.0 as f64 / NANOS_PER_USD as f64
}

fn cents(amount: Nanos) -> f64 {
    amount.0 as f64 / (NANOS_PER_USD / 100) as f64
}

/// One-api's units: 500,000 are a dollar.
fn units(amount: Nanos) -> i64 {
    amount.0 / NANOS_PER_UNIT
}

fn model_limits(key: &Key) -> Value {
    key.models
        .list()
        .iter()
        .map(|model| (model.clone(), Value::Bool(true)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

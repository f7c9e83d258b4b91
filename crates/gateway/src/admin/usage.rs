//! What was used and what it cost, by hour, day, user, key, model or channel.
//!
//! In: `GET /usage`. Out: sums. They are kept apart from the request log and outlive it. Users get sums of their own requests,
//! and none by channel.

use axum::Json;
use serde::{Deserialize, Serialize};
use store::{
    request_log,
    usage::{self, By, Sums, Usage},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{actor::Actor, asked::Asked, fields::Usd, input::Search, problem::Problem};
use crate::{clock::unix_ms, selection};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(show_usage))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    /// From the hour of this time on: milliseconds since 1970, a date, or how long ago (`24h`).
    since: Option<String>,
    /// Before the hour of this time.
    until: Option<String>,
    user_id: Option<i64>,
    key_id: Option<i64>,
    model: Option<String>,
    /// For admins.
    channel: Option<String>,
    /// Some of `hour`, `day`, `user`, `key`, `model`, `channel`, with commas between them. Without it there is one sum.
    by: Option<String>,
    /// Hours that days begin before those of UTC, -14 to 14.
    day_offset_hours: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct UsageSums {
    requests: i64,
    /// Ended neither as `completed` nor as `client_left`.
    failed: i64,
    estimated: i64,
    unpriced: i64,
    input_tokens: i64,
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    output_tokens: i64,
    charge: Usd,
    total_ms: i64,
    /// Of the requests that had a first byte, and how many these are.
    first_byte_ms: i64,
    first_bytes: i64,
}

impl From<Sums> for UsageSums {
    fn from(sums: Sums) -> UsageSums {
        UsageSums {
            requests: sums.requests,
            failed: sums.failed,
            estimated: sums.estimated,
            unpriced: sums.unpriced,
            input_tokens: sums.input_tokens,
            cache_read_tokens: sums.cache_read_tokens,
            cache_write_tokens: sums.cache_write_tokens,
            output_tokens: sums.output_tokens,
            charge: Usd(sums.charge),
            total_ms: sums.total_ms,
            first_byte_ms: sums.first_byte_ms,
            first_bytes: sums.first_bytes,
        }
    }
}

/// One group; what it was not grouped by is null.
#[derive(Debug, Serialize, ToSchema)]
struct UsageGroup {
    /// When the hour or the day begins.
    from_ms: Option<i64>,
    user: Option<String>,
    key_id: Option<i64>,
    key: Option<String>,
    model: Option<String>,
    /// Empty: no channel was tried.
    channel: Option<String>,
    #[serde(flatten)]
    sums: UsageSums,
}

#[derive(Debug, Serialize, ToSchema)]
struct UsageTold {
    /// By time, and within it the dearest first.
    groups: Vec<UsageGroup>,
    /// Over all groups, those that are not told among them.
    total: UsageSums,
    /// There are more groups than the thousand that are told.
    cut_short: bool,
}

fn told(usage: Usage) -> UsageTold {
    let group = |group: usage::Group| UsageGroup {
        from_ms: group.from_ms,
        user: group.user,
        key_id: group.key_id,
        key: group.key,
        model: group.model,
        channel: group.channel,
        sums: group.sums.into(),
    };
    UsageTold {
        groups: usage.groups.into_iter().map(group).collect(),
        total: usage.total.into(),
        cut_short: usage.cut_short,
    }
}

/// Sums of usage and charges, which are those of the ledger.
#[utoipa::path(get, path = "/usage", tag = "requests", params(Params), responses((status = 200, body = UsageTold)))]
async fn show_usage(
    actor: Actor,
    asked: Asked,
    Search(params): Search<Params>,
) -> Result<Json<UsageTold>, Problem> {
    let user = actor.sees(params.user_id);
    let mut wanted = usage_wanted(params)?;
    if !actor.is_admin() && (wanted.channel.is_some() || wanted.by.contains(&By::Channel)) {
        let field = if wanted.channel.is_some() { "channel" } else { "by" };
        return Err(Problem::bad(field, "channels are for admins"));
    }
    let usage: Usage = asked
        .look(move |database| {
            database.read(|books| {
                if let Some(user) = user {
                    // A user without an account has used nothing.
                    wanted.account = Some(request_log::account_of_user(books, user)?.unwrap_or(-1));
                }
                usage::sums(books, &wanted)
            })
        })
        .await?;
    Ok(Json(told(usage)))
}

fn usage_wanted(params: Params) -> Result<usage::Asked, Problem> {
    let now = unix_ms();
    let time = |field: &'static str, text: Option<String>| {
        text.map(|text| selection::time(&text, now)).transpose().map_err(|why| Problem::bad(field, why))
    };
    let offset = params.day_offset_hours.unwrap_or_default();
    if !(-14..=14).contains(&offset) {
        return Err(Problem::bad("day_offset_hours", "expected a number from -14 to 14"));
    }
    let names = params.by.iter().flat_map(|names| names.split(',')).map(by);
    Ok(usage::Asked {
        since_ms: time("since", params.since)?,
        until_ms: time("until", params.until)?,
        account: None,
        keys: params.key_id.map(|key| vec![key]),
        model: params.model,
        channel: params.channel,
        by: names.collect::<Result<_, _>>()?,
        day_offset_hours: offset,
    })
}

fn by(name: &str) -> Result<By, Problem> {
    match name {
        "hour" => Ok(By::Hour),
        "day" => Ok(By::Day),
        "user" => Ok(By::User),
        "key" => Ok(By::Key),
        "model" => Ok(By::Model),
        "channel" => Ok(By::Channel),
        _ => Err(Problem::bad("by", "expected some of hour, day, user, key, model, channel")),
    }
}

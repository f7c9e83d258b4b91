//! The request log: an admin's view of all of it, and everybody's of his own.
//!
//! In: requests under `/requests`, with the words of the command line as a query. Out: rows, newest first. Users see what they asked
//! for and paid, not through which channel it went nor what went wrong there: that is the operator's.

use axum::Json;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    StoreError,
    request_log::{self, Order, RequestLine},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::Actor,
    asked::Asked,
    fields::Usd,
    input::{Named, Search},
    paging::{Paging, PagingParams},
    problem::{Code, Problem},
};
use crate::{
    clock::unix_ms,
    requests::{at, parsed},
    selection::{NOBODY, Selection},
};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list_requests)).routes(routes!(show_request))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    /// Came in at this time or later: milliseconds since 1970, `2026-01-31`, `2026-01-31T12:00:00Z`, or how long ago (`24h`).
    since: Option<String>,
    /// Came in before this time.
    until: Option<String>,
    /// Name of the user.
    user: Option<String>,
    user_id: Option<i64>,
    /// Name of the key.
    key: Option<String>,
    key_id: Option<String>,
    /// As the caller named it.
    model: Option<String>,
    /// Name of the channel that delivered, or was tried last. For admins.
    channel: Option<String>,
    /// `errors` (all but `completed` and `client_left`), or endings with commas between them.
    ending: Option<String>,
    /// HTTP status that the caller got: `429`, or `4xx`.
    status: Option<String>,
    stream: Option<String>,
    /// The usage is an estimate.
    estimated: Option<String>,
    /// There was no price for the model.
    unpriced: Option<String>,
    /// More than one channel was tried.
    retried: Option<String>,
    /// Took longer than this: `10s`, or milliseconds.
    slower_than: Option<String>,
    /// Cost more than this, in dollars.
    dearer_than: Option<String>,
    /// The request's id.
    id: Option<String>,
    /// The provider's id of the request. For admins.
    upstream_id: Option<String>,
}

impl Params {
    fn words(&self) -> [(&'static str, &Option<String>); 17] {
        [
            ("since", &self.since),
            ("until", &self.until),
            ("user", &self.user),
            ("key", &self.key),
            ("key_id", &self.key_id),
            ("model", &self.model),
            ("channel", &self.channel),
            ("ending", &self.ending),
            ("status", &self.status),
            ("stream", &self.stream),
            ("estimated", &self.estimated),
            ("unpriced", &self.unpriced),
            ("retried", &self.retried),
            ("slower_than", &self.slower_than),
            ("dearer_than", &self.dearer_than),
            ("id", &self.id),
            ("upstream_id", &self.upstream_id),
        ]
    }

    fn selection(&self) -> Result<Selection, Problem> {
        let (mut selection, now) = (Selection::default(), unix_ms());
        for (word, text) in self.words() {
            if let Some(text) = text {
                selection.set(word, text, now).map_err(|why| Problem::bad(word, why))?;
            }
        }
        Ok(selection)
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct RequestRow {
    id: String,
    at_ms: i64,
    user: Option<String>,
    key_id: Option<i64>,
    key: Option<String>,
    dialect: String,
    operation: String,
    model: String,
    stream: bool,
    /// Null for users, like all that is about channels.
    channel: Option<String>,
    /// Each with `channel`, `started_ms`, `took_ms`, `status`, perhaps `translated` (into this dialect) and `fault`.
    attempts: Option<Value>,
    ending: String,
    /// 0: none was sent.
    status: u16,
    cause: Option<String>,
    /// What a translation could not carry: each with `field`, `dialect` (which has no place for it) and `reason`; null: nothing.
    losses: Option<Value>,
    /// Tokens in disjoint buckets, with their `total`; null: not known.
    usage: Option<Value>,
    estimated: bool,
    unpriced: bool,
    hold: Usd,
    charge: Usd,
    bytes_in: i64,
    bytes_out: i64,
    queued_ms: i64,
    first_byte_ms: Option<i64>,
    total_ms: i64,
    upstream_request_id: Option<String>,
}

fn shown(line: RequestLine, whole: bool) -> RequestRow {
    RequestRow {
        id: crate::requests::id(&line),
        at_ms: line.at_ms,
        user: line.user,
        key_id: line.key_id,
        key: line.key,
        dialect: line.dialect,
        operation: line.operation,
        model: line.model,
        stream: line.stream,
        channel: line.channel.filter(|_| whole),
        attempts: whole.then(|| parsed(&line.attempts)),
        ending: line.ending,
        status: line.status,
        cause: line.cause.filter(|_| whole),
        losses: line.losses.as_deref().map(parsed),
        usage: line.usage.as_deref().map(parsed),
        estimated: line.estimated,
        unpriced: line.unpriced,
        hold: Usd(line.hold),
        charge: Usd(line.charge),
        bytes_in: line.bytes_in,
        bytes_out: line.bytes_out,
        queued_ms: line.queued_ms,
        first_byte_ms: line.first_byte_ms,
        total_ms: line.total_ms,
        upstream_request_id: line.upstream_request_id.filter(|_| whole),
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct RequestPage {
    items: Vec<RequestRow>,
    /// `cursor` of the next page; null: this is the last one.
    next: Option<String>,
    /// The page is not full because what is asked for is rare: the search goes on from `next`.
    cut_short: bool,
    /// What came in before this was removed by retention; 0: nothing was.
    kept_from_ms: i64,
}

/// The requests that have ended, newest first.
#[utoipa::path(get, path = "/requests", tag = "requests", params(PagingParams, Params),
    responses((status = 200, body = RequestPage)))]
async fn list_requests(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<RequestPage>, Problem> {
    let whole = actor.is_admin();
    let theirs =
        [("channel", &params.channel), ("upstream_id", &params.upstream_id), ("retried", &params.retried)];
    if let Some((field, _)) = theirs.into_iter().find(|(_, text)| text.is_some() && !whole) {
        return Err(Problem::bad(field, "is for admins"));
    }
    let (selection, after) = (params.selection()?, paging.after_bytes::<16>()?);
    let (user, limit) = (actor.sees(params.user_id), paging.limit as usize);
    let (page, kept_from_ms) = asked
        .look(move |database| {
            database.read(|books| {
                let mut filter = selection.resolved(books)?;
                if let Some(user) = user {
                    filter.account = own(books, user, filter.account)?;
                }
                let page = request_log::page(books, &filter, Order::NewestFirst, after, limit)?;
                Ok((page, request_log::kept_from_ms(books)?))
            })
        })
        .await?;
    Ok(Json(RequestPage {
        next: page.next.map(|id| URL_SAFE_NO_PAD.encode(id)),
        cut_short: page.cut_short,
        kept_from_ms,
        items: page.lines.into_iter().map(|line| shown(line, whole)).collect(),
    }))
}

/// The user's account, unless another one is asked for: of that he sees nothing.
fn own(
    books: &store::database::Connection,
    user: i64,
    asked_for: Option<i64>,
) -> Result<Option<i64>, StoreError> {
    let account = request_log::account_of_user(books, user)?.unwrap_or(NOBODY);
    Ok(Some(if asked_for.is_none_or(|other| other == account) { account } else { NOBODY }))
}

/// One request, whether it has ended (`ending` is `open` while it has not).
#[utoipa::path(get, path = "/requests/{id}", tag = "requests",
    params(("id" = String, Path, description = "The request's id.")), responses((status = 200, body = RequestRow)))]
async fn show_request(actor: Actor, asked: Asked, Named(id): Named) -> Result<Json<RequestRow>, Problem> {
    let id = uuid::Uuid::parse_str(&id).map_err(|_| Problem::missing())?;
    let (whole, user) = (actor.is_admin(), actor.sees(None));
    let (line, kept_from_ms) = asked
        .look(move |database| {
            database.read(|books| {
                let line = request_log::find(books, id.into_bytes())?;
                let account = match user {
                    Some(user) => own(books, user, None)?,
                    None => None,
                };
                let line = line.filter(|line| account.is_none() || line.account == account);
                Ok::<_, StoreError>((line, request_log::kept_from_ms(books)?))
            })
        })
        .await?;
    if let Some(line) = line {
        return Ok(Json(shown(line, whole)));
    }
    // The id holds the time at which it came in.
    let came_in = id.get_timestamp().map(|time| time.to_unix());
    let came_in_ms = came_in.map_or(i64::MAX, |(seconds, nanos)| {
        (seconds as i64).saturating_mul(1000).saturating_add(i64::from(nanos) / 1_000_000)
    });
    if came_in_ms < kept_from_ms {
        let detail = format!("What came in before {} is not kept any more.", at(kept_from_ms));
        return Err(Problem::new(Code::Removed, detail));
    }
    Err(Problem::missing())
}

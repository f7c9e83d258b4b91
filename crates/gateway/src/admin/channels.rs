//! Channels, for admins.
//!
//! In: requests under `/channels`, in the words of the configuration file's `[[channel]]` block and read by its reader. Out: rows
//! whose secrets are masked; only [`reveal_channel`] shows them, and the audit trail says to whom. A masked value that is written
//! back is the secret that it masks; channels of the file are read-only.

mod content;
mod masks;

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{
    audit,
    change::ChangeError,
    channels::{self, Channel as Row, Filter},
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::content::{Hidden, Revised};
use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::Share,
    input::{Done, Id, Input, Search},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_channels, create_channel))
        .routes(routes!(show_channel, change_channel, delete_channel))
        .routes(routes!(reveal_channel))
}

#[derive(Debug, Serialize, ToSchema)]
struct Channel {
    id: i64,
    name: String,
    /// active, disabled.
    status: String,
    /// file (read-only), admin.
    source: &'static str,
    /// What is charged for its answers, as a factor of the price.
    discount: Share,
    /// The `[[channel]]` block, with `secrets`, `headers` and `proxy` masked.
    #[serde(flatten)]
    #[schema(value_type = ChannelBlock)]
    block: Map<String, Value>,
    created_ms: i64,
    changed_ms: i64,
}

fn shown(asked: &Asked, row: Row) -> Result<Channel, Problem> {
    let hidden = content::hidden(&asked.app.database, &row)?;
    let mut block: Map<String, Value> = serde_json::from_str(&row.definition).unwrap_or_default();
    block.extend(masks::masked(&hidden));
    Ok(Channel {
        id: row.id,
        source: if row.from_file { "file" } else { "admin" },
        discount: Share(row.discount),
        block,
        name: row.name,
        status: row.status,
        created_ms: row.created_ms,
        changed_ms: row.changed_ms,
    })
}

/// A `[[channel]]` block of the configuration file.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the description only: the block is read by the configuration's own reader")]
struct ChannelBlock {
    /// Needed when it is made.
    provider: Option<String>,
    dialect: Option<String>,
    base_url: Option<String>,
    /// A masked one that is written back stays what it is.
    secrets: Option<Vec<String>>,
    /// Needed when it is made.
    models: Option<Vec<String>>,
    rename: Option<Map<String, Value>>,
    priority: Option<i32>,
    weight: Option<u32>,
    max_in_flight: Option<u32>,
    headers: Option<Map<String, Value>>,
    proxy: Option<String>,
    timeouts: Option<Map<String, Value>>,
    /// cancel, drain.
    on_client_left: Option<String>,
    translate: Option<bool>,
    /// Tools that only another provider runs are left out of translated requests; else those are refused.
    drop_server_tools: Option<bool>,
    suffixes: Option<Vec<String>>,
}

/// A channel in the words of the configuration file. What a change does not name stays; null takes a key out.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "for the description only: the body is read by the configuration's own reader")]
struct ChannelInput {
    /// Needed when it is made.
    name: Option<String>,
    /// active, disabled.
    status: Option<String>,
    discount: Option<Share>,
    #[serde(flatten)]
    block: ChannelBlock,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    name: Option<String>,
    /// A part of the name.
    search: Option<String>,
    status: Option<String>,
    provider: Option<String>,
}

/// The channels, newest first, their secrets masked.
#[utoipa::path(get, path = "/channels", tag = "channels", params(PagingParams, Params),
    responses((status = 200, body = Page<Channel>)))]
async fn list_channels(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Channel>>, Problem> {
    actor.needs(Role::Admin)?;
    let Params { name, search, status, provider } = params;
    let filter = Filter { name, search, status, provider };
    let (after, limit) = (paging.after_id()?, paging.limit);
    let (rows, total) = asked.look(move |books| channels::list(books, &filter, after, limit + 1)).await?;
    let page = paging.page(rows, |row| id_key(row.id), |row| shown(&asked, row));
    let items = page.items.into_iter().collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next: page.next, total: Some(total.into()) }))
}

/// Makes a channel.
#[utoipa::path(post, path = "/channels", tag = "channels", request_body = ChannelInput,
    responses((status = 201, body = Channel)))]
async fn create_channel(
    actor: Actor,
    asked: Asked,
    Input(input): Input<Map<String, Value>>,
) -> Result<(StatusCode, Json<Channel>), Problem> {
    actor.needs(Role::Admin)?;
    let timeouts = asked.app.catalog.load().config.timeouts.clone();
    let Revised { content, hidden } = content::made(input, &timeouts).map_err(|told| *told)?;
    let by = actor.by(&asked);
    let row = asked
        .change(move |books| {
            let id = channels::create(books, &by, &content, |id| content::sealed(books, id, &hidden))?;
            channels::find(books, id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown(&asked, row)?)))
}

/// A channel, its secrets masked.
#[utoipa::path(get, path = "/channels/{id}", tag = "channels", params(("id" = i64, Path)),
    responses((status = 200, body = Channel)))]
async fn show_channel(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Channel>, Problem> {
    actor.needs(Role::Admin)?;
    let row = asked.look(move |books| channels::find(books, id)).await?;
    Ok(Json(shown(&asked, row)?))
}

/// Changes what is named. A masked secret that is written back stays what it is.
#[utoipa::path(patch, path = "/channels/{id}", tag = "channels", request_body = ChannelInput, params(("id" = i64, Path)),
    responses((status = 200, body = Channel)))]
async fn change_channel(
    actor: Actor,
    asked: Asked,
    Id(id): Id,
    Input(input): Input<Map<String, Value>>,
) -> Result<Json<Channel>, Problem> {
    actor.needs(Role::Admin)?;
    let timeouts = asked.app.catalog.load().config.timeouts.clone();
    let by = actor.by(&asked);
    let row = asked
        .change(move |books| {
            // What is wrong with the input is told with all its fields, which the store does not know of.
            let mut problem = None;
            let changed = channels::change(books, &by, id, |row| {
                let revised = content::revised(books, &row, input, &timeouts);
                let Revised { content, hidden } = revised.map_err(|told| {
                    problem = Some(told);
                    ChangeError::conflict("")
                })?;
                Ok((content, content::sealed(books, id, &hidden)?))
            });
            if let Some(problem) = problem {
                return Ok::<_, ChangeError>(Err(problem));
            }
            changed?;
            channels::find(books, id).map(Ok)
        })
        .await?
        .map_err(|told| *told)?;
    Ok(Json(shown(&asked, row)?))
}

/// Removes a channel and its secrets.
#[utoipa::path(delete, path = "/channels/{id}", tag = "channels", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_channel(actor: Actor, asked: Asked, Id(id): Id) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    asked.change(move |books| channels::remove(books, &by, id)).await?;
    Ok(Done)
}

/// A channel's secrets in clear. The audit trail says who looked.
#[utoipa::path(post, path = "/channels/{id}/reveal", tag = "channels", params(("id" = i64, Path)),
    responses((status = 200, body = Hidden)))]
async fn reveal_channel(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Hidden>, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    let row = asked
        .look(move |books| {
            let row = channels::find(books, id)?;
            if row.from_file {
                return Err(ChangeError::ReadOnly);
            }
            // First it is written down, then it is shown.
            audit::note(books, &by, "reveal", "channel", &id.to_string())?;
            Ok(row)
        })
        .await?;
    Ok(Json(content::hidden(&asked.app.database, &row)?))
}

//! Groups, for admins.
//!
//! In: requests under `/groups`. Out: rows, and changes.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{
    groups::{self, Change, Group as Row},
    limits::LimitChange,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::{self, Share, kept},
    input::{Done, Id, Input, Search, given},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list_groups, create_group)).routes(routes!(
        show_group,
        change_group,
        delete_group
    ))
}

#[derive(Debug, Serialize, ToSchema)]
struct Group {
    id: i64,
    name: String,
    /// What its users pay of each price.
    factor: Share,
    /// Patterns of models; empty: all.
    models: Vec<String>,
    /// Names of channels; empty: all.
    channels: Vec<String>,
    /// For the whole group together.
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    max_in_flight: Option<u32>,
    users: u32,
    created_ms: i64,
}

fn shown(row: Row) -> Group {
    Group {
        id: row.id,
        name: row.name,
        factor: Share(row.factor),
        models: kept(&row.models),
        channels: kept(&row.channels),
        requests_per_minute: row.limits.requests_per_minute,
        tokens_per_minute: row.limits.tokens_per_minute,
        max_in_flight: row.limits.max_in_flight,
        users: row.users,
        created_ms: row.created_ms,
    }
}

/// What a group is made of. What a change does not name stays; null takes a limit away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct GroupInput {
    name: Option<String>,
    factor: Option<Share>,
    models: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    requests_per_minute: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    tokens_per_minute: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_in_flight: Option<Option<u32>>,
}

impl GroupInput {
    fn checked(self) -> Result<Change, Problem> {
        if let Some(name) = &self.name {
            fields::name("name", name)?;
        }
        Ok(Change {
            limits: fields::limits(LimitChange {
                requests_per_minute: self.requests_per_minute,
                tokens_per_minute: self.tokens_per_minute,
                max_in_flight: self.max_in_flight,
            })?,
            models: fields::models("models", self.models.as_deref())?,
            channels: fields::names("channels", self.channels.as_deref())?,
            name: self.name,
            factor: self.factor.map(|Share(factor)| factor),
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    name: Option<String>,
}

/// The groups, newest first.
#[utoipa::path(get, path = "/groups", tag = "groups", params(PagingParams, Params),
    responses((status = 200, body = Page<Group>)))]
async fn list_groups(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Group>>, Problem> {
    actor.needs(Role::Admin)?;
    let (after, limit) = (paging.after_id()?, paging.limit);
    let rows = asked.look(move |books| groups::list(books, params.name.as_deref(), after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown)))
}

/// Makes a group.
#[utoipa::path(post, path = "/groups", tag = "groups", request_body = GroupInput,
    responses((status = 201, body = Group)))]
async fn create_group(
    actor: Actor,
    asked: Asked,
    Input(input): Input<GroupInput>,
) -> Result<(StatusCode, Json<Group>), Problem> {
    actor.needs(Role::Admin)?;
    if input.name.is_none() {
        return Err(Problem::bad("name", "is needed"));
    }
    let (by, group) = (actor.by(&asked), input.checked()?);
    let made = asked
        .change(move |books| {
            let id = groups::create(books, &by, &group)?;
            groups::find(books, id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown(made))))
}

/// A group.
#[utoipa::path(get, path = "/groups/{id}", tag = "groups", params(("id" = i64, Path)),
    responses((status = 200, body = Group)))]
async fn show_group(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Group>, Problem> {
    actor.needs(Role::Admin)?;
    Ok(Json(shown(asked.look(move |books| groups::find(books, id)).await?)))
}

/// Changes what is named.
#[utoipa::path(patch, path = "/groups/{id}", tag = "groups", request_body = GroupInput, params(("id" = i64, Path)),
    responses((status = 200, body = Group)))]
async fn change_group(
    actor: Actor,
    asked: Asked,
    Id(id): Id,
    Input(input): Input<GroupInput>,
) -> Result<Json<Group>, Problem> {
    actor.needs(Role::Admin)?;
    let (by, change) = (actor.by(&asked), input.checked()?);
    let group = asked
        .change(move |books| {
            groups::change(books, &by, id, &change)?;
            groups::find(books, id)
        })
        .await?;
    Ok(Json(shown(group)))
}

/// Removes a group that nobody belongs to.
#[utoipa::path(delete, path = "/groups/{id}", tag = "groups", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_group(actor: Actor, asked: Asked, Id(id): Id) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    asked.change(move |books| groups::remove(books, &by, id)).await?;
    Ok(Done)
}

//! Aliases, for admins.
//!
//! In: requests under `/aliases`, read by the configuration's own reader of `[[alias]]` blocks. Out: rows, and changes. The
//! file's own are not shown here: one of the same name goes before them.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::aliases::{self, Alias as Row, Change};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::kept,
    input::{Done, Id, Input, Search},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
};
use crate::config::document;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list_aliases, create_alias)).routes(routes!(
        show_alias,
        change_alias,
        delete_alias
    ))
}

#[derive(Debug, Serialize, ToSchema)]
struct Alias {
    id: i64,
    /// What callers say.
    name: String,
    /// What it stands for, in the order of trying.
    models: Vec<String>,
    created_ms: i64,
    changed_ms: i64,
}

fn shown(row: Row) -> Alias {
    Alias {
        id: row.id,
        name: row.name,
        models: kept(&row.models),
        created_ms: row.created_ms,
        changed_ms: row.changed_ms,
    }
}

/// What an alias is made of. What a change does not name stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct AliasInput {
    /// What callers say: without blanks and without `*`.
    name: Option<String>,
    /// Up to 20 models by their names in full, in the order of trying. Other aliases are not looked up.
    models: Option<Vec<String>>,
}

impl AliasInput {
    fn checked(self) -> Result<Change, Problem> {
        // What is not named was checked when it was.
        let (name, models) = (self.name.as_deref().unwrap_or("kept"), ["kept".to_owned()]);
        document::alias(name, self.models.as_deref().unwrap_or(&models))
            .map_err(|problems| Problem::of_block("alias", &problems))?;
        Ok(Change { name: self.name, models: self.models.map(|models| json!(models).to_string()) })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    name: Option<String>,
}

/// The aliases that are kept in the database, newest first.
#[utoipa::path(get, path = "/aliases", tag = "aliases", params(PagingParams, Params),
    responses((status = 200, body = Page<Alias>)))]
async fn list_aliases(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Alias>>, Problem> {
    actor.needs(Role::Admin)?;
    let (after, limit) = (paging.after_id()?, paging.limit);
    let (rows, total) =
        asked.look(move |books| aliases::list(books, params.name.as_deref(), after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown).of(total.into())))
}

/// Makes an alias. One of the configuration file with the same name stands back.
#[utoipa::path(post, path = "/aliases", tag = "aliases", request_body = AliasInput,
    responses((status = 201, body = Alias)))]
async fn create_alias(
    actor: Actor,
    asked: Asked,
    Input(input): Input<AliasInput>,
) -> Result<(StatusCode, Json<Alias>), Problem> {
    actor.needs(Role::Admin)?;
    let (Some(name), Some(models)) = (&input.name, &input.models) else {
        let field = if input.name.is_none() { "name" } else { "models" };
        return Err(Problem::bad(field, "is needed"));
    };
    let (by, name, models) = (actor.by(&asked), name.clone(), json!(models).to_string());
    input.checked()?;
    let made = asked
        .change(move |books| {
            let id = aliases::create(books, &by, &name, &models)?;
            aliases::find(books, id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown(made))))
}

/// An alias.
#[utoipa::path(get, path = "/aliases/{id}", tag = "aliases", params(("id" = i64, Path)),
    responses((status = 200, body = Alias)))]
async fn show_alias(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Alias>, Problem> {
    actor.needs(Role::Admin)?;
    Ok(Json(shown(asked.look(move |books| aliases::find(books, id)).await?)))
}

/// Changes what is named.
#[utoipa::path(patch, path = "/aliases/{id}", tag = "aliases", request_body = AliasInput, params(("id" = i64, Path)),
    responses((status = 200, body = Alias)))]
async fn change_alias(
    actor: Actor,
    asked: Asked,
    Id(id): Id,
    Input(input): Input<AliasInput>,
) -> Result<Json<Alias>, Problem> {
    actor.needs(Role::Admin)?;
    let (by, change) = (actor.by(&asked), input.checked()?);
    let alias = asked
        .change(move |books| {
            aliases::change(books, &by, id, &change)?;
            aliases::find(books, id)
        })
        .await?;
    Ok(Json(shown(alias)))
}

/// Removes an alias. Requests that used it keep its name in the books.
#[utoipa::path(delete, path = "/aliases/{id}", tag = "aliases", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_alias(actor: Actor, asked: Asked, Id(id): Id) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    asked.change(move |books| aliases::remove(books, &by, id)).await?;
    Ok(Done)
}

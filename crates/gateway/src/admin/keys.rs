//! Callers' keys: everybody's own, and all of them for admins.
//!
//! In: requests under `/keys`. Out: rows that show the beginning and the end of a secret. The secret itself is in the one answer to
//! whoever made it, and nowhere else; keys of the configuration file are read-only.

mod secret;

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{
    keys::{
        OnLoss, ResetPeriod,
        managed::{self, Change, Filter, Key as Row},
    },
    limits::LimitChange,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::secret::NewSecret;
use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::{self, Usd, kept},
    input::{Done, Id, Input, Search, given},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
};
use crate::clock::unix_ms;

/// The longest that a secret may stay good after its rotation: four weeks.
const MOST_GRACE_SECONDS: u32 = 28 * 24 * 60 * 60;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(show_key, change_key, delete_key))
        .routes(routes!(rotate_key))
}

#[derive(Debug, Serialize, ToSchema)]
struct Key {
    id: i64,
    user_id: i64,
    user: String,
    name: String,
    /// What is shown of the secret: `sk-abcd…wxyz`.
    shown: String,
    /// active, disabled.
    status: String,
    /// file (read-only), admin.
    source: &'static str,
    spend_limit: Option<Usd>,
    /// In all.
    spent: Usd,
    /// Since the period of the limit began.
    spent_in_period: Usd,
    /// day, week, month: when the limit begins anew; null: never.
    reset_period: Option<&'static str>,
    expires_ms: Option<i64>,
    models: Vec<String>,
    networks: Vec<String>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    max_in_flight: Option<u32>,
    /// Its output is limited to what it can pay.
    strict: bool,
    /// report, refuse: what becomes of requests that cannot be translated without loss.
    losses: &'static str,
    /// Until when the secret before the last rotation is good.
    previous_until_ms: Option<i64>,
    created_ms: i64,
}

fn shown(row: Row) -> Key {
    Key {
        id: row.id,
        user_id: row.user_id,
        user: row.user,
        name: row.name,
        shown: format!("{}…{}", row.prefix, row.last4),
        status: row.status,
        source: if row.from_file { "file" } else { "admin" },
        spend_limit: row.terms.spend_limit.map(Usd),
        spent: Usd(row.spent),
        spent_in_period: Usd(row.spent.minus(row.spent_before)),
        reset_period: row.terms.reset_period.map(ResetPeriod::name),
        expires_ms: row.terms.expires_ms,
        models: kept(&row.terms.models),
        networks: kept(&row.terms.networks),
        requests_per_minute: row.terms.limits.requests_per_minute,
        tokens_per_minute: row.terms.limits.tokens_per_minute,
        max_in_flight: row.terms.limits.max_in_flight,
        strict: row.terms.strict,
        losses: row.terms.losses.name(),
        previous_until_ms: row.previous_until_ms.filter(|until_ms| *until_ms > unix_ms()),
        created_ms: row.created_ms,
    }
}

/// A key with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct WithSecret {
    secret: String,
    #[serde(flatten)]
    key: Key,
}

/// What a key is made of. What a change does not name stays; null takes a limit away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct KeyInput {
    /// Whose it is, said when it is made; whoever asks if not said. For others only admins make keys.
    user_id: Option<i64>,
    name: Option<String>,
    /// active, disabled.
    status: Option<String>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Usd>)]
    spend_limit: Option<Option<Usd>>,
    /// day, week, month.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    reset_period: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    expires_ms: Option<Option<i64>>,
    models: Option<Vec<String>>,
    networks: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    requests_per_minute: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    tokens_per_minute: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_in_flight: Option<Option<u32>>,
    strict: Option<bool>,
    /// report, refuse.
    losses: Option<String>,
}

impl KeyInput {
    fn checked(self) -> Result<Change, Problem> {
        if let Some(name) = &self.name {
            fields::name("name", name)?;
        }
        fields::one_of("status", self.status.as_deref(), &["active", "disabled"])?;
        fields::not_negative("spend_limit", self.spend_limit.flatten())?;
        let period = self.reset_period.as_ref().and_then(Option::as_deref);
        fields::one_of("reset_period", period, &["day", "week", "month"])?;
        fields::one_of("losses", self.losses.as_deref(), &OnLoss::ALL.map(OnLoss::name))?;
        if self.expires_ms.flatten().is_some_and(|expires_ms| expires_ms <= unix_ms()) {
            return Err(Problem::bad("expires_ms", "is past: disable the key instead"));
        }
        Ok(Change {
            limits: fields::limits(LimitChange {
                requests_per_minute: self.requests_per_minute,
                tokens_per_minute: self.tokens_per_minute,
                max_in_flight: self.max_in_flight,
            })?,
            models: fields::models("models", self.models.as_deref())?,
            networks: fields::networks("networks", self.networks.as_deref())?,
            name: self.name,
            status: self.status,
            spend_limit: self.spend_limit.map(|limit| limit.map(|Usd(limit)| limit)),
            reset_period: self.reset_period,
            expires_ms: self.expires_ms,
            strict: self.strict,
            losses: self.losses.as_deref().and_then(OnLoss::from_name),
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    /// For admins: whose keys; all if not said.
    user_id: Option<i64>,
    name: Option<String>,
    /// A part of the name, or the last four characters of the secret.
    search: Option<String>,
    status: Option<String>,
}

/// Keys, newest first: one's own, or everybody's for an admin.
#[utoipa::path(get, path = "/keys", tag = "keys", params(PagingParams, Params),
    responses((status = 200, body = Page<Key>)))]
async fn list_keys(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<Key>>, Problem> {
    let Params { user_id, name, search, status } = params;
    let filter = Filter { user_id: actor.sees(user_id), name, search, status };
    let (after, limit) = (paging.after_id()?, paging.limit);
    let (rows, total) = asked.look(move |books| managed::list(books, &filter, after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown).of(total.into())))
}

/// Makes a key. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = KeyInput,
    responses((status = 201, body = WithSecret)))]
async fn create_key(
    actor: Actor,
    asked: Asked,
    Input(input): Input<KeyInput>,
) -> Result<(StatusCode, Json<WithSecret>), Problem> {
    let owner = match input.user_id {
        Some(user) if actor.user_id != Some(user) => {
            actor.needs(Role::Admin)?;
            user
        }
        Some(user) => user,
        None => actor.user_id.ok_or_else(|| Problem::bad("user_id", "is needed: whose key is it to be?"))?,
    };
    if input.name.is_none() {
        return Err(Problem::bad("name", "is needed"));
    }
    let (by, power, key) = (actor.by(&asked), actor.acts_as(), input.checked()?);
    let NewSecret { secret, made } = NewSecret::make();
    let row = asked
        .change(move |books| {
            let id = managed::create(books, &by, power, owner, &made, &key)?;
            managed::find(books, id, None)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(WithSecret { secret, key: shown(row) })))
}

/// A key, without its secret.
#[utoipa::path(get, path = "/keys/{id}", tag = "keys", params(("id" = i64, Path)),
    responses((status = 200, body = Key)))]
async fn show_key(actor: Actor, asked: Asked, Id(id): Id) -> Result<Json<Key>, Problem> {
    let owner = actor.sees(None);
    Ok(Json(shown(asked.look(move |books| managed::find(books, id, owner)).await?)))
}

/// Changes what is named; in force at once.
#[utoipa::path(patch, path = "/keys/{id}", tag = "keys", request_body = KeyInput, params(("id" = i64, Path)),
    responses((status = 200, body = Key)))]
async fn change_key(
    actor: Actor,
    asked: Asked,
    Id(id): Id,
    Input(input): Input<KeyInput>,
) -> Result<Json<Key>, Problem> {
    if input.user_id.is_some() {
        return Err(Problem::bad("user_id", "cannot be changed: make another key"));
    }
    let (by, power, owner) = (actor.by(&asked), actor.acts_as(), actor.sees(None));
    let change = input.checked()?;
    let row = asked
        .change(move |books| {
            managed::change(books, &by, power, id, owner, &change)?;
            managed::find(books, id, None)
        })
        .await?;
    Ok(Json(shown(row)))
}

/// Removes a key; in force at once. What it has spent stays in the books.
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_key(actor: Actor, asked: Asked, Id(id): Id) -> Result<Done, Problem> {
    let (by, power, owner) = (actor.by(&asked), actor.acts_as(), actor.sees(None));
    asked.change(move |books| managed::remove(books, &by, power, id, owner)).await?;
    Ok(Done)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RotateInput {
    /// How long the secret before is still good; 0 if not said, four weeks at most.
    grace_seconds: u32,
}

/// A new secret for a key. It is in this answer and never again.
#[utoipa::path(post, path = "/keys/{id}/rotate", tag = "keys", request_body = RotateInput, params(("id" = i64, Path)),
    responses((status = 200, body = WithSecret)))]
async fn rotate_key(
    actor: Actor,
    asked: Asked,
    Id(id): Id,
    Input(input): Input<RotateInput>,
) -> Result<Json<WithSecret>, Problem> {
    if input.grace_seconds > MOST_GRACE_SECONDS {
        return Err(Problem::bad("grace_seconds", format!("expected at most {MOST_GRACE_SECONDS}")));
    }
    let until_ms =
        (input.grace_seconds > 0).then(|| unix_ms().saturating_add(i64::from(input.grace_seconds) * 1000));
    let (by, power, owner) = (actor.by(&asked), actor.acts_as(), actor.sees(None));
    let NewSecret { secret, made } = NewSecret::make();
    let row = asked
        .change(move |books| {
            managed::rotate(books, &by, power, id, owner, &made, until_ms)?;
            managed::find(books, id, None)
        })
        .await?;
    Ok(Json(WithSecret { secret, key: shown(row) }))
}

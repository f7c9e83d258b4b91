//! Users, for admins; and one's own row, for everybody.
//!
//! In: requests under `/users`. Out: rows without anything that one could sign in with. How one signs in is elsewhere; the rules of
//! roles are kept by the store, with the change.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::people::{self, Change, Filter, Person};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role},
    asked::Asked,
    fields::{self, Usd},
    input::{Done, Id, Input, Named, Search, given},
    paging::{Page, Paging, PagingParams, id_key},
    problem::Problem,
    sign_up::checked_name,
};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(list_users, create_user)).routes(routes!(
        show_user,
        change_user,
        delete_user
    ))
}

#[derive(Debug, Serialize, ToSchema)]
struct User {
    id: i64,
    name: String,
    /// user, admin, root.
    role: String,
    /// active, disabled.
    status: String,
    group_id: i64,
    group: String,
    email: Option<String>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    max_in_flight: Option<u32>,
    balance: Usd,
    /// What he uses is counted and not limited by the balance.
    unlimited: bool,
    keys: u32,
    created_ms: i64,
}

fn shown(person: Person) -> User {
    User {
        id: person.id,
        name: person.name,
        role: person.role,
        status: person.status,
        group_id: person.group_id,
        group: person.group,
        email: person.email,
        requests_per_minute: person.requests_per_minute,
        tokens_per_minute: person.tokens_per_minute,
        max_in_flight: person.max_in_flight,
        balance: Usd(person.balance),
        unlimited: person.unlimited,
        keys: person.keys,
        created_ms: person.created_ms,
    }
}

/// What a user is made of. What a change does not name stays; null takes a limit away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct UserInput {
    name: Option<String>,
    /// user, admin, root; user if not said.
    role: Option<String>,
    /// active, disabled.
    status: Option<String>,
    group_id: Option<i64>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    requests_per_minute: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    tokens_per_minute: Option<Option<u32>>,
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    max_in_flight: Option<Option<u32>>,
    unlimited: Option<bool>,
}

impl UserInput {
    fn checked(self) -> Result<Change, Problem> {
        if let Some(name) = &self.name {
            fields::name("name", name)?;
            checked_name("name", name)?;
            if name == "config" {
                return Err(Problem::bad("name", "is the name of a built-in user"));
            }
        }
        fields::one_of("role", self.role.as_deref(), &["user", "admin", "root"])?;
        fields::one_of("status", self.status.as_deref(), &["active", "disabled"])?;
        if let Some(Some(email)) = &self.email {
            fields::name("email", email)?;
            if !email.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty()) {
                return Err(Problem::bad("email", "expected an address such as a@b.example"));
            }
        }
        fields::limits([
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("max_in_flight", self.max_in_flight),
        ])?;
        Ok(Change {
            name: self.name,
            role: self.role,
            status: self.status,
            group_id: self.group_id,
            email: self.email,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            max_in_flight: self.max_in_flight,
            unlimited: self.unlimited,
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    name: Option<String>,
    /// A part of the name or of the address.
    search: Option<String>,
    role: Option<String>,
    status: Option<String>,
    group_id: Option<i64>,
}

/// The users, newest first.
#[utoipa::path(get, path = "/users", tag = "users", params(PagingParams, Params),
    responses((status = 200, body = Page<User>)))]
async fn list_users(
    actor: Actor,
    asked: Asked,
    paging: Paging,
    Search(params): Search<Params>,
) -> Result<Json<Page<User>>, Problem> {
    actor.needs(Role::Admin)?;
    let Params { name, search, role, status, group_id } = params;
    let filter = Filter { name, search, role, status, group_id };
    let (after, limit) = (paging.after_id()?, paging.limit);
    let (rows, total) = asked.look(move |books| people::list(books, &filter, after, limit + 1)).await?;
    Ok(Json(paging.page(rows, |row| id_key(row.id), shown).of(total.into())))
}

/// Makes a user. Only root makes admins.
#[utoipa::path(post, path = "/users", tag = "users", request_body = UserInput,
    responses((status = 201, body = User)))]
async fn create_user(
    actor: Actor,
    asked: Asked,
    Input(input): Input<UserInput>,
) -> Result<(StatusCode, Json<User>), Problem> {
    actor.needs(Role::Admin)?;
    if input.name.is_none() {
        return Err(Problem::bad("name", "is needed"));
    }
    let (by, power, person) = (actor.by(&asked), actor.acts_as().name(), input.checked()?);
    let user = asked
        .change(move |books| {
            let id = people::create(books, &by, power, &person)?;
            people::find(books, id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown(user))))
}

/// The number of a user in a path, or `me`.
pub(super) fn whose(actor: &Actor, user: &str) -> Result<i64, Problem> {
    let id = if user == "me" { actor.user()? } else { user.parse().map_err(|_| Problem::missing())? };
    // Of others a user learns not even whether they are there.
    if actor.user_id == Some(id) || actor.is_admin() { Ok(id) } else { Err(Problem::missing()) }
}

/// A user; `me` is whoever asks.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 200, body = User)))]
async fn show_user(actor: Actor, asked: Asked, Named(user): Named) -> Result<Json<User>, Problem> {
    let id = whose(&actor, &user)?;
    Ok(Json(shown(asked.look(move |books| people::find(books, id)).await?)))
}

/// Changes what is named. Nobody changes his own role or status, only root changes admins.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", request_body = UserInput, params(("id" = i64, Path)),
    responses((status = 200, body = User)))]
async fn change_user(
    actor: Actor,
    asked: Asked,
    Id(id): Id,
    Input(input): Input<UserInput>,
) -> Result<Json<User>, Problem> {
    actor.needs(Role::Admin)?;
    let (by, power, change) = (actor.by(&asked), actor.acts_as().name(), input.checked()?);
    let user = asked
        .change(move |books| {
            people::change(books, &by, power, id, &change)?;
            people::find(books, id)
        })
        .await?;
    Ok(Json(shown(user)))
}

/// Removes a user with his keys and sessions. What he has paid and used stays in the books.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_user(actor: Actor, asked: Asked, Id(id): Id) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let (by, power) = (actor.by(&asked), actor.acts_as().name());
    asked.change(move |books| people::remove(books, &by, power, id)).await?;
    Ok(Done)
}

//! The first user: made by whoever holds the one link that was printed at the start.
//!
//! In: the link's token, a name, a password. Out: root, signed in. There is no default password, and before this nobody can sign
//! in at all. The link is good once, for a day, and only while nobody is root.

use axum::{Json, response::Response};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::{
    Database, StoreError,
    one_time::{self, OneTime, Purpose},
    users::{self, NewUser, Role},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::now_ms,
    asked::Asked,
    input::Input,
    problem::Problem,
    proof,
    session::{self, Typed},
    sign_up::{SignedUp, checked_name},
};
use crate::{catalog::digest, mail, random};

/// Whoever reads the start of a server is there; a day leaves time for a weekend's slip.
const GOOD_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// The token of a new setup link, in the place of those before; `None`: somebody is root already.
pub fn link(database: &Database) -> Result<Option<String>, StoreError> {
    if users::is_set_up(database)? {
        return Ok(None);
    }
    let (token, now_ms) = (random::token("slu_"), now_ms());
    let what = OneTime::new(Purpose::Setup, None, now_ms + GOOD_FOR_MS);
    one_time::replace(database, &digest(&token), &what, now_ms)?;
    Ok(Some(token))
}

/// What is printed, for somebody who reaches the server at `url`.
pub fn words(url: &str, token: &str) -> String {
    format!(
        "\nNobody can manage this gateway yet. Whoever opens this link becomes root; it is good once, for a day:\n\n  \
         {url}/setup#token={token}\n\nWithout a browser:\n\n  \
         curl {url}/api/v1/setup -H 'content-type: application/json' \\\n    \
         -d '{{\"token\": \"{token}\", \"name\": \"root\", \"password\": \"…\"}}'\n\n"
    )
}

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(is_set_up, set_up))
}

#[derive(Debug, Serialize, ToSchema)]
struct SetupState {
    /// Nobody can sign in before the setup link was used.
    needed: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Setup {
    /// Of the link that the server printed at its start.
    token: Typed,
    name: String,
    password: Typed,
    email: Option<String>,
}

/// Whether the setup link is still to be used.
#[utoipa::path(get, path = "/setup", tag = "session", responses((status = 200, body = SetupState)))]
async fn is_set_up(asked: Asked) -> Result<Json<SetupState>, Problem> {
    let needed = !asked.look(users::is_set_up).await?;
    Ok(Json(SetupState { needed }))
}

/// Makes the first user, who is root, and signs him in.
#[utoipa::path(post, path = "/setup", tag = "session", request_body = Setup,
    responses((status = 201, description = "The session is in the cookie.", body = session::SignedIn)))]
async fn set_up(asked: Asked, headers: HeaderMap, Input(input): Input<Setup>) -> Result<Response, Problem> {
    proof::count_address(&asked)?;
    let name = checked_name("name", &input.name)?;
    let email = match input.email.as_deref() {
        Some(email) => {
            let email = mail::address(email).ok_or_else(|| Problem::bad("email", "is no address of mail"))?;
            Some((email.to_string(), false))
        }
        None => None,
    };
    let password = proof::new_password(&asked, "password", input.password.text(), &name).await?;
    let token = digest(input.token.text());
    let user = NewUser { name, role: Role::Root, group_id: 1, email, password: Some(password), oidc: None };
    let by = session::stranger(&asked, "setup");
    let id = asked.enter(move |books| users::set_up(books, &by, &token, &user)).await?;
    SignedUp { id, via: "setup" }.welcome(&asked, &headers).await
}

//! Personal access tokens: made and ended by their user in a session, used by his programs.
//!
//! In: a name, what it may do, for how long. Out: the token, once; later its last four characters. A token makes no token.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::access_tokens::{self, AccessToken, NewToken};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, TOKEN_PREFIX},
    asked::Asked,
    input::{Done, Id, Input},
    own::in_session,
    problem::{Code, Problem},
    sign_up::checked_name,
};
use crate::{catalog::digest, random};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DEFAULT_DAYS: u32 = 90;
const MOST_DAYS: u32 = 366;
const SCOPES: [&str; 3] = ["read", "write", "admin"];

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list_access_tokens, make_access_token))
        .routes(routes!(end_access_token))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MakeToken {
    name: String,
    /// read, write, admin. `write` makes changes; `admin` acts with the user's role, without it the token is a user's.
    scopes: Vec<String>,
    /// How long it is good, 1 to 366. Default: 90.
    days: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TokenRow {
    id: i64,
    name: String,
    last4: String,
    scopes: Vec<String>,
    created_ms: i64,
    expires_ms: i64,
    used_ms: Option<i64>,
    /// The token itself, in the answer to its making and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

fn shown_token(row: AccessToken) -> TokenRow {
    TokenRow {
        id: row.id,
        name: row.name,
        last4: row.last4,
        scopes: serde_json::from_str(&row.scopes).unwrap_or_default(),
        created_ms: row.created_ms,
        expires_ms: row.expires_ms,
        used_ms: row.used_ms,
        token: None,
    }
}

/// One's access tokens, without themselves.
#[utoipa::path(get, path = "/account/tokens", tag = "account", responses((status = 200, body = Vec<TokenRow>)))]
async fn list_access_tokens(asked: Asked, actor: Actor) -> Result<Json<Vec<TokenRow>>, Problem> {
    let user = actor.user()?;
    let rows = asked.look(move |books| access_tokens::list(books, user)).await?;
    Ok(Json(rows.into_iter().map(shown_token).collect()))
}

/// Makes an access token. It is shown this once.
#[utoipa::path(post, path = "/account/tokens", tag = "account", request_body = MakeToken,
    responses((status = 201, body = TokenRow)))]
async fn make_access_token(
    asked: Asked,
    actor: Actor,
    Input(input): Input<MakeToken>,
) -> Result<(StatusCode, Json<TokenRow>), Problem> {
    let user = in_session(&actor)?;
    let name = checked_name("name", &input.name)?;
    let days = input.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Problem::bad("days", format!("must be 1 to {MOST_DAYS}")));
    }
    if input.scopes.is_empty() || input.scopes.iter().any(|scope| !SCOPES.contains(&&**scope)) {
        return Err(Problem::bad("scopes", "must be some of read, write, admin"));
    }
    let scopes = serde_json::to_string(&input.scopes).unwrap_or_default();
    let token = random::token(TOKEN_PREFIX);
    let (hash, last4, by) = (digest(&token), token[token.len() - 4..].to_owned(), actor.by(&asked));
    let expires_ms = by.at_ms + i64::from(days) * DAY_MS;
    let made = asked.enter(move |books| {
        let new = NewToken { user, name: &name, hash: &hash, last4: &last4, scopes: &scopes, expires_ms };
        let Some(id) = access_tokens::create(books, &by, new)? else { return Ok(None) };
        Ok(access_tokens::list(books, user)?.into_iter().find(|row| row.id == id))
    });
    let Some(made) = made.await? else {
        let detail = format!("A user may have {} access tokens: end one first.", access_tokens::MOST);
        return Err(Problem::new(Code::Conflict, detail));
    };
    Ok((StatusCode::CREATED, Json(TokenRow { token: Some(token), ..shown_token(made) })))
}

/// Ends an access token.
#[utoipa::path(delete, path = "/account/tokens/{id}", tag = "account", params(("id" = i64, Path)),
    responses((status = 204, description = "It is good no more.")))]
async fn end_access_token(asked: Asked, actor: Actor, Id(id): Id) -> Result<Done, Problem> {
    let (user, by) = (in_session(&actor)?, actor.by(&asked));
    let ended = asked.enter(move |books| access_tokens::remove(books, &by, user, id)).await?;
    if ended { Ok(Done) } else { Err(Problem::missing()) }
}

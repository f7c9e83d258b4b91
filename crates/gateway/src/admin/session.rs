//! Signing in and out.
//!
//! In: name and password. Out: a cookie that scripts cannot read, and the token that every change by it must repeat. Nothing about
//! the user is kept in the browser: what he may is looked up at each request.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, header};
use serde::{Deserialize, Serialize};
use store::{
    audit::By,
    sessions,
    users::{User, Who},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Via, now_ms},
    asked::Asked,
    cookie,
    input::{Done, Input},
    problem::{Code, Problem},
    proof::{self, Proved},
};
use crate::{catalog::digest, random, secret::Secret, sign_in};

/// Of what a browser says of itself so much is kept.
const AGENT_CHARS: usize = 200;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(sign_in_here, session, sign_out))
}

/// A text that is not printed with what holds it.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct Typed(String);

impl Typed {
    pub fn text(&self) -> &str {
        &self.0
    }

    pub fn secret(&self) -> Secret {
        Secret::new(self.0.clone())
    }
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[typed]")
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The user's name, or his verified address.
    name: String,
    password: Typed,
    /// Six digits of the authenticator app, or a recovery code.
    code: Option<Typed>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub id: i64,
    pub name: String,
    /// user, admin or root.
    pub role: &'static str,
    pub email: Option<String>,
    pub email_verified: bool,
    pub has_password: bool,
    pub has_second_factor: bool,
    /// Tied to an identity of the OpenID provider.
    pub has_oidc: bool,
    pub created_ms: i64,
}

impl From<User> for Me {
    fn from(user: User) -> Me {
        Me {
            id: user.id,
            name: user.name,
            role: user.role.name(),
            email: user.email,
            email_verified: user.email_verified,
            has_password: user.has_password,
            has_second_factor: user.has_totp,
            has_oidc: user.has_oidc,
            created_ms: user.created_ms,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SignedIn {
    pub user: Me,
    /// To be repeated as `x-csrf-token` with every change.
    pub csrf_token: String,
    pub expires_ms: i64,
}

/// Signs in.
#[utoipa::path(post, path = "/session", tag = "session", request_body = SignIn,
    responses((status = 201, description = "The session is in the cookie.", body = SignedIn)))]
async fn sign_in_here(
    asked: Asked,
    headers: HeaderMap,
    Input(input): Input<SignIn>,
) -> Result<Response, Problem> {
    let code = input.code.as_ref().map(Typed::text);
    let proved = proof::of(&asked, &input.name, input.password.secret(), code).await?;
    begin(&asked, &headers, proved, "session").await
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = SignedIn)))]
async fn session(asked: Asked, _actor: Actor, headers: HeaderMap) -> Result<Json<SignedIn>, Problem> {
    let nobody = || Problem::new(Code::NotSignedIn, "This request has no session.");
    let (token, hash) = cookie::session(&headers).ok_or_else(nobody)?;
    let lasting = sign_in::lasting(&asked.app.catalog.load().config.admin);
    let found = asked.look(move |books| sessions::find(books, &hash, lasting, now_ms())).await?;
    let (user, session) = found.ok_or_else(nobody)?;
    let csrf_token = cookie::csrf_token(token);
    Ok(Json(SignedIn { user: user.into(), csrf_token, expires_ms: session.expires_ms }))
}

/// Signs out.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204, description = "Signed out.")))]
async fn sign_out(asked: Asked, actor: Actor, headers: HeaderMap) -> Result<Response, Problem> {
    let (Via::Session, Some((_, hash))) = (actor.via, cookie::session(&headers)) else {
        return Err(Problem::new(Code::NotSignedIn, "This request has no session to end."));
    };
    asked.look(move |books| sessions::close(books, &hash)).await?;
    Ok(([(header::SET_COOKIE, cookie::set(cookie::SESSION, "", 0, asked.is_secure()))], Done).into_response())
}

/// What the audit trail says of a user who acts about himself.
pub fn himself(asked: &Asked, user: &User, via: &'static str) -> By {
    By {
        actor_id: Some(user.id),
        actor: user.name.clone(),
        via,
        address: asked.address.map(|address| address.to_string()),
        request_id: *asked.request_id.as_bytes(),
        at_ms: now_ms(),
    }
}

/// Of somebody who is not known yet.
pub fn stranger(asked: &Asked, via: &'static str) -> By {
    By {
        actor_id: None,
        actor: String::new(),
        via,
        address: asked.address.map(|address| address.to_string()),
        request_id: *asked.request_id.as_bytes(),
        at_ms: now_ms(),
    }
}

/// Begins a session of somebody who has proved who he is.
pub async fn begin(
    asked: &Asked,
    headers: &HeaderMap,
    proved: Proved,
    via: &'static str,
) -> Result<Response, Problem> {
    let (signed_in, cookie) = open(asked, headers, proved, via).await?;
    Ok((http::StatusCode::CREATED, [cookie], Json(signed_in)).into_response())
}

/// The session, and the header that carries it.
pub async fn open(
    asked: &Asked,
    headers: &HeaderMap,
    Proved { user, hash: proved }: Proved,
    via: &'static str,
) -> Result<(SignedIn, (HeaderName, http::HeaderValue)), Problem> {
    let token = random::token("");
    let lasting = sign_in::lasting(&asked.app.catalog.load().config.admin);
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent: String = agent.chars().take(AGENT_CHARS).collect();
    let (by, id, hash) = (himself(asked, &user, via), user.id, digest(&token));
    let expires_ms = by.at_ms.saturating_add(lasting.total_ms);
    let opened = asked
        .enter(move |books| sessions::open(books, &by, id, proved.as_deref(), &hash, &agent, lasting))
        .await?;
    if !opened {
        return Err(Problem::new(Code::NotSignedIn, "The user was changed meanwhile; try again."));
    }
    let cookie = cookie::set(cookie::SESSION, &token, lasting.total_ms / 1000, asked.is_secure());
    let signed_in = SignedIn { user: user.into(), csrf_token: cookie::csrf_token(&token), expires_ms };
    Ok((signed_in, (header::SET_COOKIE, cookie)))
}

/// The user of this number, who was just there.
pub async fn user(asked: &Asked, id: i64) -> Result<User, Problem> {
    let found = asked.look(move |books| store::users::find(books, Who::Id(id))).await?;
    found.ok_or_else(Problem::missing)
}

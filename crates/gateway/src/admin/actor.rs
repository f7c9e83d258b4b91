//! Who acts: the user behind a session or a token, or the operator at this machine's own socket.
//!
//! In: a request. Out: an [`Actor`], or 401. Handlers ask it what it may do; it must never be made from what a request merely
//! claims.

use axum::{Json, extract::FromRequestParts};
use http::{Method, header, request::Parts};
use serde::Serialize;
use store::{access_tokens, audit::By, sessions, users::User};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    asked::Asked,
    cookie,
    problem::{Code, Problem},
};
use crate::{catalog::digest, sign_in};

/// What a user may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and manages what is his own.
    User,
    /// Everything but other admins and the settings.
    Admin,
    Root,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Admin => "admin",
            Role::Root => "root",
        }
    }

    pub fn named(name: &str) -> Option<Role> {
        [Role::User, Role::Admin, Role::Root].into_iter().find(|role| role.name() == name)
    }
}

/// How the actor was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    Session,
    Token,
    Local,
}

impl Via {
    pub const fn name(self) -> &'static str {
        match self {
            Via::Session => "session",
            Via::Token => "token",
            Via::Local => "local",
        }
    }
}

/// What a token is good for. A session is good for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Scopes {
    /// Changing things, not only looking.
    pub write: bool,
    /// What needs the role of an admin; without it an admin's token is a user's.
    pub admin: bool,
}

impl Scopes {
    pub const ALL: Scopes = Scopes { write: true, admin: true };
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Actor {
    /// `None`: the operator at this machine.
    pub user_id: Option<i64>,
    pub name: String,
    pub role: Role,
    pub via: Via,
    pub scopes: Scopes,
}

impl Actor {
    /// Whoever can open the socket beside the database could open the database too.
    fn local() -> Actor {
        Actor {
            user_id: None,
            name: "local".to_owned(),
            role: Role::Root,
            via: Via::Local,
            scopes: Scopes::ALL,
        }
    }

    fn of(user: User, via: Via, scopes: Scopes) -> Actor {
        let role = Role::named(user.role.name()).unwrap_or(Role::User);
        Actor { user_id: Some(user.id), name: user.name, role, via, scopes }
    }

    /// The role in force: a token without the scope is no admin's.
    pub fn acts_as(&self) -> Role {
        if self.scopes.admin { self.role } else { Role::User }
    }

    pub fn is_admin(&self) -> bool {
        self.acts_as() >= Role::Admin
    }

    pub fn needs(&self, role: Role) -> Result<(), Problem> {
        if self.acts_as() >= role {
            return Ok(());
        }
        Err(Problem::new(Code::NotAllowed, format!("This needs the role {}.", role.name())))
    }

    /// The user himself: what only makes sense for one who has an account.
    pub fn user(&self) -> Result<i64, Problem> {
        self.user_id.ok_or_else(|| {
            Problem::new(Code::NotAllowed, "The operator at the machine is no user: name the user instead.")
        })
    }

    /// Whose things a list shows: an admin's choice, or else one's own.
    pub fn sees(&self, asked_for: Option<i64>) -> Option<i64> {
        if self.is_admin() { asked_for } else { Some(self.user_id.unwrap_or_default()) }
    }

    /// For the audit trail.
    pub fn by(&self, asked: &Asked) -> By {
        By {
            actor_id: self.user_id,
            actor: self.name.clone(),
            via: self.via.name(),
            address: asked.address.map(|address| address.to_string()),
            request_id: *asked.request_id.as_bytes(),
            at_ms: now_ms(),
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Actor, Problem> {
        let asked = Asked::from_request_parts(parts, state).await?;
        let actor = if asked.local { Actor::local() } else { signed_in(&asked, parts).await? };
        // Changes are never made by GET, so the method says what a request is about to do.
        let looks = matches!(parts.method, Method::GET | Method::HEAD);
        if !looks && !actor.scopes.write {
            return Err(Problem::new(Code::NotAllowed, "This token is for looking only."));
        }
        Ok(actor)
    }
}

/// How a personal access token begins.
pub const TOKEN_PREFIX: &str = "slp_";

/// The user of a session or of a token, as he is now. A bad token is not made good by a cookie beside it.
async fn signed_in(asked: &Asked, parts: &Parts) -> Result<Actor, Problem> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return by_token(asked, parts).await;
    }
    let (token, hash) = cookie::session(&parts.headers).ok_or_else(nobody)?;
    let looks = matches!(parts.method, Method::GET | Method::HEAD);
    let lasting = sign_in::lasting(&asked.app.catalog.load().config.admin);
    let found = asked.look(move |books| sessions::find(books, &hash, lasting, now_ms())).await?;
    let (user, _) = found.ok_or_else(nobody)?;
    // Another site can make a browser send the cookie, but not the header.
    if !looks && !cookie::repeats_csrf_token(&parts.headers, token) {
        let detail = format!("Repeat `csrf_token` of the session as `{}`.", cookie::CSRF_HEADER);
        return Err(Problem::new(Code::NoCsrfToken, detail));
    }
    Ok(Actor::of(user, Via::Session, Scopes::ALL))
}

async fn by_token(asked: &Asked, parts: &Parts) -> Result<Actor, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.split_once(' '));
    let token = token.filter(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && token.trim().starts_with(TOKEN_PREFIX)
    });
    let hash = digest(token.ok_or_else(nobody)?.1.trim());
    let found = asked.look(move |books| access_tokens::find(books, &hash, now_ms())).await?;
    let (user, token) = found.ok_or_else(nobody)?;
    let scopes: Vec<String> = serde_json::from_str(&token.scopes).unwrap_or_default();
    let has = |scope: &str| scopes.iter().any(|held| held == scope);
    Ok(Actor::of(user, Via::Token, Scopes { write: has("write"), admin: has("admin") }))
}

fn nobody() -> Problem {
    Problem::new(Code::NotSignedIn, "This needs a session or an access token.")
}

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(whoami))
}

/// Who this request acts as.
#[utoipa::path(get, path = "/actor", tag = "account", responses((status = 200, body = Actor)))]
async fn whoami(actor: Actor) -> Json<Actor> {
    Json(actor)
}

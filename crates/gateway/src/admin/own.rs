//! What users manage about themselves: their password, their address, where they are signed in.
//!
//! In: a request of a session. Out: what is the user's own. An access token changes nothing here: whoever steals one must not be
//! able to stay. What one signs in with is changed by who knows the password only.

use axum::{Json, response::Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::{
    one_time::{self, Hash, OneTime, Purpose},
    sessions, users,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Via, now_ms},
    asked::Asked,
    cookie,
    input::{Done, Input, Named},
    letters,
    problem::{Code, Problem},
    proof::{self, Proved},
    session::{self, Me, Typed},
};
use crate::{catalog::digest, mail, random, sign_in};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(account))
        .routes(routes!(change_password))
        .routes(routes!(list_sessions, end_other_sessions))
        .routes(routes!(end_session))
        .routes(routes!(change_email))
        .routes(routes!(verify_email))
}

/// What a session or an invitation is called by: the beginning of a hash tells nothing about what was hashed.
pub fn public_id(hash: &Hash) -> String {
    hash[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The user, in a session of his own.
pub fn in_session(actor: &Actor) -> Result<i64, Problem> {
    match (actor.via, actor.user_id) {
        (Via::Session, Some(user)) => Ok(user),
        _ => {
            Err(Problem::new(Code::NotAllowed, "This needs a session: sign in. An access token will not do."))
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Account {
    #[serde(flatten)]
    user: Me,
    recovery_codes_left: u32,
}

/// Who one is.
#[utoipa::path(get, path = "/account", tag = "account", responses((status = 200, body = Account)))]
async fn account(asked: Asked, actor: Actor) -> Result<Json<Account>, Problem> {
    let id = actor.user()?;
    let user = session::user(&asked, id).await?.into();
    let recovery_codes_left = asked.look(move |books| one_time::recovery_codes_left(books, id)).await?;
    Ok(Json(Account { user, recovery_codes_left }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    current: Typed,
    new: Typed,
    /// Where there is a second factor.
    code: Option<Typed>,
}

/// Changes the password. All sessions end; this one begins anew.
#[utoipa::path(put, path = "/account/password", tag = "account", request_body = ChangePassword,
    responses((status = 201, description = "The new session is in the cookie.", body = session::SignedIn)))]
async fn change_password(
    asked: Asked,
    actor: Actor,
    headers: HeaderMap,
    Input(input): Input<ChangePassword>,
) -> Result<Response, Problem> {
    let id = in_session(&actor)?;
    let code = input.code.as_ref().map(Typed::text);
    let user = proof::again(&asked, id, input.current.secret(), code).await?;
    let password = proof::new_password(&asked, "new", input.new.text(), &user.name).await?;
    let by = actor.by(&asked);
    let hash = Some(password.clone());
    asked.enter(move |books| users::set_password(books, &by, id, &password)).await?;
    session::begin(&asked, &headers, Proved { user, hash }, "session").await
}

#[derive(Debug, Serialize, ToSchema)]
struct SessionRow {
    id: String,
    /// The one that this request came by.
    current: bool,
    created_ms: i64,
    seen_ms: i64,
    expires_ms: i64,
    address: String,
    agent: String,
}

/// Where one is signed in.
#[utoipa::path(get, path = "/account/sessions", tag = "account", responses((status = 200, body = Vec<SessionRow>)))]
async fn list_sessions(
    asked: Asked,
    actor: Actor,
    headers: HeaderMap,
) -> Result<Json<Vec<SessionRow>>, Problem> {
    let user = actor.user()?;
    let own = cookie::session(&headers).map(|(_, hash)| hash);
    let lasting = sign_in::lasting(&asked.app.catalog.load().config.admin);
    let rows = asked.look(move |books| sessions::list(books, user, lasting, now_ms())).await?;
    let shown = |row: sessions::Session| SessionRow {
        id: public_id(&row.hash),
        current: own == Some(row.hash),
        created_ms: row.created_ms,
        seen_ms: row.seen_ms,
        expires_ms: row.expires_ms,
        address: row.address,
        agent: row.agent,
    };
    Ok(Json(rows.into_iter().map(shown).collect()))
}

/// Signs out everywhere else.
#[utoipa::path(delete, path = "/account/sessions", tag = "account",
    responses((status = 204, description = "Only this session is left.")))]
async fn end_other_sessions(asked: Asked, actor: Actor, headers: HeaderMap) -> Result<Done, Problem> {
    let user = in_session(&actor)?;
    let own = cookie::session(&headers).map(|(_, hash)| hash);
    asked.look(move |books| sessions::close_all(books, user, own.as_ref())).await?;
    Ok(Done)
}

/// Ends one session.
#[utoipa::path(delete, path = "/account/sessions/{id}", tag = "account", params(("id" = String, Path)),
    responses((status = 204, description = "It is over.")))]
async fn end_session(asked: Asked, actor: Actor, Named(id): Named) -> Result<Done, Problem> {
    let user = in_session(&actor)?;
    let lasting = sign_in::lasting(&asked.app.catalog.load().config.admin);
    let ended = asked.look(move |books| {
        let rows = sessions::list(books, user, lasting, now_ms())?;
        match rows.into_iter().find(|row| public_id(&row.hash) == id) {
            Some(row) => sessions::close(books, &row.hash),
            None => Ok(false),
        }
    });
    if ended.await? { Ok(Done) } else { Err(Problem::missing()) }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeEmail {
    email: String,
    password: Typed,
    code: Option<Typed>,
}

/// Sends a link to a new address; it is the user's when the link comes back.
#[utoipa::path(put, path = "/account/email", tag = "account", request_body = ChangeEmail,
    responses((status = 202, description = "A letter is on its way.")))]
async fn change_email(
    asked: Asked,
    actor: Actor,
    Input(input): Input<ChangeEmail>,
) -> Result<StatusCode, Problem> {
    let id = in_session(&actor)?;
    let catalog = asked.app.catalog.load_full();
    let Some(mail) = &catalog.config.mail else {
        return Err(Problem::new(
            Code::TurnedOff,
            "This gateway sends no mail. Ask an admin to set the address.",
        ));
    };
    let to = mail::address(&input.email).ok_or_else(|| Problem::bad("email", "is no address of mail"))?;
    let user =
        proof::again(&asked, id, input.password.secret(), input.code.as_ref().map(Typed::text)).await?;
    letters::post(&asked, mail, to.clone(), move |asked| async move {
        let token = random::token("slv_");
        let hash = digest(&token);
        let what = OneTime {
            email: Some(to.to_string()),
            by_mail: true,
            ..OneTime::new(Purpose::Email, Some(id), now_ms() + letters::GOOD_FOR_MS)
        };
        asked.look(move |books| one_time::replace(books, &hash, &what, now_ms())).await.ok()?;
        Some(letters::email(&asked, to, &user.name, &token))
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VerifyEmail {
    token: Typed,
}

/// Makes the address that a link was sent to that of its user.
#[utoipa::path(post, path = "/email_verification", tag = "session", request_body = VerifyEmail,
    responses((status = 204, description = "The address is the user's.")))]
async fn verify_email(asked: Asked, Input(input): Input<VerifyEmail>) -> Result<Done, Problem> {
    proof::count_address(&asked)?;
    let (token, by) = (digest(input.token.text()), session::stranger(&asked, "mail"));
    asked.enter(move |books| users::verify_email(books, &by, &token)).await?;
    Ok(Done)
}

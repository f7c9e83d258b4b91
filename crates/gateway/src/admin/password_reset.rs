//! A forgotten password: a link to the mailbox, and a new password for the link.
//!
//! In: an address; later the link's token and the new password. Out: the same answer for all addresses. A password is never sent
//! or shown; whoever has the link sets one. An admin can make a link for somebody below him, where no mail reaches that one.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{
    one_time::{self, OneTime, Purpose},
    people::{self, Person},
    second_factor,
    users::{self, Who},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role, now_ms},
    asked::Asked,
    input::{Done, Id, Input},
    letters,
    problem::{Code, Problem},
    proof,
    session::{self, Typed},
};
use crate::{catalog::digest, mail, random, sign_in};

/// A link that an admin hands over himself.
const HANDED_GOOD_FOR_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(ask_for_reset))
        .routes(routes!(reset_password))
        .routes(routes!(make_reset_link))
        .routes(routes!(take_second_factor_away))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskForReset {
    email: String,
}

/// Sends a link to an address that is known to be a user's. The answer is the same for all addresses.
#[utoipa::path(post, path = "/password_reset", tag = "session", request_body = AskForReset,
    responses((status = 202, description = "If the address is a user's, a letter is on its way.")))]
async fn ask_for_reset(asked: Asked, Input(input): Input<AskForReset>) -> Result<StatusCode, Problem> {
    let catalog = asked.app.catalog.load_full();
    let Some(mail) = &catalog.config.mail else {
        let detail = "This gateway sends no mail. Ask an admin for a link.";
        return Err(Problem::new(Code::TurnedOff, detail));
    };
    proof::count_address(&asked)?;
    let to = mail::address(&input.email).ok_or_else(|| Problem::bad("email", "is no address of mail"))?;
    letters::post(&asked, mail, to.clone(), move |asked| async move {
        let email = to.to_string();
        let user = asked.look(move |books| users::find(books, Who::Email(&email))).await.ok()??;
        if !user.active || !user.email_verified {
            return None;
        }
        let token = issue(&asked, user.id, letters::GOOD_FOR_MS).await.ok()?;
        Some(letters::password_reset(&asked, to, &user.name, &token))
    })
}

/// Only the latest link of a user is good.
async fn issue(asked: &Asked, user: i64, good_for_ms: i64) -> Result<String, Problem> {
    let token = random::token("slr_");
    let hash = digest(&token);
    let what = OneTime::new(Purpose::PasswordReset, Some(user), now_ms() + good_for_ms);
    asked.look(move |books| one_time::replace(books, &hash, &what, now_ms())).await?;
    Ok(token)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reset {
    token: Typed,
    password: Typed,
}

/// Sets a new password. Sessions and access tokens of the user end; he signs in with the new one.
#[utoipa::path(post, path = "/password_reset/complete", tag = "session", request_body = Reset,
    responses((status = 204, description = "The new password is set.")))]
async fn reset_password(asked: Asked, Input(input): Input<Reset>) -> Result<Done, Problem> {
    proof::count_address(&asked)?;
    let password = proof::new_password(&asked, "password", input.password.text(), "").await?;
    let (token, by) = (digest(input.token.text()), session::stranger(&asked, "mail"));
    asked.enter(move |books| users::reset_password(books, &by, &token, &password)).await?;
    Ok(Done)
}

#[derive(Debug, Serialize, ToSchema)]
struct ResetLink {
    /// Shown this once. Whoever opens it sets the user's password.
    link: String,
    token: String,
    expires_ms: i64,
}

/// Makes a link by which a user sets his password: for one who has none yet, or whom no mail reaches.
#[utoipa::path(post, path = "/users/{id}/password_reset", tag = "users", params(("id" = i64, Path)),
    responses((status = 201, body = ResetLink)))]
async fn make_reset_link(
    asked: Asked,
    actor: Actor,
    Id(id): Id,
) -> Result<(StatusCode, Json<ResetLink>), Problem> {
    let user = below(&asked, &actor, id).await?;
    let by = actor.by(&asked);
    asked
        .look(move |books| store::audit::note(books, &by, "password_reset_link", "user", &id.to_string()))
        .await?;
    let token = issue(&asked, user.id, HANDED_GOOD_FOR_MS).await?;
    let url = sign_in::public_url(&asked.app.catalog.load().config);
    let link = format!("{url}/password_reset#token={token}");
    Ok((StatusCode::CREATED, Json(ResetLink { link, token, expires_ms: now_ms() + HANDED_GOOD_FOR_MS })))
}

/// Takes the second factor away from a user who has lost it.
#[utoipa::path(delete, path = "/users/{id}/second_factor", tag = "users", params(("id" = i64, Path)),
    responses((status = 204, description = "He signs in with his password alone.")))]
async fn take_second_factor_away(asked: Asked, actor: Actor, Id(id): Id) -> Result<Done, Problem> {
    let user = below(&asked, &actor, id).await?;
    let by = actor.by(&asked);
    asked.enter(move |books| second_factor::remove(books, &by, user.id)).await?;
    Ok(Done)
}

/// A user whose way in the actor may open: one of a lower role. The operator at the machine may for all.
async fn below(asked: &Asked, actor: &Actor, id: i64) -> Result<Person, Problem> {
    actor.needs(Role::Admin)?;
    // Who was removed is there no more.
    let user = asked.look(move |books| people::find(books, id)).await?;
    let lower = Role::named(&user.role).is_some_and(|role| role < actor.acts_as());
    if actor.user_id.is_some() && !lower {
        return Err(Problem::new(Code::NotAllowed, "Only for users of a lower role than your own."));
    }
    Ok(user)
}

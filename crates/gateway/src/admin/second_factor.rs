//! The second factor of a user: offered, confirmed by its first code, removed; and codes for a lost phone.
//!
//! In: a request of a session, with the password. Out: the secret, once, while it is on offer; recovery codes, once. The secret is
//! sealed before it is stored.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{
    one_time::Hash,
    second_factor,
    users::{self, Who},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::Actor,
    asked::Asked,
    input::{Done, Input},
    own::in_session,
    problem::{Code, Problem},
    proof,
    session::Typed,
};
use crate::{catalog::digest, random, totp};

const RECOVERY_CODES: usize = 10;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(offer_second_factor, confirm_second_factor, remove_second_factor))
        .routes(routes!(renew_recovery_codes))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    password: Typed,
    /// Where there is a second factor.
    code: Option<Typed>,
}

impl Proof {
    async fn check(&self, asked: &Asked, user: i64) -> Result<users::User, Problem> {
        proof::again(asked, user, self.password.secret(), self.code.as_ref().map(Typed::text)).await
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Offer {
    /// To be typed into an authenticator app.
    secret: String,
    /// The same as a QR code holds it.
    url: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct RecoveryCodes {
    /// Shown this once. Each stands in for the authenticator app once.
    recovery_codes: Vec<String>,
}

/// Offers a second factor, which a code must confirm.
#[utoipa::path(post, path = "/account/totp", tag = "account", request_body = Proof,
    responses((status = 201, body = Offer)))]
async fn offer_second_factor(
    asked: Asked,
    actor: Actor,
    Input(input): Input<Proof>,
) -> Result<(StatusCode, Json<Offer>), Problem> {
    let id = in_session(&actor)?;
    let user = input.check(&asked, id).await?;
    if user.has_totp {
        return Err(Problem::new(Code::Conflict, "There is a second factor already: remove it first."));
    }
    let secret = random::bytes::<{ totp::SECRET_BYTES }>();
    let sealed = asked.look(move |books| {
        let Ok(sealed) = books.sealer().and_then(|sealer| sealer.seal(&proof::place(id), &secret)) else {
            return Ok(false);
        };
        second_factor::offer(books, id, &sealed).map(|()| true)
    });
    if !sealed.await? {
        return Err(Problem::internal());
    }
    let offer = Offer { secret: totp::base32(&secret), url: totp::url(&secret, &user.name, "Sluice") };
    Ok((StatusCode::CREATED, Json(offer)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirm {
    /// Six digits of the authenticator app.
    code: Typed,
}

/// Puts the second factor on offer in force.
#[utoipa::path(put, path = "/account/totp", tag = "account", request_body = Confirm,
    responses((status = 200, body = RecoveryCodes)))]
async fn confirm_second_factor(
    asked: Asked,
    actor: Actor,
    Input(input): Input<Confirm>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let (user, by) = (in_session(&actor)?, actor.by(&asked));
    let (codes, hashes) = recovery_codes();
    let confirmed = asked.enter(move |books| {
        let Some(found) = users::credentials(books, Who::Id(user))? else { return Ok(false) };
        let Some(sealed) = found.totp_pending else { return Ok(false) };
        let secret = books.sealer().and_then(|sealer| sealer.open(&proof::place(user), &sealed));
        let step = secret.ok().and_then(|secret| totp::step_of(&secret, input.code.text().trim(), by.at_ms));
        match step {
            Some(step) => second_factor::confirm(books, &by, user, &sealed, step, &hashes),
            None => Ok(false),
        }
    });
    if !confirmed.await? {
        return Err(Problem::bad("code", "is not the code of the secret on offer"));
    }
    Ok(Json(RecoveryCodes { recovery_codes: codes }))
}

/// Removes the second factor.
#[utoipa::path(delete, path = "/account/totp", tag = "account", request_body = Proof,
    responses((status = 204, description = "The password alone is enough.")))]
async fn remove_second_factor(
    asked: Asked,
    actor: Actor,
    Input(input): Input<Proof>,
) -> Result<Done, Problem> {
    let (user, by) = (in_session(&actor)?, actor.by(&asked));
    input.check(&asked, user).await?;
    asked.enter(move |books| second_factor::remove(books, &by, user)).await?;
    Ok(Done)
}

/// Makes new recovery codes in the place of those before.
#[utoipa::path(post, path = "/account/totp/recovery_codes", tag = "account", request_body = Proof,
    responses((status = 201, body = RecoveryCodes)))]
async fn renew_recovery_codes(
    asked: Asked,
    actor: Actor,
    Input(input): Input<Proof>,
) -> Result<Response, Problem> {
    let (id, by) = (in_session(&actor)?, actor.by(&asked));
    if !input.check(&asked, id).await?.has_totp {
        return Err(Problem::new(Code::Conflict, "There is no second factor."));
    }
    let (codes, hashes) = recovery_codes();
    asked.enter(move |books| second_factor::renew_recovery_codes(books, &by, id, &hashes)).await?;
    Ok((StatusCode::CREATED, Json(RecoveryCodes { recovery_codes: codes })).into_response())
}

/// Codes to write down, and their hashes.
fn recovery_codes() -> (Vec<String>, Vec<Hash>) {
    let code = || {
        let code = totp::base32(&random::bytes::<10>());
        code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-")
    };
    let codes: Vec<String> = std::iter::repeat_with(code).take(RECOVERY_CODES).collect();
    let hashes = codes.iter().map(|code| digest(&proof::recovery_code(code))).collect();
    (codes, hashes)
}

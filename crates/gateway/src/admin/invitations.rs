//! Inviting somebody: a link by which one becomes a user, in a role and a group that the inviter may give.
//!
//! In: a request of an admin. Out: the link, once; or, where the gateway can send mail and knows an address, a letter that nobody
//! else sees.

use axum::Json;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{
    one_time::{self, OneTime, Purpose},
    users::Role as UserRole,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role, now_ms},
    asked::Asked,
    input::{Done, Input, Named},
    letters,
    own::public_id,
    problem::{Code, Problem},
};
use crate::{
    catalog::{Digest, digest},
    config::SignUpMode,
    mail, random, sign_in,
};

/// How the token of an invitation begins.
pub const TOKEN_PREFIX: &str = "sli_";
const DEFAULT_DAYS: u32 = 7;
const MOST_DAYS: u32 = 90;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(invitations, invite)).routes(routes!(take_invitation_back))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    /// Whose it is. Where the gateway can send mail, the link goes there, and is shown to nobody else.
    email: Option<String>,
    /// user or admin; only root invites admins. Default: user.
    role: Option<String>,
    group_id: Option<i64>,
    /// How long it is good, 1 to 90. Default: 7.
    days: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Invitation {
    id: String,
    email: Option<String>,
    role: &'static str,
    group_id: Option<i64>,
    expires_ms: i64,
    /// The link, once; null: it went by mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

fn shown((hash, what): (Digest, OneTime)) -> Invitation {
    Invitation {
        id: public_id(&hash),
        email: what.email,
        role: what.role.unwrap_or(UserRole::User).name(),
        group_id: what.group_id,
        expires_ms: what.expires_ms,
        link: None,
        token: None,
    }
}

/// Invitations that nobody came by yet.
#[utoipa::path(get, path = "/invitations", tag = "users", responses((status = 200, body = Vec<Invitation>)))]
async fn invitations(asked: Asked, actor: Actor) -> Result<Json<Vec<Invitation>>, Problem> {
    actor.needs(Role::Admin)?;
    let open = asked.look(|books| one_time::invitations(books, now_ms())).await?;
    Ok(Json(open.into_iter().map(shown).collect()))
}

/// Invites somebody.
#[utoipa::path(post, path = "/invitations", tag = "users", request_body = Invite,
    responses((status = 201, body = Invitation)))]
async fn invite(
    asked: Asked,
    actor: Actor,
    Input(input): Input<Invite>,
) -> Result<(StatusCode, Json<Invitation>), Problem> {
    actor.needs(Role::Admin)?;
    let catalog = asked.app.catalog.load_full();
    if catalog.config.sign_up.mode == SignUpMode::Off {
        return Err(Problem::new(
            Code::TurnedOff,
            "sign_up.mode is \"off\": an invitation would lead nowhere.",
        ));
    }
    let role = match input.role.as_deref() {
        None | Some("user") => UserRole::User,
        Some("admin") => {
            actor.needs(Role::Root)?;
            UserRole::Admin
        }
        Some(_) => return Err(Problem::bad("role", "must be user or admin")),
    };
    let days = input.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(Problem::bad("days", format!("must be 1 to {MOST_DAYS}")));
    }
    let to = match input.email.as_deref() {
        None => None,
        Some(email) => {
            Some(mail::address(email).ok_or_else(|| Problem::bad("email", "is no address of mail"))?)
        }
    };
    let mail = catalog.config.mail.as_ref().filter(|_| to.is_some());
    let token = random::token(TOKEN_PREFIX);
    let hash = digest(&token);
    let what = OneTime {
        email: to.as_ref().map(ToString::to_string),
        role: Some(role),
        group_id: input.group_id,
        by_mail: mail.is_some(),
        ..OneTime::new(Purpose::Invitation, None, now_ms() + i64::from(days) * DAY_MS)
    };
    let mut invitation = shown((hash, what.clone()));
    let by = actor.by(&asked);
    asked.enter(move |books| one_time::invite(books, &by, &hash, &what)).await?;
    match (mail, to) {
        (Some(mail), Some(to)) => {
            letters::post(&asked, mail, to.clone(), move |asked| async move {
                Some(letters::invitation(&asked, to, &token))
            })?;
        }
        _ => {
            let url = sign_in::public_url(&catalog.config);
            invitation.link = Some(format!("{url}/sign_up#token={token}"));
            invitation.token = Some(token);
        }
    }
    Ok((StatusCode::CREATED, Json(invitation)))
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/invitations/{id}", tag = "users", params(("id" = String, Path)),
    responses((status = 204, description = "It is good no more.")))]
async fn take_invitation_back(asked: Asked, actor: Actor, Named(id): Named) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    let gone = asked.enter(move |books| {
        let open = one_time::invitations(books, by.at_ms)?;
        let found = open.into_iter().find(|(hash, _)| public_id(hash) == id);
        match found {
            Some((hash, _)) => one_time::take_back(books, &by, &hash),
            None => Ok(false),
        }
    });
    if gone.await? { Ok(Done) } else { Err(Problem::missing()) }
}

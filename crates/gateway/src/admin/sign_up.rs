//! Becoming a user: off, by invitation, or open to whoever reads the address that he names.
//!
//! In: an address, or the token of a link. Out: a user, signed in. Nobody is made before the link came back, so that no row, no
//! name and no password stands for somebody who never was; and no answer tells whether an address is known.

use axum::{Json, response::Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::{
    one_time::{self, OneTime, Purpose},
    users::{self, Role as UserRole, Who},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, Role, now_ms},
    asked::Asked,
    input::{Done, Input},
    letters,
    problem::{Code, Problem},
    proof,
    session::{self, Typed},
};
use crate::{
    catalog::{Digest, digest},
    config::SignUpMode,
    mail, random, sign_in,
};

const INVITATION_DAYS: u32 = 7;
const MOST_DAYS: u32 = 90;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Longer names do not fit into a line of a list.
const LONGEST_NAME: usize = 64;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(ways_in, ask_to_sign_up))
        .routes(routes!(sign_up))
        .routes(routes!(invitations, invite))
        .routes(routes!(take_invitation_back))
}

/// A name that a user may have: no `@`, so that it is nobody's address.
pub fn checked_name(field: &str, name: &str) -> Result<String, Problem> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !fits || name.chars().any(|c| c.is_control() || c == '@') {
        let reason = format!("must have 1 to {LONGEST_NAME} printable characters, and no @");
        return Err(Problem::bad(field, reason));
    }
    Ok(name.to_owned())
}

/// A user who was made just now.
pub struct SignedUp {
    pub id: i64,
    pub via: &'static str,
}

impl SignedUp {
    /// Signs him in.
    pub async fn welcome(self, asked: &Asked, headers: &HeaderMap) -> Result<Response, Problem> {
        let user = session::user(asked, self.id).await?;
        session::begin(asked, headers, user, self.via).await
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct WaysIn {
    /// off, invitation or open.
    sign_up: &'static str,
    /// Signing in at the OpenID provider.
    oidc: bool,
    /// A forgotten password can be reset by mail.
    password_reset: bool,
}

/// How one can come in here.
#[utoipa::path(get, path = "/sign_up", tag = "session", responses((status = 200, body = WaysIn)))]
async fn ways_in(asked: Asked) -> Json<WaysIn> {
    let catalog = asked.app.catalog.load();
    let config = &catalog.config;
    let sign_up = match config.sign_up.mode {
        SignUpMode::Off => "off",
        SignUpMode::Invitation => "invitation",
        SignUpMode::Open => "open",
    };
    Json(WaysIn { sign_up, oidc: config.oidc.is_some(), password_reset: config.mail.is_some() })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskToSignUp {
    email: String,
}

/// Sends a link to an address, if anybody may sign up. The answer is the same for all addresses.
#[utoipa::path(post, path = "/sign_up", tag = "session", request_body = AskToSignUp,
    responses((status = 202, description = "If the address can be used, a letter is on its way.")))]
async fn ask_to_sign_up(asked: Asked, Input(input): Input<AskToSignUp>) -> Result<StatusCode, Problem> {
    let catalog = asked.app.catalog.load_full();
    let config = &catalog.config;
    let (SignUpMode::Open, Some(mail)) = (config.sign_up.mode, &config.mail) else {
        return Err(Problem::new(Code::TurnedOff, "Nobody can sign up here without an invitation."));
    };
    proof::count_address(&asked)?;
    let to = mail::address(&input.email).ok_or_else(|| Problem::bad("email", "is no address of mail"))?;
    let domains = &config.sign_up.domains;
    if !domains.is_empty() && !domains.contains(&to.domain().to_ascii_lowercase()) {
        return Err(Problem::bad("email", format!("must be an address of {}", domains.join(", "))));
    }
    letters::post(&asked, mail, to.clone(), move |asked| async move {
        let (who, email) = (to.to_string(), to.to_string());
        let known = asked.look(move |books| users::find(books, Who::Email(&who))).await.ok()?.is_some();
        if known {
            return Some(letters::already(&asked, to));
        }
        let what = OneTime {
            email: Some(email),
            by_mail: true,
            ..OneTime::new(Purpose::SignUp, None, now_ms() + letters::GOOD_FOR_MS)
        };
        let token = random::token("slu_");
        let hash = digest(&token);
        asked.look(move |books| one_time::issue(books, &hash, &what, now_ms())).await.ok()?;
        Some(letters::sign_up(&asked, to, &token))
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignUp {
    /// Of the link in the letter, or of the invitation.
    token: Typed,
    name: String,
    password: Typed,
}

/// Makes a user for a link, and signs him in.
#[utoipa::path(post, path = "/sign_up/complete", tag = "session", request_body = SignUp,
    responses((status = 201, description = "The session is in the cookie.", body = session::SignedIn)))]
async fn sign_up(asked: Asked, headers: HeaderMap, Input(input): Input<SignUp>) -> Result<Response, Problem> {
    let purpose = match input.token.text() {
        token if token.starts_with(INVITATION) => Purpose::Invitation,
        _ => Purpose::SignUp,
    };
    // A link that was sent before it was turned off is good no more.
    match (asked.app.catalog.load().config.sign_up.mode, purpose) {
        (SignUpMode::Open, _) | (SignUpMode::Invitation, Purpose::Invitation) => {}
        _ => return Err(Problem::new(Code::TurnedOff, "Nobody can sign up here.")),
    }
    proof::count_address(&asked)?;
    let name = checked_name("name", &input.name)?;
    let password = proof::new_password(&asked, "password", input.password.text(), &name).await?;
    let token = digest(input.token.text());
    let via = if purpose == Purpose::Invitation { "invitation" } else { "mail" };
    let by = session::stranger(&asked, via);
    let id = asked.enter(move |books| users::sign_up(books, &by, &token, purpose, &name, &password)).await?;
    SignedUp { id, via }.welcome(&asked, &headers).await
}

/// How the token of an invitation begins.
const INVITATION: &str = "sli_";

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
        id: super::account::public_id(&hash),
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
    let days = input.days.unwrap_or(INVITATION_DAYS);
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
    let token = random::token(INVITATION);
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
async fn take_invitation_back(
    asked: Asked,
    actor: Actor,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Done, Problem> {
    actor.needs(Role::Admin)?;
    let by = actor.by(&asked);
    let gone = asked.enter(move |books| {
        let open = one_time::invitations(books, by.at_ms)?;
        let found = open.into_iter().find(|(hash, _)| super::account::public_id(hash) == id);
        match found {
            Some((hash, _)) => one_time::take_back(books, &by, &hash),
            None => Ok(false),
        }
    });
    if gone.await? { Ok(Done) } else { Err(Problem::missing()) }
}

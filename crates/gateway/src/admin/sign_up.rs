//! Becoming a user: off, by invitation, or open to whoever reads the address that he names.
//!
//! In: an address, or the token of a link. Out: a user, signed in. Nobody is made before the link came back, so that no row, no
//! name and no password stands for somebody who never was; and no answer tells whether an address is known.

use axum::{Json, response::Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::{
    one_time::{self, OneTime, Purpose},
    users::{self, Who},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::now_ms,
    asked::Asked,
    input::Input,
    invitations::TOKEN_PREFIX,
    letters,
    problem::{Code, Problem},
    proof::{self, Proved},
    session::{self, Typed},
};
use crate::{catalog::digest, config::SignUpMode, mail, random};

/// Longer names do not fit into a line of a list.
const LONGEST_NAME: usize = 64;

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(ways_in, ask_to_sign_up)).routes(routes!(sign_up))
}

/// A name that a user may have: no `@`, so that it is nobody's address, and no number, so that it is nobody's number.
pub fn checked_name(field: &str, name: &str) -> Result<String, Problem> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
    if !fits || name.chars().any(|c| c.is_control() || c == '@') {
        let reason = format!("must have 1 to {LONGEST_NAME} printable characters, and no @");
        return Err(Problem::bad(field, reason));
    }
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::bad(field, "must not be a number: commands would take it for another user's"));
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
        proof::take_address_back(asked);
        session::begin(asked, headers, Proved { user, hash: None }, self.via).await
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
        token if token.starts_with(TOKEN_PREFIX) => Purpose::Invitation,
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

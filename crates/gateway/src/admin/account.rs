//! What users manage about themselves: password, sessions, access tokens, second factor, address.
//!
//! In: a request of a session. Out: what is the user's own. An access token can do none of this: whoever steals one must not be
//! able to stay. What one signs in with is changed by who knows the password only.

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::{
    access_tokens::{self, AccessToken, NewToken},
    one_time::{self, Hash, OneTime, Purpose},
    second_factor, sessions,
    users::{self, Who},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, TOKEN_PREFIX, Via, now_ms},
    asked::Asked,
    cookie,
    input::{Done, Id, Input},
    letters,
    problem::{Code, Problem},
    proof,
    session::{self, Me, Typed},
};
use crate::{catalog::digest, mail, random, sign_in, totp};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const TOKEN_DAYS: u32 = 90;
const MOST_DAYS: u32 = 366;
const RECOVERY_CODES: usize = 10;
const SCOPES: [&str; 3] = ["read", "write", "admin"];

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(account))
        .routes(routes!(change_password))
        .routes(routes!(list_sessions, end_other_sessions))
        .routes(routes!(end_session))
        .routes(routes!(list_access_tokens, make_access_token))
        .routes(routes!(end_access_token))
        .routes(routes!(offer_second_factor, confirm_second_factor, remove_second_factor))
        .routes(routes!(renew_recovery_codes))
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
    asked.enter(move |books| users::set_password(books, &by, id, &password)).await?;
    session::begin(&asked, &headers, user, "session").await
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
async fn end_session(asked: Asked, actor: Actor, Path(id): Path<String>) -> Result<Done, Problem> {
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
    let name = super::sign_up::checked_name("name", &input.name)?;
    let days = input.days.unwrap_or(TOKEN_DAYS);
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

//! Signing in at the operator's OpenID provider, and tying an account to an identity there.
//!
//! In: a browser that leaves, and one that comes back. Out: a session. Who is who is told by issuer and subject, which do not
//! change; an address only when both the provider and we have verified it, and never for an admin. What the browser takes along is
//! sealed and its own: a callback that another browser began is refused.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{
    sessions,
    users::{self, NewUser, Role, User, Who},
};
use tracing::{info, warn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    actor::{Actor, now_ms},
    asked::Asked,
    cookie,
    input::{Done, Input, Loose},
    own::in_session,
    problem::{Code, Problem},
    proof::{self, Proved},
    session::{self, SignedIn, Typed},
    sign_up::checked_name,
};
use crate::{
    config::Oidc,
    oidc::{Identity, Journey},
    random, sign_in,
};

/// For the way to the provider and back, and for typing a second factor.
const JOURNEY_S: i64 = 10 * 60;
/// Where the provider sends browsers back to.
const CALLBACK: &str = "/api/v1/oidc/callback";

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(start_oidc))
        .routes(routes!(oidc_callback))
        .routes(routes!(second_factor))
        .routes(routes!(tie_oidc, untie_oidc))
}

#[derive(Debug, Serialize, ToSchema)]
struct Departure {
    /// Where the browser goes now.
    url: String,
}

/// Somebody the provider vouched for, who still owes the second factor.
#[derive(Debug, Serialize, Deserialize)]
struct HalfWay {
    user: i64,
    expires_ms: i64,
}

/// Begins to sign in at the provider.
#[utoipa::path(post, path = "/oidc/start", tag = "session", responses((status = 201, body = Departure)))]
async fn start_oidc(asked: Asked) -> Result<Response, Problem> {
    proof::count_address(&asked)?;
    depart(&asked, None).await
}

/// Begins to tie one's account to an identity of the provider.
#[utoipa::path(post, path = "/account/oidc", tag = "account", responses((status = 201, body = Departure)))]
async fn tie_oidc(asked: Asked, actor: Actor) -> Result<Response, Problem> {
    let user = in_session(&actor)?;
    depart(&asked, Some(user)).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Untie {
    password: Typed,
    code: Option<Typed>,
}

/// Unties one's account from the provider.
#[utoipa::path(delete, path = "/account/oidc", tag = "account", request_body = Untie,
    responses((status = 204, description = "Only the password is left.")))]
async fn untie_oidc(asked: Asked, actor: Actor, Input(input): Input<Untie>) -> Result<Done, Problem> {
    let (user, by) = (in_session(&actor)?, actor.by(&asked));
    proof::again(&asked, user, input.password.secret(), input.code.as_ref().map(Typed::text)).await?;
    asked.enter(move |books| users::tie_oidc(books, &by, user, None)).await?;
    Ok(Done)
}

fn settings(asked: &Asked) -> Result<(Oidc, String), Problem> {
    let catalog = asked.app.catalog.load();
    let oidc = catalog.config.oidc.clone();
    let oidc = oidc.ok_or_else(|| Problem::new(Code::TurnedOff, "There is no OpenID provider here."))?;
    Ok((oidc, sign_in::public_url(&catalog.config)))
}

async fn depart(asked: &Asked, user: Option<i64>) -> Result<Response, Problem> {
    let (oidc, url) = settings(asked)?;
    let expires_ms = now_ms() + JOURNEY_S * 1000;
    let began = asked.app.sign_in.providers.begin(&oidc, &format!("{url}{CALLBACK}"), user, expires_ms).await;
    let (url, journey) = began.map_err(|error| {
        warn!(request_id = %asked.request_id, %error, "the OpenID provider cannot be asked");
        Problem::new(Code::Unavailable, "The OpenID provider does not answer.")
    })?;
    let cookie = sealed(asked, cookie::JOURNEY, &journey).await?;
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(Departure { url })).into_response())
}

/// A cookie that only this gateway can write and read.
async fn sealed<T: Serialize>(asked: &Asked, name: &'static str, value: &T) -> Result<HeaderValue, Problem> {
    let text = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
    let sealed = asked.look(move |books| {
        Ok::<_, store::StoreError>(books.sealer().and_then(|sealer| sealer.seal(name, &text)).ok())
    });
    let sealed = sealed.await?.ok_or_else(Problem::internal)?;
    Ok(cookie::set(name, &BASE64_URL_SAFE_NO_PAD.encode(sealed), JOURNEY_S, asked.is_secure()))
}

async fn opened<T: DeserializeOwned>(asked: &Asked, headers: &HeaderMap, name: &'static str) -> Option<T> {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(cookie::read(headers, name)?).ok()?;
    let text = asked.look(move |books| {
        Ok::<_, store::StoreError>(books.sealer().and_then(|sealer| sealer.open(name, &sealed)).ok())
    });
    serde_json::from_slice(&text.await.ok()??).ok()
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Arrival {
    code: Option<Typed>,
    state: Option<Typed>,
    /// What the provider says where it refuses.
    error: Option<String>,
    #[serde(flatten)]
    #[param(ignore)]
    _more: std::collections::HashMap<String, String>,
}

/// Where browsers come back to from the provider; they are sent on to the console.
#[utoipa::path(get, path = "/oidc/callback", tag = "session", params(Arrival),
    responses((status = 303, description = "To the console: signed in, or with what went wrong.")))]
async fn oidc_callback(
    asked: Asked,
    headers: HeaderMap,
    Loose(arrival): Loose<Arrival>,
) -> Result<Response, Problem> {
    let (oidc, url) = settings(&asked)?;
    let clear = (header::SET_COOKIE, cookie::set(cookie::JOURNEY, "", 0, asked.is_secure()));
    let to = |page: &str| {
        let target = HeaderValue::from_str(&format!("{url}/{page}")).unwrap_or(HeaderValue::from_static("/"));
        (StatusCode::SEE_OTHER, [(header::LOCATION, target), clear.clone()])
    };
    let arrived = arrive(&asked, &headers, &oidc, &url, arrival).await;
    if arrived.is_ok() {
        proof::take_address_back(&asked);
    }
    match arrived {
        Ok(Arrived::SignedIn(user)) => {
            let proved = Proved { user, hash: None };
            let (_, cookie) = session::open(&asked, &headers, proved, "oidc").await?;
            Ok(both(to(""), cookie))
        }
        Ok(Arrived::Tied) => Ok(to("account").into_response()),
        Ok(Arrived::HalfWay(user)) => {
            let half_way = HalfWay { user, expires_ms: now_ms() + JOURNEY_S * 1000 };
            let cookie = sealed(&asked, cookie::HALF_WAY, &half_way).await?;
            Ok(both(to("sign_in#second_factor"), (header::SET_COOKIE, cookie)))
        }
        Err(refusal) => {
            info!(request_id = %asked.request_id, refusal, "nobody was signed in by the OpenID provider");
            Ok(to(&format!("sign_in#error={refusal}")).into_response())
        }
    }
}

fn both(to: impl IntoResponse, cookie: (http::HeaderName, HeaderValue)) -> Response {
    let mut response = to.into_response();
    response.headers_mut().append(cookie.0, cookie.1);
    response
}

enum Arrived {
    SignedIn(User),
    /// He owes the second factor.
    HalfWay(i64),
    Tied,
}

/// The refusal is a word for the console.
async fn arrive(
    asked: &Asked,
    headers: &HeaderMap,
    oidc: &Oidc,
    url: &str,
    arrival: Arrival,
) -> Result<Arrived, &'static str> {
    let journey: Journey = opened(asked, headers, cookie::JOURNEY).await.ok_or("journey")?;
    let same = arrival
        .state
        .is_some_and(|state| crate::catalog::digest(state.text()) == crate::catalog::digest(&journey.state));
    if !same || journey.expires_ms <= now_ms() {
        return Err("journey");
    }
    let code = arrival.code.filter(|_| arrival.error.is_none()).ok_or("refused")?;
    let for_user = journey.user;
    let redirect = format!("{url}{CALLBACK}");
    let ended = asked.app.sign_in.providers.end(oidc, &redirect, code.text().to_owned(), journey).await;
    let identity = ended.map_err(|error| {
        warn!(request_id = %asked.request_id, %error, "what the OpenID provider said is not believed");
        "provider"
    })?;
    if let Some(user) = for_user {
        return tie(asked, headers, user, identity).await;
    }
    let user = known(asked, oidc, identity).await?;
    if !user.active {
        return Err("disabled");
    }
    Ok(if user.has_totp { Arrived::HalfWay(user.id) } else { Arrived::SignedIn(user) })
}

/// Ties the identity to whoever set out, if he is still the one who is signed in here.
async fn tie(
    asked: &Asked,
    headers: &HeaderMap,
    user: i64,
    identity: Identity,
) -> Result<Arrived, &'static str> {
    let (_, hash) = cookie::session(headers).ok_or("journey")?;
    let lasting = sign_in::lasting(&asked.app.catalog.load().config.admin);
    let found = asked.look(move |books| sessions::find(books, &hash, lasting, now_ms())).await;
    let found = found.ok().flatten().filter(|(found, _)| found.id == user);
    let by = session::himself(asked, &found.ok_or("journey")?.0, "session");
    let tied = asked
        .enter(move |books| users::tie_oidc(books, &by, user, Some((&identity.issuer, &identity.subject))));
    // Somebody else's already.
    tied.await.map(|()| Arrived::Tied).map_err(|_| "taken")
}

/// The user of an identity: tied before, or of the same verified address, or made now.
async fn known(asked: &Asked, oidc: &Oidc, identity: Identity) -> Result<User, &'static str> {
    let (issuer, subject) = (identity.issuer.clone(), identity.subject.clone());
    let found = asked.look(move |books| users::find(books, Who::Oidc { issuer: &issuer, subject: &subject }));
    if let Some(user) = found.await.map_err(|_| "books")? {
        return Ok(user);
    }
    let mut taken = false;
    if let Some(email) = identity.email.clone() {
        let found =
            asked.look(move |books| users::find(books, Who::Email(&email))).await.map_err(|_| "books")?;
        if let Some(user) = found {
            // Whoever holds the address at the provider holds it here, but the keys of the house need more than that.
            if user.email_verified && user.role == Role::User && !user.has_oidc && user.active {
                return adopt(asked, user, identity).await;
            }
            taken = true;
        }
    }
    if taken || !oidc.create_users {
        return Err("unknown");
    }
    create(asked, identity).await
}

async fn adopt(asked: &Asked, user: User, identity: Identity) -> Result<User, &'static str> {
    let (by, id) = (session::himself(asked, &user, "oidc"), user.id);
    let tied = asked
        .enter(move |books| users::tie_oidc(books, &by, id, Some((&identity.issuer, &identity.subject))));
    tied.await.map(|()| user).map_err(|_| "books")
}

async fn create(asked: &Asked, identity: Identity) -> Result<User, &'static str> {
    let wished = identity.name.as_deref().and_then(|name| name.split('@').next());
    let wished = wished.and_then(|name| checked_name("name", name).ok());
    let name = wished.unwrap_or_else(|| format!("user-{}", &random::token("")[..8]));
    let new = |name: String| NewUser {
        name,
        role: Role::User,
        group_id: 1,
        email: identity.email.clone().map(|email| (email, true)),
        password: None,
        oidc: Some((identity.issuer.clone(), identity.subject.clone())),
    };
    // The name may be somebody's: then one beside it.
    for user in [new(name.clone()), new(format!("{name}-{}", &random::token("")[..6]))] {
        let by = session::stranger(asked, "oidc");
        match asked.enter(move |books| users::create(books, &by, &user)).await {
            Ok(id) => return session::user(asked, id).await.map_err(|_| "books"),
            Err(problem) if problem.code == Code::Taken => {}
            Err(_) => return Err("books"),
        }
    }
    Err("taken")
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactor {
    /// Six digits of the authenticator app, or a recovery code.
    code: Typed,
}

/// The second factor of somebody whom the provider vouched for.
#[utoipa::path(post, path = "/session/second_factor", tag = "session", request_body = SecondFactor,
    responses((status = 201, description = "The session is in the cookie.", body = SignedIn)))]
async fn second_factor(
    asked: Asked,
    headers: HeaderMap,
    Input(input): Input<SecondFactor>,
) -> Result<Response, Problem> {
    let half_way = opened::<HalfWay>(&asked, &headers, cookie::HALF_WAY).await;
    let half_way = half_way.filter(|half_way| half_way.expires_ms > now_ms());
    let half_way =
        half_way.ok_or_else(|| Problem::new(Code::NotSignedIn, "Begin again: sign in at the provider."))?;
    let user = proof::second(&asked, half_way.user, input.code.text()).await?;
    let clear = (header::SET_COOKIE, cookie::set(cookie::HALF_WAY, "", 0, asked.is_secure()));
    Ok(both(session::begin(&asked, &headers, Proved { user, hash: None }, "oidc").await?, clear))
}

//! Signing in elsewhere: OpenID Connect, authorization code with PKCE.
//!
//! In: the provider of the configuration, and what the browser brought back from it. Out: whom the provider vouches for. An
//! address counts only when the provider says that it was verified. Tokens of the provider are read once and kept nowhere.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicI64},
};

use bytes::Bytes;
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant, timeout};

use crate::{
    config::Oidc,
    random,
    upstream::{HttpUpstream, RequestBody, Upstream},
};

/// What a provider's answer may take in all.
const TOTAL: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Key sets and tokens are a few KiB.
const ANSWER_BYTES: usize = 256 * 1024;
/// How long what a provider says about itself is believed.
const BELIEVED: Duration = Duration::from_secs(10 * 60);

/// Why nobody is vouched for, for the log.
#[derive(Debug)]
pub struct OidcError(String);

impl fmt::Display for OidcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OidcError {}

fn failed(step: &str) -> impl Fn(&dyn fmt::Display) -> OidcError + '_ {
    move |error| OidcError(format!("{step}: {error}"))
}

/// What the browser keeps, sealed, while its user is at the provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct Journey {
    pub state: String,
    nonce: String,
    verifier: String,
    /// Whose account the identity is to be tied to; `None`: it is for signing in.
    pub user: Option<i64>,
    pub expires_ms: i64,
}

/// Whom the provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// Only one that the provider verified.
    pub email: Option<String>,
    /// What to call him, if he likes.
    pub name: Option<String>,
}

/// What providers said about themselves lately.
#[derive(Default)]
pub struct Providers {
    known: Mutex<Option<(Instant, String, CoreProviderMetadata)>>,
    sockets: Arc<AtomicI64>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}

impl Providers {
    /// `sockets` counts the open connections into the whole.
    pub fn new(sockets: Arc<AtomicI64>) -> Providers {
        Providers { known: Mutex::default(), sockets }
    }

    async fn metadata(&self, oidc: &Oidc) -> Result<CoreProviderMetadata, OidcError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, issuer, metadata)) = known
            && issuer == oidc.issuer
            && at.elapsed() < BELIEVED
        {
            return Ok(metadata);
        }
        let issuer = IssuerUrl::new(oidc.issuer.clone()).map_err(|error| failed("issuer")(&error))?;
        let found = CoreProviderMetadata::discover_async(issuer, &Fetch(self.sockets.clone())).await;
        let found = found.map_err(|error| failed("discovery")(&chain(&error)))?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), oidc.issuer.clone(), found.clone()));
        Ok(found)
    }

    /// Where the browser goes, and what it takes along.
    pub async fn begin(
        &self,
        oidc: &Oidc,
        redirect: &str,
        user: Option<i64>,
        expires_ms: i64,
    ) -> Result<(String, Journey), OidcError> {
        let metadata = self.metadata(oidc).await?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| failed("redirect")(&error))?;
        let client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(oidc.client_id.clone()), None)
                .set_redirect_uri(redirect);
        let verifier = PkceCodeVerifier::new(random::token(""));
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(random::token("")),
                || Nonce::new(random::token("")),
            )
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        let (state, nonce) = (state.into_secret(), nonce.secret().to_owned());
        let journey = Journey { state, nonce, verifier: verifier.into_secret(), user, expires_ms };
        Ok((url.to_string(), journey))
    }

    /// Whom the code is for. The journey's state was compared before.
    pub async fn end(
        &self,
        oidc: &Oidc,
        redirect: &str,
        code: String,
        journey: Journey,
    ) -> Result<Identity, OidcError> {
        let metadata = self.metadata(oidc).await?;
        let identity = self.redeem(oidc, metadata, redirect, code, journey).await;
        if identity.is_err() {
            // Its keys may have changed: the next one asks again.
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        identity
    }

    async fn redeem(
        &self,
        oidc: &Oidc,
        metadata: CoreProviderMetadata,
        redirect: &str,
        code: String,
        journey: Journey,
    ) -> Result<Identity, OidcError> {
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| failed("redirect")(&error))?;
        let secret = oidc.client_secret.as_ref().map(|secret| ClientSecret::new(secret.reveal().to_owned()));
        let client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(oidc.client_id.clone()), secret)
                .set_redirect_uri(redirect);
        let exchange =
            client.exchange_code(AuthorizationCode::new(code)).map_err(|error| failed("token")(&error))?;
        let fetch = Fetch(self.sockets.clone());
        let tokens =
            exchange.set_pkce_verifier(PkceCodeVerifier::new(journey.verifier)).request_async(&fetch).await;
        let tokens = tokens.map_err(|error| failed("token")(&chain(&error)))?;
        let id = tokens.id_token().ok_or_else(|| OidcError("token: no id_token in it".to_owned()))?;
        let claims = id
            .claims(&client.id_token_verifier(), &Nonce::new(journey.nonce))
            .map_err(|error| failed("id_token")(&error))?;
        let email = claims.email().filter(|_| claims.email_verified() == Some(true));
        Ok(Identity {
            issuer: claims.issuer().to_string(),
            subject: claims.subject().to_string(),
            email: email.map(|email| email.to_string()),
            name: claims.preferred_username().map(|name| name.to_string()),
        })
    }
}

/// Our own HTTP client in the words of the library. It follows no redirect and waits no longer than [`TOTAL`].
struct Fetch(Arc<AtomicI64>);

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = OidcError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, OidcError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let fetching = fetch(HttpUpstream::new(CONNECT, None, self.0.clone()), request);
            timeout(TOTAL, fetching).await.map_err(|_| OidcError("no whole answer within 10 s".to_owned()))?
        })
    }
}

async fn fetch(upstream: HttpUpstream, request: HttpRequest) -> Result<HttpResponse, OidcError> {
    let request = request.map(|body| RequestBody::new(vec![Bytes::from(body)], None));
    let response = upstream.send(request).await.map_err(|error| failed("provider")(&error))?;
    let (parts, mut body) = response.into_parts();
    let mut whole = Vec::new();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| failed("provider")(&error))?;
        if whole.len() + bytes.len() > ANSWER_BYTES {
            return Err(OidcError("an answer that is too long".to_owned()));
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(HttpResponse::from_parts(parts, whole))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

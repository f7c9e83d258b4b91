//! Cookies of a browser that is signed in, or on its way.
//!
//! In: the request's headers. Out: the token of a session, and headers that set or clear a cookie. Scripts of a page never see
//! one, other sites' forms never send one, and where people come by https it never travels without.

use http::{HeaderMap, HeaderValue, header};
use ring::digest::{Context, SHA256};
use store::one_time::Hash;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use crate::catalog::digest;

/// The token of a session.
pub const SESSION: &str = "sluice_session";
/// What a browser takes along to an OpenID provider and back, sealed.
pub const JOURNEY: &str = "sluice_oidc";
/// Who came back from there and still owes the second factor, sealed.
pub const HALF_WAY: &str = "sluice_half_way";
/// Where every change by session repeats [`csrf_token`].
pub const CSRF_HEADER: &str = "x-csrf-token";
/// Everything that reads a cookie is here; the doors of the data plane never get one.
const PATH: &str = "/api/v1";

/// The value of a cookie; the first of that name, as browsers send the most specific first.
pub fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// What the session of a request is found by.
pub fn session(headers: &HeaderMap) -> Option<(&str, Hash)> {
    let token = read(headers, SESSION)?;
    Some((token, digest(token)))
}

/// `max_age` in seconds; 0 clears it.
pub fn set(name: &str, value: &str, max_age: i64, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={PATH}; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    // Tokens and sealed values are base64url: always a header's characters.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// What only a page that was given it can repeat: worked out of the session's token, and of no use without it.
pub fn csrf_token(session_token: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(b"sluice csrf token of session ");
    context.update(session_token.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(context.finish())
}

/// Whether the request repeats its session's token.
pub fn repeats_csrf_token(headers: &HeaderMap, session_token: &str) -> bool {
    let Some(said) = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()) else { return false };
    digest(said) == digest(&csrf_token(session_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_a_cookie_is_for_browsers_only_and_for_this_site_only() {
        let text = set(SESSION, "abc", 60, true);
        assert_eq!(text, "sluice_session=abc; Path=/api/v1; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(!set(SESSION, "abc", 60, false).to_str().unwrap().contains("Secure"));
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; sluice_session_x=no"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=d;sluice_session=yes; e=f"));
        assert_eq!(read(&headers, SESSION), Some("yes"));
        assert_eq!(read(&headers, "sluice"), None);
    }

    #[test]
    fn s8_only_the_sessions_own_token_will_do() {
        let mut headers = HeaderMap::new();
        assert!(!repeats_csrf_token(&headers, "session"));
        for (said, good) in
            [(csrf_token("another"), false), (String::new(), false), (csrf_token("session"), true)]
        {
            headers.insert(CSRF_HEADER, said.parse().unwrap());
            assert_eq!(repeats_csrf_token(&headers, "session"), good);
        }
        assert_ne!(csrf_token("session"), "session");
    }
}

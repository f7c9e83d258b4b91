//! Addresses as people type them: base URLs, egress proxies, browser origins.
//!
//! In: text. Out: the address, or what was found wrong with it. An address may carry a password, so no message here
//! repeats the text.

use http::{Uri, uri::Authority};

use super::{Proxy, ProxyScheme};
use crate::secret::Secret;

pub(super) const BASE_URL: &str =
    "an address such as \"https://api.example.com\" or \"https://api.example.com/v1\"";
pub(super) const PROXY: &str =
    "\"http://host:port\" or \"socks5://host:port\", with user:password@ if needed";
pub(super) const ORIGIN: &str = "\"*\" or an origin such as \"https://chat.example.com\", without a path";

/// Ends of a path that belong to one call, not to the base of all.
const ENDPOINTS: [&str; 6] =
    ["/chat/completions", "/completions", "/embeddings", "/responses", "/messages", "/moderations"];

/// The base URL of an upstream, without trailing slashes.
pub(super) fn base_url(text: &str) -> Result<Uri, &'static str> {
    // `http` drops a fragment in silence.
    if text.contains('#') {
        return Err("an address with a fragment (#)");
    }
    let trimmed = text.trim_end_matches('/');
    let uri: Uri = trimmed.parse().map_err(|_| "something that is not an address")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("an address without http:// or https://");
    }
    let authority = uri.authority().ok_or("an address without a host")?;
    if authority.as_str().contains('@') {
        return Err("an address with a user or password (keys belong in `secrets`)");
    }
    check_host(authority)?;
    if uri.query().is_some() {
        return Err("an address with a query (?)");
    }
    if ENDPOINTS.iter().any(|end| uri.path().ends_with(end)) {
        return Err("the address of a single call (leave off its last part)");
    }
    Ok(uri)
}

/// An egress proxy.
pub(super) fn proxy(text: &str) -> Result<Proxy, &'static str> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (ProxyScheme::Http, rest),
        Some(("socks5", rest)) => (ProxyScheme::Socks5, rest),
        Some(_) => return Err("a proxy of another kind"),
        None => return Err("an address without http:// or socks5://"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // A password may hold an `@` that nobody encoded: the host is what follows the last.
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, rest),
    };
    let authority: Authority = host.parse().map_err(|_| "a proxy without a proper host")?;
    check_host(&authority)?;
    if authority.port_u16().is_none() {
        return Err("a proxy without a port");
    }
    let address = Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
    let address = address.map_err(|_| "a proxy without a proper host")?;
    let credentials = login.map(credentials).transpose()?;
    Ok(Proxy { scheme, address, credentials })
}

fn credentials(login: &str) -> Result<(String, Secret), &'static str> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let user = percent_decode(user).filter(|user| !user.is_empty()).ok_or("a proxy with an improper user")?;
    let password = percent_decode(password).ok_or("a proxy with an improper password")?;
    Ok((user, Secret::new(password)))
}

/// An origin as browsers send it, in lower case; `None`: not of that form.
pub(super) fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let text = text.to_ascii_lowercase();
    let (scheme, host) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority: Authority = host.parse().ok()?;
    let is_host = check_host(&authority).is_ok() && !host.contains(['@', '*']);
    (is_scheme && is_host).then_some(text)
}

fn check_host(authority: &Authority) -> Result<(), &'static str> {
    if authority.host().is_empty() {
        return Err("an address without a host");
    }
    let after_host = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
    let after_host = after_host.strip_prefix(authority.host()).unwrap_or_default();
    match after_host.strip_prefix(':').map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(_) => Err("an address with an improper port"),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_lose_their_trailing_slash() {
        for (text, path) in [
            ("https://api.example.com", "/"),
            ("https://api.example.com/", "/"),
            ("http://127.0.0.1:8000/v1//", "/v1"),
            ("http://[::1]:8000/api/v3", "/api/v3"),
        ] {
            assert_eq!(base_url(text).unwrap().path(), path, "{text}");
        }
        for wrong in [
            "",
            "/",
            "api.example.com",
            "ftp://api.example.com",
            "https://",
            "https:///v1",
            "https://user:pw@api.example.com",
            "https://api.example.com?a=b",
            "https://api.example.com/#x",
            "https://api.example.com:0",
            "https://api.example.com:99999",
            "https://api.example.com/v1/chat/completions",
            "https://exa mple.com",
        ] {
            assert!(base_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_keep_their_credentials_apart() {
        let plain = proxy("http://127.0.0.1:3128").unwrap();
        assert_eq!(plain.scheme, ProxyScheme::Http);
        assert_eq!(plain.address.to_string(), "http://127.0.0.1:3128/");
        assert_eq!(plain.credentials, None);
        let socks = proxy("socks5://me:p%40ss@w@proxy.example.com:1080/").unwrap();
        assert_eq!(socks.scheme, ProxyScheme::Socks5);
        assert_eq!(socks.address.to_string(), "http://proxy.example.com:1080/");
        assert_eq!(socks.credentials, Some(("me".to_owned(), Secret::new("p@ss@w"))));
        for wrong in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://:3128",
            "http://proxy:3128/path",
            "http://a%zz:b@proxy:1",
            "http://:pw@proxy:1",
        ] {
            assert!(proxy(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_have_no_path() {
        assert_eq!(origin("*").as_deref(), Some("*"));
        assert_eq!(origin("https://Chat.Example.com:8443").as_deref(), Some("https://chat.example.com:8443"));
        assert_eq!(origin("chrome-extension://abcdef").as_deref(), Some("chrome-extension://abcdef"));
        for wrong in
            ["", "null", "chat.example.com", "https://a.example/", "https://*.example.com", "https://a@b"]
        {
            assert_eq!(origin(wrong), None, "{wrong}");
        }
    }
}

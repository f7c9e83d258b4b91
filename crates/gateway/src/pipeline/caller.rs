//! Step 2: who calls.
//!
//! In: the request's head, its peer and the catalog. Out: a [`Caller`], or the fault of having no key, a wrong one, or one
//! that is not good now or from there. It must run before the body is read: strangers cost no memory.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use crate::{
    catalog::{Catalog, Key},
    clock::unix_ms,
    fault::ClientFault,
    networks::client_address,
};

/// The key a request came with.
#[derive(Clone, Debug)]
pub struct Caller {
    pub key: Arc<Key>,
}

/// Headers that carry a key as they are, in the order in which they are tried.
static KEY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

impl Caller {
    /// Whose key it is. Tries every key the request carries: clients often send two, one of them a placeholder.
    pub fn identify(
        headers: &HeaderMap,
        query: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Caller, ClientFault> {
        let mut any = false;
        for presented in presented(headers, query) {
            any = true;
            if let Some(key) = catalog.key(&presented) {
                return Ok(Caller { key: key.clone() });
            }
        }
        Err(if any { ClientFault::WrongKey } else { ClientFault::NoKey })
    }

    /// Whether the key is good now, and from there.
    pub fn check(&self, peer: IpAddr, headers: &HeaderMap, catalog: &Catalog) -> Result<(), ClientFault> {
        let key = &self.key;
        if key.is_disabled {
            return Err(ClientFault::KeyDisabled);
        }
        if key.expires_ms.is_some_and(|expires_ms| unix_ms() >= expires_ms) {
            return Err(ClientFault::KeyExpired);
        }
        if key.networks.0.is_empty() {
            return Ok(());
        }
        let address = client_address(peer, headers, &catalog.config.proxies.trusted);
        if key.networks.allow(address) { Ok(()) } else { Err(ClientFault::AddressNotAllowed { address }) }
    }

    /// Who calls, with a key that is good.
    pub fn of(
        peer: IpAddr,
        headers: &HeaderMap,
        query: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Caller, ClientFault> {
        let caller = Caller::identify(headers, query, catalog)?;
        caller.check(peer, headers, catalog)?;
        Ok(caller)
    }

    /// Names what a caller made, apart from every other caller's: names of keys may be alike.
    pub fn id(&self) -> i64 {
        self.key.purse.id
    }
}

/// Every key that the request carries, in every form that clients send them.
fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> impl Iterator<Item = Cow<'a, str>> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(|value| {
        let value = value.trim();
        match value.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => value[7..].trim(),
            _ => value,
        }
    });
    let named = KEY_HEADERS.iter().filter_map(|name| headers.get(name)?.to_str().ok()).map(str::trim);
    let queried = query
        .unwrap_or("")
        .split('&')
        .filter_map(|pair| pair.strip_prefix("key="))
        .map(|value| percent_encoding::percent_decode_str(value).decode_utf8_lossy());
    bearer.into_iter().chain(named).map(Cow::Borrowed).chain(queried).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_every_form() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer  sk-one ".parse().unwrap());
        headers.insert("x-api-key", "two".parse().unwrap());
        headers.insert("x-goog-api-key", "three".parse().unwrap());
        let found: Vec<_> = presented(&headers, Some("alt=sse&key=fo%75r")).collect();
        assert_eq!(found, ["sk-one", "two", "three", "four"]);
        headers.insert("authorization", "bearer five".parse().unwrap());
        assert_eq!(presented(&headers, None).next().as_deref(), Some("five"));
        headers.insert("authorization", "six".parse().unwrap());
        assert_eq!(presented(&headers, None).next().as_deref(), Some("six"));
    }
}

//! Where a call goes: a channel's base URL and a row's path, put together as people mean it.
//!
//! In: a base URL as typed and a path from the table. Out: the whole URL. It must accept every form that a provider's
//! documentation gives for its base URL: the bare host, with the version, with the API's own prefix.

use http::Uri;

/// Starts a path that does not lie under the provider's usual base: what the base URL adds to the host is cut first.
const ELSEWHERE: &str = "//";

/// The usual bases of providers that have a second dialect elsewhere on the host.
const USUAL_BASES: [&str; 3] = ["/api/paas/v4", "/api/coding/paas/v4", "/compatible-mode/v1"];

/// Appends `path` to `base_url`.
///
/// - What the base URL ends with and the path starts with is written once: `https://host/openai` and
///   `/openai/v1/responses` make `https://host/openai/v1/responses`.
/// - A base URL that ends in a version segment (`/v1`, `/v1beta`, `/api/v3`) replaces the path's own: `https://host/v4`
///   and `/v1/chat/completions` make `https://host/v4/chat/completions`.
/// - A path that starts with `//` lies elsewhere: `https://host/api/paas/v4` and `//api/anthropic/v1/messages` make
///   `https://host/api/anthropic/v1/messages`. Of the base URL's path only a proxy's prefix stays.
pub fn join(base_url: &Uri, path: &str) -> String {
    let base = base_url.path().trim_end_matches('/');
    let (base, path) = match path.strip_prefix(ELSEWHERE) {
        Some(path) => (without_home(base), path),
        None => (base, path.strip_prefix('/').unwrap_or(path)),
    };
    let path = without_overlap(base, path);
    let scheme = base_url.scheme_str().unwrap_or("https");
    let authority = base_url.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{base}/{path}")
}

/// `path` without what `base` already ends with.
fn without_overlap<'p>(base: &str, path: &'p str) -> &'p str {
    // The longest overlap first: `/v1` alone must not hide `/openai/v1`.
    for (end, _) in path.match_indices('/').collect::<Vec<_>>().into_iter().rev() {
        let start = &path[..end];
        if base.strip_suffix(start).is_some_and(|before| before.ends_with('/')) {
            return &path[end + 1..];
        }
    }
    match path.split_once('/') {
        Some((first, rest)) if is_version(first) && base.rsplit('/').next().is_some_and(is_version) => rest,
        _ => path,
    }
}

/// The base URL's path without the part that leads to the provider's usual base.
fn without_home(base: &str) -> &str {
    if let Some(prefix) = USUAL_BASES.iter().find_map(|usual| base.strip_suffix(usual)) {
        return prefix;
    }
    match base.rsplit_once('/') {
        Some((prefix, last)) if is_version(last) => prefix,
        _ => base,
    }
}

/// `v1`, `v1beta`, `v4`: a `v` and a digit.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn joins(base: &str, path: &str, url: &str) {
        assert_eq!(join(&base.parse().unwrap(), path), url, "{base} and {path}");
    }

    #[test]
    fn a_version_is_written_once() {
        for base in ["https://host", "https://host/", "https://host/v1", "https://host/v1/"] {
            joins(base, "/v1/chat/completions", "https://host/v1/chat/completions");
        }
        joins("http://host:8000/api/v3", "/v1/chat/completions", "http://host:8000/api/v3/chat/completions");
        joins("https://host/v1beta", "/v1/models", "https://host/v1beta/models");
        joins("https://host/proxy", "/v1/messages", "https://host/proxy/v1/messages");
        joins("https://host/vault", "/v1/messages", "https://host/vault/v1/messages");
        joins("https://host/v1", "/chat/completions", "https://host/v1/chat/completions");
    }

    #[test]
    fn an_overlap_is_written_once() {
        for base in ["https://host", "https://host/openai", "https://host/openai/v1"] {
            joins(base, "/openai/v1/responses", "https://host/openai/v1/responses");
        }
        joins("https://host/notopenai", "/openai/v1/responses", "https://host/notopenai/openai/v1/responses");
        for base in ["https://host", "https://host/v1beta", "https://host/v1beta/openai"] {
            joins(base, "/v1beta/openai/embeddings", "https://host/v1beta/openai/embeddings");
        }
    }

    #[test]
    fn elsewhere_keeps_only_a_prefix_of_the_base() {
        let url = "https://host/api/anthropic/v1/messages";
        for base in
            ["https://host", "https://host/v1", "https://host/api/paas/v4", "https://host/api/coding/paas/v4"]
        {
            joins(base, "//api/anthropic/v1/messages", url);
        }
        joins(
            "https://p/zhipu/api/paas/v4",
            "//api/anthropic/v1/messages",
            "https://p/zhipu/api/anthropic/v1/messages",
        );
        joins("https://host/anthropic", "//anthropic/v1/messages", "https://host/anthropic/v1/messages");
    }
}

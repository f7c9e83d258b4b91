//! Takes out of an upstream's words what a caller must not read: keys, addresses, hosts.
//!
//! In: text an upstream wrote. Out: the same text with `[key]`, `[url]`, `[host]`, `[address]` and `[account]` in their
//! place, still JSON where it was JSON. It must run on every upstream text that a client gets; it may take out too much,
//! never too little.

use std::borrow::Cow;

use crate::secret::Secret;

/// What is known to be secret about one channel.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    secrets: Vec<Secret>,
    /// The upstream's host, and the name it is registered under.
    hosts: Vec<String>,
}

/// Beginnings of keys as providers write them, also when masked in the middle (`sk-ab***yz`).
const KEY_STARTS: [&str; 9] = ["sk-", "AIza", "gsk_", "xai-", "pplx-", "csk-", "fw_", "Bearer ", "hf_"];
/// Shorter runs behind such a beginning are words, not keys.
const KEY_LENGTH: usize = 8;

impl Redaction {
    pub fn new(secrets: impl IntoIterator<Item = Secret>, host: Option<&str>) -> Redaction {
        let mut hosts = Vec::new();
        if let Some(host) = host {
            hosts.push(host.to_ascii_lowercase());
            let labels: Vec<&str> = host.split('.').collect();
            if labels.len() > 2 && host.parse::<std::net::IpAddr>().is_err() {
                hosts.push(labels[labels.len() - 2..].join(".").to_ascii_lowercase());
            }
        }
        let secrets = secrets.into_iter().filter(|secret| !secret.reveal().is_empty()).collect();
        Redaction { secrets, hosts }
    }

    /// The text without what must not be read; borrowed when there was nothing to take out.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret.reveal()) {
                text = Cow::Owned(text.replace(secret.reveal(), "[key]"));
            }
        }
        replace_runs(&mut text, "[url]", url_at);
        for host in &self.hosts {
            replace_runs(&mut text, "[host]", |rest, before| host_at(host, rest, before));
        }
        replace_runs(&mut text, "[key]", key_at);
        replace_runs(&mut text, "[address]", address_at);
        replace_runs(&mut text, "[account]", account_at);
        text
    }

    /// The same for bytes; what is not UTF-8 is not passed on at all.
    pub fn apply_bytes(&self, bytes: &bytes::Bytes) -> Option<bytes::Bytes> {
        match self.apply(std::str::from_utf8(bytes).ok()?) {
            Cow::Borrowed(_) => Some(bytes.clone()),
            Cow::Owned(text) => Some(text.into()),
        }
    }
}

/// Replaces every run that `run_at` measures (in bytes from the start of the rest, given the character before).
fn replace_runs(text: &mut Cow<'_, str>, with: &str, run_at: impl Fn(&str, Option<char>) -> Option<usize>) {
    let mut out: Option<String> = None;
    let (mut copied, mut at, mut before) = (0, 0, None);
    while let Some(next) = text[at..].chars().next() {
        match run_at(&text[at..], before) {
            Some(length) if length > 0 => {
                let out = out.get_or_insert_with(String::new);
                out.push_str(&text[copied..at]);
                out.push_str(with);
                at += length;
                copied = at;
                before = Some(' ');
            }
            _ => {
                at += next.len_utf8();
                before = Some(next);
            }
        }
    }
    if let Some(mut out) = out {
        out.push_str(&text[copied..]);
        *text = Cow::Owned(out);
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn url_at(rest: &str, _: Option<char>) -> Option<usize> {
    let scheme = ["https://", "http://", "wss://", "ws://", "https:\\/\\/", "http:\\/\\/"];
    let start = scheme.iter().find(|scheme| starts_with_ignore_case(rest, scheme))?.len();
    let stops = |c: char| c.is_whitespace() || "\"'<>`)]}".contains(c);
    // In JSON a slash may be written `\/`; any other backslash begins an escape that is not the address's.
    let end = rest[start..]
        .char_indices()
        .find(|&(at, c)| stops(c) || c == '\\' && !rest[start + at + 1..].starts_with('/'));
    Some(end.map_or(rest.len(), |(at, _)| start + at))
}

fn host_at(host: &str, rest: &str, before: Option<char>) -> Option<usize> {
    if !starts_with_ignore_case(rest, host) || rest[host.len()..].chars().next().is_some_and(is_word) {
        return None;
    }
    if before.is_some_and(is_word) {
        return None;
    }
    Some(host.len())
}

fn key_at(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(is_word) {
        return None;
    }
    let start = KEY_STARTS.iter().find(|start| rest.starts_with(**start))?.len();
    let end = rest[start..].find(|c: char| !(is_word(c) || "-*.…".contains(c))).unwrap_or(rest.len() - start);
    (end >= KEY_LENGTH).then_some(start + end)
}

/// An IPv4 or bracketed or bare IPv6 address, with its port.
fn address_at(rest: &str, before: Option<char>) -> Option<usize> {
    /// With brackets, scope and port no address is longer.
    const LONGEST: usize = 64;
    if before.is_some_and(|c| is_word(c) || ".:[".contains(c)) {
        return None;
    }
    let first = rest.chars().next()?;
    if !(first.is_ascii_hexdigit() || first == '[' || first == ':') {
        return None;
    }
    let end = rest
        .bytes()
        .take(LONGEST + 1)
        .position(|byte| !(byte.is_ascii_hexdigit() || b".:[]".contains(&byte)));
    let end = end.unwrap_or(rest.len());
    if end > LONGEST {
        return None;
    }
    let run = rest[..end].trim_end_matches(['.', ':']);
    let address = run.parse::<std::net::SocketAddr>().is_ok()
        || run.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() && run.len() > 2;
    address.then_some(run.len())
}

/// The id behind `organization`, `project` and the like, as in "in organization org-abc123 on tokens per min".
fn account_at(rest: &str, before: Option<char>) -> Option<usize> {
    /// Shorter words are words.
    const ID_LENGTH: usize = 6;
    if before.is_some_and(|c| is_word(c) || c == '-') {
        return None;
    }
    let end = rest.find(|c: char| !(is_word(c) || c == '-')).unwrap_or(rest.len());
    let (id, numbered) = (&rest[..end], rest[..end].bytes().any(|byte| byte.is_ascii_digit()));
    let marked = ["org-", "org_", "proj_", "proj-", "acct_", "acct-", "team-", "projects-"];
    let named = marked.iter().any(|start| id.starts_with(start)) || numbered && id.contains("project");
    (named && numbered && end >= ID_LENGTH).then_some(end)
}

fn starts_with_ignore_case(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::new([Secret::new("topsecret-42")], Some("api.provider.example"))
    }

    #[test]
    fn takes_out_keys_urls_hosts_and_addresses() {
        let cases = [
            ("key topsecret-42 is bad", "key [key] is bad"),
            ("Incorrect API key provided: sk-proj-abc***********wxyz.", "Incorrect API key provided: [key]"),
            ("see https://api.provider.example/v1/x?key=1 now", "see [url] now"),
            ("see \"HTTPS://OTHER.example/a\"", "see \"[url]\""),
            ("dial api.provider.example failed", "dial [host] failed"),
            ("dial eu.Provider.example: no", "dial eu.[host]: no"),
            ("connect 10.1.2.3:443 refused", "connect [address] refused"),
            ("connect [fe80::1]:443 refused", "connect [address] refused"),
            ("connect 2001:db8::7 refused", "connect [address] refused"),
            ("AIzaSyA-1234567890abcdef is leaked", "[key] is leaked"),
            (
                "limit reached in organization org-Ab12cd34 on tokens",
                "limit reached in organization [account] on tokens",
            ),
            ("project sim-project-7 is out of it", "project [account] is out of it"),
            (r#"{"m":"see \"https://a.example/x\" now"}"#, r#"{"m":"see \"[url]\" now"}"#),
            (r#"{"m":"https:\/\/a.example\/x\n"}"#, r#"{"m":"[url]\n"}"#),
        ];
        for (said, read) in cases {
            assert_eq!(redaction().apply(said), read, "{said}");
        }
    }

    #[test]
    fn leaves_ordinary_words_alone() {
        for text in [
            "This model's maximum context length is 8192.",
            "ask-me later",
            "temperature 0.7 at 12:30",
            "a: b",
            "héllo — ünïcode",
        ] {
            assert!(matches!(redaction().apply(text), Cow::Borrowed(_)), "{text}");
        }
    }
}

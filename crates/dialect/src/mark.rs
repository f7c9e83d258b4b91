//! The mark on what a client keeps for a provider of another dialect.
//!
//! In: the thinking of an answer that was translated. Out: its token as the client's dialect carries it, and the token
//! again when it comes back. Whatever of that kind Sluice itself makes has the mark: so it is found in a body that goes to a
//! provider of the client's own dialect, who would refuse it.

use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use crate::{
    Dialect, Door, Operation,
    chat::{Opaque, OpaqueKind},
};

pub(crate) const MARK: &str = "sluice:";

/// In place of a token where the dialect demands one, and the provider of the thinking gave none.
pub(crate) const NO_TOKEN: &str = "sluice:unsigned";

/// Before the number of characters that a token belongs to.
const SHARE: char = '@';

/// How the mark begins in base64, in which Gemini has its tokens.
const MARK_IN_BASE64: &str = "c2x1aWNlO";

/// An opaque token as a client of `host` keeps it: its own as they are, others with the names of their dialect and their provider before them.
pub(crate) fn wrap(opaque: &Opaque, host: Dialect) -> String {
    if opaque.dialect == host {
        return opaque.value.clone();
    }
    let (dialect, kind) = (opaque.dialect.name(), opaque.kind.name());
    format!("{MARK}{dialect}:{kind}:{}:{}", opaque.maker.as_deref().unwrap_or_default(), opaque.value)
}

/// The same for a host whose stream tells words and tokens apart: with how many characters of them the token belongs to.
pub(crate) fn wrap_with_share(opaque: &Opaque, host: Dialect, characters: u64) -> String {
    if opaque.dialect == host {
        return opaque.value.clone();
    }
    let kind = opaque.kind.name();
    wrap(opaque, host).replacen(&format!(":{kind}:"), &format!(":{kind}{SHARE}{characters}:"), 1)
}

/// How many characters [`wrap_with_share`] was told.
pub(crate) fn share(value: &str) -> Option<usize> {
    let kind = value.strip_prefix(MARK)?.split(':').nth(1)?;
    kind.split_once(SHARE)?.1.parse().ok()
}

/// What [`wrap`] made, or a token of `host` itself; `None`: it stands for no token.
pub(crate) fn unwrap(value: String, host: Dialect, kind: OpaqueKind) -> Option<Opaque> {
    let Some(rest) = value.strip_prefix(MARK) else {
        return Some(Opaque { dialect: host, kind, value, maker: None });
    };
    let (dialect, rest) = rest.split_once(':')?;
    let (kind, rest) = rest.split_once(':')?;
    let (maker, value) = rest.split_once(':')?;
    let kind = kind.split_once(SHARE).map_or(kind, |(kind, _)| kind);
    let (dialect, kind) = (Dialect::from_name(dialect)?, OpaqueKind::from_name(kind)?);
    let maker = Some(maker).filter(|maker| !maker.is_empty()).map(Arc::from);
    Some(Opaque { dialect, kind, value: value.to_owned(), maker })
}

/// Whether the mark may stand in a request's body, a chat or the count of one: one search, and no other operation pays for it.
pub(crate) fn may_stand_in(body: &[u8], door: Door) -> bool {
    static PLAIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));
    static IN_BASE64: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK_IN_BASE64));
    let mark = match door.dialect {
        Dialect::GeminiGenerate => &IN_BASE64,
        Dialect::OpenaiChat | Dialect::OpenaiResponses | Dialect::AnthropicMessages => &PLAIN,
    };
    matches!(door.operation, Operation::Chat | Operation::CountTokens) && mark.find(body).is_some()
}

/// Whether a value, in its JSON, is a token with the mark.
pub(crate) fn is_on(value: Option<&str>, host: Dialect) -> bool {
    let mark = if host == Dialect::GeminiGenerate { MARK_IN_BASE64 } else { MARK };
    crate::json::raw_string(value).is_some_and(|value| value.starts_with(mark))
}

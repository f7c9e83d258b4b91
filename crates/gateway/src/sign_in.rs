//! What signing in needs while the program runs: places to hash passwords, tries so far, letters under way.
//!
//! All of it is in memory and bounded: a restart forgets the tries, and locks out nobody.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicI64},
};

use store::sessions::Lasting;

use crate::{
    config::{Admin, Config},
    lockout::{self, NameKey, Tries},
    mail::Outbox,
    oidc::Providers,
    password::Passwords,
};

#[derive(Debug)]
pub struct SignIn {
    pub passwords: Passwords,
    pub outbox: Outbox,
    pub providers: Providers,
    /// By the name that was typed.
    pub accounts: Tries<NameKey>,
    /// By where from.
    pub addresses: Tries<u128>,
    /// Letters by whom to.
    pub mailboxes: Tries<NameKey>,
}

impl SignIn {
    /// `sockets` counts open connections to providers into the whole.
    pub fn new(sockets: Arc<AtomicI64>) -> SignIn {
        SignIn {
            passwords: Passwords::default(),
            outbox: Outbox::default(),
            providers: Providers::new(sockets),
            accounts: Tries::new(lockout::ACCOUNT),
            addresses: Tries::new(lockout::ADDRESS),
            mailboxes: Tries::new(lockout::MAILBOX),
        }
    }
}

/// How long sessions last.
pub fn lasting(admin: &Admin) -> Lasting {
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Lasting { idle_ms: ms(admin.session_idle), total_ms: ms(admin.session_total) }
}

/// Where people reach the gateway, without a trailing slash: what the operator says, else where it was told to listen.
pub fn public_url(config: &Config) -> String {
    reachable_at(config, config.listen)
}

/// The same, where the address that it listens on is known.
pub fn reachable_at(config: &Config, listening: SocketAddr) -> String {
    match &config.admin.public_url {
        Some(url) => url.to_string().trim_end_matches('/').to_owned(),
        // An address that stands for all is nowhere one can go.
        None if listening.ip().is_unspecified() => format!("http://127.0.0.1:{}", listening.port()),
        None => format!("http://{listening}"),
    }
}

//! Signing in: each weakness of the systems that Sluice replaces, refused.

mod account;
pub mod browser;
mod letters;
mod lock;
mod mailbox;
mod oidc;
mod provider;
mod second_factor;
mod sessions;
mod setup;
mod tokens;

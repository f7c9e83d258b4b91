//! `[admin]`, `[sign_up]`, `[mail]` and `[oidc]`: who may sign in, and how letters reach people.
//!
//! In: the top level. Out: the sections. What sends links must know the address that people reach it at: a link is never made
//! from what a request claims.

use std::{ops::RangeInclusive, time::Duration};

use lettre::message::Mailbox;

use super::{
    Admin, Encryption, Mail, Oidc, SignUp, SignUpMode, address,
    fields::{Field, Fields},
    known,
    report::Report,
    sections::{section, set, whole},
};

/// A session of a minute is for tests; a year is longer than any device.
const SESSIONS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 60 * 60);
const PORTS: RangeInclusive<i128> = 1..=65_535;

pub(super) fn admin(report: &mut Report<'_>, top: &Fields<'_>) -> Admin {
    let mut admin = Admin::default();
    let Some(fields) = section(report, top, "admin", known::ADMIN) else { return admin };
    admin.public_url = fields.get(report, "public_url").and_then(|field| url(report, &field));
    let mut session = |key: &str| {
        let field = fields.get(report, key)?;
        field.duration(report, SESSIONS)
    };
    set(&mut admin.session_idle, session("session_idle"));
    set(&mut admin.session_total, session("session_total"));
    admin
}

pub(super) fn sign_up(report: &mut Report<'_>, top: &Fields<'_>, mail: Option<&Mail>) -> SignUp {
    let mut sign_up = SignUp::default();
    let Some(fields) = section(report, top, "sign_up", known::SIGN_UP) else { return sign_up };
    if let Some(field) = fields.get(report, "mode") {
        let expected = "\"off\", \"invitation\" or \"open\"";
        match field.text(report, expected) {
            Some("off") | None => {}
            Some("invitation") => sign_up.mode = SignUpMode::Invitation,
            Some("open") if mail.is_none() => {
                let message =
                    "found \"open\" without [mail], which must send the links that prove an address";
                field.problem(report, message.to_owned());
            }
            Some("open") => sign_up.mode = SignUpMode::Open,
            Some(_) => field.wrong(report, expected),
        }
    }
    if let Some(field) = fields.get(report, "domains") {
        let expected = "domains of mail such as \"example.com\"";
        for entry in field.list(report, &format!("a list of {expected}")).unwrap_or_default() {
            let Some(domain) = entry.text(report, expected) else { continue };
            if domain.is_empty() || domain.contains(['@', '*', '/', ' ']) {
                entry.wrong(report, expected);
                continue;
            }
            sign_up.domains.push(domain.to_ascii_lowercase());
        }
    }
    sign_up
}

pub(super) fn mail(report: &mut Report<'_>, top: &Fields<'_>, admin: &Admin) -> Option<Mail> {
    let table = top.get(report, "mail")?;
    let fields = section(report, top, "mail", known::MAIL)?;
    needs_public_url(report, &table, admin);
    let host = text(report, &fields, "host", "the mail server's name")?;
    let encryption = fields.get(report, "encryption");
    let encryption = encryption.map_or(Some(Encryption::StartTls), |field| {
        let expected = "\"starttls\", \"tls\", or \"none\" for a server on this machine";
        match field.text(report, expected)? {
            "starttls" => Some(Encryption::StartTls),
            "tls" => Some(Encryption::Tls),
            "none" if is_here(&host) => Some(Encryption::None),
            _ => {
                field.wrong(report, expected);
                None
            }
        }
    })?;
    let port = whole(report, &fields, "port", PORTS).unwrap_or(match encryption {
        Encryption::StartTls => 587,
        Encryption::Tls => 465,
        Encryption::None => 25,
    });
    let user = fields.get(report, "user");
    let user = user.and_then(|field| field.text(report, "a user of the mail server")).map(str::to_owned);
    let password = fields.get(report, "password").and_then(|field| field.secret(report));
    if let (Some(field), true) = (fields.get(report, "password"), user.is_none()) {
        field.problem(report, "found a password, expected user beside it".to_owned());
    }
    let expected = "the sender such as \"Sluice <sluice@example.com>\"";
    let from = fields.require(report, "from", expected)?;
    let mailbox: Option<Mailbox> = from.text(report, expected)?.parse().ok();
    let Some(mailbox) = mailbox else {
        from.wrong(report, expected);
        return None;
    };
    Some(Mail { host, port, encryption, user, password, from: mailbox })
}

/// A mail server whose words go over no wire.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn oidc(report: &mut Report<'_>, top: &Fields<'_>, admin: &Admin) -> Option<Oidc> {
    let table = top.get(report, "oidc")?;
    let fields = section(report, top, "oidc", known::OIDC)?;
    needs_public_url(report, &table, admin);
    let issuer = fields.require(report, "issuer", address::BASE_URL)?;
    // Kept as it is written: it must be the issuer of the tokens to the letter.
    let written = issuer.text(report, address::BASE_URL)?.to_owned();
    url(report, &issuer)?;
    let client_id = text(report, &fields, "client_id", "the id that the provider gave")?;
    let secret = fields.get(report, "client_secret");
    let client_secret = secret.and_then(|field| field.secret(report));
    let create_users = fields.get(report, "create_users");
    let create_users = create_users.and_then(|field| field.truth(report)).unwrap_or(false);
    Some(Oidc { issuer: written, client_id, client_secret, create_users })
}

fn needs_public_url(report: &mut Report<'_>, table: &Field<'_>, admin: &Admin) {
    if admin.public_url.is_none() {
        let message = "found no admin.public_url, which links must begin with";
        table.problem(report, message.to_owned());
    }
}

fn text(report: &mut Report<'_>, fields: &Fields<'_>, key: &str, expected: &str) -> Option<String> {
    let field = fields.require(report, key, expected)?;
    let text = field.text(report, expected)?;
    if text.is_empty() || text.contains(char::is_whitespace) {
        field.wrong(report, expected);
        return None;
    }
    Some(text.to_owned())
}

fn url(report: &mut Report<'_>, field: &Field<'_>) -> Option<http::Uri> {
    let text = field.text(report, address::BASE_URL)?;
    match address::base_url(text) {
        Ok(url) => Some(url),
        Err(found) => {
            field.problem(report, format!("found {found}, expected {}", address::BASE_URL));
            None
        }
    }
}

//! Letters: plain text, one recipient, handed to the operator's mail server.
//!
//! In: whom, about what, the text. Out: a letter that is sent after the request which wanted it was answered, so that the answer
//! tells nothing about the mailbox. A link in a letter is a secret: letters must never be logged.

use std::{fmt, sync::Arc};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use tokio::{sync::Semaphore, time::Duration};
use tracing::error;

use crate::config::{Encryption, Mail};

/// Letters under way at once; whoever wants one more is told to come again.
const AT_ONCE: usize = 16;
/// Each step of talking to the mail server.
const STEP: Duration = Duration::from_secs(10);
/// RFC 5321: a path has at most 256 octets, with its brackets.
const LONGEST_ADDRESS: usize = 254;

/// An address that a letter can be sent to.
pub fn address(text: &str) -> Option<Address> {
    let address: Address = text.trim().parse().ok()?;
    (text.len() <= LONGEST_ADDRESS && address.domain().contains('.')).then_some(address)
}

#[derive(Clone, Debug)]
pub struct Letter {
    pub to: Address,
    pub subject: &'static str,
    pub text: String,
}

/// Why a letter was not taken, in the mail server's words.
#[derive(Debug)]
pub struct MailError(String);

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Too many letters are under way.
#[derive(Debug)]
pub struct Full;

#[derive(Debug)]
pub struct Outbox {
    places: Arc<Semaphore>,
}

impl Default for Outbox {
    fn default() -> Outbox {
        Outbox { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Outbox {
    /// Works out a letter and sends it, apart from the request. What it is, and whether there is one at all, is found out there.
    pub fn post(
        &self,
        mail: Mail,
        writing: impl Future<Output = Option<Letter>> + Send + 'static,
    ) -> Result<(), Full> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| Full)?;
        tokio::spawn(async move {
            if let Some(letter) = writing.await
                && let Err(error) = send(&mail, letter).await
            {
                error!(%error, host = mail.host, "a letter was not sent");
            }
            drop(place);
        });
        Ok(())
    }
}

async fn send(mail: &Mail, letter: Letter) -> Result<(), MailError> {
    let failed = |error: &dyn fmt::Display| MailError(error.to_string());
    let id = format!("<{}@{}>", crate::random::token(""), mail.from.email.domain());
    let message = Message::builder()
        .from(mail.from.clone())
        .to(Mailbox::new(None, letter.to))
        .subject(letter.subject)
        .message_id(Some(id))
        .body(letter.text)
        .map_err(|error| failed(&error))?;
    transport(mail)?.send(message).await.map_err(|error| failed(&error))?;
    Ok(())
}

fn transport(mail: &Mail) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let parameters = || TlsParameters::new(mail.host.clone()).map_err(|error| MailError(error.to_string()));
    let tls = match mail.encryption {
        Encryption::StartTls => Tls::Required(parameters()?),
        Encryption::Tls => Tls::Wrapper(parameters()?),
        Encryption::None => Tls::None,
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
        .port(mail.port)
        .tls(tls)
        .timeout(Some(STEP));
    if let Some(user) = &mail.user {
        let password = mail.password.as_ref().map_or("", |password| password.reveal());
        transport = transport.credentials(Credentials::new(user.clone(), password.to_owned()));
    }
    Ok(transport.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_encryption_has_what_it_needs() {
        for encryption in [Encryption::StartTls, Encryption::Tls, Encryption::None] {
            let from = "Sluice <sluice@example.com>".parse().unwrap();
            let (user, password) = (Some("me".to_owned()), None);
            let mail =
                Mail { host: "smtp.example.com".to_owned(), port: 1, encryption, user, password, from };
            assert!(transport(&mail).is_ok(), "{encryption:?}");
        }
    }

    #[test]
    fn addresses_are_those_that_letters_reach() {
        assert!(address("ann@example.com").is_some());
        for wrong in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "ann@localhost",
            "a b@example.com",
            "a@example.com\r\nBcc: b@c.d",
        ] {
            assert!(address(wrong).is_none(), "{wrong}");
        }
        assert!(address(&format!("{}@example.com", "a".repeat(300))).is_none());
    }
}

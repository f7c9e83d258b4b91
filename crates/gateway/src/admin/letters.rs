//! What people are written, and the links in it.
//!
//! In: an address and a token. Out: a letter. Links begin with the operator's `public_url`, never with what a request claims, and
//! hold the token behind a `#`, so that it stands in no log of a server on the way.

use http::StatusCode;
use lettre::Address;

use super::{
    asked::Asked,
    problem::{Code, Problem},
};
use crate::{config::Mail, lockout::name_key, mail::Letter, sign_in};

/// How long a link in a letter is good.
pub const GOOD_FOR_MS: i64 = 60 * 60 * 1000;

/// Works out a letter apart from the request. To a mailbox that got too many already nothing is sent, and nobody is told.
pub fn post<W>(
    asked: &Asked,
    mail: &Mail,
    to: Address,
    write: impl FnOnce(Asked) -> W + Send + 'static,
) -> Result<StatusCode, Problem>
where
    W: Future<Output = Option<Letter>> + Send + 'static,
{
    let own = asked.clone();
    let writing = async move {
        let now_ms = own.app.flow.clock.now_ms();
        own.app.sign_in.mailboxes.count(name_key(to.as_ref()), now_ms).ok()?;
        write(own).await
    };
    let posted = asked.app.sign_in.outbox.post(mail.clone(), writing);
    posted.map_err(|_| Problem::new(Code::Busy, "Too many letters are under way; try again in a moment."))?;
    Ok(StatusCode::ACCEPTED)
}

fn link(asked: &Asked, page: &str, token: &str) -> String {
    let url = sign_in::public_url(&asked.app.catalog.load().config);
    format!("{url}/{page}#token={token}")
}

pub fn sign_up(asked: &Asked, to: Address, token: &str) -> Letter {
    let link = link(asked, "sign_up", token);
    let text = format!(
        "Somebody, probably you, wants to sign up with this address. To go on, open this link within an hour:\n\n{link}\n\n\
         If it was not you, there is nothing to do.\n"
    );
    Letter { to, subject: "Sign up", text }
}

/// To an address that is a user's already: only he reads it.
pub fn already(asked: &Asked, to: Address) -> Letter {
    let url = sign_in::public_url(&asked.app.catalog.load().config);
    let text = format!(
        "Somebody, probably you, wanted to sign up with this address. You have an account already: sign in, or reset the \
         password, at\n\n{url}\n\nIf it was not you, there is nothing to do.\n"
    );
    Letter { to, subject: "You have an account already", text }
}

pub fn invitation(asked: &Asked, to: Address, token: &str) -> Letter {
    let link = link(asked, "sign_up", token);
    let text = format!("You are invited. To choose a name and a password, open this link:\n\n{link}\n");
    Letter { to, subject: "You are invited", text }
}

pub fn password_reset(asked: &Asked, to: Address, name: &str, token: &str) -> Letter {
    let link = link(asked, "password_reset", token);
    let text = format!(
        "Somebody, probably you, wants a new password for the user {name}. To choose one, open this link within an hour:\n\n\
         {link}\n\nIt ends all sessions and access tokens. If it was not you, there is nothing to do: the password stays as it \
         is.\n"
    );
    Letter { to, subject: "A new password", text }
}

pub fn email(asked: &Asked, to: Address, name: &str, token: &str) -> Letter {
    let link = link(asked, "email_verification", token);
    let text = format!(
        "To make this the address of the user {name}, open this link within an hour:\n\n{link}\n\n\
         If you do not know that user, there is nothing to do.\n"
    );
    Letter { to, subject: "Is this your address?", text }
}

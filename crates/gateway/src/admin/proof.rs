//! Proving to be somebody: name and password, and the second factor where there is one.
//!
//! In: what was typed, and from where. Out: the user, or a problem that is the same, and takes as long, whether there is such a
//! user or not. Every try is counted before it is looked at.

use std::net::IpAddr;

use store::{
    one_time, second_factor,
    users::{self, Credentials, User, Who},
};

use super::{
    actor::now_ms,
    asked::Asked,
    problem::{Code, Problem},
};
use crate::{
    catalog::digest,
    lockout::{Locked, NameKey, address_key, name_key},
    password,
    secret::Secret,
    totp,
};
use tracing::warn;

/// What the second factor of a user is sealed as.
pub fn place(user: i64) -> String {
    format!("users/{user}/totp")
}

/// A try under way: counted against the name and the address.
struct Try<'a> {
    asked: &'a Asked,
    name: NameKey,
    address: Option<u128>,
}

impl<'a> Try<'a> {
    fn count(asked: &'a Asked, name: &str) -> Result<Try<'a>, Problem> {
        let sign_in = &asked.app.sign_in;
        let now_ms = asked.app.flow.clock.now_ms();
        let address = asked.address.map(address_key);
        let name = name_key(name);
        if let Some(address) = address {
            noted(asked, "address", sign_in.addresses.count(address, now_ms))?;
        }
        noted(asked, "account", sign_in.accounts.count(name, now_ms))?;
        Ok(Try { asked, name, address })
    }

    /// It was good.
    fn good(self) {
        let sign_in = &self.asked.app.sign_in;
        sign_in.accounts.forgive(self.name);
        if let Some(address) = self.address {
            sign_in.addresses.take_back(address);
        }
    }
}

/// Counts a request of somebody unknown against his address.
pub fn count_address(asked: &Asked) -> Result<(), Problem> {
    let count = |address: IpAddr| {
        let now_ms = asked.app.flow.clock.now_ms();
        asked.app.sign_in.addresses.count(address_key(address), now_ms)
    };
    asked.address.map_or(Ok(()), |address| noted(asked, "address", count(address)))
}

/// It was a good one after all.
pub fn take_address_back(asked: &Asked) {
    if let Some(address) = asked.address {
        asked.app.sign_in.addresses.take_back(address_key(address));
    }
}

/// The operator is told when a wait begins. The name is not: it may be a password in the wrong field.
fn noted(asked: &Asked, of: &str, counted: Result<Option<Locked>, Locked>) -> Result<(), Problem> {
    if let Some(Locked { seconds }) = counted.map_err(locked)? {
        let address = asked.address.map(tracing::field::display);
        warn!(request_id = %asked.request_id, address, of, seconds, "too many tries to sign in: the next one has to wait");
    }
    Ok(())
}

pub fn locked(locked: Locked) -> Problem {
    let mut problem = Problem::new(Code::TooMany, "Too many tries. Wait, and try again.");
    problem.retry_after = Some(locked.seconds);
    problem
}

fn wrong() -> Problem {
    Problem::new(
        Code::WrongCredentials,
        "The name, the password or the code is wrong, or the user is disabled.",
    )
}

fn busy() -> Problem {
    Problem::new(Code::Busy, "Too many sign-ins at once; try again in a moment.")
}

/// Somebody who has proved who he is.
pub struct Proved {
    pub user: User,
    /// The hash of the password that he proved it by; `None`: it was something else.
    pub hash: Option<String>,
}

/// The user of this name, or of this verified address, if password and code are his.
pub async fn of(asked: &Asked, name: &str, password: Secret, code: Option<&str>) -> Result<Proved, Problem> {
    let name = name.trim();
    let counted = Try::count(asked, name)?;
    let found = if password.reveal().len() > password::LONGEST { None } else { look_up(asked, name).await? };
    let hash = found.as_ref().and_then(|found| found.password.clone());
    let right = asked.app.sign_in.passwords.is_right(password, hash).await.map_err(|_| busy())?;
    let Some(found) = found.filter(|found| right && found.user.active) else { return Err(wrong()) };
    check_code(asked, &found, code).await?;
    counted.good();
    Ok(Proved { user: found.user, hash: found.password })
}

/// That whoever acts in a session is the user himself: before he changes what he signs in with.
pub async fn again(asked: &Asked, user: i64, password: Secret, code: Option<&str>) -> Result<User, Problem> {
    let found = asked.look(move |books| users::find(books, Who::Id(user))).await?;
    let found = found.ok_or_else(Problem::missing)?;
    if !found.has_password {
        let detail = "This user has no password yet. Ask for a link to set one.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(of(asked, &found.name, password, code).await?.user)
}

async fn look_up(asked: &Asked, name: &str) -> Result<Option<Credentials>, Problem> {
    let name = name.to_owned();
    // Names hold no `@`, so that no name is another's address.
    let found = asked.look(move |books| match name.contains('@') {
        true => users::credentials(books, Who::Email(&name))
            .map(|found| found.filter(|found| found.user.email_verified)),
        false => users::credentials(books, Who::Name(&name)),
    });
    found.await
}

async fn check_code(asked: &Asked, found: &Credentials, code: Option<&str>) -> Result<(), Problem> {
    let Some(sealed) = found.totp.clone() else { return Ok(()) };
    let Some(code) = code.map(str::trim).filter(|code| !code.is_empty()) else {
        let detail = "Give the code of the authenticator app, or a recovery code.";
        return Err(Problem::new(Code::SecondFactorNeeded, detail));
    };
    let (user, code) = (found.user.id, code.to_owned());
    let good = asked.look(move |books| {
        let secret = books.sealer().and_then(|sealer| sealer.open(&place(user), &sealed));
        let step = secret.map(|secret| totp::step_of(&secret, &code, now_ms()));
        match step {
            Ok(Some(step)) => second_factor::use_step(books, user, step),
            _ => one_time::take_recovery_code(books, user, &digest(&recovery_code(&code))),
        }
    });
    if good.await? { Ok(()) } else { Err(wrong()) }
}

/// As it was shown, however it is typed.
pub fn recovery_code(typed: &str) -> String {
    typed.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// The second factor alone, of somebody who has proved the first elsewhere.
pub async fn second(asked: &Asked, user: i64, code: &str) -> Result<User, Problem> {
    let found = asked.look(move |books| users::credentials(books, Who::Id(user))).await?;
    let found = found.filter(|found| found.user.active).ok_or_else(wrong)?;
    let counted = Try::count(asked, &found.user.name)?;
    check_code(asked, &found, Some(code)).await?;
    counted.good();
    Ok(found.user)
}

/// The hash of a new password, if nothing speaks against it.
pub async fn new_password(asked: &Asked, field: &str, password: &str, name: &str) -> Result<String, Problem> {
    if let Some(objection) = password::objection(password, name) {
        return Err(Problem::bad(field, objection));
    }
    asked.app.sign_in.passwords.hash(Secret::new(password)).await.map_err(|_| busy())
}

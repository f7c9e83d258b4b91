//! Who may sign in, and for how long.

use store::{
    Database, access_tokens,
    audit::{self, By},
    change::ChangeError,
    directory::LimitColumns,
    one_time::{self, OneTime, Purpose},
    second_factor,
    sessions::{self, Lasting},
    users::{self, NewUser, Refused, Role, Who},
};

use crate::scratch::Scratch;

const LASTING: Lasting = Lasting { idle_ms: 1_000, total_ms: 10_000 };

fn by(at_ms: i64) -> By {
    By { actor_id: None, actor: String::new(), via: "session", address: None, request_id: [0; 16], at_ms }
}

fn is_taken<T>(result: Result<T, Refused>, name: &str) -> bool {
    matches!(result, Err(Refused::Change(ChangeError::Taken { field })) if field == name)
}

fn new_user(name: &str) -> NewUser {
    NewUser {
        name: name.to_owned(),
        role: Role::User,
        group_id: 1,
        email: Some((format!("{name}@example.com"), true)),
        password: Some("$argon2id$one".to_owned()),
        oidc: None,
    }
}

fn start() -> (Scratch, Database, i64) {
    let scratch = Scratch::new();
    let database = Database::open(&scratch.path()).unwrap();
    let user = users::create(&database, &by(1), &new_user("ann")).unwrap();
    (scratch, database, user)
}

fn signed_in(database: &Database, user: i64, token: u8) {
    assert!(sessions::open(database, &by(5), user, None, &[token; 32], "curl", LASTING).unwrap());
}

fn is_signed_in(database: &Database, token: u8) -> bool {
    sessions::find(database, &[token; 32], LASTING, 6).unwrap().is_some()
}

#[test]
fn the_setup_link_makes_one_root_and_no_second() {
    let (_scratch, database, _) = start();
    assert!(!users::is_set_up(&database).unwrap());
    for hash in [[1; 32], [2; 32]] {
        one_time::replace(&database, &hash, &OneTime::new(Purpose::Setup, None, 100), 1).unwrap();
    }
    let set_up = |token: u8, name: &str, now| {
        users::set_up(&database, &by(now), &[token; 32], &NewUser { email: None, ..new_user(name) })
    };
    assert!(matches!(set_up(1, "root", 2), Err(Refused::Token)), "only the latest link is good");
    assert!(matches!(set_up(2, "root", 100), Err(Refused::Token)), "and not for ever");
    assert!(is_taken(set_up(2, "ann", 2), "name"));
    let root = set_up(2, "root", 2).unwrap();
    assert_eq!(users::find(&database, Who::Id(root)).unwrap().unwrap().role, Role::Root);
    assert!(users::is_set_up(&database).unwrap());
    one_time::replace(&database, &[3; 32], &OneTime::new(Purpose::Setup, None, 100), 1).unwrap();
    assert!(matches!(set_up(3, "another", 2), Err(Refused::SetUp)));
}

#[test]
fn what_was_taken_is_not_given_again() {
    let (_scratch, database, user) = start();
    let what = OneTime::new(Purpose::PasswordReset, Some(user), 50);
    one_time::issue(&database, &[9; 32], &what, 1).unwrap();
    let take = |purpose, now| one_time::take(&database, &[9; 32], purpose, now).unwrap();
    assert_eq!(take(Purpose::Invitation, 2), None, "good for something else");
    assert_eq!(take(Purpose::PasswordReset, 50), None, "too late");
    assert_eq!(take(Purpose::PasswordReset, 49), Some(what));
    assert_eq!(take(Purpose::PasswordReset, 49), None);
}

#[test]
fn a_session_ends_with_what_it_stands_on() {
    let (scratch, database, user) = start();
    // As any other part of the program may do it.
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    for change in ["role = 'admin'", "status = 'disabled'", "status = 'active'", "password = '$argon2id$two'"]
    {
        raw.execute("UPDATE users SET status = 'active' WHERE id = ?1", [user]).unwrap();
        signed_in(&database, user, 1);
        if change == "status = 'active'" {
            raw.execute(&format!("UPDATE users SET {change}"), []).unwrap();
            assert!(is_signed_in(&database, 1), "nothing changed");
            sessions::close(&database, &[1; 32]).unwrap();
            continue;
        }
        assert!(is_signed_in(&database, 1));
        raw.execute(&format!("UPDATE users SET {change} WHERE id = ?1"), [user]).unwrap();
        assert!(!is_signed_in(&database, 1), "{change}");
    }
}

#[test]
fn who_proved_a_password_that_was_changed_meanwhile_is_not_signed_in() {
    let (_scratch, database, user) = start();
    let open =
        |proved| sessions::open(&database, &by(5), user, Some(proved), &[1; 32], "curl", LASTING).unwrap();
    users::set_password(&database, &by(4), user, "$argon2id$two").unwrap();
    assert!(!open("$argon2id$one"));
    assert!(open("$argon2id$two"));
}

#[test]
fn a_disabled_user_cannot_sign_in_and_his_tokens_sleep() {
    let (scratch, database, user) = start();
    let token = access_tokens::NewToken {
        user,
        name: "ci",
        hash: &[4; 32],
        last4: "wxyz",
        scopes: "[]",
        expires_ms: 100,
    };
    let id = access_tokens::create(&database, &by(1), token).unwrap().unwrap();
    let found = |now| access_tokens::find(&database, &[4; 32], now).unwrap();
    assert_eq!(found(5).map(|(user, token)| (user.name, token.id)), Some(("ann".to_owned(), id)));
    assert!(found(100).is_none(), "expired");
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    raw.execute("UPDATE users SET status = 'disabled'", []).unwrap();
    assert!(found(5).is_none());
    assert!(!sessions::open(&database, &by(5), user, None, &[1; 32], "curl", LASTING).unwrap());
    raw.execute("UPDATE users SET status = 'active', role = 'admin'", []).unwrap();
    assert_eq!(found(5).unwrap().0.role, Role::Admin, "as he is now");
    assert!(!access_tokens::remove(&database, &by(5), user + 1, id).unwrap(), "another's");
    assert!(access_tokens::remove(&database, &by(5), user, id).unwrap());
    assert!(found(5).is_none());
}

#[test]
fn sessions_expire_and_the_oldest_make_room() {
    let (_scratch, database, user) = start();
    signed_in(&database, user, 1);
    let find = |now| sessions::find(&database, &[1; 32], LASTING, now).unwrap();
    assert!(find(1_004).is_some());
    assert!(find(1_006).is_none(), "not used for too long");
    for token in 2..120 {
        sessions::open(&database, &by(5 + i64::from(token)), user, None, &[token; 32], "curl", LASTING)
            .unwrap();
    }
    let list = sessions::list(&database, user, LASTING, 200).unwrap();
    assert_eq!((list.len(), list[0].hash, list[49].hash), (50, [119; 32], [70; 32]));
    assert_eq!(sessions::close_all(&database, user, Some(&[119; 32])).unwrap(), 49);
    assert_eq!(sessions::list(&database, user, LASTING, 200).unwrap().len(), 1);
}

#[test]
fn a_reset_ends_sessions_and_tokens_and_works_once() {
    let (_scratch, database, user) = start();
    signed_in(&database, user, 1);
    let token = access_tokens::NewToken {
        user,
        name: "ci",
        hash: &[4; 32],
        last4: "wxyz",
        scopes: "[]",
        expires_ms: 100,
    };
    access_tokens::create(&database, &by(1), token).unwrap();
    for hash in [[7; 32], [8; 32]] {
        one_time::issue(&database, &hash, &OneTime::new(Purpose::PasswordReset, Some(user), 50), 1).unwrap();
    }
    assert_eq!(users::reset_password(&database, &by(2), &[7; 32], "$argon2id$new").unwrap(), user);
    assert!(!is_signed_in(&database, 1));
    assert!(access_tokens::find(&database, &[4; 32], 5).unwrap().is_none());
    for hash in [[7; 32], [8; 32]] {
        let again = users::reset_password(&database, &by(2), &hash, "$argon2id$x");
        assert!(matches!(again, Err(Refused::Token)), "used, and those beside it");
    }
    let credentials = users::credentials(&database, Who::Email("ANN@example.com")).unwrap().unwrap();
    assert_eq!(credentials.password.as_deref(), Some("$argon2id$new"));
}

#[test]
fn an_invitation_that_failed_is_still_good() {
    let (_scratch, database, _) = start();
    let invitation = OneTime { role: Some(Role::Admin), ..OneTime::new(Purpose::Invitation, None, 50) };
    one_time::issue(&database, &[5; 32], &invitation, 1).unwrap();
    let come = |name| users::sign_up(&database, &by(2), &[5; 32], Purpose::Invitation, name, "$argon2id$x");
    assert!(is_taken(come("ann"), "name"));
    let bob = come("bob").unwrap();
    assert_eq!(users::find(&database, Who::Id(bob)).unwrap().unwrap().role, Role::Admin);
    assert!(matches!(come("carl"), Err(Refused::Token)));
    let account: i64 = database
        .read(|connection| {
            Ok(connection
                .query_row("SELECT count(*) FROM accounts WHERE user_id = ?1", [bob], |row| row.get(0))?)
        })
        .unwrap();
    assert_eq!(account, 1);
}

#[test]
fn an_address_belongs_to_one_user() {
    let (_scratch, database, _) = start();
    let bob = users::create(&database, &by(1), &NewUser { email: None, ..new_user("bob") }).unwrap();
    let twin = NewUser { email: Some(("Ann@Example.com".to_owned(), false)), ..new_user("carl") };
    assert!(is_taken(users::create(&database, &by(1), &twin), "email"));
    let verify = |hash: u8, email: &str| {
        let what = OneTime {
            email: Some(email.to_owned()),
            by_mail: true,
            ..OneTime::new(Purpose::Email, Some(bob), 50)
        };
        one_time::issue(&database, &[hash; 32], &what, 1).unwrap();
        users::verify_email(&database, &by(2), &[hash; 32])
    };
    assert!(is_taken(verify(1, "ann@example.com"), "email"));
    assert_eq!(verify(2, "bob@example.com").unwrap(), (bob, "bob@example.com".to_owned()));
    assert!(users::find(&database, Who::Id(bob)).unwrap().unwrap().email_verified);
}

#[test]
fn an_address_that_somebody_changed_is_not_proved_and_old_links_are_no_good() {
    let (scratch, database, user) = start();
    one_time::issue(&database, &[7; 32], &OneTime::new(Purpose::PasswordReset, Some(user), 50), 1).unwrap();
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    raw.execute("UPDATE users SET email = 'ann@example.com'", []).unwrap();
    assert!(users::find(&database, Who::Id(user)).unwrap().unwrap().email_verified, "the same one");
    raw.execute("UPDATE users SET email = 'mallory@example.com'", []).unwrap();
    assert!(!users::find(&database, Who::Id(user)).unwrap().unwrap().email_verified);
    let reset = users::reset_password(&database, &by(2), &[7; 32], "$argon2id$x");
    assert!(matches!(reset, Err(Refused::Token)));
}

#[test]
fn no_step_of_a_second_factor_counts_twice() {
    let (_scratch, database, user) = start();
    second_factor::offer(&database, user, b"sealed").unwrap();
    assert!(!second_factor::use_step(&database, user, 9).unwrap(), "not in force yet");
    assert!(!second_factor::confirm(&database, &by(1), user, b"another", 10, &[]).unwrap());
    assert!(second_factor::confirm(&database, &by(1), user, b"sealed", 10, &[[1; 32], [2; 32]]).unwrap());
    assert!(!second_factor::use_step(&database, user, 10).unwrap());
    assert!(second_factor::use_step(&database, user, 11).unwrap());
    assert!(!second_factor::use_step(&database, user, 9).unwrap());
    let take = |hash: u8, of| one_time::take_recovery_code(&database, of, &[hash; 32]).unwrap();
    assert!(!take(1, user + 1), "another's");
    assert!(take(1, user));
    assert!(!take(1, user));
    assert_eq!(one_time::recovery_codes_left(&database, user).unwrap(), 1);
    second_factor::remove(&database, &by(1), user).unwrap();
    assert!(!take(2, user));
    assert!(!users::find(&database, Who::Id(user)).unwrap().unwrap().has_totp);
}

#[test]
fn built_in_users_are_nobody_who_signs_in() {
    let (_scratch, database, _) = start();
    store::sync::sync(&database, &[], &LimitColumns::default(), &[], 1).unwrap();
    assert_eq!(users::find(&database, Who::Name("config")).unwrap(), None);
}

#[test]
fn s18_what_is_changed_about_signing_in_is_in_the_audit_trail_without_a_secret() {
    let (_scratch, database, user) = start();
    signed_in(&database, user, 1);
    users::set_password(&database, &by(7), user, "$argon2id$secret").unwrap();
    let rows = audit::list(&database, &audit::Filter::default(), None, 9).unwrap();
    let actions: Vec<&str> = rows.iter().map(|row| &*row.action).collect();
    assert_eq!(actions, ["password", "sign_in", "create"]);
    assert_eq!(rows[2].actor, "ann", "who signs up acts himself");
    assert!(!format!("{rows:?}").contains("argon2"));
}

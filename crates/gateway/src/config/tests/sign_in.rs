//! Who may sign in, and how letters reach people.

use super::*;
use crate::config::{Admin, Encryption, SignUp, SignUpMode};

const URL: &str = "[admin]\npublic_url = \"https://llm.example.com/\"\n";
const MAIL: &str = "[mail]\nhost = \"smtp.example.com\"\nfrom = \"Sluice <sluice@example.com>\"\n";

#[test]
fn nobody_signs_up_and_nothing_is_sent_unless_the_file_says_so() {
    let config = read("").unwrap();
    assert_eq!((config.admin, config.sign_up), (Admin::default(), SignUp::default()));
    assert!(config.mail.is_none() && config.oidc.is_none());
}

#[test]
fn all_of_it_is_read() {
    let text = format!(
        "{URL}session_idle = \"8h\"\n{MAIL}user = \"me\"\npassword = \"env:BOB\"\n[sign_up]\nmode = \"open\"\n\
         domains = [\"Example.com\"]\n[oidc]\nissuer = \"https://id.example.com/\"\nclient_id = \"sluice\"\ncreate_users = true\n"
    );
    let config = read(&text).unwrap();
    assert_eq!(config.admin.session_idle, Duration::from_secs(8 * 3600));
    assert_eq!(crate::sign_in::public_url(&config), "https://llm.example.com");
    let mail = config.mail.unwrap();
    assert_eq!((mail.port, mail.encryption), (587, Encryption::StartTls));
    assert_eq!(mail.password.unwrap().reveal(), "value-of-BOB");
    assert_eq!((config.sign_up.mode, &*config.sign_up.domains[0]), (SignUpMode::Open, "example.com"));
    let oidc = config.oidc.unwrap();
    assert_eq!((&*oidc.issuer, oidc.create_users), ("https://id.example.com/", true), "to the letter");
}

#[test]
fn what_cannot_work_is_said() {
    says(
        "[sign_up]\nmode = \"open\"\n",
        &[
            "line 2: sign_up.mode: found \"open\" without [mail], which must send the links that prove an address",
        ],
    );
    says(MAIL, &["line 1: mail: found no admin.public_url, which links must begin with"]);
    says(
        &format!("{URL}{MAIL}encryption = \"none\"\n"),
        &[
            "line 6: mail.encryption: found \"none\", expected \"starttls\", \"tls\", or \"none\" for a server on this machine",
        ],
    );
    says(
        &format!("{URL}{MAIL}password = \"hush\"\n"),
        &["line 6: mail.password: found a password, expected user beside it"],
    );
    says(
        "[admin]\nsession_idle = \"1s\"\n",
        &["line 2: admin.session_idle: found \"1s\", expected a duration from \"1m\" to \"365d\""],
    );
    says(
        &format!("{URL}[oidc]\nissuer = \"id.example.com\"\nclient_id = \"a\"\n"),
        &["line 4: oidc.issuer: found an address without http:// or https://, expected an address such as \
           \"https://api.example.com\" or \"https://api.example.com/v1\""],
    );
}

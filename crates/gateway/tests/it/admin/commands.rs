//! The same from the command line, through the owner of the database and without one.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::local::operated;

fn sluice(config: &std::path::Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(words).arg("--config").arg(config).output().unwrap()
}

/// The JSON that a command that must be good writes.
fn good(config: &std::path::Path, words: &[&str]) -> Value {
    let output = sluice(config, &[words, &["--json"]].concat());
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn commands_go_through_the_owner_or_do_it_themselves() {
    let (world, operator) = operated("commands", "").await;
    let config = operator.file.with_extension("toml");
    let prices = operator.file.with_extension("tsv");
    let text = format!("[store]\nurl = \"sqlite:{}\"\n", operator.file.display());
    std::fs::write(&config, &text).unwrap();
    std::fs::write(&prices, "model\tinput\toutput\nlisted\t1\t2\n").unwrap();

    // A shell of an operator who does not have the server's environment.
    let elsewhere = operator.file.with_extension("elsewhere.toml");
    std::fs::write(
        &elsewhere,
        format!("{text}[[key]]\nname = \"x\"\nsecret = \"env:SLUICE_NOT_SET_HERE\"\n"),
    )
    .unwrap();

    let (path, list, unset) = (config.clone(), prices.clone(), elsewhere.clone());
    let secret = off_the_runtime(move || {
        good(&unset, &["user", "add", "name=ann"]);
        let paid =
            good(&path, &["account", "top-up", "ann", "amount=12.50", "reason=cash", "operation_id=7"]);
        assert_eq!(paid["balance"], "12.5");
        let user = good(&path, &["user", "show", "ann"])["id"].to_string();
        let taken = good(&path, &["price", "update", "--from", list.to_str().unwrap()]);
        assert_eq!(taken["changed"], 1);
        good(&path, &["key", "add", "name=k", &format!("user_id={user}")])["secret"]
            .as_str()
            .unwrap()
            .to_owned()
    })
    .await;
    assert!(world.app.catalog.load().key(&secret).is_some(), "in force in the process that runs");
    world.close().await;

    off_the_runtime(move || {
        // Nobody owns it now: the command is the server, and needs what one needs.
        let told = String::from_utf8(sluice(&elsewhere, &["user", "list"]).stderr).unwrap();
        assert!(told.contains("SLUICE_NOT_SET_HERE"), "{told}");
        let _ = std::fs::remove_file(&elsewhere);
        let listed = good(&config, &["key", "list", "search=k"]);
        assert_eq!(listed["items"][0]["user"], "ann");
        assert_eq!(good(&config, &["key", "disable", "k"])["status"], "disabled");
        let text = String::from_utf8(sluice(&config, &["user", "list"]).stdout).unwrap();
        assert!(text.starts_with("id") && text.contains("ann") && text.contains("12.5"), "{text}");
        let trail = good(&config, &["audit", "list", "object=key"]);
        assert_eq!(
            (&trail["items"][0]["via"], &trail["items"][0]["action"]),
            (&json!("local"), &json!("update"))
        );
        for (words, said) in [
            (vec!["user", "add", "name="], "name"),
            (vec!["user", "show", "nobody"], "nobody"),
            (vec!["key", "paint", "1"], "paint"),
            (vec!["account", "top-up", "ann", "amount=much", "reason=x"], "amount"),
        ] {
            let output = sluice(&config, &words);
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && told.contains(said), "{words:?}: {told}");
        }
        let _ = (std::fs::remove_file(&config), std::fs::remove_file(&prices));
    })
    .await;
    drop(operator);
}

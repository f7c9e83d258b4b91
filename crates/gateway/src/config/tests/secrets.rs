//! No message repeats a secret, whatever is wrong with it.

use super::*;

#[test]
fn secrets_are_never_shown() {
    let text = |secret: &str| format!("[[key]]\nname = \"a\"\nsecret = {secret}");
    let at = "line 3: key[0].secret";
    says(
        &text("\"env:UNSET\""),
        &[&format!("{at}: found env:UNSET, which is not set, expected a secret in it")],
    );
    says(
        &text("\"env:EMPTY\""),
        &[&format!("{at}: found env:EMPTY, which is empty, expected a secret in it")],
    );
    let no_name = format!("{at}: found \"env:\" without the name of a variable, expected \"env:NAME\"");
    says(&text("\"env:\""), &[&no_name]);
    says(&text("\"env:sk-hush\""), &[&no_name]);
    says(&text("12345"), &[&format!("{at}: found a number, expected a secret or \"env:NAME\"")]);
    let odd = "found a secret with a space, a line break or a character outside ASCII, expected one that fits into a header";
    says(&text("\"hush hush\""), &[&format!("{at}: {odd}")]);
    says(&text("\"env:SPACED\""), &[&format!("{at}: {odd}")]);
    for empty in ["\"\"", "\"sk-\""] {
        says(
            &text(empty),
            &[&format!("{at}: found an empty secret, expected one of at least one character")],
        );
    }
    let list = "expected a list such as [\"env:OPENAI_API_KEY\"]";
    let rest = "models = [\"*\"]\nsecrets = ";
    provider_says(
        "openai",
        &format!("{rest}\"sk-hush\""),
        &[&format!("line 5: channel[0].secrets: found a string, {list}")],
    );
    provider_says(
        "openai",
        &format!("{rest}[]"),
        &[&format!("line 5: channel[0].secrets: found an empty list, {list}")],
    );
    provider_says(
        "openai",
        &format!("{rest}[\n\"x\",\n\"env:UNSET_A\"]"),
        &["line 7: channel[0].secrets[1]: found env:UNSET_A, which is not set, expected a secret in it"],
    );
    let proxy = "expected \"http://host:port\" or \"socks5://host:port\", with user:password@ if needed";
    channel_says(
        "proxy = \"https://me:hush@p:1\"",
        &[&format!("line 6: channel[0].proxy: found a proxy of another kind, {proxy}")],
    );
    channel_says(
        "proxy = \"http://me:hush@p\"",
        &[&format!("line 6: channel[0].proxy: found a proxy without a port, {proxy}")],
    );
    channel_says(
        "headers = { x-a = [\"hush\"], x-b = \"hu\\nsh\" }",
        &[
            "line 6: channel[0].headers.x-a: found a list, expected a header's value as a string",
            "line 6: channel[0].headers.x-b: found a line break or a character that headers cannot carry, expected visible ASCII",
        ],
    );
    says(
        "[monitor]\ntoken = \"\"",
        &["line 2: monitor.token: found an empty secret, expected one of at least one character"],
    );
}

#[test]
fn broken_syntax_is_told_alone_with_its_line() {
    for (text, lines) in [
        ("listen = \n\n[[key]\nname = \"a\"\n", &[1, 3][..]),
        ("[[key]]\nname = \"a\"\nsecret = sk-hush\n", &[3]),
        ("[[key]]\nsecret = \"sk-hush\nname = \"a\"\n", &[2]),
        ("[[key]]\nsecret = 'hush' sk-hush\nname = 'hush\n", &[2, 3]),
        ("[flow]\nwarn = 1\nwarn = 2\n[flow]\n", &[3, 4]),
    ] {
        let found = parse(text, &environment).unwrap_err();
        assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), lines, "{found:#?}");
        assert!(
            found.iter().all(|problem| problem.key.is_empty() && !problem.message.contains("hush")),
            "{found:#?}"
        );
    }
}

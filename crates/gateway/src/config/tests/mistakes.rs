//! One case per kind of mistake: the line, the key, and what is said.

use super::*;

#[test]
fn ten_mistakes_are_ten_problems() {
    let text = r#"listen = "localhost:3000"
tiemouts = { idle = "1m" }

[[key]]
name = "a"
secret = "env:UNSET"

[[key]]
name = "a"
secret = "x"

[[channel]]
name = "c"
provider = "opnai"
secrets = ["s"]
models = ["gpt-*-mini"]
weight = -1
base_url = "api.example.com"

[bounds]
in_flight = 0

[flow]
warn = 6000
"#;
    let lines =
        |problems: &[Problem]| -> Vec<usize> { problems.iter().map(|problem| problem.line).collect() };
    let problems = parse(text, &environment).unwrap_err();
    assert_eq!(lines(&problems), [1, 2, 6, 9, 14, 16, 17, 18, 21, 24], "{problems:#?}");
    assert_eq!(
        problems[6].to_string(),
        "line 17: channel[0].weight: found -1, expected a whole number from 1 to 1000000"
    );
}

#[test]
fn unknown_keys() {
    says("lisen = \"x\"", &["line 1: lisen: found an unknown key; did you mean `listen`?"]);
    says(
        "\n[flow]\nwarning_level = 1",
        &["line 3: flow.warning_level: found an unknown key, expected one of warn, alarm"],
    );
    // The missing `secret` is not told twice.
    says(
        "[[key]]\nname = \"a\"\nsecert = \"hush\"",
        &["line 3: key[0].secert: found an unknown key; did you mean `secret`?"],
    );
    channel_says(
        "timeouts = { idel = 1 }",
        &["line 6: channel[0].timeouts.idel: found an unknown key; did you mean `idle`?"],
    );
}

#[test]
fn missing_keys_are_told_at_their_block() {
    says(
        "\n[[key]]\n",
        &[
            "line 2: key[0].name: found nothing, expected a name for logs and metrics",
            "line 2: key[0].secret: found nothing, expected the secret that callers send, or \"env:NAME\"",
        ],
    );
    let found = read("\n\n[[channel]]\n").unwrap_err();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[1]
            .starts_with("line 3: channel[0].provider: found nothing, expected one of openai, anthropic, ")
    );
    assert!(found[2].starts_with("line 3: channel[0].models: found nothing, expected the models it serves"));
    provider_says(
        "openai",
        "models = [\"*\"]",
        &["line 1: channel[0].secrets: found nothing, expected a list such as [\"env:OPENAI_API_KEY\"]"],
    );
    provider_says(
        "ollama",
        "models = [\"*\"]\nsecrets = []\nwieght = 1",
        &["line 6: channel[0].wieght: found an unknown key; did you mean `weight`?"],
    );
}

#[test]
fn wrong_types() {
    says(
        "listen = 3000",
        &[
            "line 1: listen: found 3000, expected an IP address and a port such as \"127.0.0.1:3000\", \"0.0.0.0:3000\" or \
         \"[::]:3000\"",
        ],
    );
    says(
        "[key]\nname = \"a\"",
        &["line 1: key: found a table, expected blocks that start with [[key]], two brackets each"],
    );
    says(
        "[[flow]]\nwarn = 1",
        &["line 1: flow: found a list, expected a table that starts with [flow], one bracket each"],
    );
    says("key = [1]", &["line 1: key[0]: found a number, expected a [[key]] block"]);
    says("[attempts]\nmax = 2.5", &["line 2: attempts.max: found 2.5, expected a whole number from 1 to 20"]);
    says(
        "[attempts]\nmax = true",
        &["line 2: attempts.max: found true, expected a whole number from 1 to 20"],
    );
    channel_says(
        "priority = \"high\"",
        &["line 6: channel[0].priority: found \"high\", expected a whole number from -1000000 to 1000000"],
    );
    channel_says(
        "rename = [\"a\"]",
        &[
            "line 6: channel[0].rename: found a list, expected a table such as { \"gpt-5\" = \"my-deployment\" }",
        ],
    );
}

#[test]
fn values_out_of_range() {
    says("[attempts]\nmax = 21", &["line 2: attempts.max: found 21, expected a whole number from 1 to 20"]);
    says(
        "[attempts]\nmax = 99999999999999999999999999999999999999999999",
        &[
            "line 2: attempts.max: found 99999999999999999999999999999999999999999999, expected a whole number from 1 to 20",
        ],
    );
    says(
        "[bounds]\nin_flight = 0",
        &["line 2: bounds.in_flight: found 0, expected a whole number from 1 to 1000000"],
    );
    says(
        "[bounds]\nbody_bytes = 10\n",
        &["line 2: bounds.body_bytes: found 10, expected a size from 1024 to 1073741824 bytes"],
    );
    says(
        "[bounds]\nbody_bytes = \"32M\"\n",
        &[
            "line 2: bounds.body_bytes: found \"32M\", expected a size such as \"32MiB\", \"512KB\" or a number of bytes",
        ],
    );
    says(
        "[flow]\nwarn = 10\nalarm = 10",
        &["line 3: flow.alarm: found warn 10 and alarm 10, expected warn below alarm"],
    );
    says(
        "[flow]\nwarn = 5000",
        &["line 2: flow.warn: found warn 5000 and alarm 5000, expected warn below alarm"],
    );
}

#[test]
fn durations() {
    let form = "expected a duration such as \"500ms\", \"10s\", \"5m\" or \"1h\"";
    says("[timeouts]\nidle = \"soon\"", &[&format!("line 2: timeouts.idle: found \"soon\", {form}")]);
    says("[timeouts]\nidle = -1", &[&format!("line 2: timeouts.idle: found -1, {form}")]);
    says("[timeouts]\nidle = \"none\"", &[&format!("line 2: timeouts.idle: found \"none\", {form}")]);
    says(
        "[timeouts]\ntotal = \"never\"",
        &[&format!("line 2: timeouts.total: found \"never\", {form}, or \"none\"")],
    );
    says(
        "[timeouts]\nidle = 0",
        &["line 2: timeouts.idle: found 0, expected a duration from \"1ms\" to \"24h\""],
    );
    says(
        "[timeouts]\ntotal = \"25h\"",
        &["line 2: timeouts.total: found \"25h\", expected a duration from \"1ms\" to \"24h\""],
    );
    for unlimited in ["0", "\"0\"", "\"none\"", "\"0s\""] {
        assert_eq!(read(&format!("[timeouts]\ntotal = {unlimited}")).unwrap().timeouts.total, None);
    }
}

#[test]
fn duplicates() {
    says(
        "[[key]]\nname = \"a\"\nsecret = \"x\"\n[[key]]\nname = \"a\"\nsecret = \"y\"",
        &["line 5: key[1].name: found \"a\", which is also key[0].name, expected a name of its own"],
    );
    says(
        "[[key]]\nname = \"a\"\nsecret = \"hush\"\n[[key]]\nname = \"b\"\nsecret = \"sk-hush\"",
        &[
            "line 6: key[1].secret: found the same secret as in key[0] (with or without sk-), expected one of its own",
        ],
    );
    let block = "[[channel]]\nname = \"c\"\nprovider = \"vllm\"\nmodels = [\"*\"]\n";
    says(
        &block.repeat(2),
        &["line 6: channel[1].name: found \"c\", which is also channel[0].name, expected a name of its own"],
    );
    channel_says(
        "headers = { x-a = \"1\", X-A = \"2\" }",
        &[
            "line 6: channel[0].headers.x-a: found the header x-a twice, expected it once (case does not count)",
        ],
    );
}

#[test]
fn names() {
    let text = |name: &str| format!("[[key]]\nsecret = \"x\"\nname = {name}");
    let expected = "expected a name of 1 to 100 printable characters";
    says(&text("\"\""), &[&format!("line 3: key[0].name: found \"\", {expected}")]);
    says(&text("\"a\\nb\""), &[&format!("line 3: key[0].name: found \"a\\nb\", {expected}")]);
    let long = "a".repeat(101);
    says(
        &text(&format!("\"{long}\"")),
        &[&format!("line 3: key[0].name: found \"{}…\", {expected}", &long[..60])],
    );
}

#[test]
fn providers_and_dialects() {
    let found = read("[[channel]]\nname = \"c\"\nprovider = \"anthropics\"\nmodels = [\"*\"]").unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("line 3: channel[0].provider: found \"anthropics\", expected one of openai, ")
    );
    assert!(found[0].ends_with("custom; did you mean \"anthropic\"?"), "{found:?}");
    let dialects = "one of openai_chat, openai_responses, anthropic_messages, gemini_generate";
    let rest = "base_url = \"http://h\"\nmodels = [\"*\"]\n";
    provider_says(
        "custom",
        rest,
        &[&format!("line 1: channel[0].dialect: found nothing, expected {dialects}")],
    );
    provider_says(
        "custom",
        &format!("{rest}dialect = \"openai\""),
        &[&format!("line 6: channel[0].dialect: found \"openai\", expected {dialects}")],
    );
    channel_says(
        "dialect = \"anthropic_messages\"",
        &[
            "line 6: channel[0].dialect: found \"anthropic_messages\", expected one of openai_chat, openai_responses",
        ],
    );
}

#[test]
fn base_urls() {
    let form = "expected an address such as \"https://api.example.com\" or \"https://api.example.com/v1\"";
    for (url, found) in [
        ("api.example.com", "an address without http:// or https://"),
        ("ftp://api.example.com", "an address without http:// or https://"),
        ("https://api.example.com/v1?x=1", "an address with a query (?)"),
        ("https://api.example.com/v1#x", "an address with a fragment (#)"),
        ("https://me:hush@api.example.com", "an address with a user or password (keys belong in `secrets`)"),
        ("https://h/v1/chat/completions", "the address of a single call (leave off its last part)"),
    ] {
        channel_says(
            &format!("base_url = \"{url}\""),
            &[&format!("line 6: channel[0].base_url: found {found}, {form}")],
        );
    }
    provider_says(
        "azure",
        "secrets = [\"s\"]\nmodels = [\"*\"]",
        &[&format!("line 1: channel[0].base_url: found nothing, {form}; azure has no address of its own")],
    );
}

#[test]
fn models_and_renames() {
    let form = "expected a model's name, with * only at its end";
    let key = |models: &str| format!("[[key]]\nname = \"a\"\nsecret = \"x\"\nmodels = {models}");
    says(
        &key("[\"gpt-*\", \"\", \"*-mini\", \"a b\", 5]"),
        &[
            &format!("line 4: key[0].models[1]: found \"\", {form}"),
            &format!("line 4: key[0].models[2]: found \"*-mini\", {form}"),
            &format!("line 4: key[0].models[3]: found \"a b\", {form}"),
            &format!("line 4: key[0].models[4]: found 5, {form}"),
        ],
    );
    says(
        &key("\"gpt-5\""),
        &["line 4: key[0].models: found a string, expected a list of models such as [\"gpt-5*\"]"],
    );
    provider_says(
        "vllm",
        "models = []",
        &["line 4: channel[0].models: found an empty list, expected the models it serves, [\"*\"] for all"],
    );
    channel_says(
        "rename = { \"a\" = \"\", \"b*\" = \"c\" }",
        &[
            "line 6: channel[0].rename.a: found \"\", expected the model's name at the provider",
            "line 6: channel[0].rename.b*: found \"b*\" on the left, expected a model's full name",
        ],
    );
}

#[test]
fn headers() {
    channel_says(
        "[channel.headers]\nAuthorization = \"x\"\nhost = \"x\"\n\"a b\" = \"x\"\nconnection = \"x\"",
        &[
            "line 7: channel[0].headers.Authorization: found the header authorization, which cannot be set here: the \
         channel's key is sent there; put it into `secrets`",
            "line 8: channel[0].headers.host: found the header host, which cannot be set here: it follows from `base_url`",
            "line 9: channel[0].headers.a b: found \"a b\", expected the name of a header",
            "line 10: channel[0].headers.connection: found the header connection, which cannot be set here: it belongs to \
         one connection, which the gateway manages",
        ],
    );
}

#[test]
fn origins() {
    says(
        "[cors]\norigins = [\"chat.example.com\"]",
        &["line 2: cors.origins[0]: found \"chat.example.com\", expected \"*\" or an origin such as \
         \"https://chat.example.com\", without a path"],
    );
}

#[test]
fn aliases() {
    says(
        "[[alias]]\nmodels = [\"a\"]",
        &["line 1: alias[0].name: found nothing, expected a name for logs and metrics"],
    );
    says(
        "[[alias]]\nname = \"fast*\"\nmodels = [\"gpt-*\", \"a\", \"a\"]",
        &[
            "line 2: alias[0].name: found \"fast*\", expected a name that callers can use for a model: without blanks and without *",
            "line 3: alias[0].models[0]: found \"gpt-*\", expected a model's name in full, without *",
            "line 3: alias[0].models[2]: found \"a\" twice, expected each model once",
        ],
    );
    says(
        "[[alias]]\nname = \"fast\"\nmodels = []",
        &["line 3: alias[0].models: found 0 models, expected 1 to 20, in the order of trying"],
    );
    says(
        "[[alias]]\nname = \"a\"\nmodels = [\"x\"]\n[[alias]]\nname = \"a\"\nmodels = [\"y\"]",
        &["line 5: alias[1].name: found \"a\", which is also alias[0].name, expected a name of its own"],
    );
    channel_says(
        "suffixes = [\"-high\", \"high\"]",
        &[
            "line 6: channel[0].suffixes[1]: found \"high\", expected \"-thinking\" or \"-nothinking\" or \"-minimal\" or \"-low\" or \"-medium\" or \"-high\"",
        ],
    );
}

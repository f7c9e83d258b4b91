//! The reader against good files, every kind of mistake, arbitrary text, and the example file.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use dialect::Dialect;
use toml::de::{DeTable, DeValue};

use super::*;

mod example;
mod limits;
mod mistakes;
mod money;
mod secrets;
mod sign_in;

/// Every variable that is in upper case is set, to a value of its own.
fn environment(name: &str) -> Option<String> {
    match name {
        "EMPTY" => Some(" \n".to_owned()),
        "SPACED" => Some("two words".to_owned()),
        "PROXY" => Some("socks5://me:hush@proxy.example.com:1080".to_owned()),
        _ if name.starts_with("UNSET") => None,
        _ => Some(format!("value-of-{name}\n")),
    }
}

fn read(text: &str) -> Result<Config, Vec<String>> {
    let show = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
    parse(text, &environment).map_err(show)
}

#[track_caller]
fn says(text: &str, problems: &[&str]) {
    assert_eq!(read(text).unwrap_err(), problems, "{text}");
}

/// A channel that is right, on lines 1 to 5, and then `more`.
#[track_caller]
fn channel_says(more: &str, problems: &[&str]) {
    let text = format!(
        "[[channel]]\nname = \"c\"\nprovider = \"openai\"\nsecrets = [\"s\"]\nmodels = [\"*\"]\n{more}"
    );
    says(&text, problems);
}

/// A channel of another provider; its block starts on line 1, `rest` on line 4.
#[track_caller]
fn provider_says(provider: &str, rest: &str, problems: &[&str]) {
    says(&format!("[[channel]]\nname = \"c\"\nprovider = \"{provider}\"\n{rest}"), problems);
}

const FULL: &str = r#"
listen = "0.0.0.0:8080"

[[key]]
name = "alice"
secret = "sk-alice"
models = ["gpt-5*", "claude-opus-4-5"]
max_in_flight = 7

[[key]]
name = "bob"
secret = "env:BOB"

[[channel]]
name = "main"
provider = "openai"
secrets = ["env:OPENAI", "sk-second"]
models = ["*"]

[[channel]]
name = "house"
provider = "custom"
dialect = "anthropic_messages"
base_url = "http://10.0.0.5:8000/api/v3/"
models = ["house-*"]
rename = { "house-1" = "llama", house-2 = "qwen" }
priority = -5
weight = 20
max_in_flight = 3
headers = { "X-Team" = "blue" }
proxy = "env:PROXY"
timeouts = { idle = 90, total = "1h" }

[timeouts]
connect = "500ms"
first_byte = "20m"
total = "none"

[attempts]
max = 20
deadline = "1m"

[bounds]
body_bytes = "8MB"
in_flight = 0x10
queue = 0

[shutdown]
drain = 1_0

[flow]
warn = 10
alarm = 20

[monitor]
token = "env:MONITOR"

[cors]
origins = ["https://Chat.example.com", "*"]
"#;

#[test]
fn a_full_file_is_read() {
    let config = read(FULL).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:8080");

    let [alice, bob] = &config.keys[..] else { panic!("two keys") };
    assert_eq!(
        (alice.name.as_str(), alice.secret.reveal(), alice.caps.max_in_flight),
        ("alice", "sk-alice", Some(7))
    );
    assert_eq!(alice.models, ["gpt-5*", "claude-opus-4-5"]);
    assert_eq!((bob.secret.reveal(), bob.caps.max_in_flight), ("value-of-BOB", None));
    assert!(bob.models.is_empty());

    let [main, house] = &config.channels[..] else { panic!("two channels") };
    assert_eq!((main.provider.name, main.dialect), ("openai", None));
    assert_eq!(main.base_url, "https://api.openai.com");
    assert_eq!(main.secrets.iter().map(Secret::reveal).collect::<Vec<_>>(), ["value-of-OPENAI", "sk-second"]);
    assert_eq!((main.priority, main.weight, main.max_in_flight), (0, 1, None));
    assert_eq!(main.timeouts, config.timeouts);
    assert!(main.proxy.is_none() && main.headers.is_empty() && main.rename.is_empty());

    assert_eq!((house.provider.name, house.dialect), ("custom", Some(Dialect::AnthropicMessages)));
    assert_eq!(house.base_url, "http://10.0.0.5:8000/api/v3");
    assert_eq!((house.priority, house.weight, house.max_in_flight), (-5, 20, Some(3)));
    assert_eq!(house.rename["house-1"], "llama");
    assert_eq!(house.headers.len(), 1);
    assert_eq!((house.headers[0].0.as_str(), house.headers[0].1.to_str().unwrap()), ("x-team", "blue"));
    let proxy = house.proxy.as_ref().unwrap();
    assert_eq!(
        (proxy.scheme, proxy.address.to_string()),
        (ProxyScheme::Socks5, "http://proxy.example.com:1080/".into())
    );
    let (seconds, minutes) = (Duration::from_secs, |n: u64| Duration::from_secs(60 * n));
    assert_eq!(
        house.timeouts,
        Timeouts {
            connect: Duration::from_millis(500),
            first_byte: minutes(20),
            first_event: minutes(5),
            idle: seconds(90),
            total: Some(minutes(60)),
        }
    );

    assert_eq!(config.timeouts.total, None);
    assert_eq!(config.attempts, Attempts { max: 20, deadline: minutes(1) });
    assert_eq!(config.bounds, Bounds { body_bytes: 8_000_000, in_flight: 16, queue: 0, draining: 256 });
    assert_eq!(config.shutdown, Shutdown { drain: seconds(10) });
    assert_eq!(config.flow, FlowLimits { warn: 10, alarm: 20 });
    assert_eq!(config.monitor.token.unwrap().reveal(), "value-of-MONITOR");
    assert_eq!(config.cors.origins, ["https://chat.example.com", "*"]);
}

#[test]
fn an_empty_file_has_the_defaults() {
    for text in ["", "\u{feff}", "# nothing\n", "key = []\nchannel = []\n[timeouts]\n[flow]\n"] {
        let config = read(text).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
        assert!(config.keys.is_empty() && config.channels.is_empty());
        assert_eq!(config.timeouts, Timeouts::default());
        assert_eq!(
            config.bounds,
            Bounds { body_bytes: 33_554_432, in_flight: 10_000, queue: 1_000, draining: 256 }
        );
        assert_eq!(config.attempts, Attempts { max: 3, deadline: Duration::from_secs(300) });
        assert_eq!(config.flow, FlowLimits { warn: 2_000, alarm: 5_000 });
        assert_eq!((config.monitor, config.cors), (Monitor::default(), Cors::default()));
    }
}

#[test]
fn debug_output_has_no_secret() {
    let shown = format!("{:?}", read(FULL).unwrap());
    for secret in ["sk-alice", "value-of", "sk-second", "hush", "blue"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// A small generator, so that a failure names the one number that repeats it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

#[test]
fn arbitrary_text_never_panics() {
    const SCRAPS: &[&str] = &[
        "[",
        "]",
        "[[key]]",
        "[[channel]]",
        "[timeouts]",
        "=",
        "\"",
        "'",
        "\"\"\"",
        "\n",
        "\r\n",
        "{",
        "}",
        ",",
        ".",
        "#",
        "name",
        "secrets",
        "models",
        "total",
        "*",
        "env:",
        "env:X",
        "sk-",
        "-1",
        "1e9",
        "99999999999999999999999999999999",
        "0x",
        "true",
        "1979-05-27",
        "🦀",
        "\u{0}",
        "\u{7f}",
        "https://",
        "@",
        "%",
        ":",
        " ",
        "\\u0000",
        "\\",
    ];
    for seed in 1..=3_000 {
        let mut dice = Dice(seed);
        let mut text = if seed % 2 == 0 { FULL.to_owned() } else { String::new() };
        for _ in 0..=dice.below(12) {
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (from, to) = (dice.below(ends.len()), dice.below(ends.len()));
            let to = if dice.below(4) == 0 { from.max(to).min(from + 5) } else { from };
            text.replace_range(ends[from]..ends[to], SCRAPS[dice.below(SCRAPS.len())]);
        }
        if let Err(problems) = parse(&text, &environment) {
            let lines = text.matches('\n').count() + 1;
            assert!(!problems.is_empty(), "seed {seed}");
            assert!(problems.is_sorted_by_key(|problem| problem.line), "seed {seed}");
            for problem in problems {
                assert!((1..=lines).contains(&problem.line), "seed {seed}: {problem}");
                assert!(
                    !problem.message.is_empty() && !problem.to_string().contains('\n'),
                    "seed {seed}: {problem}"
                );
            }
        }
    }
}

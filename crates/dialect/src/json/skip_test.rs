//! The skipper against serde_json: the same is accepted, the same is found in it, and the same is said of the rest.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected must stop there.

mod reference;

use proptest::prelude::*;

use super::{any_member, each_element, explain, is_whole, members, read_object};

const NAMES: [&str; 4] = ["model", "a", "b", "a"];

/// Compares all the ways to read `json`.
fn compare(json: &[u8]) {
    let shown = String::from_utf8_lossy(json);
    match (read_object(json, NAMES), reference::read_object(json, NAMES)) {
        (Some(found), Ok((values, twice))) => {
            assert_eq!(found.values.map(place), values.map(place), "{shown}");
            assert_eq!(found.twice, twice, "{shown}");
        }
        (None, Err(error)) => {
            if json.trim_ascii_start().starts_with(b"{") {
                assert_eq!(explain(json), error, "{shown}");
            }
        }
        (found, expected) => panic!("{shown}: {} against {expected:?}", found.is_some()),
    }
    let Ok(text) = std::str::from_utf8(json) else { return };
    let expected = reference::read_object(json, NAMES).ok();
    assert_eq!(members(text, NAMES).map(|v| v.map(place)), expected.map(|(v, _)| v.map(place)), "{shown}");
    assert_eq!(is_whole(text), reference::is_whole(text), "{shown}");

    let (mut elements, mut expected) = (Vec::new(), Vec::new());
    let read = each_element(text, |element| elements.push(place(Some(element))));
    let expected_read = reference::each_element(text, |element| expected.push(place(Some(element))));
    assert_eq!((read, elements), (expected_read, expected), "{shown}");

    for claimed in ["", "a", "\u{1F600}"] {
        let (mut seen, mut expected) = (Vec::new(), Vec::new());
        let any = any_member(text, |name, value| {
            seen.push((name.to_owned(), place(Some(value))));
            name == claimed
        });
        let expected_any = reference::any_member(text, |name, value| {
            expected.push((name.to_owned(), place(Some(value))));
            name == claimed
        });
        assert_eq!((any, seen), (expected_any, expected), "{shown}");
    }
}

/// A value's place in memory, which tells its place in the document.
fn place(value: Option<&str>) -> Option<(*const u8, usize)> {
    value.map(|value| (value.as_ptr(), value.len()))
}

#[test]
fn what_is_accepted() {
    let long = "x".repeat(100);
    for json in [
        "",
        " ",
        "0",
        "-0",
        "-",
        "- 1",
        "00",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e+",
        "1E-07",
        "1e5.",
        "0x1",
        "+1",
        "1 2",
        "12a",
        "true",
        "tru",
        "truex",
        "nul",
        "null ",
        "false\u{c}",
        "\u{feff}{}",
        "\0",
        "{}\0",
        "[\0]",
        "[]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1,01]",
        "[1}",
        "[",
        "]",
        "{",
        "}",
        "{]",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1}x"#,
        r#"{"a":1} {"#,
        "{a:1}",
        r#"{"a":1,2}"#,
        "[1]x",
        "[[[1]],{}]",
        r#"{"a":[{"b":{"a":1}}],"a":null}"#,
        r#"{"mod\u0065l":1,"model":2}"#,
        r#"{"\ud83d":1}"#,
        r#"{"\ud83d\ude00":1}"#,
        r#"{"x":{"\ud83d":1}}"#,
        r#"{"a":"\ud83d"}"#,
        r#""\u12g4""#,
        r#""\u123"#,
        r#""\u12"#,
        r#""\x""#,
        r#""\""#,
        r#""\"#,
        "\"\u{1f}\"",
        "\"\u{20}\u{7f}\"",
        "\"a\nb\"",
        "\"\u{80}é東😀\"",
        "\u{c}{}",
        "{\u{c}}",
        "{} \u{c}",
    ] {
        compare(json.as_bytes());
        compare(format!("[{json}, 1]").as_bytes());
        compare(format!("{{\"a\" :{json}\t, \"b\":{{\"c\":{json}}} }}").as_bytes());
        compare(format!("[\"{long}\\n{long}\",{json}]").as_bytes());
    }
}

#[test]
fn each_byte_at_each_place_of_a_string() {
    for length in (0..20).chain(30..36).chain(45..52).chain([100]) {
        for at in 0..=length {
            for byte in [0, 1, 0x1F, b' ', b'!', b'"', b'#', b'[', b'\\', b']', 0x7F, 0x80, 0xDC, 0xA2, 0xFF]
            {
                let mut json = vec![b'"'; length + 3];
                json[1..=length + 1].fill(b'x');
                json[at + 1] = byte;
                compare(&json);
                compare(&[b"{\"a\":", &json[..], b"}"].concat());
            }
        }
    }
}

#[test]
fn depth_costs_a_bit() {
    const DEEP: usize = 1_000_000;
    let bomb = "[".repeat(DEEP);
    assert!(!is_whole(&bomb));
    assert!(members(&format!("{{\"a\":{bomb}"), ["a"]).is_none());
    assert!(is_whole(&(bomb + &"]".repeat(DEEP))));
    for depth in [1, 63, 64, 65, 127, 128, 129, 1000] {
        for period in [1, 2, 3, 7, 64, 65] {
            let kinds: Vec<bool> = (0..depth).map(|level| level % period == 0).collect();
            let open: String = kinds.iter().map(|object| if *object { "{\"\":" } else { "[" }).collect();
            let close: Vec<u8> = kinds.iter().rev().map(|object| if *object { b'}' } else { b']' }).collect();
            let json = [open.as_bytes(), b"0", &close].concat();
            assert!(is_whole(std::str::from_utf8(&json).unwrap()));
            compare(&json);
            for wrong in 0..depth {
                let mut json = json.clone();
                let byte = &mut json[open.len() + 1 + wrong];
                *byte = if *byte == b'}' { b']' } else { b'}' };
                assert!(!is_whole(std::str::from_utf8(&json).unwrap()));
            }
        }
    }
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -!#-\\[\\]-~]{0,12}",
        "[a-z é東\u{1F600}]{0,80}",
        prop::sample::select(vec![
            r#"\""#,
            r"\\",
            r"\/",
            r"\b",
            r"\n",
            r"\u00e9",
            r"\uD83D",
            r"\uDE00",
            r"\ud83d\ude00",
            "\u{7f}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn key() -> impl Strategy<Value = String> {
    let known = vec![r#""model""#, r#""mod\u0065l""#, r#""a""#, r#""\u0061""#, r#""b""#, r#""""#];
    prop_oneof![4 => prop::sample::select(known).prop_map(str::to_owned), 1 => string()]
}

fn json() -> impl Strategy<Value = String> {
    let space = || prop::sample::select(vec!["", "", "", " ", "\n\t", "\r\n  "]);
    let scalar = prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "0", "-0", "[]", "{}", "[ ]"])
            .prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        string(),
    ];
    let value = scalar.prop_recursive(5, 40, 5, move |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, value, b)| [a, &value, b].concat());
        let member = (space(), key(), space(), space(), inner, space())
            .prop_map(|(a, key, b, c, value, d)| [a, &key, b, ":", c, &value, d].concat());
        prop_oneof![
            1 => prop::collection::vec(element, 1..5).prop_map(|all| format!("[{}]", all.join(","))),
            2 => prop::collection::vec(member, 1..5).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    });
    (space(), value, space()).prop_map(|(a, value, b)| [a, &value, b].concat())
}

#[derive(Clone, Debug)]
enum Harm {
    Put(u8),
    Insert(u8),
    Flip(u8),
    Delete,
    Cut,
}

fn harm() -> impl Strategy<Value = Harm> {
    let byte = || {
        let telling = prop::sample::select(b"{}[],:\"\\u0123456789abcdefE+-. \n\t\x0C\x00\x1F".to_vec());
        prop_oneof![4 => telling, 1 => any::<u8>()]
    };
    prop_oneof![
        byte().prop_map(Harm::Put),
        byte().prop_map(Harm::Insert),
        (0..8u8).prop_map(|bit| Harm::Flip(1 << bit)),
        Just(Harm::Delete),
        Just(Harm::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        compare(&bytes);
    }

    #[test]
    fn any_telling_bytes(bytes in "[\\[\\]{},:\"\\\\u0-9a-f\\-.+eE \ntrulsn]{0,12}") {
        compare(bytes.as_bytes());
        compare(format!("{{\"a\":{bytes}}}").as_bytes());
    }

    #[test]
    fn any_json(json in json()) {
        assert!(is_whole(&json));
        compare(json.as_bytes());
    }

    #[test]
    fn any_broken_json(json in json(), harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..3)) {
        let mut json = json.into_bytes();
        for (at, harm) in harms {
            let at = at.index(json.len().max(1)).min(json.len());
            match harm {
                Harm::Insert(byte) => json.insert(at, byte),
                Harm::Cut => json.truncate(at),
                _ if at == json.len() => {}
                Harm::Put(byte) => json[at] = byte,
                Harm::Flip(bit) => json[at] ^= bit,
                Harm::Delete => drop(json.remove(at)),
            }
        }
        compare(&json);
    }
}

//! JSON as a tree: what is read is what is written, and what serde_json takes is what the tree takes.

use dialect::tree::Json;
use proptest::{collection::vec, prelude::*, sample::select};

fn texts() -> impl Strategy<Value = String> {
    let words = vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\q\"",
        "\\",
        "1",
        "-0",
        "01",
        "1.",
        "1e5",
        "12345678901234567890",
        "true",
        "fals",
        "null",
        " ",
        "\n",
        "{\"a\":1,\"a\":2}",
        "é",
    ];
    vec(select(words), 0..14).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_tree_takes_what_is_json(text in texts()) {
        let tree = Json::parse(text.as_bytes());
        // serde_json's values refuse half a surrogate pair; a look without building them does not.
        let json = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        prop_assert_eq!(tree.is_ok(), json.is_ok(), "{:?}", text);
        if let Ok(tree) = tree {
            let written = tree.to_string();
            prop_assert_eq!(Json::parse(written.as_bytes()).unwrap(), tree);
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
            }
        }
    }
}

#[test]
fn order_and_numbers_stay() {
    let text = r#"{"z":1.0,"a":9007199254740993,"m":[1e-7,-0],"half":"\ud83d","text":"\"\\\n\u0001é😀"}"#;
    assert_eq!(Json::parse(text.as_bytes()).unwrap().to_string(), text);
}

#[test]
fn too_much_is_refused() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(Json::parse(deep.as_bytes()), Err("nested too deep".to_owned()));
    let wide = format!("[{}0]", "0,".repeat(600_000));
    assert_eq!(Json::parse(wide.as_bytes()), Err("too many values".to_owned()));
    assert!(Json::parse(b"[1,]").unwrap_err().contains("line 1"));
}

//! Request bodies: what is read of them, and that nothing else of them changes.

use bytes::Bytes;
use dialect::{Dialect, Door, Edits, Envelope, Operation, PeekError, peek, splice};
use proptest::prelude::*;

const CHAT: Door = Door::new(Dialect::OpenaiChat, Operation::Chat);
const RESPONSES: Door = Door::new(Dialect::OpenaiResponses, Operation::Chat);
const MESSAGES: Door = Door::new(Dialect::AnthropicMessages, Operation::Chat);
const GEMINI: Door = Door::new(Dialect::GeminiGenerate, Operation::Chat);
const MODERATIONS: Door = Door::new(Dialect::OpenaiChat, Operation::Moderations);
const STORED: Door = Door::new(Dialect::OpenaiResponses, Operation::Stored);

fn read(door: Door, body: &str) -> Envelope {
    peek(door, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error:?}"))
}

fn refuse(door: Door, body: &str) -> PeekError {
    peek(door, body.as_bytes()).expect_err(body)
}

fn bad_field(door: Door, body: &str) -> &'static str {
    match refuse(door, body) {
        PeekError::BadField { field, .. } => field,
        other => panic!("{body}: {other:?}"),
    }
}

fn edit(door: Door, body: &str, edits: Edits<'_>) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let spliced = splice(&bytes, &read(door, body), &edits);
    assert!(spliced.parts.iter().all(|part| !part.is_empty()));
    String::from_utf8(spliced.parts.concat()).unwrap()
}

fn ask(body: &str) -> String {
    edit(CHAT, body, Edits { model: None, ask_usage: true, ..Edits::default() })
}

#[test]
fn the_outside_is_read() {
    let envelope =
        read(CHAT, r#" {"messages":[{"model":"inner"}],"mod\u0065l":"gp\u0074-4","stream":true} "#);
    assert_eq!(envelope.model, "gpt-4");
    assert!(envelope.stream && !envelope.wants_usage);
    assert!(read(CHAT, r#"{"model":"a","stream_options":{"include_usage":true}}"#).wants_usage);
    assert!(!read(CHAT, r#"{"model":"a","stream":null,"stream_options":null}"#).stream);
    assert!(!read(MESSAGES, r#"{"model":"a","stream":false,"stream_options":3}"#).stream);
    assert_eq!(read(GEMINI, r#"{"contents":[],"model":7,"stream":"x"}"#), read(GEMINI, "{}"));
    assert_eq!(read(MODERATIONS, r#"{"input":"x"}"#).model, "");
    assert_eq!(read(STORED, " \n"), Envelope::default());
}

#[test]
fn a_stored_object_is_named() {
    let stored = |body| read(RESPONSES, body).stored;
    assert_eq!(stored(r#"{"model":"a"}"#), None);
    assert_eq!(stored(r#"{"model":"a","previous_response_id":"resp_1"}"#).as_deref(), Some("resp_1"));
    assert_eq!(stored(r#"{"model":"a","conversation":"conv_1"}"#).as_deref(), Some("conv_1"));
    assert_eq!(stored(r#"{"model":"a","conversation":{"id":"conv_2"}}"#).as_deref(), Some("conv_2"));
    assert_eq!(stored(r#"{"model":"a","conversation":null,"previous_response_id":null}"#), None);
    assert_eq!(bad_field(RESPONSES, r#"{"model":"a","conversation":{}}"#), "conversation");
    assert_eq!(bad_field(RESPONSES, r#"{"model":"a","previous_response_id":1}"#), "previous_response_id");
    assert_eq!(read(CHAT, r#"{"model":"a","previous_response_id":1}"#).stored, None);
}

#[test]
fn what_cannot_be_read_is_refused() {
    assert_eq!(refuse(CHAT, " "), PeekError::Empty);
    assert_eq!(refuse(GEMINI, ""), PeekError::Empty);
    for body in ["{", "{\"model\":\"a\"}}", "{\"model\":\"a\",}", "nope", "[1,", "\u{feff}{\"model\":\"a\"}"]
    {
        assert!(matches!(refuse(CHAT, body), PeekError::NotJson(_)), "{body}");
        assert!(matches!(refuse(GEMINI, body), PeekError::NotJson(_)), "{body}");
    }
    assert!(matches!(peek(CHAT, b"{\"model\":\"\xFF\"}"), Err(PeekError::NotJson(_))));
    assert!(matches!(refuse(CHAT, "{\n\"model\" 1}"), PeekError::NotJson(words) if words.contains("line 2")));
    for body in ["[]", "7", "\"x\"", "null"] {
        assert_eq!(refuse(CHAT, body), PeekError::NotObject, "{body}");
    }
    assert_eq!(refuse(CHAT, "{}"), PeekError::MissingModel);
    for body in [r#"{"model":""}"#, r#"{"model":null}"#, r#"{"model":4}"#, r#"{"model":"a","model":"b"}"#] {
        assert_eq!(bad_field(CHAT, body), "model", "{body}");
    }
    assert_eq!(bad_field(CHAT, r#"{"model":"a","stream":"true"}"#), "stream");
    assert_eq!(bad_field(CHAT, r#"{"model":"a","stream":true,"str\u0065am":false}"#), "stream");
    assert_eq!(bad_field(CHAT, r#"{"model":"a","stream_options":[]}"#), "stream_options");
    assert_eq!(bad_field(CHAT, r#"{"model":"a","stream_options":{},"stream_options":{}}"#), "stream_options");
    let twice = r#"{"model":"a","stream_options":{"include_usage":true,"include_usage":false}}"#;
    assert_eq!(bad_field(CHAT, twice), "stream_options.include_usage");
    let twice = r#"{"model":"a","previous_response_id":"1","previous_response_id":"2"}"#;
    assert_eq!(bad_field(RESPONSES, twice), "previous_response_id");
}

#[test]
fn a_nesting_bomb_is_only_long() {
    let deep = "[".repeat(1_000_000);
    for body in [deep.clone(), format!("{{\"model\":\"a\",\"x\":{deep}"), format!("{{\"model\":{deep}")] {
        assert!(matches!(refuse(CHAT, &body), PeekError::NotJson(_)));
    }
    let whole = format!("{{\"model\":\"a\",\"x\":{deep}{}}}", "]".repeat(1_000_000));
    assert_eq!(read(CHAT, &whole).model, "a");
}

#[test]
fn usage_is_asked_for_wherever_the_option_stands() {
    const ASKED: &str = r#""stream_options":{"include_usage":true}"#;
    for (body, expected) in [
        (r#"{"model":"a" }"#, format!(r#"{{"model":"a" ,{ASKED}}}"#)),
        (r#"{"stream_options":null,"model":"a"}"#, format!(r#"{{{ASKED},"model":"a"}}"#)),
        (r#"{"stream_options":{ },"model":"a"}"#, format!(r#"{{{ASKED},"model":"a"}}"#)),
        (r#"{"model":"a","stream_options":{"include_usage":false}}"#, format!(r#"{{"model":"a",{ASKED}}}"#)),
        (r#"{"model":"a","stream_options":{"include_usage":null}}"#, format!(r#"{{"model":"a",{ASKED}}}"#)),
        (
            r#"{"model":"a","stream_options":{ "x":1e400}}"#,
            r#"{"model":"a","stream_options":{"include_usage":true, "x":1e400}}"#.to_owned(),
        ),
        (
            r#"{"model":"a","stream_options":{"include_usage": true}}"#,
            r#"{"model":"a","stream_options":{"include_usage": true}}"#.to_owned(),
        ),
    ] {
        assert_eq!(ask(body), expected);
        assert!(read(CHAT, &ask(body)).wants_usage);
    }
    let body = r#"{"model":"a"}"#;
    assert_eq!(
        edit(MESSAGES, body, Edits { model: None, ask_usage: true, ..Edits::default() }),
        body,
        "no such option there"
    );
}

#[test]
fn the_model_is_exchanged() {
    let exchange = |door, body, model| {
        edit(door, body, Edits { model: Some(model), ask_usage: false, ..Edits::default() })
    };
    assert_eq!(exchange(CHAT, r#"{"model" : "a" ,"n":0}"#, "q\"\\\n"), r#"{"model" : "q\"\\\n" ,"n":0}"#);
    assert_eq!(exchange(MODERATIONS, r#"{"input":"x"}"#, "m"), r#"{"input":"x","model":"m"}"#);
    assert_eq!(exchange(MODERATIONS, "{ }", "m"), r#"{ "model":"m"}"#);
    assert_eq!(exchange(MODERATIONS, r#"{"model":null}"#, "m"), r#"{"model":"m"}"#);
    assert_eq!(exchange(GEMINI, r#"{"model":"x"}"#, "m"), r#"{"model":"x"}"#, "it is in the path");
    let both = Edits { model: Some("b"), ask_usage: true, ..Edits::default() };
    let body =
        r#"{"stream_options":{"include_usage":false},"model":"a","big":12345678901234567890123,"z":null}"#;
    let expected =
        r#"{"stream_options":{"include_usage":true},"model":"b","big":12345678901234567890123,"z":null}"#;
    assert_eq!(edit(CHAT, body, both), expected);
}

#[test]
fn untouched_bytes_are_not_copied() {
    let body = Bytes::from(format!(r#"{{"messages":"{}","model":"a","seed":0}}"#, "m".repeat(5000)));
    let envelope = peek(CHAT, &body).unwrap();
    let plain = splice(&body, &envelope, &Edits::default());
    assert_eq!((plain.parts.len(), plain.parts[0].as_ptr()), (1, body.as_ptr()));
    let edited = splice(&body, &envelope, &Edits { model: Some("b"), ask_usage: true, ..Edits::default() });
    let slices = edited.parts.iter().filter(|part| body.as_ptr_range().contains(&part.as_ptr())).count();
    assert_eq!((edited.parts.len(), slices), (5, 3));
    assert_eq!(edited.len(), body.len() + r#","stream_options":{"include_usage":true}"#.len());
}

/// JSON text with odd spacing, numbers and escapes that a parse and a re-write would change.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        prop::sample::select(vec![
            "null",
            "0",
            "-0",
            "1.0",
            "1e+30",
            "98765432109876543210",
            "true",
            "[ ]",
            "{ }"
        ])
        .prop_map(str::to_owned),
        "[a-z ]{0,6}".prop_map(|text| format!("\"{text}\\u0041\\/\"")),
    ];
    scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
            prop::collection::vec(("[a-z]{1,3}", inner), 0..4).prop_map(|all| {
                let members: Vec<_> = all.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn peek_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for dialect in Dialect::ALL {
            for operation in Operation::ALL {
                let _ = peek(Door::new(dialect, operation), &bytes);
            }
        }
    }

    #[test]
    fn peek_never_panics_on_broken_bodies(text in json_text(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut body = format!("{{\"model\":\"a\",\"stream_options\":{text},\"conversation\":{text}}}").into_bytes();
        let at = at.index(body.len());
        body[at] = with;
        for door in [CHAT, RESPONSES, MESSAGES, GEMINI] {
            if let Ok(envelope) = peek(door, &body) {
                splice(&Bytes::from(body.clone()), &envelope, &Edits { model: Some("b"), ask_usage: true, ..Edits::default() });
            }
        }
    }

    #[test]
    fn all_else_survives(before in json_text(), after in json_text(), model in "\\PC{1,8}") {
        let body = format!("{{\"x\":{before},\"model\":\"a\" ,\"y\":{after} }}");
        prop_assert_eq!(edit(CHAT, &body, Edits::default()), body.clone());
        let name = serde_json::to_string(&model).unwrap();
        let expected = format!("{{\"x\":{before},\"model\":{name} ,\"y\":{after} }}");
        prop_assert_eq!(edit(CHAT, &body, Edits { model: Some(&model), ask_usage: false, ..Edits::default() }), expected.clone());
        prop_assert_eq!(read(CHAT, &expected).model, model);
        let asked = ask(&body);
        let added = ",\"stream_options\":{\"include_usage\":true}";
        prop_assert_eq!(asked.replacen(added, "", 1), body);
    }
}

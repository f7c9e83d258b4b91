//! The law of the tap: however a stream is cut, the same bytes go out and the same is said of them.

use dialect::{Accounting, Dialect, Door, Framing, Operation, TapOptions, sniff};
use proptest::prelude::*;

use crate::{
    fixtures::read_streams,
    watch::{describe_plain, options, watch, watch_plain},
};

#[test]
fn every_cut_of_every_fixture() {
    for fixture in read_streams() {
        let framing = fixture.framing.unwrap();
        for strip_usage in [false, true] {
            let options = TapOptions { strip_usage, ..options(fixture.door()) };
            let whole = watch(options, framing, &[&fixture.bytes]);
            let single: Vec<&[u8]> = fixture.bytes.chunks(1).collect();
            let chopped = watch(options, framing, &single);
            assert_eq!(chopped.facts, whole.facts, "{} byte by byte", fixture.name());
            assert_eq!(chopped.written, whole.written, "{} byte by byte", fixture.name());
            assert_eq!(chopped.out, whole.out, "{} byte by byte", fixture.name());
            for at in 0..=fixture.bytes.len() {
                let (head, tail) = fixture.bytes.split_at(at);
                let chopped = watch(options, framing, &[head, tail]);
                assert_eq!(chopped.facts, whole.facts, "{} cut at {at}", fixture.name());
                assert_eq!(chopped.written, whole.written, "{} cut at {at}", fixture.name());
                assert_eq!(chopped.out, whole.out, "{} cut at {at}", fixture.name());
            }
        }
    }
}

#[test]
fn the_first_byte_tells_the_framing() {
    for (start, framing) in [
        ("", None),
        ("\u{feff}", None),
        (" \r\n\t", None),
        ("\u{feff} \n[", Some(Framing::JsonArray)),
        ("{", Some(Framing::Document)),
        ("\n\nd", Some(Framing::Sse)),
        ("event", Some(Framing::Sse)),
        ("id: 1", Some(Framing::Sse)),
        ("retry", Some(Framing::Sse)),
        (": hm", Some(Framing::Sse)),
        ("<html>", Some(Framing::Document)),
        ("null", Some(Framing::Document)),
    ] {
        assert_eq!(sniff(start.as_bytes()), framing, "{start:?}");
    }
    assert_eq!(sniff(b"\xEF"), None);
    assert_eq!(sniff(b"\xEF\xBB"), None);
    assert_eq!(sniff(b"\xEF\xBB{"), Some(Framing::Document));
}

/// Pieces that streams are made of, and pieces that break them.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"data: ", b"data:", b"event: error", b"event: ping", b": note", b"\n", b"\n\n", b"\r", b"\r\n",
        b"\r\n\r\n", b"{", b"}", b"[", b"]", b",", b":", b"\"", b"\\", b"\\u", b"\\ud83d", b"\xEF\xBB\xBF", b"\xFF",
        b"[DONE]", b"null", b"17", b"-1e999", b" ",
        b"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}",
        b"{\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}",
        b"{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}",
        b"{\"error\":{\"message\":\"no\"}}",
        b"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}",
        b"{\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}",
        b"{\"candidates\":[{\"finishReason\":\"STOP\"}]}",
    ];
    let word = prop_oneof![
        8 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn cut(bytes: &[u8], places: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn every_cut_of_anything(
        bytes in tokens(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        dialect in prop::sample::select(Dialect::ALL.to_vec()),
        operation in prop::sample::select(Operation::ALL.to_vec()),
        framing in prop::sample::select(vec![Framing::Sse, Framing::JsonArray, Framing::Document]),
        strip_usage in any::<bool>(),
    ) {
        let options = TapOptions { door: Door::new(dialect, operation), accounting: Accounting::Standard, strip_usage };
        let pieces = cut(&bytes, &places);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let (whole, chopped) = (watch(options, framing, &[&bytes]), watch(options, framing, &pieces));
        prop_assert_eq!(&whole.facts, &chopped.facts);
        prop_assert_eq!(&whole.out, &chopped.out);
        prop_assert!(strip_usage || bytes.starts_with(&whole.out));

        let (whole, chopped) = (watch_plain(options, &[&bytes]), watch_plain(options, &pieces));
        prop_assert_eq!(describe_plain(&whole), describe_plain(&chopped));
    }

    #[test]
    fn a_plain_reply_is_whole_when_it_is_json(bytes in tokens()) {
        let door = Door::new(Dialect::OpenaiChat, Operation::Chat);
        if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
            prop_assert!(watch_plain(options(door), &[&bytes]).whole());
        }
    }
}

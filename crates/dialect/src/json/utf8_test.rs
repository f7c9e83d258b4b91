//! The check by blocks against the one of the standard library.

use proptest::prelude::*;

use super::utf8::is_valid;

fn compare(bytes: &[u8]) {
    assert_eq!(is_valid(bytes), std::str::from_utf8(bytes).is_ok(), "{bytes:X?}");
}

#[test]
fn each_edge_at_each_place() {
    const EDGES: [u8; 20] = [
        0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xF0,
        0xF4, 0xF5, 0xFF,
    ];
    for around in ["a", "é", "東", "\u{1F600}"] {
        let text = around.repeat(160 / around.len());
        // A character's begin, so that only the edges are wrong.
        for at in [0, 48, 60, 61, 62, 63, 64, 65, 124, 128, 156].map(|at| text.floor_char_boundary(at)) {
            for a in EDGES {
                for b in EDGES {
                    for tail in [&[][..], &[0x80], &[0x80, 0x80], &[0xBF, 0xC2], &[0x61, 0x80]] {
                        let (before, after) = text.as_bytes().split_at(at);
                        compare(&[before, &[a, b], tail, after].concat());
                        compare(&[before, &[a, b], tail].concat());
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_and_what_is_left_of_it(
        text in "([ -~]{0,90}|[é-ヿ東]{0,40}|\\PC{0,40}){1,4}",
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        assert!(is_valid(text.as_bytes()));
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len().max(1));
        compare(&bytes[..at.min(bytes.len())]);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        compare(&bytes);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(prop_oneof![1 => any::<u8>(), 1 => 0x80..0xF5u8, 3 => Just(b' ')], 0..300)) {
        compare(&bytes);
    }
}

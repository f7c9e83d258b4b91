//! Watching a plain reply through the sieve: however it is cut the same is said of it; what is JSON is whole, and a
//! document that is read in one pass says what its digest says.

use dialect::{Door, PlainTap, TapOptions, read_delivered};

use crate::{
    ACCOUNTINGS, Choices, DIALECTS, OPERATIONS, cut, single,
    watch::{describe_plain, watch_plain},
};

pub fn check(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let door = Door::new(choices.of(&DIALECTS), choices.of(&OPERATIONS));
    let options = TapOptions { door, accounting: choices.of(&ACCOUNTINGS), strip_usage: false };
    let sizes = [choices.take(), choices.take()];
    let bytes = choices.0;
    let whole = watch_plain(options, &[bytes]);
    for pieces in [cut(bytes, sizes), single(bytes)] {
        let chopped = watch_plain(options, &pieces);
        assert_eq!(describe_plain(&chopped), describe_plain(&whole), "it depends on the cuts");
        assert_eq!(
            format!("{:?}", chopped.delivered()),
            format!("{:?}", whole.delivered()),
            "it depends on the cuts"
        );
    }
    let at_once = PlainTap::of_whole(options, bytes);
    read_delivered(door, bytes);
    if serde_json::from_slice::<serde_json::Value>(bytes).is_ok() {
        assert!(whole.whole() && at_once.whole(), "JSON that is not whole");
    }
}

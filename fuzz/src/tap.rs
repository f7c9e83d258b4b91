//! Watching a relayed stream: however it is cut, the same bytes go on and the same is said of them; and what goes on is
//! what came, up to an error.

use dialect::{Door, TapOptions};

use crate::{ACCOUNTINGS, Choices, DIALECTS, FRAMINGS, OPERATIONS, cut, single, watch::watch};

pub fn check(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let door = Door::new(choices.of(&DIALECTS), choices.of(&OPERATIONS));
    let (accounting, strip_usage) = (choices.of(&ACCOUNTINGS), choices.of(&[false, true]));
    let options = TapOptions { door, accounting, strip_usage };
    let framing = choices.of(&FRAMINGS);
    let sizes = [choices.take(), choices.take()];
    let bytes = choices.0;
    let whole = watch(options, framing, &[bytes]);
    assert!(strip_usage || bytes.starts_with(&whole.out), "bytes that did not come");
    assert!(whole.out.len() <= bytes.len());
    for pieces in [cut(bytes, sizes), single(bytes)] {
        let chopped = watch(options, framing, &pieces);
        assert_eq!(chopped.facts, whole.facts, "it depends on the cuts");
        assert_eq!(chopped.written, whole.written, "it depends on the cuts");
        assert_eq!(chopped.out, whole.out, "it depends on the cuts");
    }
}

//! Every fixture's facts against the snapshot beside it (`<case>.<kind>.facts`); `UPDATE_GOLDENS=1` writes them anew.

use std::{fmt::Write, fs};

use dialect::{Framing, TapOptions, sniff};

use crate::{
    fixtures::{Fixture, read_all},
    watch::{describe_plain, options, watch, watch_plain},
};

#[test]
fn facts_are_as_written_down() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for fixture in read_all() {
        let facts = describe_fixture(&fixture);
        let mut golden = fixture.path.clone().into_os_string();
        golden.push(".facts");
        if update {
            fs::write(&golden, facts).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != facts {
            wrong.push(format!("{}: now\n{facts}", fixture.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn describe_fixture(fixture: &Fixture) -> String {
    let options = options(fixture.door());
    let Some(framing) = fixture.framing else {
        return describe_plain(&watch_plain(options, &[&fixture.bytes]));
    };
    assert_eq!(sniff(&fixture.bytes), Some(framing), "{}", fixture.name());
    let kept = watch(options, framing, &[&fixture.bytes]);
    let mut facts = kept.facts;
    writeln!(facts, "first meaningful: {}", find_meaning(options, framing, &fixture.bytes)).unwrap();
    writeln!(facts, "forwarded: {} of {}", kept.out.len(), fixture.bytes.len()).unwrap();
    assert!(fixture.bytes.starts_with(&kept.out), "{}: not forwarded as it came", fixture.name());
    let stripped = watch(TapOptions { strip_usage: true, ..options }, framing, &[&fixture.bytes]);
    if stripped.out != kept.out {
        writeln!(facts, "stripped: {:?}", find_removed(&kept.out, &stripped.out)).unwrap();
    }
    facts
}

/// The line with which the stream becomes meaningful.
fn find_meaning(options: TapOptions, framing: Framing, bytes: &[u8]) -> String {
    let whole = (1..=bytes.len()).find(|end| watch(options, framing, &[&bytes[..*end]]).tap.meaningful());
    let Some(end) = whole else { return "never".to_owned() };
    let read = String::from_utf8_lossy(&bytes[..end]);
    let line = read.trim_end().rsplit(['\n', '\r']).next().unwrap_or_default().to_owned();
    line.chars().rev().take(90).collect::<Vec<_>>().into_iter().rev().collect()
}

/// The one stretch that `shorter` lacks; of several that it could be, the one that is a frame.
fn find_removed(longer: &[u8], shorter: &[u8]) -> String {
    let gap = longer.len() - shorter.len();
    let fits = |start: &usize| [&longer[..*start], &longer[start + gap..]].concat() == shorter;
    let start = (0..=shorter.len()).filter(fits).find(|start| longer[*start..].starts_with(b"data:"));
    let start = start.expect("more than one frame is gone, or less");
    String::from_utf8_lossy(&longer[start..start + gap]).into_owned()
}

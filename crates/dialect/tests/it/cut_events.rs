//! However a stream is cut, the same events come of it.
#![allow(clippy::print_stdout)] // How much of the corpus was looked at.

use dialect::{Accounting, Dialect, Framing};

use crate::{corpus::read_recordings, fixtures::read_streams, gather::decode, grammar::check};

#[test]
fn every_cut_of_every_fixture_gives_the_same_events() {
    for fixture in read_streams() {
        let framing = fixture.framing.unwrap();
        let events = |pieces: &[&[u8]]| decode(fixture.dialect, framing, Accounting::Standard, pieces);
        let whole = events(&[&fixture.bytes]);
        assert_eq!(check(&whole, false), Ok(()), "{}", fixture.name());
        let single: Vec<&[u8]> = fixture.bytes.chunks(1).collect();
        assert_eq!(events(&single), whole, "{} byte by byte", fixture.name());
        for at in 0..=fixture.bytes.len() {
            let (head, tail) = fixture.bytes.split_at(at);
            assert_eq!(events(&[head, tail]), whole, "{} cut at {at}", fixture.name());
        }
    }
}

/// Every recording byte by byte; the shortest of each dialect also at every single cut.
#[test]
fn recorded_streams_give_the_same_events() {
    let Some(recordings) = read_recordings() else { return };
    let mut streams = 0;
    for dialect in Dialect::ALL {
        let of_dialect = recordings.iter().filter(|recording| recording.door.dialect == dialect);
        let mut found: Vec<_> = of_dialect.filter_map(|one| Some((one, one.stream()?))).collect();
        found.sort_by_key(|(_, bytes)| bytes.len());
        for (rank, (recording, bytes)) in found.iter().enumerate() {
            streams += 1;
            let accounting = recording.options().accounting;
            let events = |pieces: &[&[u8]]| decode(dialect, Framing::Sse, accounting, pieces);
            let whole = events(&[bytes]);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(events(&single), whole, "{} byte by byte", recording.id);
            for at in (0..bytes.len()).filter(|_| rank < 12) {
                let (head, tail) = bytes.split_at(at);
                assert_eq!(events(&[head, tail]), whole, "{} cut at {at}", recording.id);
            }
        }
    }
    println!("{streams} streams");
}

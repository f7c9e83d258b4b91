//! Writes the seeds into `fuzz/corpus`.
#![allow(clippy::print_stdout)]

use std::{io, path::Path};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recordings = fuzz.join("../../shared/corpus/recordings");
    let written =
        laws::seeds::write(&fuzz.join("../crates/dialect/fixtures"), &recordings, &fuzz.join("corpus"))?;
    println!("{written} seeds");
    Ok(())
}

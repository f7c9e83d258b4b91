//! The sim against raw sockets: every word of a script does what the table says, and the record is true.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod before;
mod body;
mod conversations;
mod errors;
mod healthy;
mod record;
mod scripts;
mod streams;
mod wire;

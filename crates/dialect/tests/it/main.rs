//! The laws and the recorded behaviour of the dialects, in one binary.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected must stop there.

mod chopped;
mod corpus;
mod errors;
mod fixtures;
mod golden;
mod oversized;
mod relay;
mod usage;
mod watch;
mod written;

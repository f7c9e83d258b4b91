//! The laws and the recorded behaviour of the dialects, in one binary.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected must stop there.

mod chopped;
mod corpus;
mod cut_events;
mod errors;
mod every_field;
mod fixtures;
mod gather;
mod golden;
mod grammar;
mod laws;
mod malformed;
mod names;
mod overlap;
mod oversized;
mod play;
mod relay;
mod same_again;
mod translated_corpus;
mod translations;
mod trees;
mod turns;
mod usage;
mod watch;
mod written;

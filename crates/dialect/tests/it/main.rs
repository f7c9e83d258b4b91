//! The laws and the recorded behaviour of the dialects, in one binary.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected must stop there.

mod chopped;
mod clients;
mod corpus;
mod counts;
mod cut_events;
mod errors;
mod every_field;
mod fixtures;
mod found;
mod gather;
mod golden;
mod grammar;
mod laws;
mod malformed;
mod names;
mod namespaces;
mod overlap;
mod oversized;
mod play;
mod quirks;
mod relay;
mod same_again;
mod translated_corpus;
mod translations;
mod trees;
mod turns;
mod usage;
mod watch;
mod web_search;
mod written;

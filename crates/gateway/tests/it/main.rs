//! The gateway on real sockets: one test for each promise to its users.
//!
//! Clients here write and read raw bytes, so that no library hides what goes over the wire; the provider is
//! `upstream-sim`. Every test ends with [`harness::World::close`], which checks that what came in went out.
#![allow(unreachable_pub, reason = "one binary: all of it is its own")]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected must stop there")]

mod harness;
mod wire;

mod admin;
mod bad_input;
mod books;
mod bounds;
mod configuration;
mod corpus;
mod counting;
mod crash;
mod doors;
mod edits;
mod failover;
mod incident;
mod key_rules;
mod leaving;
mod limits;
mod midstream;
mod models;
mod money;
mod monitor;
mod names;
mod patience;
mod program;
mod proxies;
mod quirks;
mod shutdown;
mod sign_in;
mod strict;
mod translation;
mod unmeasured;

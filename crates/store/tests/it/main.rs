//! The store against its promises, on real SQLite files.
#![allow(clippy::unwrap_used)] // A test that meets the unexpected must stop there.

mod identity;
mod ledger_vs_model;
mod model;
mod owner;
mod price_laws;
mod price_list;
mod request_log;
mod rows;
mod scratch;

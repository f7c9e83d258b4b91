//! A fake LLM provider that speaks four dialects and can misbehave on demand.
//!
//! In: HTTP/1.1 requests on a real socket; out: the answers of a healthy provider, or whatever the request's
//! *script* asks for, and an exact record of what was asked and how it ended. It parses heads and writes bytes
//! itself, because it has to do what no HTTP library allows. It must never know the gateway.
//!
//! ```no_run
//! # async fn example() {
//! let sim = upstream_sim::Sim::start().await;
//! let base_url = sim.scripted("stall=2"); // every request below this URL stalls after two events
//! sim.push("sk-one", "status=429,retry-after=3".parse().expect("a good script"));
//! sim.wait_until(|log| log.iter().any(|served| served.ended.is_some())).await;
//! # }
//! ```
//!
//! The vocabulary of scripts is in the README, which follows.
#![doc = include_str!("../README.md")]

mod ask;
mod connection;
mod conversation;
mod delivery;
mod dialect;
mod error_body;
mod exchange;
mod fill;
mod frames;
mod head;
mod message;
mod operation;
mod outlet;
mod percent;
mod prose;
mod record;
mod reply;
mod report;
mod request;
mod script;
mod served;
mod sim;
mod socket;
mod stream;

pub use script::{BadScript, Script};
pub use served::{Outcome, Served, Usage};
pub use sim::Sim;

//! The servers of a measurement, each a process of its own: two upstreams, nginx, and Sluice.
//!
//! In: binaries, addresses, a scratch directory; out: running servers. None of them may know that it is measured.

pub mod answerer;
pub mod nginx;
pub mod sim;
pub mod sluice;

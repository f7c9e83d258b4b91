//! Measuring Sluice from outside: how much work it is, and that nothing stays behind.
//!
//! Four programs use this library. `bench` compares it with nginx on one core and writes docs/BENCHMARKS.md; `bench-settled`
//! and `bench-log` put ten minutes of full load, and ten million requests, into its books and write a section there;
//! `incident` replays the production incident that Sluice exists for and fails unless everything that came in went out.
//! They know the gateway only as a process: its socket, its two outputs and what the kernel says about it. Nothing here
//! may link the gateway, or it would be measured together with what measures it.

pub mod bench;
pub mod chance;
pub mod document;
pub mod incident;
pub mod load;
pub mod log;
pub mod machine;
pub mod process;
pub mod procfs;
pub mod program;
pub mod scratch;
pub mod servers;
pub mod settled;

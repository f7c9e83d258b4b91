//! The comparison with nginx: what is measured, in which order, and how it is told.
//!
//! In: the sizes of a run; out: a table, and docs/BENCHMARKS.md. Every row is measured for all ways in turn, round after
//! round, so that whatever else the machine does falls on all of them. It must never fail because of a number.

pub mod measure;
pub mod memory;
pub mod report;
pub mod setup;
pub mod sizes;
pub mod table;
pub mod ways;

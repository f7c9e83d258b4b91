//! The request log at the size of years: filled, asked, written to, and cut back.
//!
//! In: a number of rows. Out: how long each question takes, as a section of docs/BENCHMARKS.md. Here the store is linked: it
//! is what is measured, and there is no gateway in between.

pub mod fill;
pub mod measure;
pub mod questions;
pub mod told;

//! Every client on every channel: requests and answers that pass from one dialect into another.

pub mod asked;
mod breaks;
mod grid;
mod lanes;
mod losses;
mod models;
mod references;
mod refused;
pub mod said;
mod thinking;

use crate::harness::{DIALECTS, channel};

/// A channel for each dialect at one URL, each with a model of its dialect's name.
fn one_each(base_url: &str) -> String {
    DIALECTS.iter().map(|dialect| channel(dialect, dialect, base_url, dialect)).collect()
}

/// Two dialects that differ, in every order.
fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    DIALECTS
        .into_iter()
        .flat_map(|from| DIALECTS.into_iter().map(move |to| (from, to)))
        .filter(|(a, b)| a != b)
}

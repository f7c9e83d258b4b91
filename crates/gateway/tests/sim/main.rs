//! The simulation: the real pipeline in made-up worlds, each drawn from a seed.
//!
//! A world has a configuration, clients that send, read, stall and leave, providers that answer, err, stall and break,
//! and sometimes a stop; time is virtual. Afterwards the laws are held against it (`laws.rs`, `conduct.rs`, `limits.rs`, `view.rs`),
//! with a model of what should have happened (`model.rs`). A failure names its seed:
//!
//! ```text
//! SLUICE_SIM_SEED=123 cargo test -p gateway --test sim        # that world again
//! SLUICE_SIM_SEEDS=5000 cargo test -p gateway --test sim      # so many worlds
//! ```
#![allow(unreachable_pub, reason = "one binary: all of it is its own")]
#![allow(clippy::unwrap_used, reason = "a simulation that meets the unexpected must stop there")]

mod arrived;
mod ask;
mod client;
mod conduct;
mod dice;
mod laws;
mod leak;
mod limits;
mod model;
mod money;
mod said;
mod script;
mod setup;
mod upstream;
mod view;
mod wire;
mod world;

use std::{
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use world::World;

/// Worlds that are run when nobody says how many: as many as take some thirty seconds in a debug build.
const WORLDS: u64 = 500;
/// Failures that are told before the rest is left alone.
const TOLD: usize = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// Runs one world; what is wrong with it.
fn trouble(seed: u64) -> Option<String> {
    let broken = match catch_unwind(|| World::new(seed).run().broken) {
        Ok(broken) => broken,
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            vec![said.or(panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default()]
        }
    };
    (!broken.is_empty()).then(|| {
        let first: Vec<_> = broken.iter().take(3).map(String::as_str).collect();
        format!(
            "seed {seed}: {} violations\n{}\nrepeat it with SLUICE_SIM_SEED={seed} cargo test -p gateway --test sim\n",
            broken.len(),
            first.join("\n")
        )
    })
}

#[test]
fn worlds_keep_the_laws() {
    if let Some(seed) = number("SLUICE_SIM_SEED") {
        if let Some(trouble) = trouble(seed) {
            panic!("{trouble}");
        }
        return;
    }
    let first = number("SLUICE_SIM_FIRST").unwrap_or(1);
    let end = first + number("SLUICE_SIM_SEEDS").unwrap_or(WORLDS);
    let (next, troubles) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || troubles.lock().unwrap().len() >= TOLD {
                        return;
                    }
                    if let Some(trouble) = trouble(seed) {
                        troubles.lock().unwrap().push(trouble);
                    }
                }
            });
        }
    });
    let troubles = troubles.into_inner().unwrap();
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
}

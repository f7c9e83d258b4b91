//! How many are in at once, against a limit that a reload may change.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// A count of those inside.
#[derive(Debug, Default)]
pub struct Occupancy(AtomicU32);

/// A place taken; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Occupancy>);

impl Occupancy {
    /// A place, unless `limit` are taken. The limit is the caller's to name at each call, so a reload changes it at once.
    pub fn enter(self: &Arc<Occupancy>, limit: Option<u32>) -> Option<Place> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.clone());
        if limit.is_some_and(|limit| before >= limit) { None } else { Some(place) }
    }

    pub fn inside(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

//! What a key, its user and its group may do at once and in a minute.
//!
//! In: a request and the tokens that it may need. Out: a [`Taken`], which has taken them from all three in one step, or a
//! [`Short`], with nothing taken anywhere. Dropping a [`Taken`] gives everything back; settling it corrects the tokens by
//! what was really used. All of it is in memory and in whole numbers. Where nothing is limited it costs a count and takes
//! no lock. It must not know who is limited, or why.

mod bucket;
mod level;
mod meter;
#[cfg(test)]
mod tests;
mod waiting;

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard},
};

pub use self::{
    level::{Level, Levels, Short, What, Whose},
    meter::{Caps, Meter},
    waiting::Patience,
};
use self::{
    meter::{Back, Share, State},
    waiting::Waiter,
};
use crate::clock::Clock;

/// The meters of one key: its own, its user's and its group's, locked in this order.
#[derive(Debug)]
pub struct Limits([Arc<Meter>; 3]);

/// Every meter that was ever in force, by the number that its owner has in the books: requests of one that is taken out run
/// on, and one that comes back finds them.
#[derive(Debug)]
pub struct Meters {
    clock: Clock,
    /// Of keys, users and groups.
    by_id: [HashMap<i64, Arc<Meter>>; 3],
}

impl Meters {
    pub fn new(clock: Clock) -> Meters {
        Meters { clock, by_id: Default::default() }
    }

    /// The meter of one of them, with these caps from now on.
    pub fn set(&mut self, whose: Whose, id: i64, caps: Caps) -> Arc<Meter> {
        let meter = self.by_id[whose as usize].entry(id).or_default();
        meter.set(caps, self.clock.now_ms());
        meter.clone()
    }
}

/// Where a request could not come in.
struct Blocked {
    /// The first meter that has no room; there it may wait.
    rank: usize,
    /// When time alone makes room there; 0: it does not, or others come first.
    ripe_ms: u64,
    /// Why, by the meter that takes longest.
    short: Short,
}

impl Limits {
    pub fn new(key: Arc<Meter>, user: Arc<Meter>, group: Arc<Meter>) -> Limits {
        Limits([key, user, group])
    }

    pub fn of(&self, whose: Whose) -> &Meter {
        &self.0[whose as usize]
    }

    /// Whether any of them counts tokens: else nobody need find out how many a request may need.
    pub fn count_tokens(&self) -> bool {
        self.0.iter().any(|meter| meter.limited().is_some_and(|state| state.counts_tokens()))
    }

    /// A place, a request and so many tokens, from all or from none; and not before those who wait.
    pub fn take(self: &Arc<Limits>, tokens: u64, clock: Clock) -> Result<Taken, Short> {
        self.attempt(tokens, clock, None).map_err(|blocked| blocked.short)
    }

    /// All meters with limits are locked, all are asked, and only then is anything taken.
    fn attempt(
        self: &Arc<Limits>,
        tokens: u64,
        clock: Clock,
        mut waiter: Option<&mut Waiter>,
    ) -> Result<Taken, Blocked> {
        let mut states: [Option<MutexGuard<'_, State>>; 3] =
            std::array::from_fn(|rank| self.0[rank].limited());
        let now_ms = if states.iter().any(Option::is_some) { clock.now_ms() } else { 0 };
        let ticket = waiter.as_ref().map(|waiter| waiter.ticket);
        let mut blocked: Option<Blocked> = None;
        for (rank, state) in states.iter_mut().enumerate() {
            let Some(state) = state else { continue };
            let Some(shortage) = state.shortage(tokens, self.0[rank].inside(), now_ms, ticket) else {
                continue;
            };
            let short = shortage.told(Whose::ALL[rank]);
            match &mut blocked {
                Some(first) if first.short.retry_after_ms >= short.retry_after_ms => {}
                Some(first) => first.short = short,
                None => blocked = Some(Blocked { rank, ripe_ms: shortage.ripe_ms(now_ms), short }),
            }
        }
        if let Some(mut blocked) = blocked {
            blocked.short.levels = levels(&mut states, now_ms);
            if let (Some(waiter), Some(state)) = (&mut waiter, &mut states[blocked.rank]) {
                waiter.line_up(blocked.rank, state);
            }
            return Err(blocked);
        }
        let shares = std::array::from_fn(|rank| self.0[rank].enter(states[rank].as_deref_mut(), tokens));
        let levels = levels(&mut states, now_ms);
        drop(states);
        Ok(Taken { limits: self.clone(), shares, levels, clock, back: Back::All })
    }
}

/// Of each kind the one that is nearest to its end.
fn levels(states: &mut [Option<MutexGuard<'_, State>>; 3], now_ms: u64) -> Levels {
    let mut levels = Levels::default();
    for state in states.iter_mut().flatten() {
        levels.narrow(state.levels(now_ms));
    }
    levels
}

/// What one request has taken.
#[derive(Debug)]
pub struct Taken {
    limits: Arc<Limits>,
    shares: [Share; 3],
    levels: Levels,
    clock: Clock,
    back: Back,
}

impl Taken {
    /// What was left when it was taken.
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The request is over and used so many tokens; `None`: nobody knows yet, and what was reserved stays taken. What is known
    /// better later can be corrected.
    pub fn settle(mut self, used: Option<u64>) -> Counted {
        self.back = Back::But { used };
        let counted = self.shares.map(|share| share.counted(used));
        Counted { limits: self.limits.clone(), counted, clock: self.clock }
    }
}

/// The tokens that a request which is over was counted with.
#[derive(Debug)]
pub struct Counted {
    limits: Arc<Limits>,
    counted: [u64; 3],
    clock: Clock,
}

impl Counted {
    /// It used so many, as is known now.
    pub fn correct(self, used: u64) {
        for (meter, counted) in self.limits.0.iter().zip(self.counted) {
            meter.correct(counted, used, self.clock);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for (meter, share) in self.limits.0.iter().zip(&self.shares) {
            meter.leave(share, self.back, self.clock);
        }
    }
}

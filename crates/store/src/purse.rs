//! What may still be spent, in memory: the place where requests are admitted.
//!
//! In: balances and limits loaded at start. Out: a [`Hold`] for each admitted request, or a refusal. A hold is one atomic
//! step over all purses it is taken from, costs no look at the database, and cannot be passed by any number of calls at
//! once; dropping it gives everything back, settling it turns it into a charge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::money::Nanos;

/// Money that can be held and spent: an account's, or what a key's limit leaves.
#[derive(Debug)]
pub struct Purse {
    pub id: i64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// What may be spent in all, `spent` included: a key's limit, or what was paid into an account. `None`: as much as
    /// one likes.
    pub limit: Option<Nanos>,
    /// Sum of all charges.
    pub spent: Nanos,
    /// Sum of all open holds.
    pub held: Nanos,
}

impl State {
    /// What is left to hold; negative after an overrun.
    pub fn left(&self) -> Option<Nanos> {
        self.limit.map(|limit| limit.minus(self.spent).minus(self.held))
    }
}

impl Purse {
    pub fn new(id: i64, limit: Option<Nanos>, spent: Nanos) -> Arc<Purse> {
        Arc::new(Purse { id, state: Mutex::new(State { limit, spent, held: Nanos::ZERO }) })
    }

    pub fn state(&self) -> State {
        *self.lock()
    }

    /// Another limit; what was spent and is held stays what it is.
    pub fn set_limit(&self, limit: Option<Nanos>) {
        self.lock().limit = limit;
    }

    /// A charge of a key was given back, and that stands in the books.
    pub fn unspend(&self, amount: Nanos) {
        let mut state = self.lock();
        state.spent = state.spent.minus(amount);
    }

    /// `Err`: whether only other holds stand in the way.
    fn take(&self, amount: Nanos) -> Result<(), bool> {
        let mut state = self.lock();
        if state.left().is_some_and(|left| left < amount) {
            return Err(state.left().is_some_and(|left| left.plus(state.held) >= amount));
        }
        state.held = state.held.plus(amount);
        Ok(())
    }

    fn give_back(&self, amount: Nanos) {
        let mut state = self.lock();
        state.held = state.held.minus(amount);
    }

    fn spend(&self, held: Nanos, charge: Nanos) {
        let mut state = self.lock();
        state.held = state.held.minus(held);
        state.spent = state.spent.plus(charge);
    }

    /// Nothing in here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Money set aside for one request, in every purse that pays for it.
#[derive(Debug)]
pub struct Hold {
    purses: [Arc<Purse>; 2],
    amount: Nanos,
    open: bool,
}

impl Hold {
    /// Sets `amount` aside in both purses or in neither; `Err` is the one that has not enough.
    pub fn take(account: &Arc<Purse>, key: &Arc<Purse>, amount: Nanos) -> Result<Hold, Short> {
        let short = |whose, only_held| if only_held { Short::Held } else { whose };
        account.take(amount).map_err(|held| short(Short::Account, held))?;
        key.take(amount).map_err(|held| {
            account.give_back(amount);
            short(Short::Key, held)
        })?;
        Ok(Hold { purses: [account.clone(), key.clone()], amount, open: true })
    }

    pub fn amount(&self) -> Nanos {
        self.amount
    }

    /// What both purses leave; `None`: as much as one likes.
    pub fn left(account: &Purse, key: &Purse) -> Option<Nanos> {
        let left = [account.state().left(), key.state().left()];
        left.into_iter().flatten().min()
    }

    pub fn account(&self) -> &Arc<Purse> {
        &self.purses[0]
    }

    pub fn key(&self) -> &Arc<Purse> {
        &self.purses[1]
    }

    /// Turns the hold into a charge, which may be more than was held: that is the overrun.
    pub fn settle(mut self, charge: Nanos) {
        self.open = false;
        self.purses.iter().for_each(|purse| purse.spend(self.amount, charge));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.open {
            self.purses.iter().for_each(|purse| purse.give_back(self.amount));
        }
    }
}

/// Which purse had not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// The account's balance.
    Account,
    /// What the key's own limit leaves.
    Key,
    /// Neither, once the requests that hold it are over.
    Held,
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn usd(amount: i64) -> Nanos {
        Nanos(amount * crate::money::NANOS_PER_USD)
    }

    #[test]
    fn fifty_at_once_against_a_balance_for_ten_admit_ten() {
        for _ in 0..50 {
            let (account, key) =
                (Purse::new(1, Some(usd(10)), Nanos::ZERO), Purse::new(1, None, Nanos::ZERO));
            let admitted: Vec<Hold> = thread::scope(|scope| {
                let tries: Vec<_> =
                    (0..50).map(|_| scope.spawn(|| Hold::take(&account, &key, usd(1)).ok())).collect();
                tries.into_iter().filter_map(|tried| tried.join().unwrap()).collect()
            });
            assert_eq!(admitted.len(), 10);
            assert_eq!(account.state().held, usd(10));
            admitted
                .into_iter()
                .enumerate()
                .for_each(|(at, hold)| if at % 2 == 0 { hold.settle(usd(1)) } else { drop(hold) });
            let limit = Some(usd(10));
            assert_eq!(account.state(), State { limit, held: Nanos::ZERO, spent: usd(5) });
            assert_eq!(key.state(), State { limit: None, held: Nanos::ZERO, spent: usd(5) });
        }
    }

    #[test]
    fn what_is_paid_in_can_be_spent_at_once_and_what_is_given_back_again() {
        // The limit of an account is all that was ever paid in.
        let (account, key) =
            (Purse::new(1, Some(usd(12)), usd(10)), Purse::new(1, Some(usd(4)), Nanos::ZERO));
        assert_eq!(Hold::left(&account, &key), Some(usd(2)));
        Hold::take(&account, &key, usd(2)).unwrap().settle(usd(2));
        assert_eq!(Hold::take(&account, &key, usd(1)).unwrap_err(), Short::Account);
        account.set_limit(Some(usd(13)));
        let hold = Hold::take(&account, &key, usd(1)).unwrap();
        assert_eq!(Hold::left(&account, &key), Some(Nanos::ZERO));
        drop(hold);
        key.unspend(usd(2));
        assert_eq!(key.state().left(), Some(usd(4)));
        account.set_limit(None);
        assert_eq!(Hold::left(&account, &key), Some(usd(4)));
    }

    #[test]
    fn a_hold_is_taken_everywhere_or_nowhere() {
        let (account, key) =
            (Purse::new(1, Some(usd(10)), Nanos::ZERO), Purse::new(1, Some(usd(3)), Nanos::ZERO));
        assert_eq!(Hold::take(&account, &key, usd(4)).unwrap_err(), Short::Key);
        assert_eq!(account.state().held, Nanos::ZERO);
        assert_eq!(Hold::take(&account, &key, usd(11)).unwrap_err(), Short::Account);
        let hold = Hold::take(&account, &key, usd(3)).unwrap();
        hold.settle(usd(5));
        assert_eq!(key.state().left(), Some(usd(-2)), "an overrun is charged");
        assert_eq!(Hold::take(&account, &key, Nanos::ZERO).unwrap_err(), Short::Key, "and then no more");
        key.set_limit(Some(usd(5)));
        assert!(Hold::take(&account, &key, Nanos::ZERO).is_ok());
    }
}

//! The ledger, as simple as it can be said: maps in memory.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) balances: BTreeMap<i64, i64>,
    pub(crate) spent: BTreeMap<i64, i64>,
    /// Requests that have ended, with ending and charge.
    pub(crate) ended: BTreeMap<u8, (&'static str, i64)>,
    /// Open requests with their hold.
    pub(crate) open: BTreeMap<u8, i64>,
    pub(crate) operations: BTreeSet<Vec<u8>>,
}

impl Model {
    pub(crate) fn open(&mut self, id: u8, hold: i64) {
        if !self.ended.contains_key(&id) {
            self.open.entry(id).or_insert(hold);
        }
    }

    pub(crate) fn end(&mut self, id: u8, account: i64, key: i64, charge: i64, was_opened: bool) {
        if was_opened {
            self.open.remove(&id);
        }
        if self.ended.contains_key(&id) {
            return;
        }
        self.ended.insert(id, ("completed", charge));
        if charge != 0 {
            *self.balances.entry(account).or_default() -= charge;
            *self.spent.entry(key).or_default() += charge;
            self.operations.insert(vec![id; 16]);
        }
    }

    pub(crate) fn enter(&mut self, account: i64, amount: i64, operation: &[u8]) -> bool {
        let entered = self.operations.insert(operation.to_vec());
        if entered {
            *self.balances.entry(account).or_default() += amount;
        }
        entered
    }

    pub(crate) fn recover(&mut self) -> usize {
        let open = std::mem::take(&mut self.open);
        let lost: Vec<u8> = open.into_keys().filter(|id| !self.ended.contains_key(id)).collect();
        lost.iter().for_each(|id| {
            self.ended.insert(*id, ("lost", 0));
        });
        lost.len()
    }
}

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
    /// Entries by kind and operation, with what they say.
    pub(crate) entered: BTreeMap<(&'static str, u8), (i64, Option<u8>)>,
    /// Who paid for a request, and what of it was given back.
    pub(crate) paid: BTreeMap<u8, (i64, i64, i64)>,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Now,
    Before,
    /// It was something else before.
    Other,
    /// A refund of nothing, or of more than there is left.
    Refused,
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
            self.pay(id, account, key, charge);
        }
    }

    fn pay(&mut self, id: u8, account: i64, key: i64, charge: i64) {
        *self.balances.entry(account).or_default() -= charge;
        *self.spent.entry(key).or_default() += charge;
        self.operations.insert(vec![id; 16]);
        self.paid.insert(id, (account, key, charge));
    }

    pub(crate) fn enter(&mut self, account: i64, kind: &'static str, amount: i64, operation: u8) -> Done {
        match self.entered.get(&(kind, operation)) {
            Some(said) if *said == (amount, None) => return Done::Before,
            Some(_) => return Done::Other,
            None => {}
        }
        self.entered.insert((kind, operation), (amount, None));
        self.operations.insert([kind.as_bytes(), &[operation]].concat());
        *self.balances.entry(account).or_default() += amount;
        Done::Now
    }

    pub(crate) fn refund(&mut self, id: u8, amount: i64, operation: u8) -> Done {
        let Some((account, key, left)) = self.paid.get(&id).copied().filter(|_| amount > 0) else {
            return Done::Refused;
        };
        match self.entered.get(&("refund", operation)) {
            Some(said) if *said == (amount, Some(id)) => return Done::Before,
            Some(_) => return Done::Other,
            None if amount > left => return Done::Refused,
            None => {}
        }
        self.entered.insert(("refund", operation), (amount, Some(id)));
        self.operations.insert([b"refund".as_slice(), &[operation]].concat());
        self.paid.insert(id, (account, key, left - amount));
        *self.balances.entry(account).or_default() += amount;
        *self.spent.entry(key).or_default() -= amount;
        Done::Now
    }

    /// `payer`: who pays for a lost request, where it is charged.
    pub(crate) fn recover(&mut self, payer: Option<&dyn Fn(u8) -> (i64, i64)>) -> usize {
        let open = std::mem::take(&mut self.open);
        let lost: Vec<(u8, i64)> = open.into_iter().filter(|(id, _)| !self.ended.contains_key(id)).collect();
        for (id, hold) in &lost {
            let charge = if payer.is_some() { *hold } else { 0 };
            self.ended.insert(*id, ("lost", charge));
            if let (Some(payer), true) = (payer, charge != 0) {
                let (account, key) = payer(*id);
                self.pay(*id, account, key, charge);
            }
        }
        lost.len()
    }
}

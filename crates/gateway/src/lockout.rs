//! Who tried to sign in too often has to wait: by account, and by address.
//!
//! In: each try, before it is checked. Out: whether it may be checked, and else how long to wait. Names that belong to nobody are
//! counted like those that do, so that the answer tells nothing. Its memory is bounded, and it never locks for good.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use ring::digest::{SHA256, digest};

/// What is remembered of one account or address.
#[derive(Clone, Copy, Debug)]
struct Record {
    tries: u32,
    last_ms: u64,
    /// Nothing is checked before this.
    until_ms: u64,
}

/// How many tries, and what then.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tries that cost nothing.
    pub free: u32,
    /// The wait after the first one beyond; it doubles with each.
    pub first_wait_ms: u64,
    pub longest_wait_ms: u64,
    /// Without a try for so long, all is forgotten.
    pub forget_ms: u64,
}

/// Five slips are human; a lock of a quarter of an hour leaves a guesser some 100 tries a day.
pub const ACCOUNT: Limits =
    Limits { free: 5, first_wait_ms: 30_000, longest_wait_ms: 15 * 60_000, forget_ms: 60 * 60_000 };
/// An address may be a whole office.
pub const ADDRESS: Limits =
    Limits { free: 30, first_wait_ms: 30_000, longest_wait_ms: 15 * 60_000, forget_ms: 60 * 60_000 };
/// Letters to one mailbox.
pub const MAILBOX: Limits =
    Limits { free: 3, first_wait_ms: 5 * 60_000, longest_wait_ms: 60 * 60_000, forget_ms: 24 * 60 * 60_000 };

/// Records of one kind that are kept at most.
const MOST: usize = 10_000;

/// Seconds to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked {
    pub seconds: u64,
}

/// Tries by one kind of name.
#[derive(Debug)]
pub struct Tries<K> {
    limits: Limits,
    records: Mutex<HashMap<K, Record>>,
}

impl<K: Hash + Eq + Copy> Tries<K> {
    pub fn new(limits: Limits) -> Tries<K> {
        Tries { limits, records: Mutex::default() }
    }

    /// Counts a try before it is checked: those that run side by side are all counted.
    /// The wait of the next one, where this one makes it wait.
    pub fn count(&self, key: K, now_ms: u64) -> Result<Option<Locked>, Locked> {
        let limits = self.limits;
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= MOST && !records.contains_key(&key) {
            make_room(&mut records, limits, now_ms);
        }
        let record = records.entry(key).or_insert(Record { tries: 0, last_ms: now_ms, until_ms: 0 });
        if now_ms < record.until_ms {
            return Err(Locked { seconds: (record.until_ms - now_ms).div_ceil(1000) });
        }
        if now_ms.saturating_sub(record.last_ms) >= limits.forget_ms {
            record.tries = 0;
        }
        record.tries = record.tries.saturating_add(1);
        record.last_ms = now_ms;
        if record.tries >= limits.free {
            let doubled = (record.tries - limits.free).min(20);
            let wait_ms = (limits.first_wait_ms << doubled).min(limits.longest_wait_ms);
            record.until_ms = now_ms + wait_ms;
            return Ok(Some(Locked { seconds: wait_ms / 1000 }));
        }
        Ok(None)
    }

    /// The try was good.
    pub fn forgive(&self, key: K) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// The try was good, but others of the same name may not have been: only this one is taken back.
    pub fn take_back(&self, key: K) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = records.get_mut(&key) {
            record.tries = record.tries.saturating_sub(1);
            if record.tries < self.limits.free {
                record.until_ms = 0;
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.records.lock().unwrap().len()
    }
}

/// What is out of date goes; if that is nothing, the tenth with the fewest tries. Who tries most is remembered longest.
fn make_room<K: Hash + Eq + Copy>(records: &mut HashMap<K, Record>, limits: Limits, now_ms: u64) {
    records.retain(|_, record| now_ms.saturating_sub(record.last_ms) < limits.forget_ms);
    if records.len() < MOST {
        return;
    }
    let mut by_tries: Vec<(u32, u64, K)> =
        records.iter().map(|(key, record)| (record.tries, record.last_ms, *key)).collect();
    by_tries.sort_unstable_by_key(|(tries, last_ms, _)| (*tries, *last_ms));
    for (_, _, key) in by_tries.into_iter().take(MOST / 10) {
        records.remove(&key);
    }
}

/// A name or an address of mail, of any length, as a key of fixed size.
pub type NameKey = [u8; 16];

pub fn name_key(name: &str) -> NameKey {
    let mut key = [0; 16];
    key.copy_from_slice(&digest(&SHA256, name.to_lowercase().as_bytes()).as_ref()[..16]);
    key
}

/// Who has one IPv6 address has a whole /64 of them.
pub fn address_key(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_an_account_is_locked_for_longer_and_longer_but_not_for_good() {
        let tries = Tries::new(ACCOUNT);
        for _ in 0..4 {
            assert_eq!(tries.count(1, 0), Ok(None));
        }
        assert_eq!(tries.count(1, 0), Ok(Some(Locked { seconds: 30 })));
        assert_eq!(tries.count(1, 1_000), Err(Locked { seconds: 29 }));
        assert_eq!(tries.count(2, 1_000), Ok(None), "another account");
        assert_eq!(tries.count(1, 30_000), Ok(Some(Locked { seconds: 60 })));
        assert_eq!(tries.count(1, 30_001), Err(Locked { seconds: 60 }));
        let mut now = 90_000;
        for _ in 0..40 {
            assert!(tries.count(1, now).is_ok());
            now += ACCOUNT.longest_wait_ms;
        }
        assert_eq!(tries.count(1, now + ACCOUNT.forget_ms), Ok(None), "all was forgotten");
        tries.forgive(1);
        assert_eq!(tries.len(), 1);
    }

    #[test]
    fn a_good_try_is_taken_back_from_its_address() {
        let tries = Tries::new(ADDRESS);
        for _ in 0..1_000 {
            assert_eq!(tries.count(1, 0), Ok(None));
            tries.take_back(1);
        }
    }

    #[test]
    fn memory_is_bounded_and_who_tries_most_is_remembered() {
        let tries = Tries::new(ACCOUNT);
        for _ in 0..5 {
            tries.count(u64::MAX, 0).unwrap();
        }
        for name in 0..50_000 {
            tries.count(name, 1).unwrap();
        }
        assert!(tries.len() <= MOST);
        assert!(tries.count(u64::MAX, 2).is_err(), "a flood of names does not wash a lock away");
    }

    #[test]
    fn addresses_are_counted_by_who_has_them() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
        assert_eq!(name_key("Ann"), name_key("ann"));
    }
}

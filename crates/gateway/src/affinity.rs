//! Which channel made which stored object: a bounded, forgetting memory.
//!
//! In: the id of an object that a reply names, with caller and channel. Out: the channel, to the same caller only. It
//! lives in memory: after a restart an id is unknown here, and the provider decides.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use ring::digest::{Context, SHA256};

/// Objects remembered; the oldest are forgotten first.
const REMEMBERED: usize = 100_000;
/// How long an object is remembered, in milliseconds: providers keep stored responses for 30 days.
const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;
/// Longer ids are no provider's.
const LONGEST_ID: usize = 256;

#[derive(Debug, Default)]
pub struct Affinity {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    made: HashMap<Name, Made>,
    /// In order of making.
    order: VecDeque<Name>,
}

/// An object's id and its caller, as the first half of their SHA-256: what is remembered for a month must be small, and no
/// caller may make up an id that is found as another's.
pub(crate) type Name = [u8; 16];

pub(crate) fn name(caller: i64, id: &str) -> Name {
    let mut digest = Context::new(&SHA256);
    digest.update(&caller.to_le_bytes());
    digest.update(id.as_bytes());
    let mut name = Name::default();
    name.copy_from_slice(&digest.finish().as_ref()[..size_of::<Name>()]);
    name
}

#[derive(Debug)]
struct Made {
    channel: Arc<str>,
    at_ms: u64,
}

impl Affinity {
    pub fn remember(&self, caller: i64, id: &str, channel: &Arc<str>, now_ms: u64) {
        if id.is_empty() || id.len() > LONGEST_ID {
            return;
        }
        let name = name(caller, id);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.made.insert(name, Made { channel: channel.clone(), at_ms: now_ms }).is_none() {
            memory.order.push_back(name);
        }
        while memory.order.len() > REMEMBERED {
            if let Some(oldest) = memory.order.pop_front() {
                memory.made.remove(&oldest);
            }
        }
    }

    pub fn recall(&self, caller: i64, id: &str, now_ms: u64) -> Option<Arc<str>> {
        if id.len() > LONGEST_ID {
            return None;
        }
        let name = name(caller, id);
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let made = memory.made.get(&name)?;
        (now_ms.saturating_sub(made.at_ms) <= KEPT_MS).then(|| made.channel.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_maker_finds_it_and_the_oldest_go_first() {
        let (affinity, alice, bob, channel) = (Affinity::default(), 1, 2, "c".into());
        affinity.remember(alice, "resp_1", &channel, 5);
        assert_eq!(affinity.recall(alice, "resp_1", 6).as_deref(), Some("c"));
        assert_eq!(affinity.recall(bob, "resp_1", 6), None);
        assert_eq!(affinity.recall(alice, "resp_1", 6 + KEPT_MS), None);
        for number in 0..REMEMBERED {
            affinity.remember(bob, &format!("r{number}"), &channel, 7);
        }
        assert_eq!(affinity.recall(alice, "resp_1", 8), None);
        assert!(affinity.recall(bob, "r0", 8).is_some());
    }
}

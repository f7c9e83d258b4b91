//! What a group's users may ask for, and where.
//!
//! In: the group's row. Out: whether a model or a channel is theirs. It must not know who is in it.

use std::{collections::BTreeSet, sync::Arc};

use crate::catalog::{Channel, Patterns};

/// The group of everybody who is in no other.
pub const DEFAULT: i64 = 1;

#[derive(Clone, Debug, Default)]
pub struct Group {
    /// In the books.
    pub id: i64,
    pub name: Arc<str>,
    pub models: Patterns,
    /// By name; empty: all.
    pub channels: BTreeSet<String>,
}

impl Group {
    /// The one that allows everything.
    pub fn default_group() -> Group {
        Group { id: DEFAULT, name: "default".into(), ..Group::default() }
    }

    pub fn may_use(&self, channel: &Channel) -> bool {
        self.channels.is_empty() || self.channels.contains(&*channel.name)
    }
}

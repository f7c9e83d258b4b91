//! What a group's users may ask for, and where.
//!
//! In: the group's row. Out: whether a model or a channel is theirs. It must not know who is in it.

use std::{collections::BTreeSet, sync::Arc};

use store::Factor;

use crate::catalog::{Channel, Patterns};

#[derive(Clone, Debug)]
pub struct Group {
    /// In the books.
    pub id: i64,
    pub name: Arc<str>,
    /// What its users pay of each price.
    pub factor: Factor,
    pub models: Patterns,
    /// By name; empty: all.
    pub channels: BTreeSet<String>,
}

impl Group {
    pub fn may_use(&self, channel: &Channel) -> bool {
        self.channels.is_empty() || self.channels.contains(&*channel.name)
    }
}

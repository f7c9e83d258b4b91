//! What a translation could not carry.
//!
//! In: fields for which the target dialect has no place, one by one. Out: a list for the request log, the response head
//! and the refusal. It must never grow with the length of a conversation.

use std::borrow::Cow;

use crate::Dialect;

/// The most rows a list has: the schemas have about as many fields, and a body can name any number of unknown ones.
const ROW_BOUND: usize = 64;

/// The longest field name kept of what a client made up.
const NAME_BOUND: usize = 120;

/// One field that did not arrive as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it stood, in the words of the dialect it came from and without positions: `messages.content.cache_control`.
    pub field: Cow<'static, str>,
    /// Who has no place for it.
    pub dialect: Dialect,
    pub reason: &'static str,
}

/// Every loss of one translation, each named once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    rows: Vec<Loss>,
    /// How many more there were than fit.
    more: usize,
}

impl Losses {
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, dialect: Dialect, reason: &'static str) {
        let mut field = field.into();
        if field.len() > NAME_BOUND {
            field = field[..field.floor_char_boundary(NAME_BOUND)].to_owned().into();
        }
        if self.rows.iter().any(|row| row.field == field && row.reason == reason && row.dialect == dialect) {
            return;
        }
        if self.rows.len() == ROW_BOUND {
            self.more = self.more.saturating_add(1);
        } else {
            self.rows.push(Loss { field, dialect, reason });
        }
    }

    /// Those fields that were set, where the dialect has none of them.
    pub(crate) fn add_set<const N: usize>(
        &mut self,
        fields: [(&'static str, bool); N],
        dialect: Dialect,
        reason: &'static str,
    ) {
        for (field, _) in fields.into_iter().filter(|(_, set)| *set) {
            self.add(field, dialect, reason);
        }
    }

    pub fn rows(&self) -> &[Loss] {
        &self.rows
    }

    /// Losses beyond the bound, of which only the number is known.
    pub fn more(&self) -> usize {
        self.more
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn append(&mut self, other: Losses) {
        self.more = self.more.saturating_add(other.more);
        for row in other.rows {
            self.add(row.field, row.dialect, row.reason);
        }
    }
}

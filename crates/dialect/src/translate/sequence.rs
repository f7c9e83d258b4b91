//! One part after the other, for dialects that cannot interleave.
//!
//! In: events of parts that may overlap, of any candidate. Out: those of the first candidate, each part whole before the
//! next begins. What is held is what overlaps, and nothing of the part under way.

use std::collections::VecDeque;

use crate::event::ChatEvent;

#[derive(Debug, Default)]
pub(crate) struct Sequence {
    current: Option<u32>,
    waiting: VecDeque<ChatEvent>,
    /// Bytes of what has waited.
    waited: usize,
}

impl Sequence {
    pub(crate) fn pass(&mut self, event: &ChatEvent, mut write: impl FnMut(&ChatEvent)) {
        let Some(part) = part_of(event) else { return };
        if self.current.is_some_and(|current| current != part)
            || (self.current.is_none() && !self.waiting.is_empty())
        {
            self.waited += event.bytes() + size_of::<ChatEvent>();
            self.waiting.push_back(event.clone());
            return;
        }
        self.take(event, part, &mut write);
        // A part is closed: the next one that waits may go as far as it has come.
        while self.current.is_none()
            && let Some(first) = self.waiting.front().and_then(part_of)
        {
            let (own, rest) = self.waiting.drain(..).partition(|event| part_of(event) == Some(first));
            self.waiting = rest;
            let own: VecDeque<ChatEvent> = own;
            for event in &own {
                self.take(event, first, &mut write);
            }
        }
    }

    /// Bytes of all that had to wait in this answer.
    pub(crate) fn waited(&self) -> usize {
        self.waited
    }

    fn take(&mut self, event: &ChatEvent, part: u32, write: &mut impl FnMut(&ChatEvent)) {
        self.current = match event {
            ChatEvent::Closed { .. } => None,
            _ => Some(part),
        };
        write(event);
    }
}

fn part_of(event: &ChatEvent) -> Option<u32> {
    match event {
        ChatEvent::Opened { candidate: 0, part, .. }
        | ChatEvent::Delta { candidate: 0, part, .. }
        | ChatEvent::Closed { candidate: 0, part } => Some(*part),
        _ => None,
    }
}

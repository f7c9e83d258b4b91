//! What a model thought before it called a tool, for clients that do not keep it: a bounded, forgetting memory.
//!
//! In: the id of a call, with its caller and the thinking that stood before it; the id of a text that was told. Out: that
//! thinking, and that text, to the same caller only, so that the next request can be sent with it. It lives in memory: what
//! was forgotten costs the next step its thinking, not its answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use dialect::{
    Dialect,
    chat::{Opaque, Part},
};

use crate::affinity::{Name, name};

/// Calls remembered; the oldest are forgotten first.
const REMEMBERED: usize = 100_000;
/// Bytes of all thinking that is remembered, and of all texts: some ten thousand steps of ordinary length.
const REMEMBERED_BYTES: usize = 128 * 1024 * 1024;
/// Thinking before one call that is remembered at most: longer than any budget for it.
pub const LONGEST: usize = 512 * 1024;
/// How long a call is remembered, in milliseconds: tools that people must allow take their time.
const KEPT_MS: u64 = 6 * 3600 * 1000;
/// Longer ids are no provider's.
const LONGEST_ID: usize = 256;

/// What stood before a call, and on it.
#[derive(Debug, PartialEq)]
pub struct Thought {
    /// The provider's dialect: the only one that it may go back to.
    pub from: Dialect,
    /// The provider: of two that speak one dialect neither can read what the other gave out.
    pub maker: Arc<str>,
    pub before: Vec<Part>,
    pub on_call: Vec<Opaque>,
}

impl Thought {
    /// What it takes, near enough for a bound.
    pub fn bytes(&self) -> usize {
        let part = |part: &Part| size_of::<Part>() + part.opaque.len() * size_of::<Opaque>() + part.bytes();
        let token = |token: &Opaque| size_of::<Opaque>() + token.value.len();
        size_of::<Thought>()
            + self.before.iter().map(part).sum::<usize>()
            + self.on_call.iter().map(token).sum::<usize>()
    }
}

#[derive(Debug, Default)]
pub struct Thoughts {
    memory: Mutex<Memory<Thought>>,
    /// Of texts, which every answer to some clients has: many of them must not drive out the thinking.
    texts: Mutex<Memory<str>>,
}

/// Things by the id that a caller knows them by.
#[derive(Debug)]
struct Memory<T: ?Sized> {
    kept: HashMap<Name, Kept<T>>,
    /// In the order in which they came.
    order: VecDeque<Name>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept<T: ?Sized> {
    thing: Arc<T>,
    bytes: usize,
    at_ms: u64,
}

impl Thoughts {
    pub fn remember(&self, caller: i64, call: &str, thought: Thought, now_ms: u64) {
        let bytes = thought.bytes();
        keep(&self.memory, caller, call, bytes, || Arc::new(thought), now_ms);
    }

    pub fn recall(&self, caller: i64, call: &str, now_ms: u64) -> Option<Arc<Thought>> {
        find(&self.memory, caller, call, now_ms)
    }

    /// What was said under an id that the client may name in place of the words.
    pub fn remember_text(&self, caller: i64, id: &str, text: &str, now_ms: u64) {
        keep(&self.texts, caller, id, text.len(), || text.into(), now_ms);
    }

    pub fn recall_text(&self, caller: i64, id: &str, now_ms: u64) -> Option<Arc<str>> {
        find(&self.texts, caller, id, now_ms)
    }
}

fn keep<T: ?Sized>(
    memory: &Mutex<Memory<T>>,
    caller: i64,
    id: &str,
    bytes: usize,
    thing: impl FnOnce() -> Arc<T>,
    now_ms: u64,
) {
    if id.is_empty() || id.len() > LONGEST_ID || bytes > LONGEST {
        return;
    }
    let (name, bytes) = (name(caller, id), bytes + size_of::<Kept<T>>());
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    memory.bytes += bytes;
    match memory.kept.insert(name, Kept { thing: thing(), bytes, at_ms: now_ms }) {
        Some(before) => memory.bytes -= before.bytes,
        None => memory.order.push_back(name),
    }
    memory.forget(now_ms);
}

fn find<T: ?Sized>(memory: &Mutex<Memory<T>>, caller: i64, id: &str, now_ms: u64) -> Option<Arc<T>> {
    if id.is_empty() || id.len() > LONGEST_ID {
        return None;
    }
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = memory.kept.get(&name(caller, id))?;
    (!kept.is_old(now_ms)).then(|| kept.thing.clone())
}

impl<T: ?Sized> Default for Memory<T> {
    fn default() -> Memory<T> {
        Memory { kept: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T: ?Sized> Memory<T> {
    /// Forgets the oldest: what is past its time, or does not fit.
    fn forget(&mut self, now_ms: u64) {
        while let Some(oldest) = self.order.front() {
            let old = self.kept.get(oldest).is_none_or(|kept| kept.is_old(now_ms));
            if !old && self.order.len() <= REMEMBERED && self.bytes <= REMEMBERED_BYTES {
                return;
            }
            let gone = self.order.pop_front().and_then(|oldest| self.kept.remove(&oldest));
            self.bytes -= gone.map_or(0, |kept| kept.bytes);
        }
    }
}

impl<T: ?Sized> Kept<T> {
    fn is_old(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) > KEPT_MS
    }
}

#[cfg(test)]
mod tests {
    use dialect::chat::{Content, OpaqueKind, Source};

    use super::*;

    const ALICE: i64 = 1;
    const BOB: i64 = 2;

    fn thought(token: &str) -> Thought {
        let value = token.to_owned();
        let token =
            Opaque { dialect: Dialect::AnthropicMessages, kind: OpaqueKind::Signature, value, maker: None };
        let before = vec![Part::reasoning("so it is", vec![token])];
        Thought { from: Dialect::AnthropicMessages, maker: "p".into(), before, on_call: Vec::new() }
    }

    #[test]
    fn only_the_caller_finds_it_and_not_for_ever() {
        let thoughts = Thoughts::default();
        thoughts.remember(ALICE, "call", thought("a"), 5);
        assert_eq!(thoughts.recall(ALICE, "call", 6).as_deref(), Some(&thought("a")));
        assert_eq!(thoughts.recall(BOB, "call", 6), None);
        assert_eq!(thoughts.recall(ALICE, "other", 6), None);
        assert!(thoughts.recall(ALICE, "call", 5 + KEPT_MS).is_some());
        assert_eq!(thoughts.recall(ALICE, "call", 6 + KEPT_MS), None);
        // The next one that comes takes it out.
        thoughts.remember(BOB, "call", thought("b"), 6 + KEPT_MS);
        let memory = thoughts.memory.lock().unwrap();
        let bytes = thought("b").bytes() + size_of::<Kept<Thought>>();
        assert_eq!((memory.kept.len(), memory.order.len(), memory.bytes), (1, 1, bytes));
    }

    #[test]
    fn texts_do_not_drive_out_thinking() {
        let thoughts = Thoughts::default();
        thoughts.remember(ALICE, "call", thought("a"), 5);
        for number in 0..=REMEMBERED {
            thoughts.remember_text(BOB, &format!("msg_{number}"), "words", 5);
        }
        assert!(thoughts.recall(ALICE, "call", 6).is_some());
        assert_eq!(thoughts.recall_text(BOB, "msg_0", 6), None);
        assert_eq!(thoughts.recall_text(BOB, "msg_1", 6).as_deref(), Some("words"));
        // A call and a text of one name are two things.
        thoughts.remember_text(ALICE, "call", "words", 6);
        assert_eq!(thoughts.recall(ALICE, "call", 6).as_deref(), Some(&thought("a")));
    }

    #[test]
    fn the_oldest_go_first_by_number() {
        let thoughts = Thoughts::default();
        for number in 0..=REMEMBERED {
            thoughts.remember(ALICE, &format!("c{number}"), thought("a"), 5);
        }
        assert_eq!(thoughts.recall(ALICE, "c0", 6), None);
        assert!(thoughts.recall(ALICE, "c1", 6).is_some());
        assert_eq!(thoughts.memory.lock().unwrap().order.len(), REMEMBERED);
    }

    #[test]
    fn the_oldest_go_first_by_size_and_what_is_too_long_is_not_kept() {
        let thoughts = Thoughts::default();
        let long = "x".repeat(LONGEST - 1024);
        let count = REMEMBERED_BYTES / LONGEST + 8;
        for number in 0..count {
            thoughts.remember(ALICE, &format!("c{number}"), thought(&long), 5);
        }
        let bytes = thoughts.memory.lock().unwrap().bytes;
        assert!(bytes <= REMEMBERED_BYTES && bytes > REMEMBERED_BYTES - LONGEST, "{bytes}");
        assert_eq!(thoughts.recall(ALICE, "c0", 6), None);
        assert!(thoughts.recall(ALICE, &format!("c{}", count - 1), 6).is_some());
        thoughts.remember(ALICE, "too long", thought(&"x".repeat(LONGEST)), 6);
        assert_eq!(thoughts.recall(ALICE, "too long", 6), None);
        // Whatever it is made of, and however small the pieces are.
        let source = Source::Inline { mime: "image/png".to_owned(), data: "x".repeat(LONGEST) };
        let picture = Part::new(Content::Image { source, detail: None });
        let pieces = vec![Part::reasoning("x", Vec::new()); LONGEST / size_of::<Part>()];
        for before in [vec![picture], pieces] {
            thoughts.remember(ALICE, "too much", Thought { before, ..thought("a") }, 6);
            assert_eq!(thoughts.recall(ALICE, "too much", 6), None);
        }
        // One in the place of another is counted once.
        for _ in 0..3 {
            thoughts.remember(BOB, "again", thought("b"), 7);
        }
        let memory = thoughts.memory.lock().unwrap();
        assert_eq!(memory.bytes, memory.kept.values().map(|kept| kept.bytes).sum::<usize>());
    }
}

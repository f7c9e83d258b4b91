//! Calls and results that come without ids (`call-without-id`).
//!
//! In: calls and results in their order, with the ids that some have. Out: an id for each: numbered where there is none, and
//! found by name and order where a result has none. Ids of two answers must differ, and of one answer be the same however
//! it was cut.

use std::collections::{HashMap, VecDeque};

use crate::tree::Json;

/// The calls of a conversation that still wait for their results. A body has room for a hundred thousand of them, so none is
/// searched for.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// What makes ids unique: the answer's own id.
    seed: String,
    minted: u32,
    /// The ids of all calls; those that were answered are taken out.
    waiting: Vec<Option<String>>,
    /// Places of calls, the first one first, also of those that were answered in the meantime.
    by_name: HashMap<String, VecDeque<usize>>,
    by_id: HashMap<String, VecDeque<usize>>,
}

impl Calls {
    pub(crate) fn new(seed: &str) -> Calls {
        Calls { seed: seed.to_owned(), ..Calls::default() }
    }

    /// The calls of an answer: named after its id, or after all that it says where it has none.
    pub(crate) fn of_answer(body: &Json, id: &'static str) -> Calls {
        match body.as_object().and_then(|body| body.text(id)).filter(|id| !id.is_empty()) {
            Some(id) => Calls::new(id),
            None => Calls::new(&Digest::default().with(body.to_string().as_bytes()).name()),
        }
    }

    pub(crate) fn name_after(&mut self, seed: &str) {
        seed.clone_into(&mut self.seed);
    }

    pub(crate) fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| {
            self.minted += 1;
            mint_call_id(&self.seed, self.minted)
        });
        let place = self.waiting.len();
        self.by_name.entry(name.to_owned()).or_default().push_back(place);
        self.by_id.entry(id.clone()).or_default().push_back(place);
        self.waiting.push(Some(id.clone()));
        id
    }

    /// The id of the call that a result without one answers.
    pub(crate) fn answer(&mut self, id: Option<String>, name: &str) -> String {
        let places = match &id {
            Some(id) => self.by_id.get_mut(id),
            None => self.by_name.get_mut(name),
        };
        let mut places = places.into_iter().flat_map(|places| std::iter::from_fn(|| places.pop_front()));
        let found = places.find_map(|place| self.waiting[place].take());
        found.or(id).unwrap_or_else(|| {
            self.minted += 1;
            mint_call_id(&self.seed, self.minted)
        })
    }
}

/// Unique within the conversation as far as the answer's id is.
pub(crate) fn mint_call_id(answer: &str, number: u32) -> String {
    let plain: String = answer.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("call_{}{number}", if plain.is_empty() { "x".to_owned() } else { plain + "x" })
}

/// FNV-1a: it must be the same in every build and process, and another one for another text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub(crate) fn with(self, bytes: &[u8]) -> Digest {
        Digest(
            bytes
                .iter()
                .fold(self.0, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    pub(crate) fn name(self) -> String {
        format!("{:016x}", self.0)
    }

    /// Its first letters and digits; eleven are all of it.
    pub(super) fn letters(mut self, count: usize) -> String {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letter = |_| {
            let letter = LETTERS[(self.0 % 62) as usize];
            self.0 /= 62;
            char::from(letter)
        };
        (0..count).map(letter).collect()
    }
}

//! Who is asked next.
//!
//! In: a plan's candidates, how many attempts are left, and what failures say of those that are left. Out: one candidate after the
//! other, each once. A list of models is there for the case that one fails as a whole: each model behind keeps one attempt, and the
//! channels passed over for that come last. A request that is at fault itself must not go to who can only say the same.

use std::sync::Arc;

use crate::{
    fault::Help,
    pipeline::plan::{Candidate, Lane, Wanted},
};

/// A plan's candidates, in the order in which they are asked.
pub(super) struct Turns<'p> {
    ahead: &'p [Candidate],
    /// Of models that had their attempts, while others had none.
    passed_over: Vec<&'p Candidate>,
    /// What was asked for last.
    asked: Option<&'p Arc<Wanted>>,
    /// Models that refused the request itself: by this lane, and by those behind it, they are not asked again.
    refused: Vec<(&'p Arc<Wanted>, Lane)>,
}

impl<'p> Turns<'p> {
    pub(super) fn new(candidates: &'p [Candidate]) -> Turns<'p> {
        Turns { ahead: candidates, passed_over: Vec::new(), asked: None, refused: Vec::new() }
    }

    /// The next one, with `left` attempts that may still be made.
    pub(super) fn next(&mut self, left: u32) -> Option<&'p Candidate> {
        while let Some((next, behind)) = self.ahead.split_first() {
            self.ahead = behind;
            if self.has_refused(next) {
                continue;
            }
            let again = self.asked.is_some_and(|asked| Arc::ptr_eq(asked, &next.wanted));
            if !again || self.models_behind(next) < left {
                return Some(next);
            }
            self.passed_over.push(next);
        }
        while !self.passed_over.is_empty() {
            let next = self.passed_over.remove(0);
            if !self.has_refused(next) {
                return Some(next);
            }
        }
        None
    }

    /// An attempt was made.
    pub(super) fn attempted(&mut self, candidate: &'p Candidate) {
        self.asked = Some(&candidate.wanted);
    }

    /// It failed; whether anybody is left who may do better.
    pub(super) fn failed(&mut self, candidate: &'p Candidate, help: Help) -> bool {
        match help {
            Help::Anybody => true,
            Help::Nobody => false,
            Help::OwnWords => {
                self.refused.push((&candidate.wanted, Lane::Translate));
                true
            }
            Help::OtherModels => {
                self.refused.push((&candidate.wanted, Lane::Relay));
                true
            }
        }
    }

    fn has_refused(&self, candidate: &Candidate) -> bool {
        let refuses = |(wanted, lane): &(&Arc<Wanted>, Lane)| {
            Arc::ptr_eq(wanted, &candidate.wanted) && candidate.lane >= *lane
        };
        self.refused.iter().any(refuses)
    }

    /// How many other models are to be asked yet: candidates stand model by model.
    fn models_behind(&self, candidate: &Candidate) -> u32 {
        let mut last = &candidate.wanted;
        let mut models = 0;
        for behind in self.ahead.iter().filter(|behind| !self.has_refused(behind)) {
            if !Arc::ptr_eq(last, &behind.wanted) {
                models += 1;
                last = &behind.wanted;
            }
        }
        models
    }
}

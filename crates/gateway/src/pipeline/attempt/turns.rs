//! Who is asked next.
//!
//! In: a plan's candidates, and how many attempts are left. Out: one candidate after the other, each once. A list of models is there
//! for the case that one fails as a whole: each model behind keeps one attempt, and the channels passed over for that come last.

use std::sync::Arc;

use crate::pipeline::plan::{Candidate, Wanted};

/// A plan's candidates, in the order in which they are asked.
pub(super) struct Turns<'p> {
    ahead: &'p [Candidate],
    /// Of models that had their attempts, while others had none.
    passed_over: Vec<&'p Candidate>,
    /// What was asked for last.
    asked: Option<&'p Arc<Wanted>>,
}

impl<'p> Turns<'p> {
    pub(super) fn new(candidates: &'p [Candidate]) -> Turns<'p> {
        Turns { ahead: candidates, passed_over: Vec::new(), asked: None }
    }

    /// The next one, with `left` attempts that may still be made.
    pub(super) fn next(&mut self, left: u32) -> Option<&'p Candidate> {
        while let Some((next, behind)) = self.ahead.split_first() {
            self.ahead = behind;
            let again = self.asked.is_some_and(|asked| Arc::ptr_eq(asked, &next.wanted));
            if !again || models_behind(next, behind) < left {
                return Some(next);
            }
            self.passed_over.push(next);
        }
        (!self.passed_over.is_empty()).then(|| self.passed_over.remove(0))
    }

    /// An attempt was made.
    pub(super) fn attempted(&mut self, candidate: &'p Candidate) {
        self.asked = Some(&candidate.wanted);
    }
}

/// How many other models are to be asked yet: candidates stand model by model.
fn models_behind(candidate: &Candidate, behind: &[Candidate]) -> u32 {
    let mut last = &candidate.wanted;
    let mut models = 0;
    for Candidate { wanted, .. } in behind {
        if !Arc::ptr_eq(last, wanted) {
            models += 1;
            last = wanted;
        }
    }
    models
}

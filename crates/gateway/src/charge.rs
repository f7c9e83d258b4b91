//! What a request costs.
//!
//! In: what was agreed at admission, and a settlement. Out: a charge. A request is charged by what the provider says was used,
//! else by an estimate that is marked as one, at the price in force when it was admitted; what nothing was delivered for
//! costs nothing.

use std::sync::Arc;

use dialect::{Operation, Usage};
use store::{
    Factor, Nanos,
    price::{Factors, Price, Quantities},
    purse::Hold,
};

use crate::{
    ending::Ending,
    estimate::{Tokenizer, Unmeasured},
    limits::Counted,
    settlement::Settlement,
};

/// Who pays, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    pub account: i64,
    pub key: i64,
}

/// What an admitted request is charged by; part of its lease.
#[derive(Debug)]
pub struct Terms {
    pub hold: Hold,
    pub basis: Basis,
    /// Of the caller's group.
    pub factor: Factor,
}

#[derive(Clone, Debug)]
pub enum Basis {
    /// Providers ask nothing for such a request.
    Free,
    /// The model has no price: it is served all the same, to who is unlimited.
    Unpriced,
    Priced(Arc<Price>),
}

impl Basis {
    pub fn of(price: Option<Arc<Price>>) -> Basis {
        price.map_or(Basis::Unpriced, Basis::Priced)
    }
}

/// What a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    pub amount: Nanos,
    pub hold: Nanos,
    /// It was served, and there was no price to charge by.
    pub unpriced: bool,
}

impl Charge {
    /// What is beyond what had been set aside.
    pub fn overrun(&self) -> Nanos {
        self.amount.minus(self.hold).max(Nanos::ZERO)
    }
}

/// A charge that waits for its usage to be estimated; what was set aside stays so until then.
#[derive(Debug)]
pub struct Owed {
    pub terms: Terms,
    pub unmeasured: Unmeasured,
    /// What its limits count until then.
    pub counted: Option<Counted>,
}

/// Whether the operation writes: the others have only a prompt.
pub fn writes(operation: Operation) -> bool {
    matches!(operation, Operation::Chat | Operation::Completions | Operation::Compact)
}

/// Whether anything was delivered that is paid for.
pub fn is_due(terms: &Terms, settlement: &Settlement) -> bool {
    let nothing = matches!(settlement.ending, Ending::Refused | Ending::Rejected | Ending::Failed);
    settlement.first_byte_ms.is_some() && !nothing && !matches!(terms.basis, Basis::Free)
}

/// Decides what a request cost, and turns its hold into that.
pub fn settle(terms: Terms, settlement: &Settlement) -> Charge {
    let due = is_due(&terms, settlement);
    let Terms { hold, basis, factor } = terms;
    let amount = match &basis {
        Basis::Priced(price) if due => {
            let used = settlement.usage.map(|usage| quantities(&usage)).unwrap_or_default();
            let factors = Factors { group: factor, channel: settlement.discount };
            price.charge(&Quantities { calls: 1, ..used }, factors)
        }
        _ => Nanos::ZERO,
    };
    let unpriced = due && matches!(basis, Basis::Unpriced);
    let charge = Charge { amount, hold: hold.amount(), unpriced };
    hold.settle(amount);
    charge
}

/// Estimates the usage that nobody told, and settles by it.
pub fn measure(settlement: &mut Settlement, tokenizer: &Tokenizer) {
    let Some(owed) = settlement.owed.take() else { return };
    let Owed { terms, unmeasured, counted } = *owed;
    let usage = tokenizer.estimate(&unmeasured);
    if let Some(counted) = counted {
        counted.correct(usage.total());
    }
    settlement.usage = Some(usage);
    settlement.estimated = true;
    settlement.charge = settle(terms, settlement);
}

/// What a usage is charged by.
pub fn quantities(usage: &Usage) -> Quantities {
    Quantities {
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write,
        cache_write_1h: usage.cache_write_1h,
        audio_input: usage.audio_input,
        image_input: usage.image_input,
        output: usage.output,
        reasoning: usage.reasoning,
        audio_output: usage.audio_output,
        image_output: usage.image_output,
        ..Quantities::default()
    }
}

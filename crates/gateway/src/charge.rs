//! From a settlement to the books: what it costs, and the row that says so.
//!
//! In: settlements, and the requests in flight. Out: charges, and rows for the store. A request is charged by what the
//! provider says was used, at the price in force when it was admitted; what nothing was delivered for costs nothing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use dialect::{Envelope, Operation, Usage};
use store::{
    Factor, Nanos,
    ledger::{Ended, Opened, RequestId},
    price::{Price, Quantities},
    purse::Hold,
    usage::Tokens,
};

use crate::{
    clock::ms_since_1970, ending::Ending, flow::Flow, pipeline::inbound::Inbound, settlement::Settlement,
    settler::line,
};

/// The batch window. A process that is killed may leave out of its books what happened within it: settlements, and requests
/// that had just been admitted. Everything older is there, unless the disk was slower than the window.
pub const WINDOW: Duration = Duration::from_millis(200);
/// A request that is over sooner than this is written once, when it is over. With [`LOOK_EVERY`] and the time that a write
/// takes it stays within [`WINDOW`].
const OPEN_AFTER_MS: u64 = 50;
/// How often the requests in flight are looked through for such.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    /// `None`: the model has no price, or nothing is paid for.
    pub price: Option<Arc<Price>>,
}

/// What a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    pub amount: Nanos,
    pub hold: Nanos,
    /// It was served, and there was no price to charge by.
    pub unpriced: bool,
}

/// Tokens that an answer is assumed to have at most; the few that have more are charged for it as an overrun.
const ASSUMED_OUTPUT: u64 = 4_096;
/// Bytes of a request's body for each token of its prompt. Text in Latin letters has four, in Chinese three; the few with
/// fewer are an overrun.
const BYTES_PER_TOKEN: u64 = 3;

/// Whether a request is one that providers ask nothing for: counting, asking for what is stored, moderating by the model
/// that the provider chooses.
pub fn is_free(inbound: &Inbound) -> bool {
    match inbound.door.operation {
        Operation::CountTokens | Operation::Stored => true,
        Operation::Moderations => inbound.model.is_empty(),
        _ => false,
    }
}

/// Tokens that a request may need: of its prompt, and of its answers.
pub fn foreseen(inbound: &Inbound) -> (u64, u64) {
    let input = (inbound.body.len() as u64).div_ceil(BYTES_PER_TOKEN);
    let writes =
        matches!(inbound.door.operation, Operation::Chat | Operation::Completions | Operation::Compact);
    let Envelope { max_output, choices, .. } = inbound.envelope;
    let each = max_output.map_or(ASSUMED_OUTPUT, |named| named.min(ASSUMED_OUTPUT));
    (input, if writes { each.saturating_mul(choices) } else { 0 })
}

/// What is set aside for a request.
pub fn estimate(price: &Price, inbound: &Inbound) -> Nanos {
    let (input, output) = foreseen(inbound);
    price.at_most(input, output, 1)
}

/// Decides what a request cost, and turns its hold into that.
pub fn settle(terms: Terms, settlement: &Settlement) -> Charge {
    let Terms { hold, price } = terms;
    let nothing = matches!(settlement.ending, Ending::Refused | Ending::Rejected | Ending::Failed);
    let delivered = settlement.first_byte_ms.is_some() && !nothing;
    let amount = match (&price, delivered) {
        (Some(price), true) => {
            let used = settlement.usage.map(|usage| quantities(&usage)).unwrap_or_default();
            price.charge(&Quantities { calls: 1, ..used }, Factor::ONE)
        }
        _ => Nanos::ZERO,
    };
    let free = matches!(settlement.door.operation, Operation::CountTokens | Operation::Stored);
    let charge = Charge { amount, hold: hold.amount(), unpriced: price.is_none() && delivered && !free };
    hold.settle(amount);
    charge
}

fn quantities(usage: &Usage) -> Quantities {
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
        calls: 0,
    }
}

/// The buckets that usage is summed up by.
fn tokens(usage: &Usage) -> Tokens {
    let sum = |counts: &[u64]| counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    Tokens {
        input: sum(&[usage.input, usage.audio_input, usage.image_input]),
        cache_read: usage.cache_read,
        cache_write: sum(&[usage.cache_write, usage.cache_write_1h]),
        output: sum(&[usage.output, usage.reasoning, usage.audio_output, usage.image_output]),
    }
}

/// The requests that the books know as open.
#[derive(Debug, Default)]
pub struct Open(HashSet<RequestId>);

impl Open {
    /// Rows for the requests that were admitted a while ago and that the books do not know yet.
    pub fn find(&mut self, flow: &Flow) -> Vec<Opened> {
        let now_ms = flow.clock.now_ms();
        let mut opened = Vec::new();
        for entry in flow.entries() {
            let Some(admitted) = entry.admitted() else { continue };
            let id = entry.request_id.into_bytes();
            // The flag is set before a settlement is sent: one that was received is never opened again.
            if now_ms < entry.arrived_ms + OPEN_AFTER_MS || entry.is_settled() || !self.0.insert(id) {
                continue;
            }
            opened.push(Opened {
                id,
                at_ms: unix_ms(entry.request_id),
                account: admitted.payer.account,
                key: admitted.payer.key,
                dialect: admitted.door.dialect.name(),
                operation: admitted.door.operation.name(),
                model: admitted.model.clone(),
                stream: admitted.stream,
                hold: admitted.hold,
                bytes_in: entry.bytes_in.load(std::sync::atomic::Ordering::Relaxed),
            });
        }
        opened
    }

    /// The row of a request that has ended; `None` for a stranger's: he must not be able to fill the books.
    pub fn end(&mut self, settlement: &Settlement) -> Option<Ended> {
        let (payer, charge) = (settlement.payer?, settlement.charge);
        let id = settlement.request_id.into_bytes();
        Some(Ended {
            id,
            at_ms: ms_since_1970(settlement.at),
            account: Some(payer.account),
            key: Some(payer.key),
            dialect: settlement.door.dialect.name(),
            operation: settlement.door.operation.name(),
            model: settlement.model.clone(),
            stream: settlement.stream,
            channel: settlement.channel().cloned(),
            attempts: line::attempts(&settlement.attempts),
            ending: settlement.ending.name(),
            status: settlement.status,
            cause: settlement.cause.as_deref().map(str::to_owned),
            usage: settlement.usage.as_ref().map(line::usage),
            tokens: settlement.usage.as_ref().map(tokens).unwrap_or_default(),
            estimated: false,
            unpriced: charge.unpriced,
            hold: charge.hold,
            charge: charge.amount,
            bytes_in: settlement.bytes_in,
            bytes_out: settlement.bytes_out,
            queued_ms: settlement.queued_ms,
            first_byte_ms: settlement.first_byte_ms,
            total_ms: settlement.total_ms,
            upstream_request_id: settlement.upstream_request_id.clone(),
            was_opened: self.0.remove(&id),
        })
    }
}

/// When a request came in, which its id says.
fn unix_ms(request_id: uuid::Uuid) -> i64 {
    let bytes = request_id.into_bytes();
    bytes[..6].iter().fold(0, |ms, byte| ms << 8 | i64::from(*byte))
}

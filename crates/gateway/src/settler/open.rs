//! From requests to the rows of the books.
//!
//! In: the requests in flight, and settlements. Out: rows for the store: of those that run for a while, and of those that have
//! ended. A stranger's must not come into the books.

use std::{borrow::Cow, collections::HashSet, mem::take, sync::atomic::Ordering, time::Duration};

use dialect::Usage;
use store::{
    Nanos,
    ledger::{Ended, Opened, RequestId},
    usage::Tokens,
};

use super::line::Parts;
use crate::{
    flow::Flow,
    settlement::{Settled, Settlement, at_ms},
};

/// A request that is over sooner than this is written once, when it is over. With [`LOOK_EVERY`] and the time that a write
/// takes it stays within the batch window.
const OPEN_AFTER_MS: u64 = 50;
/// How often the requests in flight are looked through for such.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The requests that the books know as open.
#[derive(Debug, Default)]
pub(super) struct Open(HashSet<RequestId>);

impl Open {
    /// Rows for the requests that were admitted a while ago and that the books do not know yet.
    pub(super) fn find(&mut self, flow: &Flow) -> Vec<Opened> {
        let now_ms = flow.clock.now_ms();
        let mut opened = Vec::new();
        flow.each_unbooked(|entry| {
            let Some(admitted) = entry.admitted() else { return false };
            // The flag is set before a settlement is sent: one that was received is never opened again.
            if now_ms < entry.arrived_ms + OPEN_AFTER_MS || entry.is_settled() {
                return false;
            }
            let id = entry.request_id.into_bytes();
            self.0.insert(id);
            opened.push(Opened {
                id,
                at_ms: at_ms(entry.request_id) as i64,
                account: admitted.payer.account,
                key: admitted.payer.key,
                dialect: admitted.door.dialect.name(),
                operation: admitted.door.operation.name(),
                model: admitted.model.clone(),
                stream: admitted.stream,
                hold: admitted.hold,
                bytes_in: entry.bytes_in.load(Ordering::Relaxed),
            });
            true
        });
        opened
    }

    /// The row of a request whose charge is not known yet, unless the books have it: until then it counts as one that runs.
    pub(super) fn wait(&mut self, settlement: &Settlement, hold: Nanos) -> Option<Opened> {
        let payer = settlement.payer?;
        let id = settlement.request_id.into_bytes();
        self.0.insert(id).then(|| Opened {
            id,
            at_ms: settlement.at_ms() as i64,
            account: payer.account,
            key: payer.key,
            dialect: settlement.door.dialect.name(),
            operation: settlement.door.operation.name(),
            model: settlement.model.clone(),
            stream: settlement.stream,
            hold,
            bytes_in: settlement.bytes_in,
        })
    }

    /// The row of a request that has ended; `None` for a stranger's: he must not be able to fill the books.
    pub(super) fn end(&mut self, mut settlement: Settled, parts: &Parts<'_>) -> Option<Ended> {
        let (payer, charge) = (settlement.payer?, settlement.charge);
        let id = settlement.request_id.into_bytes();
        Some(Ended {
            id,
            at_ms: settlement.at_ms() as i64,
            account: payer.account,
            key: payer.key,
            dialect: settlement.door.dialect.name(),
            operation: settlement.door.operation.name(),
            model: take(&mut settlement.model),
            stream: settlement.stream,
            channel: settlement.channel().cloned(),
            attempts: parts.attempts.to_owned(),
            ending: settlement.ending.name(),
            status: settlement.status,
            cause: settlement.cause.take().map(Cow::into_owned),
            losses: parts.losses.map(str::to_owned),
            usage: parts.usage.map(str::to_owned),
            tokens: settlement.usage.as_ref().map(tokens).unwrap_or_default(),
            estimated: settlement.estimated,
            unpriced: charge.unpriced,
            hold: charge.hold,
            charge: charge.amount,
            bytes_in: settlement.bytes_in,
            bytes_out: settlement.bytes_out,
            queued_ms: settlement.queued_ms,
            first_byte_ms: settlement.first_byte_ms,
            total_ms: settlement.total_ms,
            upstream_request_id: settlement.upstream_request_id.take(),
            was_opened: self.0.remove(&id),
        })
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

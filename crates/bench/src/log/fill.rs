//! A log that looks like one.
//!
//! In: a database and a number of rows. Out: requests of ninety days as people make them: in sessions, most of them by a
//! few, each person with a few models, a hundredth of them failing. Written by the store's own way, in batches.

use std::sync::Arc;

use store::{
    Database, Nanos, StoreError,
    ledger::{Batch, Ended, RequestId, commit},
    sample::Payer,
    usage::Tokens,
};

use crate::chance::Chance;

pub const PAYERS: usize = 2_000;
pub const MODELS: usize = 40;
pub const CHANNELS: usize = 12;
const DAYS: i64 = 90;
/// Sessions that go on side by side, and requests of each on average.
const SESSIONS: usize = 64;
const SESSION_LENGTH: u64 = 40;

/// A person with a client, for a while.
#[derive(Clone)]
struct Session {
    payer: Payer,
    model: usize,
    channel: Arc<str>,
    stream: bool,
}

/// Makes rows, one after the other in time.
pub struct Rows {
    chance: Chance,
    payers: Vec<Payer>,
    channels: Vec<Arc<str>>,
    sessions: Vec<Session>,
    begin_ms: i64,
    step: f64,
    made: u64,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} made)", self.made)
    }
}

impl Rows {
    /// `count` of them up to `now_ms`.
    pub fn new(payers: Vec<Payer>, count: u64, now_ms: i64) -> Rows {
        Rows::from(payers, count, now_ms - DAYS * 24 * 3_600_000)
    }

    /// From a time on, as many as `count` in ninety days.
    pub fn from(payers: Vec<Payer>, count: u64, begin_ms: i64) -> Rows {
        let span = DAYS * 24 * 3_600_000;
        let mut rows = Rows {
            chance: Chance::of(7, 0),
            payers,
            channels: (0..CHANNELS).map(|number| format!("channel-{number}").into()).collect(),
            sessions: Vec::new(),
            begin_ms,
            step: span as f64 / count as f64,
            made: 0,
        };
        rows.sessions = (0..SESSIONS).map(|_| rows.session()).collect();
        rows
    }

    fn session(&mut self) -> Session {
        let person = self.skewed(PAYERS);
        // Everybody has three models, the first more often than the others; a model has three channels.
        let model = model_of(person, self.skewed(3));
        let channel = channel_of(model, self.chance.below(3) as usize);
        Session {
            payer: self.payers[person],
            model,
            channel: self.channels[channel].clone(),
            stream: self.chance.below(10) < 8,
        }
    }

    /// Below `count`, where each place is about as likely as all that are twice as far and farther, up to four times.
    fn skewed(&mut self, count: usize) -> usize {
        let place = ((count + 1) as f64).powf(self.share()) - 1.0;
        (place as usize).min(count - 1)
    }

    /// From 0 up to 1.
    fn share(&mut self) -> f64 {
        self.chance.below(1 << 30) as f64 / f64::from(1 << 30)
    }

    /// Around `middle`, now and then many times as much.
    fn around(&mut self, middle: f64) -> f64 {
        let sum: f64 = (0..4).map(|_| self.share()).sum::<f64>() - 2.0;
        middle * (sum * 2.2).exp()
    }

    pub fn next_row(&mut self) -> Ended {
        let index = self.chance.below(SESSIONS as u64) as usize;
        if self.chance.below(SESSION_LENGTH) == 0 {
            self.sessions[index] = self.session();
        }
        let Session { payer, model, channel, stream } = self.sessions[index].clone();
        let at_ms = self.begin_ms + (self.made as f64 * self.step) as i64;
        let id = id(at_ms, self.made, self.chance.below(u64::MAX));
        let (ending, status) = self.ending();
        let good = matches!(ending, "completed" | "client_left" | "cut");
        let tokens = Tokens {
            input: self.around(900.0) as u64,
            cache_read: self.around(3_000.0) as u64,
            cache_write: 0,
            output: self.around(400.0) as u64,
        };
        let total_ms = self.around(5_000.0) as u64;
        let attempts = self.attempts(&channel, total_ms, status);
        self.made += 1;
        Ended {
            id,
            at_ms,
            account: payer.account,
            key: payer.key,
            dialect: "openai_chat",
            operation: "chat",
            model: format!("model-{model}"),
            stream,
            channel: Some(channel),
            attempts,
            ending,
            status,
            cause: (!good).then(|| "the provider answered 503 and said that it is overloaded".to_owned()),
            losses: None,
            usage: good.then(|| {
                let Tokens { input, cache_read, output, .. } = tokens;
                let total = input + cache_read + output;
                format!(r#"{{"input":{input},"cache_read":{cache_read},"output":{output},"total":{total}}}"#)
            }),
            tokens: if good { tokens } else { Tokens::default() },
            estimated: self.chance.below(500) == 0,
            unpriced: self.chance.below(2_000) == 0,
            hold: Nanos(50_000_000),
            charge: if good { Nanos(self.around(4_000_000.0) as i64) } else { Nanos::ZERO },
            bytes_in: self.around(9_000.0) as u64,
            bytes_out: self.around(20_000.0) as u64,
            queued_ms: 0,
            first_byte_ms: good.then_some(total_ms / 6),
            total_ms,
            upstream_request_id: good
                .then(|| format!("req_{:024x}", u128::from(self.chance.below(u64::MAX)))),
            was_opened: false,
        }
    }

    fn ending(&mut self) -> (&'static str, u16) {
        match self.chance.below(10_000) {
            0..9_650 => ("completed", 200),
            9_650..9_800 => ("client_left", 200),
            9_800..9_880 => ("failed", 502),
            9_880..9_910 => ("failed", 429),
            9_910..9_940 => ("cut", 200),
            9_940..9_970 => ("timed_out", 504),
            9_970..9_999 => ("refused", 400),
            _ => ("rejected", 503),
        }
    }

    fn attempts(&mut self, channel: &str, total_ms: u64, status: u16) -> String {
        let failed = if self.chance.below(50) == 0 {
            r#"{"channel":"channel-0","started_ms":0,"took_ms":120,"status":503,"fault":"503: overloaded"},"#
        } else {
            ""
        };
        format!(
            r#"[{failed}{{"channel":"{channel}","started_ms":1,"took_ms":{total_ms},"status":{status}}}]"#
        )
    }
}

/// The models of a person.
pub fn model_of(person: usize, which: usize) -> usize {
    // The first of most people are the same few.
    (person % 7 + which * 11 + (person % 3) * which * 5) % MODELS
}

/// The channels of a model.
pub fn channel_of(model: usize, which: usize) -> usize {
    (model + which * 4) % CHANNELS
}

fn id(at_ms: i64, number: u64, random: u64) -> RequestId {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&at_ms.to_be_bytes()[2..]);
    // Of the same millisecond the later one is greater, as the gateway makes them.
    id[6..12].copy_from_slice(&number.to_be_bytes()[2..]);
    id[12..].copy_from_slice(&random.to_be_bytes()[4..]);
    id[6] = 0x70;
    id
}

/// Writes `count` rows in batches of `batch`.
pub fn fill(database: &Database, rows: &mut Rows, count: u64, batch: u64) -> Result<(), StoreError> {
    let mut left = count;
    while left > 0 {
        let ended: Vec<Ended> = (0..left.min(batch)).map(|_| rows.next_row()).collect();
        left -= ended.len() as u64;
        commit(database, &Batch { opened: Vec::new(), ended })?;
    }
    Ok(())
}

//! Random requests, and a filter said in plain Rust.

use proptest::prelude::*;
use store::{
    Nanos,
    ledger::{Ended, RequestId},
    request_log::{Endings, Filter},
    sample::Payer,
    usage::Tokens,
};

const ENDINGS: [&str; 4] = ["completed", "client_left", "failed", "cut"];
const STATUSES: [u16; 4] = [200, 0, 429, 502];

/// What a request is, by numbers; the time is in hours and milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    at: (u8, u8),
    payer: usize,
    model: u8,
    channel: Option<u8>,
    ending: usize,
    status: usize,
    flags: [bool; 4],
    total_ms: u64,
    charge: i64,
    upstream: Option<u8>,
}

pub(crate) fn made() -> impl Strategy<Value = Made> {
    let who = ((0..3_u8, 0..4_u8), 0..3_usize, 0..3_u8, prop::option::of(0..2_u8));
    let how = (0..ENDINGS.len(), 0..STATUSES.len(), any::<[bool; 4]>());
    let much = (
        prop::sample::select(vec![5, 10_000, 10_001, 70_000, 400_000_u64]),
        prop::sample::select(vec![0, 5, 10_000_001, 200_000_000, 3_000_000_000_i64]),
        prop::option::of(0..3_u8),
    );
    (who, how, much).prop_map(
        |((at, payer, model, channel), (ending, status, flags), (total_ms, charge, upstream))| Made {
            at,
            payer,
            model,
            channel,
            ending,
            status,
            flags,
            total_ms,
            charge,
            upstream,
        },
    )
}

/// The id of a request that came in at `ms`; `number` makes it the only one.
pub(crate) fn id_at(ms: i64, number: u32) -> RequestId {
    let mut id = [0x80; 16];
    id[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    id[12..].copy_from_slice(&number.to_be_bytes());
    id
}

pub(crate) fn at_ms((hour, ms): (u8, u8)) -> i64 {
    1_700_000_000_000 + i64::from(hour) * 3_600_000 + i64::from(ms)
}

impl Made {
    /// One without anything special.
    pub(crate) fn plain(at: (u8, u8)) -> Made {
        Made {
            at,
            payer: 0,
            model: 0,
            channel: Some(0),
            ending: 0,
            status: 0,
            flags: [false; 4],
            total_ms: 5,
            charge: 5,
            upstream: None,
        }
    }

    pub(crate) fn row(&self, number: u32, payers: &[Payer]) -> Ended {
        let Payer { account, key } = payers[self.payer];
        let [stream, estimated, unpriced, retried] = self.flags;
        let at_ms = at_ms(self.at);
        let attempts = if retried { r#"[{"channel":"a"},{"channel":"b"}]"# } else { r#"[{"channel":"a"}]"# };
        Ended {
            id: id_at(at_ms, number),
            at_ms,
            account,
            key,
            dialect: "openai_chat",
            operation: "chat",
            model: format!("m{}", self.model),
            stream,
            channel: self.channel.map(|channel| format!("c{channel}").into()),
            attempts: attempts.to_owned(),
            ending: ENDINGS[self.ending],
            status: STATUSES[self.status],
            cause: None,
            losses: None,
            usage: Some(r#"{"input":3,"cache_write_1h":2,"reasoning":1,"output":4,"total":10}"#.to_owned()),
            tokens: Tokens { input: 3, cache_read: 0, cache_write: 2, output: 5 },
            estimated,
            unpriced,
            hold: Nanos::ZERO,
            charge: Nanos(self.charge),
            bytes_in: 1,
            bytes_out: 2,
            queued_ms: 0,
            first_byte_ms: self.flags[0].then_some(7),
            total_ms: self.total_ms,
            upstream_request_id: self.upstream.map(|id| format!("up-{id}")),
            was_opened: false,
        }
    }
}

/// Filters of random parts; `payers` are the ones that there are.
pub(crate) fn filter(payers: Vec<Payer>) -> impl Strategy<Value = Filter> {
    let keys: Vec<i64> = payers.iter().map(|payer| payer.key).collect();
    let accounts: Vec<i64> = payers.iter().map(|payer| payer.account).collect();
    let time = || prop::option::weighted(0.2, (0..4_u8, 0..5_u8).prop_map(at_ms));
    let flag = || prop::option::weighted(0.15, any::<bool>());
    let endings = prop_oneof![
        6 => Just(Endings::Any),
        2 => Just(Endings::Failed),
        2 => prop::sample::subsequence([&ENDINGS[..], &["lost"]].concat(), 0..3)
            .prop_map(|these| Endings::These(these.into_iter().map(str::to_owned).collect())),
    ];
    let who = (
        prop::option::weighted(0.3, prop::sample::select(accounts)),
        prop::option::weighted(0.3, prop::sample::subsequence(keys, 0..3)),
        prop::option::weighted(0.3, (0..4_u8).prop_map(|model| format!("m{model}"))),
        prop::option::weighted(0.3, (0..3_u8).prop_map(|channel| format!("c{channel}"))),
    );
    let status =
        prop::sample::select(vec![(0, 0), (200, 299), (400, 499), (500, 599), (100, 502), (429, 429)]);
    let how = (
        endings,
        prop::option::weighted(0.2, status),
        [flag(), flag(), flag(), flag()],
        prop::option::weighted(0.2, prop::sample::select(vec![0, 10_000, 20_000, 60_000, 300_001])),
        prop::option::weighted(0.2, prop::sample::select(vec![0, 10_000_000, 100_000_000, 500_000_000])),
        prop::option::weighted(0.05, (0..4_u8).prop_map(|id| format!("up-{id}"))),
    );
    ((time(), time()), who, how).prop_map(
        |(
            (since_ms, until_ms),
            (account, keys, model, channel),
            (endings, status, flags, slow, dear, upstream_id),
        )| {
            let [stream, estimated, unpriced, retried] = flags;
            Filter {
                since_ms,
                until_ms,
                account,
                keys,
                model,
                channel,
                endings,
                status,
                stream,
                estimated,
                unpriced,
                retried,
                slower_than_ms: slow,
                dearer_than: dear.map(Nanos),
                id: None,
                upstream_id,
            }
        },
    )
}

/// Whether the filter lets a row through, as plainly as it can be said.
pub(crate) fn lets_through(filter: &Filter, row: &Ended) -> bool {
    fn asked<T>(wanted: &Option<T>, is: impl Fn(&T) -> bool) -> bool {
        wanted.as_ref().is_none_or(is)
    }
    let ending = match &filter.endings {
        Endings::Any => true,
        Endings::Failed => !["completed", "client_left"].contains(&row.ending),
        Endings::These(these) => these.iter().any(|ending| ending == row.ending),
    };
    let retried = row.attempts.contains("\"b\"");
    ending
        && asked(&filter.since_ms, |ms| row.at_ms >= *ms)
        && asked(&filter.until_ms, |ms| row.at_ms < *ms)
        && asked(&filter.account, |account| row.account == *account)
        && asked(&filter.keys, |keys| keys.contains(&row.key))
        && asked(&filter.model, |model| row.model == *model)
        && asked(&filter.channel, |channel| row.channel.as_deref() == Some(channel))
        && asked(&filter.status, |(from, to)| (*from..=*to).contains(&row.status))
        && asked(&filter.stream, |stream| row.stream == *stream)
        && asked(&filter.estimated, |estimated| row.estimated == *estimated)
        && asked(&filter.unpriced, |unpriced| row.unpriced == *unpriced)
        && asked(&filter.retried, |wanted| retried == *wanted)
        && asked(&filter.slower_than_ms, |ms| row.total_ms > *ms)
        && asked(&filter.dearer_than, |charge| row.charge > *charge)
        && asked(&filter.id, |id| row.id == *id)
        && asked(&filter.upstream_id, |id| row.upstream_request_id.as_ref() == Some(id))
}

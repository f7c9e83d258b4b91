//! What people ask of the log, and what hardly anybody does.
//!
//! In: payers and times of a filled log. Out: filters with what they are called. Rare values and pairs that never meet are
//! among them: these are what a log is slow at.

use store::{
    Nanos,
    ledger::RequestId,
    request_log::{Endings, Filter},
    sample::Payer,
};

use super::fill::{CHANNELS, MODELS, PAYERS, channel_of, model_of};

#[derive(Debug)]
pub struct Question {
    pub what: &'static str,
    pub filter: Filter,
}

/// A row that stands somewhere in the middle of the log.
#[derive(Clone, Debug)]
pub struct Sample {
    pub id: RequestId,
    pub at_ms: i64,
    pub upstream_id: String,
}

pub fn all(payers: &[Payer], sample: &Sample) -> Vec<Question> {
    let nothing = Filter::default;
    let model = |number: usize| Some(format!("model-{number}"));
    let channel = |number: usize| Some(format!("channel-{number}"));
    let these = |ending: &str| Endings::These(vec![ending.to_owned()]);
    let (most, least) = (payers[0], payers[PAYERS - 1]);
    let key = |payer: Payer| Some(vec![payer.key]);
    let account = |payer: Payer| Some(payer.account);
    let week = 7 * 24 * 3_600_000;
    let (popular, rare) = (model_of(0, 0), (0..MODELS).rev().find(|model| *model % 7 != 0).unwrap_or(1));
    let never = (0..MODELS).find(|model| (0..3).all(|which| model_of(0, which) != *model)).unwrap_or(0);
    let others =
        (0..CHANNELS).find(|one| (0..3).all(|which| channel_of(popular, which) != *one)).unwrap_or(0);
    let mut list = Vec::new();
    let mut ask = |what, filter| list.push(Question { what, filter });
    ask("no filter", nothing());
    ask(
        "time: one week in the middle",
        Filter { since_ms: Some(sample.at_ms), until_ms: Some(sample.at_ms + week), ..nothing() },
    );
    ask("key, the busiest", Filter { keys: key(most), ..nothing() });
    ask("key, one of the least busy", Filter { keys: key(least), ..nothing() });
    ask("key that has no request", Filter { keys: Some(vec![i64::MAX]), ..nothing() });
    ask("user, the busiest", Filter { account: account(most), ..nothing() });
    ask("user, one of the least busy", Filter { account: account(least), ..nothing() });
    ask("model, popular", Filter { model: model(popular), ..nothing() });
    ask("model, rare", Filter { model: model(rare), ..nothing() });
    ask("model that nobody asked for", Filter { model: Some("none".to_owned()), ..nothing() });
    ask("channel", Filter { channel: channel(0), ..nothing() });
    ask("ending: completed", Filter { endings: these("completed"), ..nothing() });
    ask("ending: rejected (1 in 10,000)", Filter { endings: these("rejected"), ..nothing() });
    ask("ending that nothing had", Filter { endings: these("lost"), ..nothing() });
    ask("errors only", Filter { endings: Endings::Failed, ..nothing() });
    ask("status 200", Filter { status: Some((200, 200)), ..nothing() });
    ask("status 4xx", Filter { status: Some((400, 499)), ..nothing() });
    ask("status that nobody got", Filter { status: Some((418, 418)), ..nothing() });
    ask("streams", Filter { stream: Some(true), ..nothing() });
    ask("plain answers", Filter { stream: Some(false), ..nothing() });
    ask("estimated (1 in 500)", Filter { estimated: Some(true), ..nothing() });
    ask("unpriced (1 in 2,000)", Filter { unpriced: Some(true), ..nothing() });
    ask("retried (1 in 50)", Filter { retried: Some(true), ..nothing() });
    ask("slower than 10 s", Filter { slower_than_ms: Some(10_000), ..nothing() });
    ask("slower than 45 s", Filter { slower_than_ms: Some(45_000), ..nothing() });
    ask("slower than an hour (none)", Filter { slower_than_ms: Some(3_600_000), ..nothing() });
    ask("dearer than $0.05", Filter { dearer_than: Some(Nanos(50_000_000)), ..nothing() });
    ask("dearer than $100 (none)", Filter { dearer_than: Some(Nanos(100_000_000_000)), ..nothing() });
    ask("request id", Filter { id: Some(sample.id), ..nothing() });
    ask("provider's request id", Filter { upstream_id: Some(sample.upstream_id.clone()), ..nothing() });
    ask("provider's request id that nobody gave", Filter { upstream_id: Some("x".into()), ..nothing() });
    ask(
        "key + time",
        Filter {
            keys: key(most),
            since_ms: Some(sample.at_ms),
            until_ms: Some(sample.at_ms + week),
            ..nothing()
        },
    );
    ask(
        "key, least busy + time",
        Filter {
            keys: key(least),
            since_ms: Some(sample.at_ms),
            until_ms: Some(sample.at_ms + week),
            ..nothing()
        },
    );
    ask("user + model", Filter { account: account(most), model: model(popular), ..nothing() });
    ask(
        "user + model that he never used",
        Filter { account: account(most), model: model(never), ..nothing() },
    );
    ask("key + model", Filter { keys: key(most), model: model(popular), ..nothing() });
    ask("key + model that it never used", Filter { keys: key(most), model: model(never), ..nothing() });
    ask("model + ending", Filter { model: model(popular), endings: these("timed_out"), ..nothing() });
    ask("model + errors only", Filter { model: model(popular), endings: Endings::Failed, ..nothing() });
    ask("channel + ending", Filter { channel: channel(0), endings: these("cut"), ..nothing() });
    ask("user + ending", Filter { account: account(most), endings: these("rejected"), ..nothing() });
    ask(
        "user, least busy + errors only",
        Filter { account: account(least), endings: Endings::Failed, ..nothing() },
    );
    ask("key + errors only", Filter { keys: key(most), endings: Endings::Failed, ..nothing() });
    ask(
        "model + channel",
        Filter { model: model(popular), channel: channel(popular % CHANNELS), ..nothing() },
    );
    ask(
        "model + channel that never served it",
        Filter { model: model(popular), channel: channel(others), ..nothing() },
    );
    ask(
        "user + slower than a minute + retried",
        Filter { account: account(most), slower_than_ms: Some(60_000), retried: Some(true), ..nothing() },
    );
    list
}

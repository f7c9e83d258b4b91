//! The request log against a filter said in plain Rust; usage against plain sums; what retention leaves.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{
    Database, Nanos,
    ledger::{Batch, Ended, LostCharge, RequestId, commit, recover, sweep::violations},
    report,
    request_log::{self, Endings, Filter, Order, Page},
    retention,
    sample::{Payer, payers},
    usage::{self, Asked, By},
};

use crate::{
    rows::{Made, at_ms, filter, id_at, lets_through, made},
    scratch::Scratch,
};

/// The ids that `payers(_, 3)` gives in a new database.
fn three() -> Vec<Payer> {
    (1..=3).map(|id| Payer { account: id, key: id }).collect()
}

fn filled(made: &[Made]) -> (Database, Vec<Ended>) {
    let database = Database::in_memory().unwrap();
    assert_eq!(payers(&database, 3).unwrap(), three());
    let rows: Vec<Ended> = (0..).zip(made).map(|(number, made)| made.row(number, &three())).collect();
    commit(&database, &Batch { opened: Vec::new(), ended: rows.clone() }).unwrap();
    (database, rows)
}

fn page(database: &Database, filter: &Filter, order: Order, after: Option<RequestId>, limit: usize) -> Page {
    database.read(|connection| request_log::page(connection, filter, order, after, limit)).unwrap()
}

/// All pages, one after the other; something may happen between two.
fn all(
    database: &Database,
    filter: &Filter,
    order: Order,
    limit: usize,
    mut between: impl FnMut(),
) -> Vec<RequestId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = page(database, filter, order, after, limit);
        assert!(page.lines.len() <= limit);
        ids.extend(page.lines.iter().map(|line| line.id));
        match page.next {
            None => return ids,
            next => after = next,
        }
        between();
    }
}

fn expected(rows: &[Ended], filter: &Filter, order: Order) -> Vec<RequestId> {
    let mut ids: Vec<RequestId> =
        rows.iter().filter(|row| lets_through(filter, row)).map(|row| row.id).collect();
    ids.sort_unstable();
    if order == Order::NewestFirst {
        ids.reverse();
    }
    ids
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_pages_together_are_what_was_asked_for(
        made in prop::collection::vec(made(), 0..80),
        filters in prop::collection::vec(filter(three()), 8),
        limit in 1..9_usize,
    ) {
        let (database, rows) = filled(&made);
        for filter in filters {
            for order in [Order::NewestFirst, Order::OldestFirst] {
                prop_assert_eq!(all(&database, &filter, order, limit, || ()), expected(&rows, &filter, order));
            }
        }
    }

    #[test]
    fn nothing_comes_twice_while_requests_come_in(
        made in prop::collection::vec(made(), 10..40),
        more in prop::collection::vec(made(), 40),
        filter in filter(three()),
    ) {
        let (database, rows) = filled(&made);
        let mut later = (1_000..).zip(&more);
        let ids = all(&database, &filter, Order::NewestFirst, 3, || {
            let ended = later.by_ref().take(2).map(|(number, made)| made.row(number, &three())).collect();
            commit(&database, &Batch { opened: Vec::new(), ended }).unwrap();
        });
        prop_assert!(ids.is_sorted_by(|one, next| one > next), "in order, and each once");
        for id in expected(&rows, &filter, Order::NewestFirst) {
            prop_assert!(ids.contains(&id), "what was there is found");
        }
    }

    #[test]
    fn sums_by_group_are_the_sums_of_the_requests(made in prop::collection::vec(made(), 0..60)) {
        let (database, rows) = filled(&made);
        // As after a commit whose answer was lost.
        commit(&database, &Batch { opened: Vec::new(), ended: rows.clone() }).unwrap();
        let mut charged: BTreeMap<(String, Option<i64>), (i64, i64, i64)> = BTreeMap::new();
        for row in &rows {
            let sums = charged.entry((row.model.clone(), Some(row.key))).or_default();
            *sums = (sums.0 + 1, sums.1 + row.charge.0, sums.2 + 5);
        }
        let asked = Asked { by: vec![By::Model, By::Key], ..Asked::default() };
        let usage = database.read(|connection| usage::sums(connection, &asked)).unwrap();
        let told: BTreeMap<_, _> = usage
            .groups
            .iter()
            .map(|group| {
                let sums = (group.sums.requests, group.sums.charge.0, group.sums.output_tokens);
                ((group.model.clone().unwrap(), group.key_id), sums)
            })
            .collect();
        prop_assert_eq!(told, charged);
        prop_assert_eq!(usage.total.requests, rows.len() as i64);
        let failed = rows.iter().filter(|row| !["completed", "client_left"].contains(&row.ending)).count();
        prop_assert_eq!(usage.total.failed, failed as i64);
        prop_assert_eq!(database.read(violations).unwrap(), Vec::<String>::new());
    }
}

fn plain(at: (u8, u8), number: u32) -> Ended {
    Made::plain(at).row(number, &three())
}

#[test]
fn what_is_too_rare_for_one_page_is_searched_on_the_next() {
    let (database, _) = filled(&[]);
    let row = |number: u32| Ended {
        stream: number == 7,
        model: "m".to_owned(),
        channel: Some("c".into()),
        ..plain((0, 0), number)
    };
    commit(&database, &Batch { opened: Vec::new(), ended: (0..20_000).map(row).collect() }).unwrap();
    let filter = Filter {
        model: Some("m".to_owned()),
        channel: Some("c".to_owned()),
        stream: Some(true),
        ..Filter::default()
    };
    let first = page(&database, &filter, Order::NewestFirst, None, 10);
    assert!(first.cut_short && first.lines.is_empty() && first.next.is_some());
    assert_eq!(all(&database, &filter, Order::NewestFirst, 10, || ()), [id_at(at_ms((0, 0)), 7)]);
}

#[test]
fn one_request_is_found_by_its_id_and_by_the_providers() {
    let row = Ended { upstream_request_id: Some("req_x".to_owned()), ..plain((0, 0), 1) };
    let (database, _) = filled(&[]);
    let others = (2..50).map(|number| plain((1, 0), number));
    let ended = [row.clone()].into_iter().chain(others).collect();
    commit(&database, &Batch { opened: Vec::new(), ended }).unwrap();
    let by_id = Filter { id: Some(row.id), ..Filter::default() };
    let by_upstream_id = Filter { upstream_id: Some("req_x".to_owned()), ..Filter::default() };
    for filter in [by_id, by_upstream_id] {
        let found = page(&database, &filter, Order::NewestFirst, None, 10);
        assert_eq!((found.lines[0].id, found.lines.len(), found.next), (row.id, 1, None));
        let others = Filter { account: Some(99), ..filter };
        assert!(page(&database, &others, Order::NewestFirst, None, 10).lines.is_empty());
    }
    let line = database.read(|connection| request_log::find(connection, row.id)).unwrap().unwrap();
    assert_eq!((line.account, line.key_id, line.charge), (Some(row.account), Some(row.key), Nanos(5)));
    assert_eq!(line.key, line.user);
}

#[test]
fn retention_removes_requests_and_nothing_else() {
    let (database, _) = filled(&[]);
    let old = (0..50).map(|number| plain((0, 1), number));
    let ended: Vec<Ended> = old.chain((50..60).map(|number| plain((1, 1), number))).collect();
    commit(&database, &Batch { opened: Vec::new(), ended: ended.clone() }).unwrap();
    let state = || {
        let books = database.read(report::books_of).unwrap();
        let spent: Vec<(Nanos, Nanos)> = books.keys.iter().map(|key| (key.spent, key.held)).collect();
        let balances: Vec<Nanos> = books.accounts.iter().map(|account| account.balance).collect();
        (books.entries, spent, balances, books.violations)
    };
    let requests = || database.read(report::books_of).unwrap().requests;
    let total = || database.read(|connection| usage::sums(connection, &Asked::default())).unwrap().total;
    let before = (state(), total());
    let until = at_ms((1, 0));
    assert_eq!(database.read(request_log::kept_from_ms).unwrap(), 0);
    let removed: Vec<u32> = (0..4).map(|_| retention::remove(&database, until, 20).unwrap()).collect();
    assert_eq!(removed, [20, 20, 10, 0]);
    assert_eq!((requests(), (state(), total())), (10, before));
    assert_eq!(database.read(request_log::kept_from_ms).unwrap(), until);
    let left = all(&database, &Filter::default(), Order::OldestFirst, 100, || ());
    assert_eq!(left, ended[50..].iter().map(|row| row.id).collect::<Vec<_>>());
    // Something that was kept longer before does not make it whole again.
    assert_eq!(retention::remove(&database, until - 1, 20).unwrap(), 0);
    assert_eq!(database.read(request_log::kept_from_ms).unwrap(), until);
}

#[test]
fn usage_that_was_tampered_with_is_found_out() {
    let scratch = Scratch::new();
    let database = Database::open(&scratch.path()).unwrap();
    payers(&database, 3).unwrap();
    commit(&database, &Batch { opened: Vec::new(), ended: vec![plain((0, 0), 1)] }).unwrap();
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    raw.execute("UPDATE usage_hours SET charge_nanos = charge_nanos + 1", []).unwrap();
    let violations = database.read(violations).unwrap();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].contains("by the hour"), "{violations:?}");
}

#[test]
fn a_file_of_the_first_step_keeps_its_requests_and_gains_its_sums() {
    let scratch = Scratch::new();
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    raw.execute_batch(include_str!("../../migrations/sqlite/0001_books.sql")).unwrap();
    raw.execute_batch(&format!(
        "PRAGMA application_id = 0x536C7569; PRAGMA user_version = 1;
         INSERT INTO users (id, name, role, created_ms) VALUES (1, 'config', 'config', 0);
         INSERT INTO accounts (id, user_id, balance_nanos, unlimited) VALUES (1, 1, -700, 1);
         INSERT INTO api_keys (id, user_id, source, name, hash, spent_nanos, created_ms)
             VALUES (1, 1, 'config', 'app', x'01', 700, 0);
         INSERT INTO requests (id, at_ms, account_id, key_id, dialect, operation, model, stream, channel, attempts,
                 ending, status, usage, charge_nanos, bytes_in, bytes_out, queued_ms, first_byte_ms, total_ms)
             VALUES (x'{one}', 7200001, 1, 1, 'openai_chat', 'chat', 'm', 0, 'c', '[]', 'completed', 200,
                     '{{\"input\":3,\"reasoning\":2,\"output\":4,\"total\":9}}', 700, 1, 2, 0, 5, 9),
                    (x'{two}', 7200002, 1, 1, 'openai_chat', 'chat', 'm', 0, NULL, '[]', 'failed', 502,
                     NULL, 0, 1, 2, 0, NULL, 9);
         INSERT INTO entries (account_id, key_id, kind, amount_nanos, operation, at_ms)
             VALUES (1, 1, 'settlement', -700, x'{one}', 7200010);
         INSERT INTO open_requests VALUES (x'{three}', 7200003, 1, 1, 'openai_chat', 'chat', 'm', 0, 50, 1);",
        one = "00".repeat(15) + "01",
        two = "00".repeat(15) + "02",
        three = "00".repeat(15) + "03",
    ))
    .unwrap();
    drop(raw);
    let database = Database::open(&scratch.path()).unwrap();
    assert_eq!(recover(&database, 7_200_009, LostCharge::Nothing).unwrap(), 1);
    assert_eq!(database.read(violations).unwrap(), Vec::<String>::new());
    assert_eq!(all(&database, &Filter::default(), Order::NewestFirst, 2, || ()).len(), 3);
    let failed = Filter { keys: Some(vec![1]), endings: Endings::Failed, ..Filter::default() };
    assert_eq!(all(&database, &failed, Order::OldestFirst, 2, || ()).len(), 2);
    let asked = Asked { by: vec![By::Hour, By::Channel], ..Asked::default() };
    let usage = database.read(|connection| usage::sums(connection, &asked)).unwrap();
    let told: Vec<_> = usage
        .groups
        .iter()
        .map(|group| {
            (
                group.from_ms,
                group.channel.as_deref(),
                group.sums.requests,
                group.sums.failed,
                group.sums.charge,
            )
        })
        .collect();
    assert_eq!(
        told,
        [(Some(7_200_000), Some("c"), 1, 0, Nanos(700)), (Some(7_200_000), Some(""), 2, 2, Nanos(0))]
    );
    assert_eq!((usage.total.input_tokens, usage.total.output_tokens, usage.total.first_bytes), (3, 6, 1));
}

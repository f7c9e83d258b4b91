//! Random operations against SQL and against the model: equal after each step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{
    Database, Nanos, StoreError,
    directory::{Directory, KeyRow},
    keys::{KeyTerms, ResetPeriod, begin_periods},
    ledger::{
        Batch, Ended, EntryKind, LostCharge, Opened, Refused, commit, enter, recover, refund, sweep::Sweep,
    },
    limits::LimitColumns,
    purse::{Hold, Purse},
    report,
    sync::{ConfigKey, sync},
};

use crate::{
    model::{Done, Model},
    scratch::Scratch,
};

#[derive(Clone, Debug)]
enum Step {
    /// One batch: requests that open, and requests that end (with a charge).
    Batch {
        opened: Vec<(u8, i64)>,
        ended: Vec<(u8, i64)>,
    },
    /// The same batch again, as after a commit whose answer was lost.
    Again,
    Enter {
        kind: EntryKind,
        amount: i64,
        operation: u8,
    },
    Refund {
        request: u8,
        amount: i64,
        operation: u8,
    },
    /// The process dies and starts again; what was lost is charged or not.
    Crash {
        charged: bool,
    },
    /// The configuration is read again.
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..12_u8;
    let charge = prop_oneof![Just(0), 1..1_000_000_i64, Just(5_000_000_000_000)];
    let opened = prop::collection::vec((id.clone(), 0..1_000_000_i64), 0..4);
    let ended = prop::collection::vec((id.clone(), charge), 0..6);
    let kind = prop_oneof![Just(EntryKind::TopUp), Just(EntryKind::Redemption), Just(EntryKind::Adjustment)];
    // Few amounts: the same operation comes again, and refunds add up to the charge.
    let amount = prop_oneof![Just(-7_i64), Just(500_000), -1_000_000..1_000_000_i64];
    let refund = prop_oneof![Just(0_i64), Just(200_000), Just(5_000_000_000_000), -5..1_000_000_i64];
    prop_oneof![
        8 => (opened, ended).prop_map(|(opened, ended)| Step::Batch { opened, ended }),
        1 => Just(Step::Again),
        3 => (kind, amount, 100..106_u8)
            .prop_map(|(kind, amount, operation)| Step::Enter { kind, amount, operation }),
        3 => (id, refund, 100..106_u8)
            .prop_map(|(request, amount, operation)| Step::Refund { request, amount, operation }),
        1 => any::<bool>().prop_map(|charged| Step::Crash { charged }),
        1 => Just(Step::Sync),
    ]
}

fn keys() -> Vec<ConfigKey> {
    let key = |name: &str, byte: u8| ConfigKey {
        name: name.to_owned(),
        hash: [byte; 32],
        terms: KeyTerms::default(),
    };
    vec![key("one", 1), key("two", 2)]
}

/// The account of the file's keys, and their rows.
fn synced(database: &Database, now_ms: i64) -> (i64, Vec<KeyRow>) {
    sync(database, &keys(), &LimitColumns::default(), &[], now_ms).unwrap();
    let directory = Directory::read(database).unwrap();
    (directory.accounts[0].id, directory.keys)
}

fn opened(id: u8, hold: i64, account: i64, key: i64) -> Opened {
    Opened {
        id: [id; 16],
        at_ms: 5,
        account,
        key,
        dialect: "openai_chat",
        operation: "chat",
        model: "m".to_owned(),
        stream: false,
        hold: Nanos(hold),
        bytes_in: 7,
    }
}

fn ended(id: u8, charge: i64, account: i64, key: i64, was_opened: bool) -> Ended {
    Ended {
        id: [id; 16],
        at_ms: 5,
        account,
        key,
        dialect: "openai_chat",
        operation: "chat",
        model: "m".to_owned(),
        stream: false,
        channel: Some("c".into()),
        attempts: "[]".to_owned(),
        ending: "completed",
        status: 200,
        cause: None,
        losses: None,
        usage: None,
        tokens: Default::default(),
        estimated: false,
        unpriced: false,
        hold: Nanos(charge),
        charge: Nanos(charge),
        bytes_in: 1,
        bytes_out: 2,
        queued_ms: 0,
        first_byte_ms: None,
        total_ms: 3,
        upstream_request_id: None,
        was_opened,
    }
}

/// Which key a request came with: always the same for the same id.
fn key_of(id: u8, keys: &[i64]) -> i64 {
    keys[usize::from(id) % keys.len()]
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let scratch = Scratch::new();
    let mut database = Database::open(&scratch.path()).unwrap();
    let (account, rows) = synced(&database, 1);
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut model = Model::default();
    let mut last = Batch::default();
    let mut was_open: Vec<u8> = Vec::new();
    let mut purse = account_purse(&database, account);
    let key = Purse::new(ids[0], None, Nanos::ZERO);
    for step in steps {
        match step {
            Step::Batch { opened: opens, ended: ends } => {
                let mut batch = Batch::default();
                for (id, hold) in opens {
                    model.open(id, hold);
                    was_open.push(id);
                    batch.opened.push(opened(id, hold, account, key_of(id, &ids)));
                }
                for (id, charge) in ends {
                    let known = was_open.contains(&id);
                    if !model.ended.contains_key(&id) {
                        // In memory it was held and settled before it is written.
                        purse.set_limit(None);
                        Hold::take(&purse, &key, Nanos(charge)).unwrap().settle(Nanos(charge));
                        purse.set_limit(Some(paid(&database, account)));
                    }
                    model.end(id, account, key_of(id, &ids), charge, known);
                    batch.ended.push(ended(id, charge, account, key_of(id, &ids), known));
                }
                commit(&database, &batch).unwrap();
                last = batch;
            }
            Step::Again => {
                last.opened.iter().for_each(|row| model.open(row.id[0], row.hold.0));
                for row in &last.ended {
                    model.end(row.id[0], account, row.key, row.charge.0, row.was_opened);
                }
                commit(&database, &last).unwrap();
            }
            Step::Enter { kind, amount, operation } => {
                let entered = enter(&database, account, kind, Nanos(amount), &[operation], 9, "test");
                let done = match entered {
                    Ok(true) => Done::Now,
                    Ok(false) => Done::Before,
                    Err(StoreError::OtherOperation) => Done::Other,
                    Err(error) => panic!("{error}"),
                };
                prop_assert_eq!(done, model.enter(account, kind.name(), amount, operation));
                purse.set_limit(Some(paid(&database, account)));
            }
            Step::Refund { request, amount, operation } => {
                let refunded = refund(&database, &[request; 16], Nanos(amount), &[operation], 9, "test");
                let done = match refunded {
                    Ok(Ok(Some(_))) => Done::Now,
                    Ok(Ok(None)) => Done::Before,
                    Ok(Err(_)) => Done::Refused,
                    Err(StoreError::OtherOperation) => Done::Other,
                    Err(error) => panic!("{error}"),
                };
                prop_assert_eq!(done, model.refund(request, amount, operation));
                purse.set_limit(Some(paid(&database, account)));
            }
            Step::Crash { charged } => {
                drop(database);
                database = Database::open(&scratch.path()).unwrap();
                let charge = if charged { LostCharge::Hold } else { LostCharge::Nothing };
                let payer = |id: u8| (account, key_of(id, &ids));
                let payer = charged.then_some(&payer as &dyn Fn(u8) -> (i64, i64));
                prop_assert_eq!(recover(&database, 99, charge).unwrap(), model.recover(payer));
                // As at the start: from what the books say.
                purse = account_purse(&database, account);
            }
            Step::Sync => {
                let (_, again) = synced(&database, 2);
                for row in again {
                    let spent = model.spent.get(&row.id).copied().unwrap_or_default();
                    prop_assert_eq!(row.spent, Nanos(spent));
                }
            }
        }
        compare(&scratch, &model)?;
        let balance = Nanos(model.balances.get(&account).copied().unwrap_or_default());
        prop_assert_eq!(purse.state().left(), Some(balance), "what may be spent is the balance");
    }
    Ok(())
}

/// As the catalog makes it.
fn account_purse(database: &Database, account: i64) -> std::sync::Arc<Purse> {
    let directory = Directory::read(database).unwrap();
    let row = directory.accounts.iter().find(|row| row.id == account).unwrap();
    Purse::new(account, Some(row.paid), row.spent)
}

fn paid(database: &Database, account: i64) -> Nanos {
    let directory = Directory::read(database).unwrap();
    directory.accounts.iter().find(|row| row.id == account).unwrap().paid
}

/// A whole round of the sweep.
fn swept(connection: &rusqlite::Connection) -> Vec<String> {
    let mut sweep = Sweep::default();
    loop {
        if let Some(found) = sweep.step(connection).unwrap() {
            return found;
        }
    }
}

fn compare(scratch: &Scratch, model: &Model) -> Result<(), TestCaseError> {
    let mut reader = store::database::reader(&scratch.path()).unwrap();
    let books = report::books(&mut reader).unwrap();
    prop_assert_eq!(&books.violations, &Vec::<String>::new());
    prop_assert_eq!(swept(&reader), Vec::<String>::new());
    for account in &books.accounts {
        let balance = model.balances.get(&account.id).copied().unwrap_or_default();
        prop_assert_eq!(account.balance, Nanos(balance));
        prop_assert_eq!(account.held, Nanos(model.open.values().sum()));
    }
    for key in &books.keys {
        prop_assert_eq!(key.spent, Nanos(model.spent.get(&key.id).copied().unwrap_or_default()));
    }
    prop_assert_eq!(books.entries as usize, model.operations.len());
    prop_assert_eq!(books.open_requests as usize, model.open.len());
    let mut statement = reader.prepare("SELECT id, ending, charge_nanos FROM requests").unwrap();
    let stored: BTreeMap<u8, (String, i64)> = statement
        .query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?[0], (row.get(1)?, row.get(2)?))))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected: BTreeMap<u8, (String, i64)> =
        model.ended.iter().map(|(id, (ending, charge))| (*id, ((*ending).to_owned(), *charge))).collect();
    prop_assert_eq!(stored, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sql_does_what_the_model_does(steps in prop::collection::vec(step(), 1..25)) {
        run(steps)?;
    }
}

#[test]
fn entries_cannot_be_changed_or_removed() {
    let scratch = Scratch::new();
    let database = Database::open(&scratch.path()).unwrap();
    let (account, _) = synced(&database, 1);
    assert!(enter(&database, account, EntryKind::TopUp, Nanos(5), b"a", 1, "").unwrap());
    drop(database);
    // Not even by somebody with the file in his hands and a plain SQLite.
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    for statement in ["UPDATE entries SET amount_nanos = 6", "DELETE FROM entries"] {
        let error = raw.execute(statement, []).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

#[test]
fn books_that_were_tampered_with_are_found_out() {
    let scratch = Scratch::new();
    let database = Database::open(&scratch.path()).unwrap();
    let (account, rows) = synced(&database, 1);
    let batch = Batch { opened: Vec::new(), ended: vec![ended(1, 700, account, rows[0].id, false)] };
    commit(&database, &batch).unwrap();
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    let violations =
        || report::books(&mut store::database::reader(&scratch.path()).unwrap()).unwrap().violations;
    assert_eq!(violations(), Vec::<String>::new());
    raw.execute("UPDATE accounts SET balance_nanos = 0", []).unwrap();
    assert_eq!(violations(), [format!("account {account}: the balance is 0, its entries sum to -0.0000007")]);
    raw.execute("UPDATE requests SET charge_nanos = 0", []).unwrap();
    assert_eq!(violations().len(), 2);
    assert_eq!(swept(&raw), violations(), "the sweep finds the same");
}

#[test]
fn a_commit_that_was_one_and_said_it_was_none_is_done_once() {
    let scratch = Scratch::new();
    let database = Database::open(&scratch.path()).unwrap();
    let (account, rows) = synced(&database, 1);
    let key = rows[0].id;
    let mut batch = Batch { opened: vec![opened(1, 900, account, key)], ended: Vec::new() };
    commit(&database, &batch).unwrap();
    batch.opened = vec![opened(2, 400, account, key)];
    batch.ended = vec![ended(1, 700, account, key, true), ended(3, 50, account, key, false)];
    let told = || format!("{:?}", database.read(report::books_of).unwrap());
    commit(&database, &batch).unwrap();
    let after = told();
    // The settler tries again what it was told had failed; meanwhile one more has ended.
    commit(&database, &batch).unwrap();
    assert_eq!(told(), after);
    batch.ended.push(ended(2, 1, account, key, true));
    commit(&database, &batch).unwrap();
    let books = database.read(report::books_of).unwrap();
    assert_eq!((books.accounts[0].balance, books.entries, books.open_requests), (Nanos(-751), 3, 0));
    assert_eq!(books.violations, Vec::<String>::new());
}

#[test]
fn a_refund_gives_back_what_was_charged_and_no_more() {
    let scratch = Scratch::new();
    let database = Database::open(&scratch.path()).unwrap();
    let (account, rows) = synced(&database, 1);
    let batch = Batch { opened: Vec::new(), ended: vec![ended(1, 700, account, rows[0].id, false)] };
    commit(&database, &batch).unwrap();
    let give =
        |amount, operation: &[u8]| refund(&database, &[1; 16], Nanos(amount), operation, 2, "").unwrap();
    assert_eq!(give(701, b"a"), Err(Refused::MoreThanCharged { left: Nanos(700) }));
    let entered = give(500, b"a").unwrap().unwrap();
    assert_eq!((entered.account, entered.key, entered.amount), (account, Some(rows[0].id), Nanos(500)));
    assert_eq!(give(500, b"a"), Ok(None), "the same again is the same");
    assert!(refund(&database, &[1; 16], Nanos(1), b"a", 2, "").is_err(), "and nothing else");
    assert_eq!(give(201, b"b"), Err(Refused::MoreThanCharged { left: Nanos(200) }));
    assert_eq!(give(0, b"b"), Err(Refused::NotPositive));
    assert_eq!(refund(&database, &[9; 16], Nanos(1), b"b", 2, "").unwrap(), Err(Refused::NothingCharged));
    assert!(give(200, b"b").unwrap().is_some());
    let books = database.read(report::books_of).unwrap();
    assert_eq!((books.accounts[0].balance, books.keys[0].spent), (Nanos::ZERO, Nanos::ZERO));
    assert_eq!(books.violations, Vec::<String>::new());
    // Somebody writes one past the program.
    let raw = rusqlite::Connection::open(scratch.path()).unwrap();
    raw.execute_batch(&format!(
        "INSERT INTO entries (account_id, kind, amount_nanos, operation, request_id, at_ms)
             VALUES ({account}, 'refund', 5, x'77', x'01010101010101010101010101010101', 3);
         UPDATE accounts SET balance_nanos = 5, paid_nanos = paid_nanos + 5"
    ))
    .unwrap();
    let told = format!("account {account}: 0.000000705 was refunded of a request that was charged 0.0000007");
    assert_eq!(swept(&raw), [told]);
}

#[test]
fn what_was_spent_before_a_period_lifts_no_limit_of_it_when_it_is_given_back() {
    const DAY_MS: i64 = 86_400_000;
    let database = Database::in_memory().unwrap();
    let mut daily = keys();
    daily[0].terms = KeyTerms {
        spend_limit: Some(Nanos(1_000)),
        reset_period: Some(ResetPeriod::Day),
        ..KeyTerms::default()
    };
    sync(&database, &daily, &LimitColumns::default(), &[], 1).unwrap();
    let row = || Directory::read(&database).unwrap().keys.swap_remove(0);
    let (account, key) = (row().account_id, row().id);
    let ends = |id, at_ms| Ended { at_ms, ..ended(id, 700, account, key, false) };
    commit(&database, &Batch { opened: Vec::new(), ended: vec![ends(1, 5)] }).unwrap();
    assert_eq!(begin_periods(&database, DAY_MS + 1).unwrap(), 1);
    commit(&database, &Batch { opened: Vec::new(), ended: vec![ends(2, DAY_MS + 2)] }).unwrap();
    // As the catalog reckons it.
    let left = || {
        let row = row();
        row.terms.spend_limit.unwrap().plus(row.spent_before).minus(row.spent)
    };
    assert_eq!(left(), Nanos(300));
    let give =
        |id: u8| refund(&database, &[id; 16], Nanos(700), &[id], DAY_MS + 3, "").unwrap().unwrap().is_some();
    assert!(give(1));
    assert_eq!(left(), Nanos(300), "yesterday's is yesterday's");
    assert!(give(2));
    assert_eq!(left(), Nanos(1_000));
    let books = database.read(report::books_of).unwrap();
    assert_eq!((books.keys[0].spent, books.violations), (Nanos::ZERO, Vec::new()));
}

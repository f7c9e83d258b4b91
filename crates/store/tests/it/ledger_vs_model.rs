//! Random operations against SQL and against the model: equal after each step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use store::{
    Database, Nanos,
    directory::{Directory, KeyRow, LimitColumns},
    keys::KeyTerms,
    ledger::{Batch, Ended, EntryKind, Opened, commit, enter, recover},
    report,
    sync::{ConfigKey, sync},
};

use crate::{model::Model, scratch::Scratch};

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
        amount: i64,
        operation: u8,
    },
    /// The process dies and starts again.
    Crash,
    /// The configuration is read again.
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..12_u8;
    let charge = prop_oneof![Just(0), 1..1_000_000_i64, Just(5_000_000_000_000)];
    let opened = prop::collection::vec((id.clone(), 0..1_000_000_i64), 0..4);
    let ended = prop::collection::vec((id, charge), 0..6);
    prop_oneof![
        8 => (opened, ended).prop_map(|(opened, ended)| Step::Batch { opened, ended }),
        1 => Just(Step::Again),
        2 => (-1_000_000..1_000_000_i64, 100..106_u8).prop_map(|(amount, operation)| Step::Enter { amount, operation }),
        1 => Just(Step::Crash),
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
        account: Some(account),
        key: Some(key),
        dialect: "openai_chat",
        operation: "chat",
        model: "m".to_owned(),
        stream: false,
        channel: Some("c".into()),
        attempts: "[]".to_owned(),
        ending: "completed",
        status: 200,
        cause: None,
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
                    model.end(id, account, key_of(id, &ids), charge, known);
                    batch.ended.push(ended(id, charge, account, key_of(id, &ids), known));
                }
                commit(&database, &batch).unwrap();
                last = batch;
            }
            Step::Again => {
                last.opened.iter().for_each(|row| model.open(row.id[0], row.hold.0));
                for row in &last.ended {
                    model.end(row.id[0], account, row.key.unwrap(), row.charge.0, row.was_opened);
                }
                commit(&database, &last).unwrap();
            }
            Step::Enter { amount, operation } => {
                let operation = [operation];
                let entered =
                    enter(&database, account, EntryKind::TopUp, Nanos(amount), &operation, 9, "test");
                prop_assert_eq!(entered.unwrap(), model.enter(account, amount, &operation));
            }
            Step::Crash => {
                drop(database);
                database = Database::open(&scratch.path()).unwrap();
                prop_assert_eq!(recover(&database, 99).unwrap(), model.recover());
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
    }
    Ok(())
}

fn compare(scratch: &Scratch, model: &Model) -> Result<(), TestCaseError> {
    let mut reader = store::database::reader(&scratch.path()).unwrap();
    let books = report::books(&mut reader).unwrap();
    prop_assert_eq!(&books.violations, &Vec::<String>::new());
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
}

//! One process owns the file.

use store::{Database, StoreError};

use crate::scratch::Scratch;

#[test]
fn a_second_owner_is_refused_and_the_next_one_is_let_in() {
    let scratch = Scratch::new();
    let first = Database::open(&scratch.path()).unwrap();
    assert!(matches!(Database::open(&scratch.path()), Err(StoreError::Owned { .. })));
    let mut reader = store::database::reader(&scratch.path()).unwrap();
    assert_eq!(store::report::books(&mut reader).unwrap().violations, Vec::<String>::new());
    assert!(reader.execute("DELETE FROM users", []).is_err(), "a reader only reads");
    drop(first);
    Database::open(&scratch.path()).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path(), "listen = \"127.0.0.1:3000\"\n".repeat(100)).unwrap();
    assert!(Database::open(&scratch.path()).is_err());
    assert!(std::fs::read_to_string(scratch.path()).unwrap().starts_with("listen"));
}

//! The database file: opened, owned, brought up to date.
//!
//! In: a path, or memory. Out: one connection that writes, and more that only read. The owner holds a lock on a file
//! beside the database for as long as it lives; readers need none.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub use rusqlite::Connection;
use rusqlite::{OpenFlags, TransactionBehavior};

use crate::{
    error::StoreError,
    seal::{KEY_VARIABLE, SealError, Sealer},
};

/// Numbered steps, never changed once released.
const MIGRATIONS: [&str; 5] = [
    include_str!("../migrations/sqlite/0001_books.sql"),
    include_str!("../migrations/sqlite/0002_identity.sql"),
    include_str!("../migrations/sqlite/0003_request_log.sql"),
    include_str!("../migrations/sqlite/0004_losses.sql"),
    include_str!("../migrations/sqlite/0005_aliases.sql"),
];
/// Marks a database file as Sluice's: "Slui".
const APPLICATION: i32 = 0x536C_7569;
/// What is kept of the write-ahead file after a checkpoint, in bytes: a reader that took long may have let it grow.
const WAL_KEPT: i64 = 64 << 20;
/// Pages of 4 KiB in the write-ahead file at which the writer does it itself, and waits for the disk: nobody else did, or not
/// to the end, for there is always more to write under full load. Most is done by then.
const CHECKPOINT_PAGES: i64 = 16_000;
/// What the writer keeps of the database in memory at most: the ends of the indexes of everybody who is there just now.
const CACHE_KIB: i64 = 16 << 10;
/// A reader's checkpoint or a backup may hold the file for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// The owner of a database.
#[derive(Debug)]
pub struct Database {
    path: Option<PathBuf>,
    writer: Mutex<Connection>,
    /// Rows of the books written since the last checkpoint.
    written: AtomicU64,
    /// Found or made when the first secret is sealed or opened.
    sealer: OnceLock<Sealer>,
    /// Held until this is dropped; `None`: in memory, which nobody else can see.
    _lock: Option<File>,
}

impl Database {
    /// Opens and owns the file, creates it where there is none, and brings it up to date.
    pub fn open(path: &Path) -> Result<Database, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::Open {
            path: path.display().to_string(),
            detail: error.to_string(),
        };
        // Made here, so that nobody else can read it; and then by its one name, whatever links lead to it.
        let private =
            |path: &Path| File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
        private(path).map_err(|error| failed(&error))?;
        let path = &path.canonicalize().map_err(|error| failed(&error))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let lock = private(Path::new(&beside)).map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Owned { path: path.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        }
        let connection = Connection::open(path).map_err(|error| failed(&error))?;
        Database::own(connection, Some(path.to_owned()), Some(lock))
    }

    /// A database that is gone with the process.
    pub fn in_memory() -> Result<Database, StoreError> {
        Database::own(Connection::open_in_memory()?, None, None)
    }

    fn own(
        mut connection: Connection,
        path: Option<PathBuf>,
        lock: Option<File>,
    ) -> Result<Database, StoreError> {
        connection.busy_timeout(BUSY)?;
        ours(&connection)?;
        // A kill loses no commit; a power loss may lose those since the last checkpoint, and breaks nothing.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // Steps may rebuild a table that others refer to.
        connection.pragma_update(None, "foreign_keys", false)?;
        migrate(&mut connection)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Database {
            path,
            writer: Mutex::new(connection),
            written: AtomicU64::new(0),
            sealer: OnceLock::new(),
            _lock: lock,
        })
    }

    /// The one connection that writes. A panic under it left no transaction open: dropping one rolls it back.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another connection to the same file, that only reads; `None`: in memory there is none.
    pub(crate) fn sibling(&self) -> Result<Option<Connection>, StoreError> {
        self.path.as_deref().map(reader).transpose()
    }

    /// So many rows of the books were written.
    pub(crate) fn wrote(&self, rows: usize) {
        self.written.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Rows of the books written since the last [`Database::checkpoint`]; in memory there is nothing to bring anywhere.
    pub fn since_checkpoint(&self) -> u64 {
        self.path.as_ref().map_or(0, |_| self.written.load(Ordering::Relaxed))
    }

    /// Works the write-ahead file into the database, as far as it goes without anybody waiting for it: it takes what the disk
    /// takes, and meanwhile the writer writes on.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.written.store(0, Ordering::Relaxed);
        let Some(path) = &self.path else { return Ok(()) };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// What secrets in this database are sealed with: the key of the environment, or else of a file beside the database.
    pub fn sealer(&self) -> Result<&Sealer, SealError> {
        if let Some(sealer) = self.sealer.get() {
            return Ok(sealer);
        }
        let sealer = match (std::env::var(KEY_VARIABLE), &self.path) {
            (Ok(text), _) => Sealer::from_text(&text)?,
            (Err(_), Some(path)) => {
                let mut beside = path.as_os_str().to_owned();
                beside.push(".key");
                Sealer::from_file(Path::new(&beside))?
            }
            (Err(_), None) => Sealer::ephemeral()?,
        };
        Ok(self.sealer.get_or_init(|| sealer))
    }

    /// Where the file is; `None`: in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Does something on a connection that reads; in memory there is only the one.
    pub fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.path {
            Some(path) => look(&reader(path)?),
            None => look(&self.writer()),
        }
    }
}

/// Refuses a database of another program before anything in it is changed.
fn ours(connection: &Connection) -> Result<(), StoreError> {
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if id != APPLICATION && tables > 0 {
        return Err(StoreError::Foreign);
    }
    if id != APPLICATION {
        connection.pragma_update(None, "application_id", APPLICATION)?;
    }
    Ok(())
}

/// A connection that only reads, beside whoever owns the file.
pub fn reader(path: &Path) -> Result<Connection, StoreError> {
    let open =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = open
        .map_err(|error| StoreError::Open { path: path.display().to_string(), detail: error.to_string() })?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Runs the steps that the file has not seen, each in a transaction of its own.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as u32;
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (number, step) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let failed = |error: rusqlite::Error| StoreError::Migration { number, detail: error.to_string() };
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction.pragma_update(None, "user_version", number).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_brings_what_was_written_into_the_file_itself() {
        let directory = std::env::temp_dir().join(format!("sluice-checkpoint-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("books.db");
        let database = Database::open(&path).unwrap();
        database
            .writer()
            .execute_batch("CREATE TABLE drops (id INTEGER); INSERT INTO drops VALUES (1)")
            .unwrap();
        // Without the write-ahead file beside it, which a copy does not have.
        let has_drops = || {
            let copy = directory.join("copy.db");
            std::fs::copy(&path, &copy).unwrap();
            let found = Connection::open(&copy).unwrap().query_row("SELECT id FROM drops", [], |_| Ok(()));
            found.is_ok()
        };
        assert!(!has_drops());
        database.wrote(2);
        assert_eq!(database.since_checkpoint(), 2);
        let mut writer = database.writer();
        let writing = writer.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        database.checkpoint().unwrap();
        writing.commit().unwrap();
        assert!(has_drops());
        assert_eq!(database.since_checkpoint(), 0);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn every_step_runs_once_and_a_later_file_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::TooNew { found: 99, known: 5 })));
    }

    #[test]
    fn a_failed_step_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE requests (x)").unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::Migration { number: 1, .. })));
        let tables: u32 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}

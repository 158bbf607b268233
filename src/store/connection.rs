//! Opening the SQLite file: what every connection is told, and the schema's versions.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// The schema, one script a version. Never edit a script that has been released: add the next.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_spine.sql"),
    include_str!("migrations/0002_followers.sql"),
    include_str!("migrations/0003_notes.sql"),
    include_str!("migrations/0004_device_configs.sql"),
    include_str!("migrations/0005_commands.sql"),
    include_str!("migrations/0006_alarms.sql"),
    include_str!("migrations/0007_lids.sql"),
    include_str!("migrations/0008_people.sql"),
    include_str!("migrations/0009_lid_told.sql"),
    include_str!("migrations/0010_accounts.sql"),
    include_str!("migrations/0011_vitals.sql"),
    include_str!("migrations/0012_linkage.sql"),
    include_str!("migrations/0013_export.sql"),
];

/// How long a connection waits for another process's write, such as an import from the command line.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// A connection that may write; brings the schema up to date.
pub fn open_writer(path: &Path, cache_mib: u32) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // What is deleted is overwritten: see `scrub`.
    connection.execute_batch("PRAGMA secure_delete = ON;")?;
    // FULL: with NORMAL the tail of the WAL, receipted events in it, would not survive a power cut.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 16384;
         PRAGMA cache_size = -{};
         PRAGMA temp_store = MEMORY;",
        u64::from(cache_mib) * 1024
    ))?;
    connection.set_prepared_statement_cache_capacity(128);
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -32768; PRAGMA mmap_size = 1073741824;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if schema_version(connection)? == MIGRATIONS.len() as i64 {
        // Nothing to write: a command beside a busy backend need not queue for the right to.
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version = schema_version(&transaction)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(StoreError::Newer { found: version, known: MIGRATIONS.len() });
    }
    for script in &MIGRATIONS[done..] {
        transaction.execute_batch(script)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {}", MIGRATIONS.len()))?;
    transaction.commit()?;
    Ok(())
}

fn schema_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

//! Opening the store: what every connection is told, and the schema's versions.

use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use super::StoreError;
use super::sql::{self, Connection};
use super::url::StoreUrl;

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
    include_str!("migrations/0014_leases.sql"),
    include_str!("migrations/0015_deposit_pieces.sql"),
    include_str!("migrations/0016_side_by_side.sql"),
    include_str!("migrations/0017_small_blocks.sql"),
];

/// How long a connection waits for another process's write, such as an import from the command line.
pub(super) const BUSY: Duration = Duration::from_secs(30);

/// A connection that may write; brings the schema up to date.
pub fn open_writer(url: impl Into<StoreUrl>, cache_mib: u32) -> Result<Connection, StoreError> {
    let connection = match url.into() {
        StoreUrl::Sqlite(path) => open_file(&path, cache_mib)?,
        StoreUrl::Postgres(server) => Connection::connect(&server)?,
    };
    migrate(&connection)?;
    Ok(connection)
}

fn open_file(path: &Path, cache_mib: u32) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<_> {
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // What is deleted is overwritten: see `scrub`.
        connection.execute_batch("PRAGMA secure_delete = ON;")?;
        // FULL: with NORMAL the tail of the WAL would not survive a power cut. See `flush` for what is flushed otherwise.
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 16384;
             PRAGMA cache_size = -{};
             PRAGMA temp_store = MEMORY;",
            u64::from(cache_mib) * 1024
        ))?;
        // Otherwise a statement is planned anew whenever a value bound to it might suit another plan: by readers too.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(connection)
    };
    Ok(open().map(Connection::from).map_err(sql::Error::from)?)
}

/// A connection that only reads.
pub fn open_reader(url: impl Into<StoreUrl>) -> Result<Connection, StoreError> {
    let path = match url.into() {
        StoreUrl::Sqlite(path) => path,
        StoreUrl::Postgres(server) => return Ok(Connection::connect(&server)?),
    };
    let open = || -> rusqlite::Result<_> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        let settings = "PRAGMA query_only = ON; PRAGMA cache_size = -32768; PRAGMA mmap_size = 1073741824;";
        connection.execute_batch(settings)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    Ok(open().map(Connection::from).map_err(sql::Error::from)?)
}

fn migrate(connection: &Connection) -> Result<(), StoreError> {
    if schema_version(connection)? == MIGRATIONS.len() as i64 {
        // Nothing to write: a command beside a busy backend need not queue for the right to.
        return Ok(());
    }
    let transaction = connection.transaction()?;
    let version = schema_version(&transaction)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(StoreError::Newer { found: version, known: MIGRATIONS.len() });
    }
    for script in &MIGRATIONS[done..] {
        transaction.migrate(script)?;
    }
    if transaction.sqlite().is_none() {
        // Before version 14 the one backend numbered the rows by itself.
        transaction.query_row(
            "SELECT setval(pg_get_serial_sequence('ledger', 'id'), coalesce(max(id), 0) + 1, false) FROM ledger",
            [],
            |_| Ok(()),
        )?;
    }
    let known = MIGRATIONS.len();
    transaction.execute_batch(&match transaction.sqlite() {
        Some(_) => format!("PRAGMA user_version = {known}"),
        None => format!("DELETE FROM schema_version; INSERT INTO schema_version VALUES ({known})"),
    })?;
    transaction.commit()?;
    Ok(())
}

/// Whether the schema is the one this program works on.
pub(super) fn check_version(connection: &Connection) -> Result<(), StoreError> {
    let (found, known) = (schema_version(connection)?, MIGRATIONS.len());
    match usize::try_from(found).unwrap_or(usize::MAX).cmp(&known) {
        std::cmp::Ordering::Less => Err(StoreError::Older { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(StoreError::Newer { found, known }),
    }
}

/// How many scripts have been run. On a server a table of its own says so, in the schema that the tables are in.
pub fn schema_version(connection: &Connection) -> Result<i64, StoreError> {
    if connection.sqlite().is_some() {
        return Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?);
    }
    let there = "SELECT to_regclass('schema_version') IS NOT NULL";
    if !connection.query_row(there, [], |row| row.get(0))? {
        let transaction = connection.transaction()?;
        transaction.execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")?;
        transaction.commit()?;
    }
    Ok(connection.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_store_holds_is_where_this_one_looks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        MIGRATIONS[..14].iter().for_each(|script| old.execute_batch(script).unwrap());
        old.execute_batch(
            "INSERT INTO card_count VALUES (1, 20000, 2, 3, 4, 5, 6, x'07');
             INSERT INTO hour_count VALUES (1, 20000, 2, 3, 4, 5, 6, 7, 8, 9, 10);
             INSERT INTO presence VALUES (1, 20000, 2, 3);
             INSERT INTO ledger_block VALUES (1, 2, 1764000000001, 1764003600000);
             INSERT INTO deposit_time VALUES (7, 1, x'0102');
             PRAGMA user_version = 14;",
        )
        .unwrap();
        let places: Vec<u8> = (0..640).map(|at| (at % 251) as u8).collect();
        old.execute("INSERT INTO event_row VALUES (2, 7, ?1)", [&places]).unwrap();
        old.execute("INSERT INTO event_row VALUES (3, 7, ?1)", [&places[..165]]).unwrap();
        drop(old);
        let migrated = open_writer(path, 1).unwrap();
        let is_there = |row: &str| -> bool {
            migrated.query_row(&format!("SELECT EXISTS ({row})"), [], |row| row.get(0)).unwrap()
        };
        for row in [
            "SELECT 1 FROM card_count WHERE (community, day, site, place, open, close, block) = (1, 20000, 2, 3, 4, 5, 6)
                 AND entries = x'07'",
            "SELECT 1 FROM hour_count WHERE (site, day, hour, stream) = (1, 20000, 2, 3)
                 AND (in_window, makeup, off_hours, correct, incorrect, unjudged, grams) = (4, 5, 6, 7, 8, 9, 10)",
            "SELECT 1 FROM presence WHERE (site, day, hour, minutes) = (1, 20000, 2, 3)",
            "SELECT 1 FROM ledger_block WHERE (site, block, first_time, last_time) = (1, 2, 1764000000000, 1764007199999)",
            "SELECT 1 FROM deposit_time WHERE (bucket, bin, piece, entries) = (7, 1, 0, x'0102')",
        ] {
            assert!(is_there(row), "{row}");
        }
        let places_of = |block: i64| -> Vec<u8> {
            let select = "SELECT rows FROM event_row WHERE number = (SELECT number FROM event_block WHERE block = ?1 AND boot = 7)";
            migrated.query_row(select, [block], |row| row.get(0)).unwrap()
        };
        assert_eq!((8..12).flat_map(places_of).collect::<Vec<_>>(), places);
        assert_eq!([places_of(12), places_of(13)].concat(), places[..165]);
        assert_eq!(migrated.query_row("SELECT count(*) FROM event_row", [], |row| row.get::<_, i64>(0)).unwrap(), 6);
    }
}

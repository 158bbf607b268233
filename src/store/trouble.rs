//! Why the store takes no writes, in words for whoever runs it.

use std::error::Error;
use std::io::ErrorKind;

use rusqlite::ErrorCode;
use tokio_postgres::error::SqlState;

use super::{StoreError, sql};

impl StoreError {
    /// What is wrong, without a path or a statement: anybody may read it.
    pub fn plainly(&self) -> &'static str {
        match self {
            Self::Sql(error) => of_statement(error),
            Self::File(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FULL,
                ErrorKind::ReadOnlyFilesystem => READ_ONLY,
                _ => REFUSES,
            },
            Self::OutOfReach => OUT_OF_REACH,
            Self::Closed => "the store is shutting down",
            _ => OTHER,
        }
    }

    /// Whether it is the store as a whole that fails, which the writer meets too and says by itself.
    pub fn is_told_of(&self) -> bool {
        matches!(self, Self::OutOfReach | Self::Closed) || [FULL, READ_ONLY, OUT_OF_REACH].contains(&self.plainly())
    }

    /// Whether the disk had no room for what was to be written.
    pub fn is_full(&self) -> bool {
        self.plainly() == FULL
    }
}

/// What is wrong in plain words where there are some, and as the library says it.
pub(super) fn told(error: &sql::Error) -> String {
    let words = of_statement(error);
    if words == OTHER { error.to_string() } else { format!("{words} ({error})") }
}

const FULL: &str = "the disk is full";
const READ_ONLY: &str = "the file, or the disk under it, is read-only";
const REFUSES: &str = "the disk refuses to read or write";
const OUT_OF_REACH: &str = "the server is out of reach";
const OTHER: &str = "a write failed; the log says why";

fn of_statement(error: &sql::Error) -> &'static str {
    match error {
        sql::Error::Sqlite(error) => of_file(error),
        sql::Error::Postgres(error) => of_server(error),
        sql::Error::Unreachable(_) => OUT_OF_REACH,
        _ => OTHER,
    }
}

/// Whether the server did not hear of the statement, or said that it can do nothing for anybody.
fn of_server(error: &tokio_postgres::Error) -> &'static str {
    let Some(code) = error.code() else {
        let on_the_way = error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>());
        return if on_the_way { OUT_OF_REACH } else { OTHER };
    };
    match *code {
        SqlState::DISK_FULL => FULL,
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS => OUT_OF_REACH,
        _ => OTHER,
    }
}

fn of_file(error: &rusqlite::Error) -> &'static str {
    // Making room for the log's index is asked of the disk in another way than all else.
    if error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
        return FULL;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => FULL,
        Some(ErrorCode::ReadOnly) => READ_ONLY,
        Some(ErrorCode::CannotOpen) => "the file cannot be opened",
        Some(ErrorCode::SystemIoFailure) => REFUSES,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program keeps the file locked",
        _ => OTHER,
    }
}

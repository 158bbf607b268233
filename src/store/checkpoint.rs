//! Moving the write-ahead log into the file while the writer goes on.
//!
//! SQLite would do that within a commit as soon as the log is long, and whoever waits for this commit would wait for tens
//! of thousands of pages. Here a thread of its own moves most of them, and the writer, between two transactions, the few
//! that came meanwhile. Then nothing of the log is left to move, and the next transaction writes it from its beginning.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use super::{StoreError, sql};

/// Pages in the log from which on they are moved.
const LONG: i64 = 16_384;
/// Pages that are left to the writer: it moves them within milliseconds.
const SHORT: i64 = 512;
/// How often the thread tries to come so near to the writer, which may be as fast as itself.
const ROUNDS: usize = 4;

/// The log keeps what it has, and it is tried again. A disk that is full or broken is told of by the next commit.
pub(super) const LEFT: &str = "the write-ahead log was not moved";

/// What the writer knows of the thread that moves the log of its file.
pub(super) struct Checkpoints {
    asked: SyncSender<()>,
    done: Receiver<()>,
    under_way: bool,
}

impl Checkpoints {
    /// Starts the thread, and has `writer` leave the log to it.
    pub(super) fn start(writer: &rusqlite::Connection) -> Result<Self, StoreError> {
        writer.pragma_update(None, "wal_autocheckpoint", 0).map_err(sql::Error::from)?;
        // Opened once: to one that is opened after the disk has told of an error the system tells nothing of it.
        let file = rusqlite::Connection::open(writer.path().unwrap_or_default()).map_err(sql::Error::from)?;
        file.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; SELECT 1 FROM sqlite_schema;")
            .map_err(sql::Error::from)?;
        let (asked, asking) = sync_channel(1);
        let (finished, done) = sync_channel(1);
        let moving = move || {
            while asking.recv().is_ok() {
                if let Err(error) = come_near(&file) {
                    tracing::debug!(%error, "{LEFT}");
                }
                if finished.send(()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("store-log".into()).spawn(moving)?;
        Ok(Self { asked, done, under_way: false })
    }

    #[cfg(test)]
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// To be called between two transactions.
    pub(super) fn look(&mut self, writer: &rusqlite::Connection) -> rusqlite::Result<()> {
        if self.under_way {
            if self.done.try_recv() != Err(TryRecvError::Empty) {
                self.under_way = false;
                left(writer, "PASSIVE")?;
            }
        } else if left(writer, "NOOP")? >= LONG {
            self.under_way = self.asked.try_send(()).is_ok();
        }
        Ok(())
    }
}

/// Moves the log, again and again, until little of it is left.
fn come_near(file: &rusqlite::Connection) -> rusqlite::Result<()> {
    for _ in 0..ROUNDS {
        left(file, "PASSIVE")?;
        if left(file, "NOOP")? <= SHORT {
            break;
        }
    }
    Ok(())
}

/// Has SQLite do this with the log, and tells how many pages of it are still to be moved.
fn left(connection: &rusqlite::Connection, mode: &str) -> rusqlite::Result<i64> {
    let pages = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
    connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?.query_row([], pages)
}

#[cfg(test)]
mod tests {
    use super::super::connection::open_writer;
    use super::*;

    #[test]
    fn the_log_is_moved_beside_the_writer_and_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fenlei.db");
        let connection = open_writer(&path, 16).unwrap();
        let writer = connection.sqlite().unwrap();
        let mut checkpoints = Checkpoints::start(writer).unwrap();
        let write = |pages: i64| {
            writer
                .execute("INSERT INTO meta VALUES (lower(hex(randomblob(8))), hex(zeroblob(?1)))", [pages * 2_048])
                .unwrap();
        };
        let length = || std::fs::metadata(folder.path().join("fenlei.db-wal")).unwrap().len();

        write(100);
        checkpoints.look(writer).unwrap();
        assert!(!checkpoints.under_way && left(writer, "NOOP").unwrap() > 100, "a short log is left alone");

        write(LONG);
        checkpoints.look(writer).unwrap();
        assert!(checkpoints.under_way);
        while left(writer, "NOOP").unwrap() > 0 {
            std::thread::yield_now();
        }
        // What the thread may not have seen any more.
        write(100);
        while checkpoints.under_way {
            checkpoints.look(writer).unwrap();
        }
        assert_eq!(left(writer, "NOOP").unwrap(), 0);
        let before = length();
        write(100);
        assert_eq!(length(), before, "the log is written from its beginning");
    }
}

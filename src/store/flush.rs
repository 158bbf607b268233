//! Having the disk take the write-ahead log while the writer goes on.
//!
//! SQLite would flush the log within each commit, and the writer would wait for the disk as long as for a quarter of its
//! work. For publishes a commit only hands the log to the system; a thread of its own flushes it, and answers those who
//! wait for that.
//!
//! Linux tells of a page that it could not write once, and takes it for written from then on. So after a flush that failed
//! nothing is written or moved before the whole log was written again, as the system still has it, and flushed; nor before
//! that is done with what an earlier run left, which may have ended for that very reason.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{StoreError, sql};

/// Bytes of the log that are written again at once.
const PART: usize = 1 << 20;

/// When the disk has a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Once it is committed.
    Committed,
    /// Once it is committed and the log was flushed.
    Flushed,
}

/// What is to be done when it is known whether the disk has the log.
type Then = Box<dyn FnOnce(bool) + Send>;

/// What the writer knows of the thread that flushes the log of its file.
pub(super) struct Flush {
    log: PathBuf,
    asked: SyncSender<Then>,
    done: Receiver<io::Result<()>>,
    under_way: bool,
    /// Of the writer's transactions, as SQLite was told.
    durability: Durability,
    /// Whether the disk may lack something of the log, for good.
    lacking: bool,
}

impl Flush {
    /// Starts the thread for the file of `writer`, once the disk has all of the log.
    pub(super) fn start(writer: &rusqlite::Connection) -> Result<Self, StoreError> {
        let log = log_of(writer);
        let file = File::options().read(true).write(true).open(&log)?;
        writer.execute_batch("BEGIN IMMEDIATE").map_err(sql::Error::from)?;
        let written = write_again(&file).and_then(|()| file.sync_data());
        writer.execute_batch("ROLLBACK").map_err(sql::Error::from)?;
        written?;
        Self::by(log, move || file.sync_data())
    }

    pub(super) fn by(
        log: PathBuf,
        mut flush: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (asked, asking) = sync_channel::<Then>(1);
        let (finished, done) = sync_channel(1);
        let flushing = move || {
            while let Ok(then) = asking.recv() {
                let flushed = flush();
                then(flushed.is_ok());
                if finished.send(flushed).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("store-flush".into()).spawn(flushing)?;
        Ok(Self { log, asked, done, under_way: false, durability: Durability::Committed, lacking: false })
    }

    /// Tells SQLite of the next transactions; to be called outside of one.
    pub(super) fn set(&mut self, writer: &rusqlite::Connection, durability: Durability) -> Result<(), StoreError> {
        if self.durability != durability {
            let synchronous = if durability == Durability::Committed { "FULL" } else { "NORMAL" };
            writer.pragma_update(None, "synchronous", synchronous).map_err(sql::Error::from)?;
            self.durability = durability;
        }
        Ok(())
    }

    /// Begins to flush what was committed, when nothing is being flushed; `then` is told whether the disk has it.
    pub(super) fn begin(&mut self, then: impl FnOnce(bool) + Send + 'static) {
        // Where the thread has ended, `end` tells.
        let _ = self.asked.send(Box::new(then));
        self.under_way = true;
    }

    /// Waits until it is known whether the disk has what is being flushed; `None`: nothing is.
    pub(super) fn end(&mut self) -> Option<io::Result<()>> {
        std::mem::take(&mut self.under_way).then(|| {
            let gone = || Err(io::Error::other("nothing flushes the log any more"));
            let flushed = self.done.recv().unwrap_or_else(|_| gone());
            self.lacking = flushed.is_err();
            flushed
        })
    }

    /// Whether the disk may lack something of the log until [`Flush::mend`] has succeeded.
    pub(super) fn is_lacking(&self) -> bool {
        self.lacking
    }

    /// To be called at the beginning of a transaction, when nobody else writes to the log: after a failure writes all of it
    /// again, and has the disk take it.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        if self.lacking {
            write_again(&File::options().read(true).write(true).open(&self.log)?)?;
            self.begin(drop);
            self.end().transpose()?;
        }
        Ok(())
    }
}

fn log_of(writer: &rusqlite::Connection) -> PathBuf {
    format!("{}-wal", writer.path().unwrap_or_default()).into()
}

fn write_again(file: &File) -> io::Result<()> {
    let (mut part, mut at) = (vec![0; PART], 0);
    loop {
        let length = file.read_at(&mut part, at)?;
        if length == 0 {
            return Ok(());
        }
        file.write_all_at(&part[..length], at)?;
        at += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::open_writer;
    use super::*;

    #[test]
    fn a_log_that_was_not_flushed_is_written_again_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log: Vec<u8> = (0..PART * 2 + 4_133).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &log).unwrap();
        let written = path.metadata().unwrap().modified().unwrap();
        let mut tries = [Err(io::Error::other("broken")), Err(io::Error::other("still")), Ok(())].into_iter();
        let mut flush = Flush::by(path.clone(), move || tries.next().unwrap()).unwrap();
        flush.mend().unwrap();
        assert_eq!(path.metadata().unwrap().modified().unwrap(), written, "nothing failed yet");
        flush.begin(|flushed| assert!(!flushed));
        assert_eq!(flush.end().unwrap().unwrap_err().to_string(), "broken");
        assert_eq!(flush.mend().unwrap_err().to_string(), "still");
        assert!(path.metadata().unwrap().modified().unwrap() > written);
        flush.mend().unwrap();
        assert!(!flush.is_lacking());
        flush.mend().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), log);
    }

    #[test]
    fn what_an_earlier_run_left_in_the_log_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(folder.path().join("fenlei.db"), 1).unwrap();
        let log = folder.path().join("fenlei.db-wal");
        let (left, written) = (std::fs::read(&log).unwrap(), log.metadata().unwrap().modified().unwrap());
        assert!(left.len() > 100_000, "the schema was written");
        Flush::start(connection.sqlite().unwrap()).unwrap();
        assert!(log.metadata().unwrap().modified().unwrap() > written);
        assert_eq!(std::fs::read(&log).unwrap(), left);
        connection.execute("INSERT INTO meta VALUES ('free', 'to write')", []).unwrap();
    }
}

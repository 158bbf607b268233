//! The store: ledger, rollups, registry, quarantine, in one SQLite file.
//!
//! One thread writes, a pool of connections reads. Whatever is written together is committed together:
//! an event, its place in the deduplication, and what it adds to the rollups are one transaction. After
//! the commit every later stage reads from here by a cursor.

pub mod accounts;
pub mod alarm_causes;
pub mod alarm_hooks;
pub mod alarm_notices;
pub mod alarms;
pub mod audit;
pub mod boots;
pub mod campaigns;
pub mod card_counts;
pub mod card_keys;
pub mod cards;
pub mod clock_doubts;
pub mod commands;
pub mod connection;
pub mod deposit_times;
pub mod device_configs;
pub mod displays;
pub mod doorstep;
pub mod erasure;
pub mod events;
pub mod export;
pub mod figures;
pub mod fillings;
pub mod fleet;
pub mod followers;
pub mod gathered;
pub mod habits;
pub mod idempotency;
pub mod intake;
pub mod ledger;
pub mod lids;
pub mod linkage;
pub mod linkage_hooks;

pub mod matching;
pub mod messages;
pub mod notes;
pub mod openings;
pub mod pictures;
pub mod quarantine;
pub mod readers;
pub mod registry;
pub mod replay;
pub mod retention;
pub mod retime;
pub mod rollups;
pub mod roster;
pub mod scrub;
pub mod sessions;
pub mod states;
pub mod tally;
pub mod tokens;
pub mod visits;
pub mod vitals;
pub mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rusqlite::Connection;
use tokio::sync::watch;

pub use intake::{Committed, Retried};
use readers::Readers;
pub use writer::Health;
use writer::{Writer, WriterHandle};

use crate::domain::inbound::Inbound;
use crate::domain::registry::Registry;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store cannot be written or read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the store's file cannot be used: {0}")]
    File(#[from] std::io::Error),
    #[error("the store has schema version {found}, this program knows up to {known}: use a newer fenlei")]
    Newer { found: i64, known: usize },
    #[error("the store is in use by another `fenlei serve` ({})", .0.display())]
    InUse(PathBuf),
    #[error(
        "`privacy.card_key_file` is not the key this store was begun with (fingerprint {found}, expected {expected})"
    )]
    WrongCardKey { found: String, expected: String },
    #[error("the store contradicts itself: {0}")]
    Corrupt(&'static str),
    #[error("the store is shutting down")]
    Closed,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub path: PathBuf,
    pub cache_mib: u32,
    pub readers: usize,
    /// Items a device may have in quarantine.
    pub quarantine_cap: u32,
}

impl Options {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cache_mib: 64, readers: 4, quarantine_cap: 1_000 }
    }
}

/// The store of a running backend; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: WriterHandle,
    readers: Readers,
    registry: Arc<ArcSwap<Registry>>,
    committed: watch::Receiver<i64>,
    /// Held while the backend runs, so that no second one writes to the same file.
    _lock: Arc<File>,
}

impl Store {
    /// Opens the store and starts its writer.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let lock = lock(&options.path)?;
        let connection = connection::open_writer(&options.path, options.cache_mib)?;
        let registry = Arc::new(ArcSwap::from_pointee(registry::load(&connection)?));
        let (announce, committed) = watch::channel(ledger::last_row(&connection)?);
        let writer = Writer::new(connection, Arc::clone(&registry), announce, options.quarantine_cap)?.start()?;
        let readers = Readers::new(options.path.clone(), options.readers);
        Ok(Self { writer, readers, registry, committed, _lock: Arc::new(lock) })
    }

    /// Stores a publish with everything that belongs to it, and answers once that is on the disk.
    pub async fn commit(&self, inbound: Inbound) -> Result<Committed, StoreError> {
        self.writer.commit(inbound).await
    }

    /// Hands over publishes that are to share one transaction, such as a measured batch.
    pub async fn submit_all(&self, inbounds: Vec<Inbound>) -> Result<writer::PendingAll, StoreError> {
        self.writer.submit_all(inbounds).await
    }

    /// Like [`Store::commit`], for a caller that gathers the answers itself.
    pub async fn submit(&self, inbound: Inbound) -> Result<writer::Pending, StoreError> {
        self.writer.submit(inbound).await
    }

    /// Runs `work` in a transaction of its own on the writing thread.
    pub async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut writer::Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.writer.write(work).await
    }

    /// Scrubs the file of what was erased, as far as nobody reads it; see [`scrub`].
    pub async fn scrub(&self) -> Result<(), StoreError> {
        self.writer.scrub().await
    }

    /// Runs `work` on one of the reading connections, inside one read transaction.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(work).await
    }

    /// The registry as it stands.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// The last committed row of the ledger, and a wake-up for each commit that added one.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.committed.clone()
    }

    /// Whether the last attempt to write succeeded.
    pub fn health(&self) -> Health {
        self.writer.health()
    }
}

/// Opens the file for a command that runs beside the backend, or without it.
pub fn open_beside(path: &Path) -> Result<Connection, StoreError> {
    connection::open_writer(path, 16)
}

/// Opens the file for a command that must be alone with it, for as long as the lock is kept.
pub fn open_alone(path: &Path) -> Result<(Connection, File), StoreError> {
    let lock = lock(path)?;
    Ok((open_beside(path)?, lock))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

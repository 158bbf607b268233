//! The store: ledger, rollups, registry, quarantine, in one SQLite file or one PostgreSQL database.
//!
//! One thread writes, a pool of connections reads. Whatever is written together is committed together:
//! an event, its place in the deduplication, and what it adds to the rollups are one transaction. After
//! the commit every later stage reads from here by a cursor.

pub mod accounts;
pub mod alarm_causes;
pub mod alarm_hooks;
pub mod alarm_notices;
pub mod alarms;
mod announce;
mod appender;
pub mod audit;
pub mod boots;
pub mod campaigns;
pub mod card_counts;
pub mod card_keys;
pub mod cards;
mod checkpoint;
pub mod clock_doubts;
mod cluster;
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
mod flush;
pub mod followers;
pub mod gathered;
pub mod habits;
pub mod idempotency;
pub mod intake;
mod lanes;
pub mod leases;
pub mod ledger;
pub mod lids;
pub mod linkage;
pub mod linkage_hooks;
pub mod matching;
pub mod messages;
pub mod notes;
pub mod openings;
pub mod pictures;
mod place;
mod publishes;
pub mod quarantine;
pub mod queue;
pub mod readers;
pub mod recount;
pub mod registry;
pub mod replay;
pub mod retention;
pub mod retime;
pub mod rollups;
pub mod roster;
pub mod scrub;
pub mod sessions;
pub mod sql;
pub mod states;
pub mod tally;
pub mod tokens;
pub mod transfer;
mod trouble;
pub mod url;
pub mod visits;
pub mod vitals;
pub mod writer;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use announce::Announce;
pub use announce::Health;
use cluster::Cluster;
pub use connection::schema_version;
pub use intake::{Committed, Retried};
use leases::{Job, Turn};
use place::Place;
use queue::WriterHandle;
use readers::Readers;
use sql::Connection;
pub use url::StoreUrl;
use writer::Writer;

use crate::domain::inbound::Inbound;
use crate::domain::registry::Registry;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store cannot be written or read: {}", trouble::told(.0))]
    Sql(#[from] sql::Error),
    #[error("the store's file cannot be used: {0}")]
    File(#[from] std::io::Error),
    #[error("the store has schema version {found}, this program knows up to {known}: use a newer fenlei")]
    Newer { found: i64, known: usize },
    #[error("the store has schema version {found}: `fenlei serve` brings it to {known} when it starts")]
    Older { found: i64, known: usize },
    #[error("the store is in use by another `fenlei serve` ({0})")]
    InUse(StoreUrl),
    #[error("a file cannot be shared by several backends: `mqtt.share` needs a PostgreSQL server in `store.url`")]
    NotShareable,
    #[error("another backend has taken over this job")]
    NotOurTurn,
    #[error(
        "`privacy.card_key_file` is not the key this store was begun with (fingerprint {found}, expected {expected})"
    )]
    WrongCardKey { found: String, expected: String },
    #[error("the store contradicts itself: {0}")]
    Corrupt(&'static str),
    #[error("the store's server is out of reach; it is tried again in a moment")]
    OutOfReach,
    #[error("the store is shutting down")]
    Closed,
    #[error("a read panicked, which is a mistake of the backend: its log says where")]
    Panicked,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub url: StoreUrl,
    pub cache_mib: u32,
    pub readers: usize,
    /// Items a device may have in quarantine.
    pub quarantine_cap: u32,
    /// Whether other backends serve the same store; of a server only.
    pub shared: bool,
}

impl Options {
    pub fn at(url: impl Into<StoreUrl>) -> Self {
        Self { url: url.into(), cache_mib: 8, readers: 4, quarantine_cap: 1_000, shared: false }
    }
}

/// The store of a running backend; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    writer: WriterHandle,
    readers: Readers,
    registry: Arc<ArcSwap<Registry>>,
    committed: watch::Receiver<i64>,
    /// Where others share the store.
    cluster: Option<Cluster>,
    /// Under which it writes; `None`: it may always.
    turn: Option<Turn>,
    /// Held while the backend runs, so that no second one writes to the same file. On a server the writer's session holds
    /// a lock instead.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens the store and starts its writer.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let lock = options.url.file().map(lock).transpose()?;
        if options.shared && lock.is_some() {
            return Err(StoreError::NotShareable);
        }
        let place = Place { url: options.url.clone(), cache_mib: options.cache_mib, shared: options.shared };
        let connection = place.open()?;
        let registry = Arc::new(ArcSwap::from_pointee(registry::load(&connection)?));
        let (announce, committed) = watch::channel(if options.shared { 0 } else { ledger::last_row(&connection)? });
        let (announce, cluster) = if options.shared {
            let cluster = Cluster::start(options.url.clone(), announce)?;
            (Announce::Cluster(cluster.clone()), Some(cluster))
        } else {
            (Announce::Here(announce), None)
        };
        let writer = Writer::new(connection, place, Arc::clone(&registry), announce, options.quarantine_cap)?;
        let writer = writer.start()?;
        let readers = Readers::new(options.url.clone(), options.readers);
        Ok(Self { writer, readers, registry, committed, cluster, turn: None, _lock: lock.map(Arc::new) })
    }

    /// Whether other backends may serve the same store.
    pub fn is_shared(&self) -> bool {
        self.cluster.is_some()
    }

    /// Says which jobs this backend can do at the moment: where others share the store, none but those fall to it.
    pub fn offer(&self, jobs: BTreeSet<Job>) {
        if let Some(cluster) = &self.cluster {
            cluster.offer(jobs);
        }
    }

    /// Leaves all jobs to the others, to be called when none is under way; nothing is followed any more either.
    pub async fn leave(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.leave().await;
        }
    }

    /// The turn of this backend to do a job.
    pub fn turn(&self, job: Job) -> Turn {
        self.cluster.as_ref().map_or_else(|| Turn::new(job, None), |cluster| cluster.turn(job))
    }

    /// The store for somebody who may write only while it is his turn, and is told [`StoreError::NotOurTurn`] else.
    pub fn during(&self, turn: &Turn) -> Self {
        Self { turn: Some(turn.clone()), ..self.clone() }
    }

    /// Stores a publish with everything that belongs to it, and answers once that is on the disk.
    pub async fn commit(&self, inbound: Inbound) -> Result<Committed, StoreError> {
        self.writer.commit(inbound).await
    }

    /// Hands over publishes that are to share one transaction, such as a measured batch.
    pub async fn submit_all(&self, inbounds: Vec<Inbound>) -> Result<queue::PendingAll, StoreError> {
        self.writer.submit_all(inbounds).await
    }

    /// Like [`Store::commit`], for a caller that gathers the answers itself.
    pub async fn submit(&self, inbound: Inbound) -> Result<queue::Pending, StoreError> {
        self.writer.submit(inbound).await
    }

    /// Runs `work` in a transaction of its own on the writing thread.
    pub async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut writer::Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let turn = self.turn.clone();
        let work = move |session: &mut writer::Session<'_>| {
            if let Some(turn) = turn {
                turn.check(session.connection)?;
            }
            work(session)
        };
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

    /// Has the registry be what the store says it is at this moment, where others may just have changed it.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if self.is_shared() { self.writer.refresh().await } else { Ok(()) }
    }

    /// The registry as it stands.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// The row up to which the ledger can be followed, and a wake-up whenever there is more: the last that the disk
    /// has, and where others share the store, the last that no other one can come before.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.committed.clone()
    }

    /// Comes back when the writer has ended, which it does by itself only if it panicked.
    pub async fn ended(&self) {
        self.writer.jobs.closed().await;
    }

    /// Whether the last attempt to write succeeded.
    pub fn health(&self) -> Health {
        self.writer.health()
    }
}

/// Opens the store for a command that runs beside the backend, or without it.
pub fn open_beside(url: impl Into<StoreUrl>) -> Result<Connection, StoreError> {
    connection::open_writer(url, 16)
}

/// Opens the store for a command that only reads, beside the backend or without it; changes nothing, not even its schema.
pub fn open_to_read(url: impl Into<StoreUrl>) -> Result<Connection, StoreError> {
    let connection = connection::open_reader(url)?;
    connection::check_version(&connection)?;
    Ok(connection)
}

/// Keeps every other program from running on a store's file, which need not exist, for as long as the lock is kept.
pub fn alone(path: &Path) -> Result<File, StoreError> {
    lock(path)
}

/// Opens the store for a command that must be alone with it, for as long as both are kept.
pub fn open_alone(url: &StoreUrl) -> Result<(Connection, Option<File>), StoreError> {
    let lock = url.file().map(lock).transpose()?;
    Ok((Place { url: url.clone(), cache_mib: 16, shared: false }.open()?, lock))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.into())),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

//! The one thread that writes. It takes whatever waits and stores it in one transaction (see [`super::publishes`]): many
//! devices share one flush of the disk, a single one waits for nobody.
//!
//! Where several backends share the store, what waits is divided into lanes by the site it belongs to. In a lane one
//! backend writes at a time, and remembers nothing from one transaction to the next; other work than intake takes all
//! lanes. So whatever a transaction reads of a site nobody else changes before it has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};

use super::announce::{Announce, Health};
use super::cards::Cards;
use super::checkpoint::{Checkpoints, LEFT};
use super::flush::{Durability, Flush};
use super::intake::{Intake, Memory, Retried};
use super::place::{Backoff, Place};
use super::queue::{Asked, Job, QUEUE, WriterHandle, gather, together};
use super::rollups::Rollups;
use super::sql::Connection;
use super::{StoreError, ledger, registry, scrub};
use crate::domain::event::Event;
use crate::domain::inbound::Sender;
use crate::domain::registry::Registry;

/// How far apart transactions of publishes begin at least, while there are many: each costs a sync, and has every follower
/// of the ledger look.
const SPACING: Duration = Duration::from_millis(8);
/// How often an idle writer looks whether the command line changed the registry.
const IDLE: Duration = Duration::from_millis(250);

/// How long nothing may have failed before the store is said to take writes again. On a full disk something small finds
/// room now and then, and what waits does not.
const PROVED: Duration = Duration::from_secs(2);

/// A transaction of other work than intake: registry, schedules, states.
pub struct Session<'a> {
    pub connection: &'a Connection,
    pub registry: Arc<Registry>,
    pub rollups: &'a mut Rollups,
    memory: &'a mut Memory,
    quarantine_cap: u32,
}

impl Session<'_> {
    /// Takes events in as if they came from a broker. What it gathers is written by its `finish`.
    pub(super) fn intake(&mut self) -> Result<Intake<'_>, StoreError> {
        Intake::begin(self.connection, &self.registry, self.rollups, self.memory, self.quarantine_cap)
    }

    /// Has the numbers of cards read again: some of their hashes are no longer those of cards.
    pub(super) fn forget_cards(&mut self) {
        self.memory.cards = Cards::default();
    }

    /// Tries a quarantined event again; its seq was used up when it was refused.
    pub fn retry(&mut self, from: &Sender, event: &Event, received: i64) -> Result<Retried, StoreError> {
        let mut intake = self.intake()?;
        let retried = intake.retry(from, event, received)?;
        intake.finish()?;
        Ok(retried)
    }
}

pub struct Writer {
    pub(super) connection: Connection,
    pub(super) place: Place,
    /// Of a file.
    checkpoints: Option<Checkpoints>,
    /// Of a file.
    pub(super) flush: Option<Flush>,
    backoff: Backoff,
    /// When a write last failed.
    failed: Option<Instant>,
    /// Whether a transaction came to nothing, for a reason that may be the store's.
    doubtful: bool,
    /// When it was last looked whether others wrote.
    noticed: Instant,
    pub(super) registry: Arc<ArcSwap<Registry>>,
    data_version: i64,
    pub(super) announce: Announce,
    health: watch::Sender<Health>,
    pub(super) memory: Memory,
    pub(super) rollups: Rollups,
    pub(super) quarantine_cap: u32,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        place: Place,
        registry: Arc<ArcSwap<Registry>>,
        announce: Announce,
        quarantine_cap: u32,
    ) -> Result<Self, StoreError> {
        let (health, _) = watch::channel(Health::default());
        let data_version = data_version(&connection)?;
        let memory = Memory::default();
        let rollups = Rollups::default();
        let (backoff, noticed) = (Backoff::new(), Instant::now());
        let checkpoints = connection.sqlite().map(Checkpoints::start).transpose()?;
        let flush = connection.sqlite().map(Flush::start).transpose()?;
        Ok(Self {
            connection,
            place,
            checkpoints,
            flush,
            backoff,
            failed: None,
            doubtful: false,
            noticed,
            registry,
            data_version,
            announce,
            health,
            memory,
            rollups,
            quarantine_cap,
        })
    }

    pub fn start(self) -> Result<WriterHandle, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let health = self.health.subscribe();
        std::thread::Builder::new().name("store-writer".into()).spawn(move || self.run(queue))?;
        Ok(WriterHandle { jobs, health })
    }

    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            tracing::error!("the store's writer cannot start");
            return;
        };
        let (mut begun, mut next) = (Instant::now(), None);
        loop {
            let waited = match next.take() {
                Some(job) => Ok(Some(job)),
                None => runtime.block_on(async { tokio::time::timeout(IDLE, queue.recv()).await }),
            };
            if let Err(error) = self.notice_other_writers() {
                // What is written next fails as well, and is told of.
                tracing::debug!(%error, "cannot look for changes made by the command line");
            }
            match waited {
                Err(_) => self.pause(),
                Ok(None) => {
                    // What it tells is told.
                    let _ = self.settle();
                    return;
                }
                Ok(Some(Job::Work(work))) => work(&mut self),
                Ok(Some(Job::Together(inbounds, asked))) => self.store_each(together(inbounds, asked)),
                Ok(Some(Job::Commit(inbound, asked))) => {
                    let batch;
                    (batch, next) = gather((inbound, Asked::Alone(asked)), &mut queue, begun + SPACING);
                    begun = Instant::now();
                    self.store_each(batch);
                }
            }
            self.look_after_the_log();
        }
    }

    fn look_after_the_log(&mut self) {
        // What the disk may lack of the log must not go into the file.
        if self.flush.as_ref().is_some_and(Flush::is_lacking) {
            return;
        }
        if let (Some(checkpoints), Some(file)) = (&mut self.checkpoints, self.connection.sqlite())
            && let Err(error) = checkpoints.look(file)
        {
            tracing::debug!(%error, "{LEFT}");
        }
    }

    #[cfg(test)]
    pub(super) fn is_moving_the_log(&self) -> bool {
        self.checkpoints.as_ref().is_some_and(Checkpoints::is_under_way)
    }

    /// Tells whoever asks what the store does. The log hears of it once: its disk may be the one that is full.
    pub(super) fn fails(&mut self, error: &StoreError) {
        if !self.connection.is_broken() {
            self.failed = Some(Instant::now());
        }
        let before = self.health.send_replace(Health::Failing(error.plainly().to_owned()));
        if before == Health::Writing {
            tracing::error!(%error, "nothing can be stored, and nothing is acknowledged; it is tried again");
        } else {
            tracing::debug!(%error, "nothing can be stored");
        }
    }

    /// Runs `work` in a transaction and reloads the registry if it changed that.
    pub(super) fn transact<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let outcome: Result<_, E> = (|| {
            self.begin(Durability::Committed)?;
            if self.place.shared {
                self.reload_registry()?;
            }
            let registry = self.registry.load_full();
            let mut session = Session {
                connection: &self.connection,
                registry,
                rollups: &mut self.rollups,
                memory: &mut self.memory,
                quarantine_cap: self.quarantine_cap,
            };
            let done = work(&mut session)?;
            self.rollups.flush(&self.connection)?;
            let last = self.last_row()?;
            self.connection.commit().map_err(StoreError::from)?;
            Ok((done, last))
        })();
        self.doubtful |= outcome.is_err();
        let (done, last) = self.finish(outcome)?;
        self.works();
        self.announce.tell(last);
        self.reload_registry()?;
        Ok(done)
    }

    /// Begins a transaction; see [`Writer::finish`].
    pub(super) fn begin(&mut self, durability: Durability) -> Result<(), StoreError> {
        self.mend()?;
        self.is_to_be(durability)?;
        self.connection.begin()?;
        self.flush.as_mut().map_or(Ok(()), Flush::mend)?;
        Ok(())
    }

    /// When the disk is to have the next transactions. One that it is to have once it is committed waits for those before.
    fn is_to_be(&mut self, durability: Durability) -> Result<(), StoreError> {
        if durability == Durability::Committed {
            self.settle()?;
        }
        match (&mut self.flush, self.connection.sqlite()) {
            (Some(flush), Some(file)) => flush.set(file, durability),
            _ => Ok(()),
        }
    }

    /// The ledger's last row, as this transaction leaves it; of no use where others write to it.
    pub(super) fn last_row(&self) -> Result<i64, StoreError> {
        match self.announce {
            Announce::Here(_) => ledger::last_row(&self.connection),
            Announce::Cluster(_) => Ok(0),
        }
    }

    /// After a transaction: on failure forgets everything that memory holds beyond the file.
    pub(super) fn finish<T, E: From<StoreError>>(&mut self, outcome: Result<T, E>) -> Result<T, E> {
        match outcome {
            Ok(done) => {
                match self.announce {
                    Announce::Here(_) => self.memory.boots.trim(),
                    // What another backend writes next is not known here.
                    Announce::Cluster(_) => self.memory = Memory::default(),
                }
                Ok(done)
            }
            Err(error) => {
                // The memory may have run ahead of the file: it is forgotten first, whatever else fails.
                self.rollups = Rollups::default();
                self.memory = Memory::default();
                if self.connection.is_broken() {
                    self.lost();
                } else if !self.connection.is_autocommit() {
                    self.connection.rollback().map_err(StoreError::from)?;
                }
                Err(error)
            }
        }
    }

    /// The disk has what was written.
    pub(super) fn works(&mut self) {
        if self.failed.is_some_and(|failed| failed.elapsed() < PROVED) {
            return;
        }
        self.failed = None;
        if self.health.send_if_modified(|health| std::mem::take(health) != Health::Writing) {
            tracing::info!("the store is written again");
        }
    }

    /// The server is out of reach. Whoever asks what the store does is told, and [`Writer::pause`] sees to it.
    fn lost(&mut self) {
        const LOST: &str = "the connection to the server is lost";
        self.health.send_if_modified(|health| {
            let news = *health == Health::Writing;
            if news {
                tracing::error!("{LOST}; it is sought again");
                *health = Health::Failing(LOST.to_owned());
            }
            news
        });
    }

    /// Puts another connection in the place of a broken one. What memory holds is of a server that may have been another.
    pub(super) fn mend(&mut self) -> Result<(), StoreError> {
        if !self.connection.is_broken() {
            return Ok(());
        }
        (self.rollups, self.memory) = (Rollups::default(), Memory::default());
        if Instant::now() < self.backoff.after {
            return Err(StoreError::OutOfReach);
        }
        // The registry whatever its revision: that of another server may count the same and say something else.
        let opened = self.place.open().and_then(|connection| {
            let (version, registry) = (data_version(&connection)?, registry::load(&connection)?);
            Ok((connection, version, registry))
        });
        match opened {
            Ok((connection, data_version, registry)) => {
                (self.connection, self.data_version) = (connection, data_version);
                self.registry.store(Arc::new(registry));
                self.backoff = Backoff::new();
                Ok(())
            }
            Err(error) => {
                self.backoff.failed();
                Err(error)
            }
        }
    }

    /// Nothing waits. While writing fails and no device asks, finds out by itself when it works again; and whether it does, where something
    /// else than a device came to nothing.
    fn pause(&mut self) {
        // What it tells is told.
        let _ = self.settle();
        if self.connection.is_broken() {
            self.lost();
        }
        if std::mem::take(&mut self.doubtful) || *self.health.borrow() != Health::Writing {
            let written = self.transact(|session| {
                let touch =
                    "INSERT INTO meta VALUES ('probed', '1') ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                session.connection.execute(touch, [])?;
                Ok::<_, StoreError>(())
            });
            match written {
                // Between two attempts to reach a server.
                Ok(()) | Err(StoreError::OutOfReach) => {}
                Err(error) => self.fails(&error),
            }
        }
    }

    fn notice_other_writers(&mut self) -> Result<(), StoreError> {
        if self.connection.sqlite().is_none() {
            // To ask a server costs more than to ask a file.
            if self.connection.is_broken() || self.noticed.elapsed() < IDLE {
                return Ok(());
            }
            self.noticed = Instant::now();
        }
        let version = data_version(&self.connection)?;
        if version != self.data_version {
            self.data_version = version;
            self.reload_registry()?;
        }
        Ok(())
    }

    /// See [`scrub`].
    pub(super) fn scrub(&mut self) -> Result<(), StoreError> {
        if self.flush.is_some() {
            // The disk has all of the log then.
            self.transact(|_| Ok::<_, StoreError>(()))?;
        }
        scrub::scrub(&self.connection)
    }

    pub(super) fn reload_registry(&mut self) -> Result<(), StoreError> {
        if registry::revision(&self.connection)? != self.registry.load().revision {
            self.registry.store(Arc::new(registry::load(&self.connection)?));
        }
        Ok(())
    }
}

/// Changes when another connection has committed; on a server, when it has changed the registry.
fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    if connection.sqlite().is_none() {
        return registry::revision(connection);
    }
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

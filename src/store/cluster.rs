//! What a backend that shares its store keeps up beside the writing: how far the ledger can be followed, and whose turn
//! each job is. A thread of its own with a session of its own, so that neither waits for a long transaction.
//!
//! Rows of the ledger are numbered when they are drawn and seen when they are committed, which several backends do in
//! another order: whoever follows the ledger by its numbers would step over a row that is committed late. So it is followed
//! up to a row whose predecessors are all decided: when the last row that is seen has the number n, whatever is numbered
//! below was drawn by a transaction that had begun by then. Once those that write at this moment have ended, nothing below
//! n can come any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::leases::{self, Job, Takings, Turn};
use super::sql::Connection;
use super::url::StoreUrl;
use super::{StoreError, connection, ledger};

/// How often it is looked whether others committed.
const LOOK: Duration = Duration::from_millis(50);
/// How soon it is looked again while a transaction is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const RENEW: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(500);

/// The handle of a backend that shares its store. The thread ends with it, and leaves the jobs to others.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    nudges: SyncSender<()>,
    /// The jobs that can be done here; `None`: this backend leaves.
    offered: watch::Sender<Option<BTreeSet<Job>>>,
    held: watch::Receiver<Takings>,
}

impl Cluster {
    /// Starts the thread, which tells `committed` how far the ledger can be followed.
    pub(super) fn start(url: StoreUrl, committed: watch::Sender<i64>) -> Result<Self, StoreError> {
        let (turns, takings) = watch::channel(Takings::new());
        let (offered, offers) = watch::channel(Some(BTreeSet::new()));
        // One nudge waits at most: it stands for all that came before it is taken.
        let (nudges, nudged) = sync_channel(1);
        let holder = leases::name();
        let mut watcher = Watcher { url, holder, committed, turns, offers, connection: None, candidate: None };
        // Who follows the ledger from now on must know where that is.
        watcher.look(false)?;
        while watcher.candidate.is_some() {
            std::thread::sleep(LOOK_AGAIN);
            watcher.look(false)?;
        }
        std::thread::Builder::new().name("store-cluster".into()).spawn(move || watcher.run(&nudged))?;
        Ok(Self { nudges, offered, held: takings })
    }

    /// Says which jobs can be done here at the moment. One that is held and no longer offered ends, and falls to another
    /// backend when its lease runs out, so that it has the time to note what it had under way.
    pub(super) fn offer(&self, jobs: BTreeSet<Job>) {
        self.offered.send_replace(Some(jobs));
        self.nudge();
    }

    /// Gives everything back at once; comes back when that is done, or could not be.
    pub(super) async fn leave(&self) {
        self.offered.send_replace(None);
        self.nudge();
        let mut takings = self.held.clone();
        // Until the thread is gone.
        while takings.changed().await.is_ok() {}
    }

    /// The turn of this backend to do a job, as it stands.
    pub(super) fn turn(&self, job: Job) -> Turn {
        Turn::new(job, Some(self.held.clone()))
    }

    /// This backend has committed something.
    pub(super) fn nudge(&self) {
        // A full queue is a nudge that waits.
        let _ = self.nudges.try_send(());
    }
}

struct Watcher {
    url: StoreUrl,
    holder: Arc<str>,
    committed: watch::Sender<i64>,
    turns: watch::Sender<Takings>,
    offers: watch::Receiver<Option<BTreeSet<Job>>>,
    connection: Option<Connection>,
    /// A row, and the transactions that may still commit one below it.
    candidate: Option<(i64, BTreeSet<String>)>,
}

impl Watcher {
    fn run(mut self, nudged: &Receiver<()>) {
        let mut renewed: Option<Instant> = None;
        let (mut wait, mut said) = (Duration::ZERO, false);
        loop {
            let left = matches!(nudged.recv_timeout(wait), Err(RecvTimeoutError::Disconnected));
            if left || self.offers.borrow().is_none() {
                let released = self.connection.as_ref().map(|connection| leases::release(connection, &self.holder));
                if let Some(Err(error)) = released {
                    tracing::debug!(%error, "jobs could not be left to others; they will take them");
                }
                return;
            }
            // Where nobody offers any more the nudges end too.
            let other = self.offers.has_changed().unwrap_or(false);
            let due = other || renewed.is_none_or(|renewed| renewed.elapsed() >= RENEW);
            let looked = self.look(due);
            wait = match looked {
                Ok(()) => {
                    said = false;
                    if due {
                        renewed = Some(Instant::now());
                    }
                    if self.candidate.is_some() { LOOK_AGAIN } else { LOOK }
                }
                Err(error) => {
                    // Whether the leases still hold is not known: the jobs stop, and go on once they are renewed.
                    self.hold(Takings::new());
                    (self.connection, self.candidate, renewed) = (None, None, None);
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "the store's server cannot be asked whose turn the jobs are; it is asked again");
                    }
                    RETRY
                }
            };
        }
    }

    fn look(&mut self, renew: bool) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::open_reader(self.url.clone())?,
        };
        if renew {
            let offered = self.offers.borrow_and_update().clone().unwrap_or_default();
            let held = self.turns.borrow().clone();
            self.hold(leases::renew(&connection, &self.holder, &offered, &held)?);
        }
        self.settle(&connection)?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Moves on to the last row, once everything below it is decided.
    fn settle(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(session) = connection.postgres() else { return Ok(()) };
        if self.candidate.is_none() {
            let last = ledger::last_row(connection)?;
            if last == *self.committed.borrow() {
                return Ok(());
            }
            self.candidate = Some((last, session.writing()?));
        } else if let Some((_, waited)) = &mut self.candidate {
            let writing = session.writing()?;
            waited.retain(|one| writing.contains(one));
        }
        if let Some((last, _)) = self.candidate.take_if(|(_, waited)| waited.is_empty()) {
            self.committed.send_replace(last);
        }
        Ok(())
    }

    fn hold(&self, held: Takings) {
        for job in Job::ALL {
            metrics::gauge!("fenlei_job_held", "job" => job.as_str()).set(f64::from(u8::from(held.contains_key(&job))));
        }
        self.turns.send_if_modified(|known| {
            let changed = *known != held;
            if changed {
                let names: Vec<_> = held.keys().map(|job| job.as_str()).collect();
                tracing::info!(jobs = names.join(" "), "the jobs of this backend");
                *known = held;
            }
            changed
        });
    }
}

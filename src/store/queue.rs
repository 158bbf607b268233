//! What is asked of the writer: it waits in a queue, and publishes that wait together are stored together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::StoreError;
use super::announce::Health;
use super::intake::Committed;
use super::writer::{Session, Writer};
use crate::domain::inbound::Inbound;

/// Publishes that may wait; a source that finds no place waits, and so does its device.
pub(super) const QUEUE: usize = 4_096;
/// Events that are stored at once, without waiting for others.
const ENOUGH: usize = 200;
/// How long the writer sleeps while it gathers.
const GLANCE: Duration = Duration::from_millis(1);
/// Events gathered into one transaction at most.
const MAX_BATCH_EVENTS: usize = 5_000;

pub(super) type Work = Box<dyn FnOnce(&mut Writer) + Send>;

pub(super) enum Job {
    Commit(Inbound, oneshot::Sender<Result<Committed, StoreError>>),
    /// Publishes that share a transaction, and their answer.
    Together(Vec<Inbound>, oneshot::Sender<Result<Vec<Committed>, StoreError>>),
    Work(Work),
}

/// Publishes for one transaction, each with who waits for it.
pub(super) type Batch = Vec<(Inbound, Asked)>;

/// Who waits for a publish to be stored.
pub(super) enum Asked {
    Alone(oneshot::Sender<Result<Committed, StoreError>>),
    /// With others: the how manieth of them it is.
    Together(Arc<Answers>, usize),
}

impl Asked {
    pub(super) fn answer(self, stored: Result<Committed, StoreError>) {
        match self {
            // The connection it came from may be gone; the device will ask again.
            Self::Alone(asked) => drop(asked.send(stored)),
            Self::Together(answers, place) => {
                let mut all = answers.stored.lock().unwrap_or_else(PoisonError::into_inner);
                all[place] = stored.ok();
            }
        }
    }
}

/// The answers to publishes submitted together: given when the last one is.
pub(super) struct Answers {
    stored: Mutex<Vec<Option<Committed>>>,
    asked: Option<oneshot::Sender<Result<Vec<Committed>, StoreError>>>,
}

impl Drop for Answers {
    fn drop(&mut self) {
        let stored = std::mem::take(self.stored.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Some(asked) = self.asked.take() {
            // As above: whoever asked may be gone.
            let _ = asked.send(stored.into_iter().collect::<Option<Vec<_>>>().ok_or(StoreError::Closed));
        }
    }
}

/// Publishes submitted together, for one transaction.
pub(super) fn together(inbounds: Vec<Inbound>, asked: oneshot::Sender<Result<Vec<Committed>, StoreError>>) -> Batch {
    let answers = Arc::new(Answers { stored: Mutex::new(vec![None; inbounds.len()]), asked: Some(asked) });
    let each = inbounds.into_iter().enumerate();
    each.map(|(place, inbound)| (inbound, Asked::Together(Arc::clone(&answers), place))).collect()
}

/// The answer to a submitted publish.
pub type Pending = oneshot::Receiver<Result<Committed, StoreError>>;

/// The answers to publishes submitted together.
pub type PendingAll = oneshot::Receiver<Result<Vec<Committed>, StoreError>>;

#[derive(Clone, Debug)]
pub struct WriterHandle {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) health: watch::Receiver<Health>,
}

impl WriterHandle {
    /// Hands a publish over: what is handed over first is stored first. Comes back once it is in the queue, which may have
    /// to have room; the answer comes once the disk has it, or it could not be stored.
    pub async fn submit(&self, inbound: Inbound) -> Result<Pending, StoreError> {
        let (answer, pending) = oneshot::channel();
        self.jobs.send(Job::Commit(inbound, answer)).await.map_err(|_| StoreError::Closed)?;
        Ok(pending)
    }

    /// Stores a publish: comes back once the disk has it.
    pub async fn commit(&self, inbound: Inbound) -> Result<Committed, StoreError> {
        self.submit(inbound).await?.await.map_err(|_| StoreError::Closed)?
    }

    /// The same as [`WriterHandle::submit`] for several, in one transaction.
    pub async fn submit_all(&self, inbounds: Vec<Inbound>) -> Result<PendingAll, StoreError> {
        let (answer, pending) = oneshot::channel();
        self.jobs.send(Job::Together(inbounds, answer)).await.map_err(|_| StoreError::Closed)?;
        Ok(pending)
    }

    /// Runs `work` in a transaction of its own: comes back once the disk has it, or nothing of it was done.
    pub async fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, pending) = oneshot::channel();
        let work: Work = Box::new(move |writer| {
            // A caller that has gone away has its work done all the same: it was asked for.
            let _ = answer.send(writer.transact(work));
        });
        self.jobs.send(Job::Work(work)).await.map_err(|_| StoreError::Closed)?;
        pending.await.map_err(|_| StoreError::Closed)?
    }

    /// Overwrites what was erased; see [`super::scrub`].
    pub async fn scrub(&self) -> Result<(), StoreError> {
        let (answer, pending) = oneshot::channel();
        let work: Work = Box::new(move |writer| {
            // As in `write`: whoever asked may be gone.
            let _ = answer.send(writer.scrub());
        });
        self.jobs.send(Job::Work(work)).await.map_err(|_| StoreError::Closed)?;
        pending.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads the registry, if it is another one than is known here.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let (answer, pending) = oneshot::channel();
        let work: Work = Box::new(move |writer| {
            // As in `write`: whoever asked may be gone.
            let _ = answer.send(writer.mend().and_then(|()| writer.reload_registry()));
        });
        self.jobs.send(Job::Work(work)).await.map_err(|_| StoreError::Closed)?;
        pending.await.map_err(|_| StoreError::Closed)?
    }

    /// Whether the store takes writes.
    pub fn health(&self) -> Health {
        if self.jobs.is_closed() {
            return Health::Failing("its writer has ended: the log says why, and a restart is needed".to_owned());
        }
        self.health.borrow().clone()
    }
}

/// Gathers what waits, and, as long as that is little, what comes until `from`. Other work ends it, and is given as well.
pub(super) fn gather(first: (Inbound, Asked), queue: &mut mpsc::Receiver<Job>, from: Instant) -> (Batch, Option<Job>) {
    let mut events = first.0.events();
    let mut batch = Vec::with_capacity(1 + queue.len());
    batch.push(first);
    while events < MAX_BATCH_EVENTS {
        match queue.try_recv() {
            Ok(Job::Commit(inbound, asked)) => {
                events += inbound.events();
                batch.push((inbound, Asked::Alone(asked)));
            }
            Ok(other) => return (batch, Some(other)),
            Err(_) => {
                let left = from.saturating_duration_since(Instant::now());
                if left.is_zero() || events >= ENOUGH {
                    break;
                }
                // It looks now and then: to be woken by each publish would cost more than to store it.
                std::thread::sleep(left.min(GLANCE));
            }
        }
    }
    (batch, None)
}

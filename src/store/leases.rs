//! Whose turn a job is, where several backends share the store: a row for each job, renewed while its backend lives, and
//! free for another one once it is not.
//!
//! A lease alone does not keep two backends apart: one that was asleep believes in the lease that it had. So whatever a
//! job writes is written in a transaction that looks at the lease and holds it to its end, see [`Turn::check`].

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::StoreError;
use super::sql::{Connection, OptionalExtension};

/// How long a job waits for a backend that died without a word, in milliseconds.
const LASTS_MS: i64 = 5_000;

/// What is done by one backend at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Receives the states of devices, and notes that the backend runs.
    States,
    /// Tells devices their settings.
    Configure,
    /// Sends commands and takes the answers in.
    Dispatch,
    /// Raises alarms and tells webhooks of them.
    Alarms,
    /// Publishes to the linkage platform.
    Linkage,
    /// Exports the ledger.
    Export,
    /// Forgets what is kept for a time only.
    Forget,
}

impl Job {
    pub const ALL: [Self; 7] =
        [Self::States, Self::Configure, Self::Dispatch, Self::Alarms, Self::Linkage, Self::Export, Self::Forget];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::States => "states",
            Self::Configure => "configure",
            Self::Dispatch => "dispatch",
            Self::Alarms => "alarms",
            Self::Linkage => "linkage",
            Self::Export => "export",
            Self::Forget => "forget",
        }
    }
}

/// Takes or renews what is free or already `holder`'s. The jobs that are.
pub(super) fn renew(connection: &Connection, holder: &str) -> Result<BTreeSet<Job>, StoreError> {
    // The server's clock is one for all. Set back, it leaves leases that end far ahead: whoever holds one renews it.
    let mut take = connection.prepare_cached(
        "INSERT INTO lease
         SELECT CAST(?1 AS text), CAST(?2 AS text), t.now + ?3
         FROM (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) AS now) t WHERE true
         ON CONFLICT (job) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE lease.holder = excluded.holder OR lease.until < excluded.until - ?3
                 OR lease.until > excluded.until + ?3
         RETURNING job",
    )?;
    let mut held = BTreeSet::new();
    for job in Job::ALL {
        let taken: Option<String> = take.query_row((job.as_str(), holder, LASTS_MS), |row| row.get(0)).optional()?;
        held.extend(taken.map(|_| job));
    }
    Ok(held)
}

/// Leaves everything to the others.
pub(super) fn release(connection: &Connection, holder: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM lease WHERE holder = ?1")?.execute([holder])?;
    Ok(())
}

/// The right of one backend to do a job, as it comes and goes; a backend that is alone has it always.
#[derive(Clone, Debug)]
pub struct Turn {
    job: Job,
    of_several: Option<Held>,
}

/// What a backend holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub holder: Arc<str>,
    pub jobs: watch::Receiver<BTreeSet<Job>>,
}

impl Turn {
    pub(super) fn new(job: Job, of_several: Option<Held>) -> Self {
        Self { job, of_several }
    }

    /// Comes back once it is this backend's turn.
    pub async fn gained(&mut self) {
        self.becomes(true).await;
    }

    /// Comes back once it is not.
    pub async fn lost(&mut self) {
        self.becomes(false).await;
    }

    async fn becomes(&mut self, wanted: bool) {
        let job = self.job;
        let came = match &mut self.of_several {
            Some(held) => held.jobs.wait_for(|jobs| jobs.contains(&job) == wanted).await.is_ok(),
            None => wanted,
        };
        if !came {
            // Nothing will change any more.
            std::future::pending::<()>().await;
        }
    }

    /// Holds the lease to the end of the transaction: whoever takes it over sees what that wrote.
    pub(super) fn check(&self, connection: &Connection) -> Result<(), StoreError> {
        let Some(held) = &self.of_several else { return Ok(()) };
        let mut select = connection.prepare_cached("SELECT job FROM lease WHERE job = ?1 AND holder = ?2 FOR SHARE")?;
        let mine: Option<String> =
            select.query_row((self.job.as_str(), held.holder.as_ref()), |row| row.get(0)).optional()?;
        mine.map(drop).ok_or(StoreError::NotOurTurn)
    }
}

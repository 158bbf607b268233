//! Whose turn a job is, where several backends share the store: a row for each job, renewed while its backend lives and can
//! do it, and free for another one once it is not.
//!
//! A lease alone does not keep two backends apart: one that was asleep believes in the lease that it had. So whatever a
//! job writes is written in a transaction that looks at the lease and keeps it from being taken to its end, see
//! [`Turn::check`]. Each taking has a name of its own: who lost a lease and took it again does not go on with what he knew
//! before.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Raises alarms.
    Alarms,
    /// Tells webhooks of alarms.
    Notices,
    /// Publishes to the linkage platform.
    Linkage,
    /// Exports the ledger.
    Export,
    /// Forgets what is kept for a time only.
    Forget,
}

impl Job {
    pub const ALL: [Self; 8] = [
        Self::States,
        Self::Configure,
        Self::Dispatch,
        Self::Alarms,
        Self::Notices,
        Self::Linkage,
        Self::Export,
        Self::Forget,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::States => "states",
            Self::Configure => "configure",
            Self::Dispatch => "dispatch",
            Self::Alarms => "alarms",
            Self::Notices => "notices",
            Self::Linkage => "linkage",
            Self::Export => "export",
            Self::Forget => "forget",
        }
    }
}

/// The jobs that a backend holds, each under the name of its taking.
pub(super) type Takings = BTreeMap<Job, Arc<str>>;

/// By the server's clock, which is one for all.
const NOW: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";
/// Of a holder's name, which the names of its takings begin with.
const NAME: usize = 32;

/// The name of a backend.
pub(super) fn name() -> Arc<str> {
    format!("{:0NAME$x}", fastrand::u128(..)).into()
}

/// Renews what is held and offered, and takes what is offered and free. What is held then.
///
/// None of this waits for a transaction that a job has under way, so that no lease runs out meanwhile.
pub(super) fn renew(
    connection: &Connection,
    holder: &str,
    offered: &BTreeSet<Job>,
    held: &Takings,
) -> Result<Takings, StoreError> {
    let mut keep =
        connection.prepare_cached(&format!("UPDATE lease SET until = {NOW} + ?3 WHERE job = ?1 AND holder = ?2"))?;
    // A clock that is set back leaves leases that end far ahead: whoever holds one renews it. What we held ourselves we
    // may have lost sight of, with the connection.
    let mut free = connection.prepare_cached(&format!(
        "DELETE FROM lease WHERE job IN
             (SELECT l.job FROM lease l
              WHERE l.job = ?1 AND (l.until < {NOW} OR l.until > {NOW} + ?2 OR substr(l.holder, 1, {NAME}) = ?3)
              FOR UPDATE SKIP LOCKED)"
    ))?;
    let mut take = connection
        .prepare_cached(&format!("INSERT INTO lease VALUES (?1, ?2, {NOW} + ?3) ON CONFLICT (job) DO NOTHING"))?;
    let mut holds = Takings::new();
    for job in offered {
        if let Some(taking) = held.get(job)
            && keep.execute((job.as_str(), taking.as_ref(), LASTS_MS))? == 1
        {
            holds.insert(*job, Arc::clone(taking));
            continue;
        }
        free.execute((job.as_str(), LASTS_MS, holder))?;
        let taking = format!("{holder}-{:016x}", fastrand::u64(..));
        if take.execute((job.as_str(), taking.as_str(), LASTS_MS))? == 1 {
            holds.insert(*job, taking.into());
        }
    }
    Ok(holds)
}

/// Leaves everything to the others.
pub(super) fn release(connection: &Connection, holder: &str) -> Result<(), StoreError> {
    let mut delete = connection.prepare_cached(&format!("DELETE FROM lease WHERE substr(holder, 1, {NAME}) = ?1"))?;
    delete.execute([holder])?;
    Ok(())
}

/// The right of one backend to do a job, as it comes and goes; a backend that is alone has it always.
#[derive(Clone, Debug)]
pub struct Turn {
    job: Job,
    of_several: Option<watch::Receiver<Takings>>,
    /// Under which it has it, as it last looked.
    taking: Option<Arc<str>>,
}

impl Turn {
    pub(super) fn new(job: Job, of_several: Option<watch::Receiver<Takings>>) -> Self {
        let taking = of_several.as_ref().and_then(|held| held.borrow().get(&job).cloned());
        Self { job, of_several, taking }
    }

    /// Comes back once it is this backend's turn.
    pub async fn gained(&mut self) {
        let (job, Some(held)) = (self.job, &mut self.of_several) else { return };
        let gained = held.wait_for(|takings| takings.contains_key(&job)).await;
        let gained = gained.map(|takings| takings.get(&job).cloned()).ok();
        match gained {
            Some(taking) => self.taking = taking,
            // It left: nothing will change any more.
            None => std::future::pending().await,
        }
    }

    /// Comes back once it is not, or is again after it was not.
    pub async fn lost(&mut self) {
        let (job, taking) = (self.job, self.taking.as_ref());
        let lost = match &mut self.of_several {
            Some(held) => held.wait_for(|takings| takings.get(&job) != taking).await.is_ok(),
            None => false,
        };
        if !lost {
            std::future::pending::<()>().await;
        }
    }

    /// Refuses whoever has not the turn, and keeps it from being taken to the end of the transaction: whoever takes it
    /// over sees what that wrote.
    pub(super) fn check(&self, connection: &Connection) -> Result<(), StoreError> {
        if self.holds(connection)? { Ok(()) } else { Err(StoreError::NotOurTurn) }
    }

    /// The same as a question.
    pub(super) fn holds(&self, connection: &Connection) -> Result<bool, StoreError> {
        if self.of_several.is_none() {
            return Ok(true);
        }
        let Some(taking) = &self.taking else { return Ok(false) };
        // A key's share: it does not keep the lease from being renewed.
        let mut select =
            connection.prepare_cached("SELECT job FROM lease WHERE job = ?1 AND holder = ?2 FOR KEY SHARE")?;
        let mine: Option<String> =
            select.query_row((self.job.as_str(), taking.as_ref()), |row| row.get(0)).optional()?;
        Ok(mine.is_some())
    }
}

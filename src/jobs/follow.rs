//! Jobs that act on what the ledger says, each event once and in commit order, however often the backend restarts.

use fenlei_wire::vocabulary::EventType;
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use crate::store::events::{self, Filter, Listed};
use crate::store::writer::Session;
use crate::store::{Store, StoreError, followers};

/// Events taken at once.
const PAGE: usize = 500;
/// Rows without anything found after which the position is kept all the same.
const KEPT_AT_LEAST_EVERY: i64 = 100_000;

/// A reader of the ledger.
pub(super) struct Follower {
    /// What its position is kept under.
    pub(super) name: &'static str,
    /// What it wants to know of; the rest is stepped over.
    pub(super) types: &'static [EventType],
    /// Called in the transaction that moves the position.
    pub(super) apply: fn(&mut Session<'_>, &[Listed]) -> Result<(), StoreError>,
}

impl Follower {
    /// Follows until `stop`; on failure tries again from the position kept.
    pub(super) async fn run(self, store: Store, stop: CancellationToken) {
        let mut committed = store.committed();
        let (mut seen, mut said) = (None, SaidOnce::default());
        loop {
            let through = *committed.borrow_and_update();
            let reached = self.catch_up(&store, seen, through).await;
            seen = reached.as_ref().ok().copied();
            said.of(self.name, &reached);
            tokio::select! {
                changed = committed.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(super::RETRY), if reached.is_err() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Applies everything committed after `seen`, or after the position kept, up to the row `through`.
    async fn catch_up(&self, store: &Store, seen: Option<i64>, through: i64) -> Result<i64, StoreError> {
        let (name, apply) = (self.name, self.apply);
        let kept = store.read(move |connection| followers::position(connection, name)).await?;
        // Another backend may have gone on in between.
        let mut after = seen.map_or(kept, |seen| seen.max(kept));
        let mut full = true;
        while full && after < through {
            let types = self.types.to_vec();
            // Read beside the writer: it is to wait for what is found, not for the looking.
            let filter = Filter { after, through: Some(through), types, limit: PAGE, ..Filter::default() };
            let found = store.read(move |connection| events::list(connection, &filter)).await?;
            full = found.len() == PAGE;
            after = found.last().filter(|_| full).map_or(through, |last| last.id);
            // Where nothing was found nothing is written: looking again is cheaper than a commit for each commit.
            if !found.is_empty() || after - kept > KEPT_AT_LEAST_EVERY {
                let write = store.write(move |session| {
                    apply(session, &found)?;
                    followers::advance(session.connection, name, after)
                });
                write.await?;
            }
        }
        Ok(after)
    }
}

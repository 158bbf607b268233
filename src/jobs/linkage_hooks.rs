//! Tells webhooks of revisions of the linkage feed, signed as Standard Webhooks are. Each is told one after the other, and
//! of the next one only once it took the one before.

use tokio_util::sync::CancellationToken;

use super::courier::{self, ROUND, Teller};
use crate::clock::SharedClock;
use crate::domain::notices::{back_off, retry_after};
use crate::domain::revision::{Message, RevisionView};
use crate::store::linkage::{self, Reader};
use crate::store::linkage_hooks::{self, Disabled, Hook, TRIED_MS};
use crate::store::{Store, StoreError};
use crate::webhook::{Client, Reach, signature};

/// A receiver that wants nothing more.
const GONE: u16 = 410;

/// Runs until `stop`.
pub(super) async fn run(store: Store, clock: SharedClock, reach: Reach, stop: CancellationToken) {
    courier::run(Revisions { store, clock, client: Client::new(reach) }, stop).await;
}

#[derive(Clone)]
struct Revisions {
    store: Store,
    clock: SharedClock,
    client: Client,
}

/// Why a hook did not take a revision.
struct Refusal {
    status: String,
    retry_after: Option<i64>,
    gone: bool,
}

impl Teller for Revisions {
    type Hook = Hook;

    const JOB: &str = "linkage_hooks";

    fn number(hook: &Hook) -> i64 {
        hook.number
    }

    async fn due(&self) -> Result<Vec<Hook>, StoreError> {
        let now = self.now();
        self.store.read(move |connection| linkage_hooks::due(connection, now)).await
    }

    async fn tell(self, mut hook: Hook) -> Result<(), StoreError> {
        let (after, reader) = (hook.position, Reader::new(&self.store.registry(), hook.organization.as_deref()));
        let read = self.store.read(move |connection| {
            Ok((linkage::revisions(connection, &reader, after, ROUND)?, linkage::last(connection)?))
        });
        let (waiting, last) = read.await?;
        let all = waiting.len() < ROUND;
        for revision in waiting {
            let number = revision.number;
            let refusal = self.post(&hook, &revision.view()).await?;
            let refused = refusal.is_some();
            let kept = self.settle(hook.clone(), number, refusal).await?;
            if refused || !kept {
                return Ok(());
            }
            hook.position = number;
        }
        if all && hook.position < last {
            // What follows is of communities that are not its own.
            self.store.write(move |session| linkage_hooks::skip(session.connection, &hook, last)).await?;
        }
        Ok(())
    }
}

impl Revisions {
    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Posts a revision; `None`: it was taken.
    async fn post(&self, hook: &Hook, revision: &RevisionView) -> Result<Option<Refusal>, StoreError> {
        let now = self.now();
        let body = serde_json::to_vec(&Message::new(revision));
        let body = body.map_err(|_| StoreError::Corrupt("a revision cannot be written"))?;
        let keys: Vec<_> = hook.secrets(now).into_iter().filter_map(signature::standard_key).collect();
        let headers = signature::standard_headers(&keys, &revision.id, now / 1000, &body);
        Ok(match self.client.post(&hook.url, &headers, body).await {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(Refusal {
                status: format!("HTTP {}", answer.status),
                retry_after: answer.retry_after.as_deref().and_then(|text| retry_after(text, now)),
                gone: answer.status == GONE,
            }),
            Err(error) => Some(Refusal { status: error.to_string(), retry_after: None, gone: false }),
        })
    }

    /// Notes what came of telling a hook. `false`: it is to be read again before it is told more.
    async fn settle(&self, hook: Hook, revision: i64, refusal: Option<Refusal>) -> Result<bool, StoreError> {
        let now = self.now();
        let Some(refusal) = refusal else {
            count("delivered");
            return self
                .store
                .write(move |session| linkage_hooks::taken(session.connection, &hook, revision, now))
                .await;
        };
        count("failed");
        let attempts = hook.attempts.saturating_add(1);
        let Refusal { status, retry_after, gone } = refusal;
        let lost = hook.failing.is_some_and(|since| since + TRIED_MS <= now).then_some(Disabled::Failing);
        let disabled = if gone { Some(Disabled::Gone) } else { lost };
        tracing::warn!(hook = %hook.id, attempts, %status, ?disabled, "a webhook did not take what it was told");
        let due = now + back_off(attempts, fastrand::f64(), retry_after);
        let noted = self.store.write(move |session| {
            linkage_hooks::failed(session.connection, &hook, revision, &status, due, disabled, now)
        });
        noted.await.map(|()| false)
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("fenlei_linkage_deliveries_total", "outcome" => outcome).increment(1);
}

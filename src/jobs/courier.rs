//! Tells webhooks what waits for them: each by itself and in order, so that one that is down delays no other.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use crate::store::StoreError;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Hooks that are told at once.
const MAX_AT_ONCE: usize = 16;
/// How long what is under way may take when the backend stops.
const DRAIN: Duration = Duration::from_secs(5);
/// What one hook is told between two looks: its bound is 20 a second.
pub(super) const ROUND: usize = 20;

/// Somebody who knows what is to be told to which webhook, and tells it.
pub(super) trait Teller: Clone + Send + 'static {
    type Hook: Send;

    /// As the log calls it.
    const JOB: &str;

    /// What a hook is told apart by.
    fn number(hook: &Self::Hook) -> i64;
    /// Those with something to be told now, the one that has waited longest first.
    fn due(&self) -> impl Future<Output = Result<Vec<Self::Hook>, StoreError>> + Send;
    /// Tells a hook what waits for it, until it fails or has heard enough for now, and settles what came of it.
    fn tell(self, hook: Self::Hook) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Runs until `stop`.
pub(super) async fn run<T: Teller>(teller: T, stop: CancellationToken) {
    let (mut telling, mut busy) = (JoinSet::new(), HashMap::new());
    let (mut said, mut said_of) = (SaidOnce::default(), HashMap::<i64, SaidOnce>::new());
    let mut timer = tokio::time::interval(LOOK_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {
                let due = teller.due().await;
                said.of(T::JOB, &due);
                for hook in due.unwrap_or_default() {
                    let number = T::number(&hook);
                    if busy.len() < MAX_AT_ONCE && !busy.values().any(|busy| *busy == number) {
                        let task = telling.spawn(teller.clone().tell(hook));
                        busy.insert(task.id(), number);
                    }
                }
            }
            Some(ended) = telling.join_next_with_id() => match ended {
                Ok((task, outcome)) => {
                    if let Some(number) = busy.remove(&task) {
                        said_of.entry(number).or_default().of(&format!("{}/{number}", T::JOB), &outcome);
                    }
                }
                Err(error) => {
                    busy.remove(&error.id());
                    tracing::error!(%error, "telling a webhook ended badly");
                }
            },
            () = stop.cancelled() => break,
        }
    }
    let finish = async { while telling.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, finish).await.is_err() {
        tracing::info!("a webhook was still being told: it is told again after the start");
    }
}

//! What happens by itself. Each job is idempotent, takes no input and runs on a timer, so a restart is
//! nothing special.

mod alarms;
mod clock;
mod configure;
mod courier;
mod dispatch;
mod export;
mod follow;
pub mod linkage;
mod linkage_hooks;
mod notices;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::domain::device_config::EveningMessage;
use crate::faults::{Faults, Part};
use crate::influx;
use crate::mqtt::Publisher;
use crate::store::retention::{self, Retention};
use crate::store::{Store, StoreError, alarm_notices, commands, idempotency, quarantine, states};
use crate::store::{linkage as feed, linkage_hooks as hooks};
use crate::webhook::Reach;

/// How far the online spans may be off after a crash.
const ALIVE_EVERY: Duration = Duration::from_secs(30);
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a job that failed waits.
const RETRY: Duration = Duration::from_secs(5);

/// What the jobs work with.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub store: Store,
    pub publisher: Publisher,
    pub clock: SharedClock,
    /// What projectors show of themselves.
    pub evening: EveningMessage,
    pub retention: Retention,
    /// Where webhooks may lead.
    pub webhooks: Reach,
    /// Where the ledger is exported to, if anywhere.
    pub influx: Option<influx::Options>,
    /// Where they note what does not work.
    pub faults: Faults,
}

impl Jobs {
    /// Runs all jobs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { store, publisher, clock, evening, retention, webhooks, influx, faults } = self;
        let configuring = configure::run(store.clone(), publisher.clone(), evening, clock.clone(), stop.clone());
        tokio::join!(
            configuring,
            dispatch::run(store.clone(), publisher.clone(), clock.clone(), stop.clone()),
            dispatch::ANSWERS.run(store.clone(), stop.clone()),
            alarms::SAID.run(store.clone(), stop.clone()),
            alarms::look(store.clone(), publisher, clock.clone(), stop.clone()),
            notices::run(store.clone(), clock.clone(), webhooks, stop.clone()),
            linkage::run(store.clone(), clock.clone(), stop.clone()),
            linkage_hooks::run(store.clone(), clock.clone(), webhooks, stop.clone()),
            export::run(store.clone(), influx, faults.clone(), clock.clone(), stop.clone()),
            clock::run(clock.clone(), faults.clone(), stop.clone()),
            every(ALIVE_EVERY, &stop, "alive", || {
                let now = clock.now().timestamp_millis();
                store.write(move |session| states::alive(session.connection, now))
            }),
            every(FORGET_EVERY, &stop, "forget", || {
                let (store, today) = (&store, clock.now());
                let now = today.timestamp_millis();
                let doubtful = faults.now().contains_key(&Part::Clock);
                async move {
                    // What is old by a clock that may be wrong is not: nothing brings back what was erased.
                    if doubtful {
                        return Ok(());
                    }
                    let forget = store.write(move |session| {
                        quarantine::forget_raw(session.connection, now)?;
                        commands::forget(session.connection, now)?;
                        alarm_notices::forget(session.connection, now)?;
                        feed::forget(session.connection, now)?;
                        hooks::forget(session.connection, now)?;
                        idempotency::forget(session.connection, now)
                    });
                    forget.await?;
                    retention::apply(store, retention, today).await?;
                    store.scrub().await
                }
            }),
        );
    }
}

async fn every<F: Future<Output = Result<(), StoreError>>>(
    period: Duration,
    stop: &CancellationToken,
    name: &str,
    mut job: impl FnMut() -> F,
) {
    let mut timer = tokio::time::interval(period);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = job().await {
            tracing::warn!(job = name, %error, "a job failed; it runs again at its next time");
        }
    }
}

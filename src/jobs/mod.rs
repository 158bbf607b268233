//! What happens by itself. Each job is idempotent, takes no input and runs on a timer, so a restart is
//! nothing special, nor is another backend that goes on with it.

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
mod turn;

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use turn::{in_turn, offer};

use crate::clock::SharedClock;
use crate::domain::device_config::EveningMessage;
use crate::faults::{Faults, Part};
use crate::influx;
use crate::mqtt::Publisher;
use crate::mqtt::wished::{Kept, Wish};
use crate::store::leases::Job;
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
    /// Whether what devices say comes in.
    pub receiving: watch::Receiver<bool>,
    /// By which this backend is to receive the states of devices,
    pub states: Wish,
    /// and what the broker keeps for them.
    pub kept: Kept,
    /// Where they note what does not work.
    pub faults: Faults,
}

impl Jobs {
    /// Runs all jobs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Self { store, publisher, clock, evening, retention, webhooks, influx, receiving, states, kept, faults } =
            self;
        tokio::join!(
            offer(&store, publisher.connection(), receiving, influx.is_some(), &stop),
            in_turn(&store, Job::States, &stop, |store, stop| receive_states(store, &clock, &states, stop)),
            in_turn(&store, Job::Configure, &stop, |store, stop| {
                configure::run(store, publisher.clone(), kept.clone(), evening.clone(), clock.clone(), stop)
            }),
            in_turn(&store, Job::Dispatch, &stop, |store, stop| {
                let sending = dispatch::run(store.clone(), publisher.clone(), clock.clone(), stop.clone());
                both(sending, dispatch::ANSWERS.run(store, stop))
            }),
            in_turn(&store, Job::Alarms, &stop, |store, stop| {
                let hearing = alarms::SAID.run(store.clone(), stop.clone());
                both(hearing, alarms::look(store, publisher.clone(), clock.clone(), stop))
            }),
            in_turn(&store, Job::Notices, &stop, |store, stop| notices::run(store, clock.clone(), webhooks, stop)),
            in_turn(&store, Job::Linkage, &stop, |store, stop| {
                let publishing = linkage::run(store.clone(), clock.clone(), stop.clone());
                both(publishing, linkage_hooks::run(store, clock.clone(), webhooks, stop))
            }),
            in_turn(&store, Job::Export, &stop, |store, stop| {
                export::run(store, influx.clone(), faults.clone(), clock.clone(), stop)
            }),
            in_turn(&store, Job::Forget, &stop, |store, stop| forget(store, &clock, &faults, retention, stop)),
            // Each machine has a clock of its own.
            clock::run(clock.clone(), faults.clone(), stop.clone()),
        );
    }
}

async fn both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::join!(one, other);
}

/// Has the states of devices received, and notes for how long.
async fn receive_states(store: Store, clock: &SharedClock, states: &Wish, stop: CancellationToken) {
    if store.is_shared() {
        let resume = || {
            let (now, trusted) = (clock.now().timestamp_millis(), 2 * ALIVE_EVERY.as_millis());
            let trusted = i64::try_from(trusted).unwrap_or(i64::MAX);
            store.write(move |session| states::resume(session.connection, now, trusted))
        };
        // Before it is known until when the states can be trusted none is added.
        let mut said = SaidOnce::default();
        loop {
            let outcome = resume().await;
            said.of("states", &outcome);
            if outcome.is_ok() {
                break;
            }
            if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                return;
            }
        }
    }
    states.begin();
    every(ALIVE_EVERY, &stop, "alive", || {
        let now = clock.now().timestamp_millis();
        store.write(move |session| states::alive(session.connection, now))
    })
    .await;
    states.end();
}

async fn forget(store: Store, clock: &SharedClock, faults: &Faults, retention: Retention, stop: CancellationToken) {
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
    })
    .await;
}

/// Whether something that is tried again and again fails. It is said in the log once, when it begins, and when it works
/// again: the log may be on the disk that is full.
#[derive(Debug, Default)]
struct SaidOnce {
    failing: bool,
}

impl SaidOnce {
    /// Says of `job` what is new.
    fn of<T, E: Display>(&mut self, job: &str, outcome: &Result<T, E>) {
        match (outcome, std::mem::replace(&mut self.failing, outcome.is_err())) {
            (Err(error), false) => tracing::warn!(job, %error, "a job failed; it is tried again until it works"),
            (Ok(_), true) => tracing::info!(job, "a job that failed works again"),
            _ => {}
        }
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
    let mut said = SaidOnce::default();
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = stop.cancelled() => return,
        }
        said.of(name, &job().await);
    }
}

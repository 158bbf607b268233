//! A run of the sample neighbourhood: its history first, as fast as it is receipted, then, if wanted, life as it goes on.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::fleet::{Broker, Counts, Credential, Fleet, Sources};
use super::history::history;
use super::live::{self, Outlets};
use super::neighbourhood::{BY_HAND, Neighbourhood, ZONE};
use crate::clock::SharedClock;
use crate::domain::zone::today;

/// What may happen at a device before it finds time to take it in.
const OUTLET: usize = 256;

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Days of history, up to today.
    pub days: u32,
    /// Whether life goes on after it.
    pub live: bool,
    pub seed: u64,
}

/// A device that nobody has made up a life for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the device {0} is not of the sample neighbourhood: write a new file with `fenlei simulate --prepare FILE`")]
pub struct Stranger(String);

/// A running simulation.
#[derive(Debug)]
pub struct Simulation {
    fleet: Fleet,
    devices: usize,
    history: u64,
    closing: CancellationToken,
}

impl Simulation {
    /// Starts the devices that `credentials` are given for, but never the one that is kept for use by hand.
    pub fn start(
        broker: &Broker,
        credentials: &[Credential],
        plan: Plan,
        clock: &SharedClock,
    ) -> Result<Self, Stranger> {
        let now = clock.now();
        let neighbourhood = Neighbourhood::sample(today(ZONE, now));
        let known = |one: &Credential| {
            neighbourhood
                .devices
                .iter()
                .any(|device| device.id == one.device && device.site == one.site && device.kind == one.kind)
        };
        if let Some(stranger) = credentials.iter().find(|one| !known(one)) {
            return Err(Stranger(stranger.device.clone()));
        }
        // Seconds grow from one start to the next, so nothing has to be kept between them.
        let boot = u32::try_from(now.timestamp()).unwrap_or(u32::MAX);
        let given: BTreeSet<&str> =
            credentials.iter().map(|one| one.device.as_str()).filter(|id| *id != BY_HAND).collect();
        let mut history = history(&neighbourhood, plan.seed, now, plan.days, boot);
        history.retain(|device, _| given.contains(device));
        let total = history.values().map(Vec::len).sum::<usize>() as u64;
        let closing = CancellationToken::new();
        let (mut sources, mut outlets) = (Sources::new(), Outlets::new());
        for (device, story) in history {
            let (outlet, inlet) = mpsc::channel(OUTLET);
            let goes_on =
                stream::unfold(inlet, |mut inlet| async move { inlet.recv().await.map(|next| (next, inlet)) });
            let source = stream::iter(story).chain(goes_on).take_until(closing.clone().cancelled_owned());
            sources.insert(device, source.boxed());
            if plan.live {
                outlets.insert(device, outlet);
            }
        }
        let devices = sources.len();
        let fleet = Fleet::start(broker, credentials, sources, boot, plan.seed, clock);
        let simulation = Self { fleet, devices, history: total, closing };
        if plan.live {
            let (stored, clock) = (simulation.history_stored(), clock.clone());
            let life = async move {
                stored.await;
                live::run(&neighbourhood, plan.seed.wrapping_add(u64::from(boot)), clock, outlets).await;
            };
            let closing = simulation.closing.clone();
            tokio::spawn(async move { closing.run_until_cancelled(life).await });
        }
        Ok(simulation)
    }

    /// How many devices there are.
    pub fn devices(&self) -> usize {
        self.devices
    }

    /// How many events the history has.
    pub fn history(&self) -> u64 {
        self.history
    }

    /// How far it is, now and at each change.
    pub fn counts(&self) -> watch::Receiver<Counts> {
        self.fleet.counts()
    }

    /// Comes back when the whole history is receipted, or the devices have ended.
    pub fn history_stored(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut counts, history) = (self.fleet.counts(), self.history);
        async move {
            let _ = counts.wait_for(|counts| counts.receipted >= history).await;
        }
    }

    /// From here on nothing happens; what the devices have taken in they still deliver.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Comes back when nothing is left to happen and everything is receipted.
    pub async fn finished(&mut self) {
        self.fleet.finished().await;
    }

    /// Stops the devices in order, whatever waits.
    pub async fn stop(self) -> Counts {
        self.close();
        self.fleet.stop().await
    }
}

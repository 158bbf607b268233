//! A network that is slow, torn, deaf and broken, between devices and the embedded broker, and between the backend and
//! Mosquitto.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;

use super::proxy::{Counts, Proxy, Way, Weather};
use super::until;
use crate::crash::{Run, settle};
use crate::mosquitto::Broker;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::Load;

/// How long a fault lasts at most, in milliseconds.
const LASTS: u64 = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Slow,
    Bytes,
    Pieces,
    AcksLost,
    Deaf(Way),
    Refused,
    Cut,
}

const ALL: [Fault; 8] = [
    Fault::Slow,
    Fault::Bytes,
    Fault::Pieces,
    Fault::AcksLost,
    Fault::Deaf(Way::ToBroker),
    Fault::Deaf(Way::ToClient),
    Fault::Refused,
    Fault::Cut,
];

impl Fault {
    fn weather(self, random: &mut Rng) -> Weather {
        let fair = Weather::default();
        match self {
            Self::Slow => Weather { delay: [(); 2].map(|()| Duration::from_millis(random.u64(1..=40))), ..fair },
            Self::Bytes => Weather { pieces: Some(1..=1), ..fair },
            Self::Pieces => Weather { pieces: Some(1..=64), ..fair },
            Self::AcksLost => Weather { acks_lost: true, ..fair },
            Self::Deaf(way) => Weather { dead: Some(way), ..fair },
            Self::Refused => Weather { refused: true, ..fair },
            Self::Cut => fair,
        }
    }

    /// Where it is seen that somebody met it; `None`: it keeps nobody from going on.
    fn bites(self, counts: &Counts) -> Option<&AtomicU64> {
        match self {
            Self::Slow | Self::Bytes | Self::Pieces | Self::Cut => None,
            Self::AcksLost => Some(&counts.acks),
            Self::Deaf(_) => Some(&counts.swallowed),
            Self::Refused => Some(&counts.refused),
        }
    }

    /// What TCP had promised is missing: no line goes on after that.
    fn breaks(self) -> bool {
        matches!(self, Self::AcksLost | Self::Deaf(_) | Self::Refused | Self::Cut)
    }
}

/// Every fault comes as often as every other, in an order of chance, for as long as chance wills.
async fn spoil(run: &mut Run, load: &Load, proxy: &Proxy) {
    let mut to_come = Vec::new();
    for _ in 0..run.faults {
        run.moment(load).await;
        if to_come.is_empty() {
            to_come = ALL.to_vec();
            run.random.shuffle(&mut to_come);
        }
        let fault = to_come.pop().unwrap();
        proxy.set(fault.weather(&mut run.random));
        if fault == Fault::Refused {
            // Who has a line keeps it: only who connects meets this.
            proxy.cut();
        }
        match fault.bites(&proxy.counts) {
            // However slow and torn, it goes on.
            None => load.flows().await,
            Some(count) => {
                let before = count.load(Ordering::Relaxed);
                until("somebody meets it", async || count.load(Ordering::Relaxed) > before).await;
            }
        }
        if fault.breaks() {
            run.wait(LASTS).await;
            proxy.cut();
        }
        proxy.set(Weather::default());
    }
    let counts = &proxy.counts;
    crate::crash::say(&format!("{}: {counts:?}", run.name));
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_reach_the_embedded_broker_through_a_bad_network() {
    let (mut run, folder) = (Run::begin("own broker, bad network"), Folder::new());
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let proxy = Proxy::to(backend.mqtt).await;
    let load = Load::start(&credentials, proxy.port, run.seed);
    spoil(&mut run, &load, &proxy).await;
    load.flows().await;
    settle(&run, &folder, backend, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_reaches_mosquitto_through_a_bad_network() {
    let (mut run, folder) = (Run::begin("Mosquitto, bad network"), Folder::new());
    let credentials = Load::register(&folder);
    let mosquitto = Broker::start(&folder);
    let proxy = Proxy::to(mosquitto.backend).await;
    let mut backend = Backend::start(&folder, Some(&Broker::url_by(proxy.port)));
    backend.ready().await;
    let load = Load::start(&credentials, mosquitto.devices, run.seed);
    spoil(&mut run, &load, &proxy).await;
    load.flows().await;
    backend.ready().await;
    settle(&run, &folder, backend, load).await;
}

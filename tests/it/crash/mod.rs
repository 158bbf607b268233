//! `kill -9` at random moments while devices deliver: of the backend on its own broker, of the backend beside Mosquitto,
//! and of Mosquitto itself. Afterwards every event that a device took in is in the ledger exactly once, nothing else is,
//! and the rollups equal a recount.
//!
//! `FENLEI_CRASH_KILLS=50` makes the runs longer (8 kills each by default), `FENLEI_CRASH_SEED` repeats the seed that a
//! run printed: `FENLEI_CRASH_KILLS=50 cargo test --test it crash:: -- --nocapture`.

mod beside;
pub(crate) mod check;
mod soak;

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::mosquitto::Broker;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::Load;

/// How long the victim is left alone after it began to work, and how long it stays away, at most.
const ALONE: u64 = 400;
const AWAY: u64 = 60;

/// One of the runs, for what it prints.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    /// How many kills, or other faults.
    pub(crate) faults: u32,
    pub(crate) seed: u64,
    pub(crate) random: Rng,
    begun: Instant,
}

impl Run {
    pub(crate) fn begin(name: &'static str) -> Self {
        let set = |variable| std::env::var(variable).ok().map(|value| value.parse::<u64>().unwrap());
        let faults = set("FENLEI_CRASH_KILLS").map_or(8, |faults| u32::try_from(faults).unwrap());
        let seed = set("FENLEI_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
        say(&format!("{name}: FENLEI_CRASH_SEED={seed}"));
        Self { name, faults, seed, random: Rng::with_seed(seed), begun: Instant::now() }
    }

    /// Waits for the moment of the next fault: mostly some time after work began, sometimes while it is still beginning.
    pub(crate) async fn moment(&mut self, load: &Load) {
        if self.random.u8(..4) > 0 {
            load.flows().await;
        }
        self.wait(ALONE).await;
    }

    pub(crate) async fn wait(&mut self, longest: u64) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(..=longest))).await;
    }

    pub(crate) fn end(&self, events: usize) {
        let seconds = self.begun.elapsed().as_secs_f32();
        say(&format!("{}: {events} events, {} faults, {seconds:.1} s", self.name, self.faults));
        assert!(events > 0);
    }
}

#[expect(clippy::print_stderr, reason = "a failed run is repeated by its seed")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// Ends the run: all is delivered, the backend killed once more, and what it left looked at.
pub(crate) async fn settle(run: &Run, folder: &Folder, mut backend: Backend, load: Load) {
    let told = load.finish().await;
    assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
    run.end(check::everything(folder, &told));
    let log = backend.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_with_its_own_broker_is_killed() {
    let (mut run, folder) = (Run::begin("own broker, backend killed"), Folder::new());
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, run.seed);
    for _ in 0..run.faults {
        run.moment(&load).await;
        assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
        run.wait(AWAY).await;
        backend.start_again();
    }
    settle(&run, &folder, backend, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_beside_mosquitto_is_killed() {
    let (mut run, folder) = (Run::begin("Mosquitto, backend killed"), Folder::new());
    let credentials = Load::register(&folder);
    let mosquitto = Broker::start(&folder);
    let mut backend = Backend::start(&folder, Some(&mosquitto.url()));
    backend.ready().await;
    let load = Load::start(&credentials, mosquitto.devices, run.seed);
    for _ in 0..run.faults {
        run.moment(&load).await;
        assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
        run.wait(AWAY).await;
        backend.start_again();
    }
    settle(&run, &folder, backend, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_is_killed() {
    let (mut run, folder) = (Run::begin("Mosquitto killed, at times with the backend"), Folder::new());
    let credentials = Load::register(&folder);
    let mut mosquitto = Broker::start(&folder);
    let mut backend = Backend::start(&folder, Some(&mosquitto.url()));
    backend.ready().await;
    let load = Load::start(&credentials, mosquitto.devices, run.seed);
    for kill in 0..run.faults {
        run.moment(&load).await;
        mosquitto.kill();
        let both = kill % 4 == 3;
        if both {
            assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
        }
        run.wait(AWAY).await;
        mosquitto.start_again();
        if both {
            backend.start_again();
        }
    }
    settle(&run, &folder, backend, load).await;
}

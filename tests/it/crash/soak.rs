//! Faults at random for as long as wanted, an hour by default, summed up by a recount: nothing lost, nothing twice, and
//! memory flat. `cargo test --release --test it -- --ignored soak --nocapture`; `FENLEI_SOAK_SECONDS=60` is a short one.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{Run, check, say};
use crate::mosquitto::Broker;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{Load, SLOW_TICK};

/// Between two faults, in milliseconds at most.
const PAUSE: u64 = 12_000;
/// How long something stays away or stands still, in milliseconds at most.
const OUTAGE: u64 = 8_000;
/// A backend that has run this long has filled its caches.
const GROWN: Duration = Duration::from_secs(60);
/// Small, so that they are full before memory is looked at.
const CACHES: (&str, &str) = ("FENLEI__STORE__CACHE_MIB", "4");

#[derive(Clone, Copy, Debug)]
enum Fault {
    BackendKilled,
    BrokerKilled,
    BothKilled,
    BackendStopped,
    BrokerStopped,
    Backup,
}

/// Of a backend that was not killed for a while.
#[derive(Clone, Copy, Debug)]
struct Sample {
    after: Duration,
    resident: u64,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour"]
async fn soak() {
    let seconds = std::env::var("FENLEI_SOAK_SECONDS").map_or(3_600, |seconds| seconds.parse().unwrap());
    let (mut run, folder) = (Run::begin("soak"), Folder::new());
    let credentials = Load::register(&folder);
    let mut broker = Broker::start(&folder);
    let mut backend = Backend::start_with(&folder, Some(&broker.url()), vec![(CACHES.0, CACHES.1.to_owned())]);
    backend.ready().await;
    let load = Load::start_with(&credentials, broker.devices, run.seed, SLOW_TICK);
    let (end, mut alive_since) = (run.begun + Duration::from_secs(seconds), Instant::now());
    let (mut faults, mut last, mut samples) = (0, None, Vec::new());
    while Instant::now() < end {
        run.wait(PAUSE).await;
        assert!(load.flows_again().await, "no receipts after {last:?}, the fault {faults}: {}", backend.log());
        if let Some(process) = backend.id().filter(|_| alive_since.elapsed() > GROWN) {
            samples.push(Sample { after: run.begun.elapsed(), resident: resident(process) });
        }
        let fault = fault(&mut run);
        faults += 1;
        last = Some(fault);
        match fault {
            Fault::BackendKilled | Fault::BothKilled => {
                assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
                let both = matches!(fault, Fault::BothKilled);
                if both {
                    broker.kill();
                }
                run.wait(OUTAGE).await;
                if both {
                    broker.start_again();
                }
                backend.start_again();
                alive_since = Instant::now();
            }
            Fault::BrokerKilled => {
                broker.kill();
                run.wait(OUTAGE).await;
                broker.start_again();
            }
            Fault::BackendStopped => stand_still(&mut run, backend.id().unwrap()).await,
            Fault::BrokerStopped => stand_still(&mut run, broker.id()).await,
            Fault::Backup => {
                folder.done(&["backup", "copy.db"]);
                std::fs::remove_file(folder.path("copy.db")).unwrap();
            }
        }
    }
    let told = load.finish().await;
    assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
    let events = check::everything(&folder, &told);
    let log = backend.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    say(&format!("soak: {events} events, {faults} faults, {} s", run.begun.elapsed().as_secs()));
    assert!(events > 0);
    flat(&samples);
}

/// The backend is killed seldom enough to show whether it grows.
fn fault(run: &mut Run) -> Fault {
    match run.random.u8(..16) {
        0 => Fault::BackendKilled,
        1 => Fault::BothKilled,
        2..=5 => Fault::BrokerKilled,
        6..=9 => Fault::BackendStopped,
        10..=13 => Fault::BrokerStopped,
        _ => Fault::Backup,
    }
}

/// The process is there and does nothing, as on a machine that swaps.
async fn stand_still(run: &mut Run, process: u32) {
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
        assert!(status.success(), "kill {name}");
    };
    signal("-STOP");
    run.wait(OUTAGE).await;
    signal("-CONT");
}

/// In bytes.
fn resident(process: u32) -> u64 {
    fenlei::bench::backend::resident(process).unwrap()
}

/// The later half of the samples lies no higher than the earlier one, but for a quarter.
fn flat(samples: &[Sample]) {
    let median = |samples: &[Sample]| {
        let mut sizes: Vec<u64> = samples.iter().map(|sample| sample.resident).collect();
        sizes.sort_unstable();
        sizes[sizes.len() / 2]
    };
    let Some(last) = samples.last().filter(|_| samples.len() >= 8) else {
        return say("too few looks at memory to say whether it is flat");
    };
    let (early, late) = samples.split_at(samples.len() / 2);
    let (early, late, after) = (median(early), median(late), last.after.as_secs());
    say(&format!(
        "resident memory: {early} bytes in the first half, {late} in the second, {} looks, {after} s",
        samples.len()
    ));
    assert!(late * 4 <= early * 5, "memory grows: {samples:?}");
}

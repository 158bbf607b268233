//! What goes on in the sample neighbourhood from now on, at the pace of a demonstration: somebody is always at a bin. The
//! agenda is pure; only [`run`] knows the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use fenlei_wire::event::Body;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{DeviceKind, Stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::bin::fill_body;
use super::habits::{Habit, habits};
use super::history::{heartbeat, judgement};
use super::neighbourhood::{Equipment, Neighbourhood};
use super::occurrence::{Occurrence, What};
use crate::clock::SharedClock;

const HEARTBEAT_EVERY: u64 = 60_000;
/// Between two deposits, in milliseconds.
const PAUSE: std::ops::Range<u64> = 1_500..4_500;
/// From a deposit to what the camera says of it, in milliseconds.
const LOOKING: std::ops::Range<u64> = 2_000..6_000;
const JUDGED: f64 = 0.85;
const WITH_CARD: f64 = 0.93;
const DEPOSITS_A_FILL: u32 = 5;
/// Staff come when a bin holds this much, in grams.
const EMPTIED_AT: u32 = 100_000;

/// Where to send what happens at each device.
pub type Outlets = BTreeMap<&'static str, mpsc::Sender<Occurrence>>;

/// Lets things happen until the outlets are closed.
pub async fn run(neighbourhood: &Neighbourhood, seed: u64, clock: SharedClock, outlets: Outlets) {
    let begun = Instant::now();
    let mut live = Live::new(neighbourhood, seed);
    while let Some((due, happened)) = live.step() {
        sleep_until(begun + Duration::from_millis(due)).await;
        let time = UnixMillis(clock.now().timestamp_millis());
        for (device, what) in happened {
            let Some(outlet) = outlets.get(device) else { continue };
            // A device that is away keeps what it took in; while it can take no more, nobody comes.
            if let Err(mpsc::error::TrySendError::Closed(_)) = outlet.try_send(Occurrence { time, what }) {
                return;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Deposit,
    Judgement { camera: &'static str, bin: &'static str, stream: Stream, well_sorted: bool },
    Heartbeat(&'static str),
}

#[derive(Default)]
struct Load {
    grams: u32,
    deposits: u32,
}

struct Live<'a> {
    neighbourhood: &'a Neighbourhood,
    habits: Vec<Habit<'a>>,
    rng: Rng,
    /// What is due when, in milliseconds since the beginning.
    agenda: BTreeSet<(u64, Task)>,
    loads: BTreeMap<&'static str, Load>,
}

impl<'a> Live<'a> {
    fn new(neighbourhood: &'a Neighbourhood, seed: u64) -> Self {
        let mut habits = habits(neighbourhood, seed);
        // Whoever never took part does not begin now: that figure is left to the hand of whoever looks.
        habits.retain(|habit| habit.begins.is_some());
        let devices: Vec<_> = neighbourhood.simulated().collect();
        let apart = HEARTBEAT_EVERY / devices.len().max(1) as u64;
        let heartbeats = (0..).zip(devices).map(|(index, device)| (index * apart, Task::Heartbeat(device.id)));
        let agenda = heartbeats.chain([(0, Task::Deposit)]).collect();
        Self { neighbourhood, habits, rng: Rng::with_seed(seed), agenda, loads: BTreeMap::new() }
    }

    /// What happens next, and when.
    fn step(&mut self) -> Option<(u64, Vec<(&'static str, What)>)> {
        let (due, task) = self.agenda.pop_first()?;
        let happened = match task {
            Task::Deposit => {
                self.agenda.insert((due + self.rng.u64(PAUSE), Task::Deposit));
                self.deposit(due)
            }
            Task::Judgement { camera, bin, stream, well_sorted } => {
                vec![(camera, judgement(bin, stream, well_sorted, None, &mut self.rng))]
            }
            Task::Heartbeat(device) => {
                self.agenda.insert((due + HEARTBEAT_EVERY, task));
                vec![(device, What::Plain(heartbeat(&mut self.rng)))]
            }
        };
        Some((due, happened))
    }

    fn deposit(&mut self, due: u64) -> Vec<(&'static str, What)> {
        let Some(habit) = self.rng.choice(&self.habits) else { return Vec::new() };
        let Some((stream, grams)) = habit.brings(&mut self.rng).pop() else { return Vec::new() };
        let bins: Vec<_> = self.neighbourhood.bins_of(habit.home.site, stream).collect();
        let Some(&Equipment { id: bin, site, .. }) = self.rng.choice(bins) else { return Vec::new() };
        let well_sorted = self.rng.f64() < habit.sorts_well;
        let card = (self.rng.f64() < WITH_CARD).then(|| Arc::clone(&habit.home.card));
        let camera = self.neighbourhood.devices_of(site).find(|device| device.kind == DeviceKind::Camera);
        if let Some(camera) = camera.filter(|_| self.rng.f64() < JUDGED) {
            let task = Task::Judgement { camera: camera.id, bin, stream, well_sorted };
            self.agenda.insert((due + self.rng.u64(LOOKING), task));
        }
        let mut happened = vec![(bin, What::Deposit { stream, grams, card })];
        let load = self.loads.entry(bin).or_default();
        load.grams += grams;
        load.deposits += 1;
        if load.grams >= EMPTIED_AT {
            happened.push((bin, What::Plain(Body::Emptied { stream, grams: load.grams })));
            *load = Load::default();
            happened.push((bin, What::Plain(fill_body(stream, 0))));
        } else if load.deposits.is_multiple_of(DEPOSITS_A_FILL) {
            happened.push((bin, What::Plain(fill_body(stream, load.grams))));
        }
        happened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_comes_every_few_seconds_and_is_judged_soon_but_never_the_reserved_household() {
        let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
        let reserved = &sample.reserved().unwrap().card;
        let mut live = Live::new(&sample, 1);
        let (mut deposits, mut judgements, mut heartbeats) = (Vec::new(), 0, BTreeMap::new());
        loop {
            let (due, happened) = live.step().unwrap();
            if due > 600_000 {
                break;
            }
            for (device, what) in happened {
                match what {
                    What::Deposit { card, .. } => {
                        assert_ne!(card.as_ref(), Some(reserved));
                        deposits.push(due);
                    }
                    What::Judgement { .. } => judgements += 1,
                    What::Plain(Body::Heartbeat { .. }) => *heartbeats.entry(device).or_insert(0) += 1,
                    _ => {}
                }
            }
        }
        assert!(deposits.windows(2).all(|pair| pair[1] - pair[0] < 4_500 * 4), "{deposits:?}");
        assert!((150..400).contains(&deposits.len()), "{}", deposits.len());
        assert!(judgements * 10 > deposits.len() * 7, "{judgements} of {}", deposits.len());
        assert_eq!(heartbeats.len(), sample.simulated().count());
        assert!(heartbeats.values().all(|count| (10..=11).contains(count)));
    }
}

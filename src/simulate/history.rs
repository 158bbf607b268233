//! What happened in the sample neighbourhood over the last weeks, for each device in order of time. Pure: the same for the
//! same seed, time and boot.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use fastrand::Rng;
use fenlei_wire::event::Body;
use fenlei_wire::schedule::Window;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{DeviceKind, SightingKind, Stream, Verdict};

use super::bin::Drafted;
use super::habits::{Habit, habits, mistake};
use super::neighbourhood::{Equipment, Neighbourhood, Room, ZONE};
use super::occurrence::{Occurrence, What};
use crate::domain::zone::{opens_at, today};

/// What happened, by device; events of a device have the numbers 1, 2, 3 … in this order.
pub type History = BTreeMap<&'static str, Vec<Occurrence>>;

/// Weeks beyond this would reach the age at which events are refused.
pub const MAX_DAYS: u32 = 85;

pub(super) const MINUTE: i64 = 60_000;
const HEARTBEAT_EVERY: i64 = 120 * MINUTE;
/// Share of the deposits at which the card is shown, and that the camera judges.
const WITH_CARD: f64 = 0.93;
const JUDGED: f64 = 0.75;

/// The history of `days` days up to `now`, under the boot that the devices will have.
pub fn history(neighbourhood: &Neighbourhood, seed: u64, now: DateTime<Utc>, days: u32, boot: u32) -> History {
    let last = today(ZONE, now);
    let eve = last.checked_sub_days(Days::new(days.into()));
    let dates = eve.into_iter().flat_map(|eve| eve.iter_days().skip(1)).take_while(|date| *date <= last).collect();
    let mut writer = Writer { neighbourhood, rng: Rng::with_seed(seed), dates, now: now.timestamp_millis(), boot };
    let mut drafts = writer.deposits(&habits(neighbourhood, seed));
    let mut history = History::new();
    for site in &neighbourhood.sites {
        let mut judgements = Vec::new();
        for bin in neighbourhood.devices_of(site.id).filter(|device| device.kind == DeviceKind::Bin) {
            let story = writer.bin(site, bin, drafts.remove(bin.id).unwrap_or_default());
            judgements.extend(writer.judgements(bin, &story));
            history.insert(bin.id, story.into_iter().map(|drafted| drafted.occurrence).collect());
        }
        for device in neighbourhood.devices_of(site.id).filter(|device| device.kind != DeviceKind::Bin) {
            let mut story = writer.heartbeats();
            if device.kind == DeviceKind::Camera {
                story.append(&mut judgements);
                story.extend(writer.sightings());
            }
            story.retain(|occurrence| occurrence.time.0 < writer.now);
            story.sort_by_key(|occurrence| occurrence.time);
            history.insert(device.id, story);
        }
    }
    history
}

pub(super) struct Writer<'a> {
    neighbourhood: &'a Neighbourhood,
    pub(super) rng: Rng,
    pub(super) dates: Vec<NaiveDate>,
    pub(super) now: i64,
    boot: u32,
}

impl Writer<'_> {
    /// Everybody's deposits, by bin.
    fn deposits(&mut self, habits: &[Habit<'_>]) -> BTreeMap<&'static str, Vec<Drafted>> {
        let mut drafts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for date in self.dates.clone() {
            for habit in habits {
                let Some(site) = self.neighbourhood.site(habit.home.site) else { continue };
                for visit in self.visits(site, habit, date) {
                    self.visit(habit, visit, &mut drafts);
                }
            }
        }
        drafts
    }

    /// When somebody comes on a day.
    fn visits(&mut self, site: &Room, habit: &Habit<'_>, date: NaiveDate) -> Vec<i64> {
        if !habit.keeps_to_windows(date) {
            let minute = self.rng.u16(10 * 60..23 * 60);
            // A visit takes a minute or two; whoever cares for no window does not slip into one by chance either.
            let open = |window: &Window| window.contains(minute) || window.contains(minute + 2);
            let comes = self.rng.f64() < habit.off_hours && !site.timetable.windows(date).iter().any(open);
            return comes.then(|| at(date, minute.into())).into_iter().collect();
        }
        let mut visits = Vec::new();
        for window in site.timetable.windows(date) {
            let (open, close) = (i64::from(window.open.get()), i64::from(window.close.get()));
            let likely = match (window.makeup, open < 12 * 60) {
                (true, _) => 0.08,
                (false, true) => habit.morning,
                (false, false) => habit.evening,
            };
            if self.rng.f64() < likely {
                // Most come early in the window, a few after it has closed.
                let late = !window.makeup && self.rng.f64() < 0.07;
                let minutes =
                    if late { self.rng.f64() * 45.0 } else { self.rng.f64().powf(1.4) * (close - open) as f64 };
                let from = if late { close } else { open };
                visits.push(at(date, from) + (minutes * MINUTE as f64) as i64);
            }
        }
        visits
    }

    fn visit(&mut self, habit: &Habit<'_>, time: i64, drafts: &mut BTreeMap<&'static str, Vec<Drafted>>) {
        let card = (self.rng.f64() < WITH_CARD).then(|| Arc::clone(&habit.home.card));
        for (number, (stream, grams)) in habit.brings(&mut self.rng).into_iter().enumerate() {
            let bins: Vec<_> = self.neighbourhood.bins_of(habit.home.site, stream).collect();
            let Some(bin) = self.rng.choice(bins) else { continue };
            let time = UnixMillis(time + number as i64 * 25_000 + self.rng.i64(0..15_000));
            let what = What::Deposit { stream, grams, card: card.clone() };
            let well_sorted = Some(self.rng.f64() < habit.sorts_well);
            drafts.entry(bin.id).or_default().push(Drafted { occurrence: Occurrence { time, what }, well_sorted });
        }
    }

    /// What the camera makes of a bin's deposits; half the time it knows their numbers.
    fn judgements(&mut self, bin: &Equipment, story: &[Drafted]) -> Vec<Occurrence> {
        let mut judgements = Vec::new();
        for (seq, drafted) in (1..).zip(story) {
            let (Some(well_sorted), What::Deposit { stream, .. }) = (drafted.well_sorted, &drafted.occurrence.what)
            else {
                continue;
            };
            if self.rng.f64() < JUDGED {
                let time = UnixMillis(drafted.occurrence.time.0 + self.rng.i64(2_000..8_000));
                let deposit = self.rng.bool().then_some((self.boot, seq));
                judgements
                    .push(Occurrence { time, what: judgement(bin.id, *stream, well_sorted, deposit, &mut self.rng) });
            }
        }
        judgements
    }

    fn sightings(&mut self) -> Vec<Occurrence> {
        let mut sightings = Vec::new();
        for date in self.dates.clone() {
            for _ in 0..self.rng.u32(0..3) {
                let time = at(date, self.rng.i64(7 * 60..23 * 60));
                let common = [
                    SightingKind::BagOutside,
                    SightingKind::BagOutside,
                    SightingKind::Littering,
                    SightingKind::Scattered,
                ];
                let what = self.rng.choice(common).unwrap_or(SightingKind::BagOutside);
                sightings.push(occurrence(time, Body::Sighting { what, confidence: self.rng.u16(620..990) }));
            }
        }
        sightings
    }

    pub(super) fn heartbeats(&mut self) -> Vec<Occurrence> {
        let (Some(first), phase) = (self.dates.first(), self.rng.i64(0..HEARTBEAT_EVERY)) else { return Vec::new() };
        let times = (at(*first, 0) + phase..self.now).step_by(HEARTBEAT_EVERY as usize);
        times.map(|time| occurrence(time, heartbeat(&mut self.rng))).collect()
    }
}

/// A camera's finding.
pub(super) fn judgement(
    bin: &str,
    stream: Stream,
    well_sorted: bool,
    deposit: Option<(u32, u64)>,
    rng: &mut Rng,
) -> What {
    let verdict = if well_sorted { Verdict::Correct } else { Verdict::Incorrect };
    let reason = (!well_sorted).then(|| mistake(stream, rng));
    What::Judgement { verdict, reason, confidence: rng.u16(700..1_000), bin: bin.into(), deposit }
}

pub(super) fn heartbeat(rng: &mut Rng) -> Body<'static> {
    Body::Heartbeat {
        celsius: Some(rng.i16(60..240)),
        millivolts: Some(rng.u32(11_600..12_600)),
        rssi: Some(rng.i16(-78..-48)),
    }
}

pub(super) fn occurrence(time: i64, body: Body<'static>) -> Occurrence {
    Occurrence { time: UnixMillis(time), what: What::Plain(body) }
}

/// Unix milliseconds of a minute of a local day.
pub(super) fn at(date: NaiveDate, minute: i64) -> i64 {
    opens_at(ZONE, date, u16::try_from(minute).unwrap_or_default()).timestamp_millis()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fenlei_wire::event::Event;
    use fenlei_wire::vocabulary::Timing;

    use super::*;
    use crate::domain::card::CardKey;
    use crate::domain::decode::{Element, decode};
    use crate::simulate::occurrence::OFFSET_MINUTES;

    fn now() -> DateTime<Utc> {
        "2026-11-23T15:10:00+08:00".parse().unwrap()
    }

    fn sample() -> Neighbourhood {
        Neighbourhood::sample(today(ZONE, now()))
    }

    /// Households of a community with a deposit in a window on one of the days before `until`, counted naively.
    fn participation(sample: &Neighbourhood, history: &History, community: &str, from: &str, to: &str) -> f64 {
        let (from, to): (NaiveDate, NaiveDate) = (from.parse().unwrap(), to.parse().unwrap());
        let mut cards = BTreeSet::new();
        for site in sample.sites.iter().filter(|site| site.community == community) {
            for bin in sample.devices_of(site.id) {
                for occurrence in &history[bin.id] {
                    let What::Deposit { stream, card: Some(card), .. } = &occurrence.what else { continue };
                    let classified = site.timetable.classify(occurrence.time.0, *stream);
                    let date = classified.at.day.date();
                    if classified.timing != Timing::OffHours && from <= date && date <= to {
                        cards.insert(Arc::clone(card));
                    }
                }
            }
        }
        let households = sample.communities.iter().find(|one| one.id == community).unwrap().households.len();
        cards.len() as f64 / households as f64
    }

    #[test]
    fn the_same_seed_writes_the_same_history() {
        let sample = sample();
        let one = history(&sample, 7, now(), 28, 3);
        assert_eq!(one, history(&sample, 7, now(), 28, 3));
        assert_ne!(one, history(&sample, 8, now(), 28, 3));
        assert!(history(&sample, 7, now(), 0, 3).values().all(Vec::is_empty));
    }

    #[test]
    fn participation_is_plausible_and_rises_with_the_project() {
        let sample = sample();
        for seed in 1..=5 {
            let history = history(&sample, seed, now(), 28, 3);
            let whole = participation(&sample, &history, "xinhua", "2026-10-27", "2026-11-23");
            assert!((0.6..0.8).contains(&whole), "{whole}");
            let before = participation(&sample, &history, "xinhua", "2026-10-27", "2026-11-01");
            let latest = participation(&sample, &history, "xinhua", "2026-11-17", "2026-11-22");
            assert!(before + 0.1 < latest, "{before} {latest}");
            assert!((0.5..0.85).contains(&participation(&sample, &history, "yangpu", "2026-10-27", "2026-11-23")));
        }
    }

    #[test]
    fn every_event_is_one_that_the_backend_accepts_and_none_is_of_the_reserved_household() {
        let (sample, key) = (sample(), CardKey::new([7; 32]));
        let reserved = &sample.reserved().unwrap().card;
        let history = history(&sample, 1, now(), 28, 3);
        let total: usize = history.values().map(Vec::len).sum();
        assert!((20_000..80_000).contains(&total), "{total}");
        assert_eq!(history.keys().copied().collect::<BTreeSet<_>>(), sample.simulated().map(|one| one.id).collect());
        for (device, story) in &history {
            let kind = sample.simulated().find(|one| one.id == *device).unwrap().kind;
            assert!(story.is_sorted_by_key(|occurrence| occurrence.time), "{device}");
            for (seq, occurrence) in (1..).zip(story) {
                let body = occurrence.what.body();
                assert!(body.event_type().allowed_from(kind));
                let mut text = String::new();
                let time = occurrence.time;
                let event = Event { boot: 3, seq, time, offset_minutes: OFFSET_MINUTES, unsynced: false, body };
                event.encode(&mut text).unwrap();
                assert!(!text.contains(&**reserved));
                let decoded = decode(text.as_bytes(), now().timestamp_millis(), &key);
                let [Element::Event(decoded)] = decoded.as_slice() else { panic!("{text}: {decoded:?}") };
                assert_eq!((decoded.seq, decoded.time), (seq, time.0));
            }
        }
    }

    #[test]
    fn judgements_that_name_a_deposit_name_one() {
        let sample = sample();
        let history = history(&sample, 1, now(), 7, 3);
        let mut named = 0;
        for occurrence in history.values().flatten() {
            if let What::Judgement { bin, deposit: Some((3, seq)), .. } = &occurrence.what {
                let deposit = &history[&**bin][usize::try_from(*seq).unwrap() - 1];
                assert!(matches!(deposit.what, What::Deposit { .. }));
                assert!((0..20_000).contains(&(occurrence.time.0 - deposit.time.0)));
                named += 1;
            }
        }
        assert!(named > 500, "{named}");
    }
}

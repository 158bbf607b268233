//! What happened in the sample neighbourhood over the last weeks, for each device in order of time. Pure: the same for the
//! same seed, time and boot.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use fastrand::Rng;
use fenlei_wire::event::Body;
use fenlei_wire::limits::MAX_GRAMS;
use fenlei_wire::schedule::Window;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{AlarmKind, DeviceKind, DoorBy, SightingKind, Stream, Verdict};

use super::habits::{Habit, habits, mistake};
use super::neighbourhood::{Equipment, Neighbourhood, Room, ZONE};
use super::occurrence::{Occurrence, What};
use crate::domain::zone::{opens_at, today};

/// What happened, by device; events of a device have the numbers 1, 2, 3 … in this order.
pub type History = BTreeMap<&'static str, Vec<Occurrence>>;

/// Weeks beyond this would reach the age at which events are refused.
pub const MAX_DAYS: u32 = 85;

const MINUTE: i64 = 60_000;
/// What a bin holds, in grams.
const CAPACITY: u32 = 110_000;
/// A bin tells how full it is after so many deposits.
const DEPOSITS_A_FILL: u32 = 10;
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

/// A deposit that has no number yet, or whatever else happens at a bin.
struct Drafted {
    occurrence: Occurrence,
    /// What a camera would find of it; `None`: there is nothing to judge.
    well_sorted: Option<bool>,
}

struct Writer<'a> {
    neighbourhood: &'a Neighbourhood,
    rng: Rng,
    dates: Vec<NaiveDate>,
    now: i64,
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

    /// All that happens at a bin, in order of time.
    fn bin(&mut self, site: &Room, bin: &Equipment, mut story: Vec<Drafted>) -> Vec<Drafted> {
        let Some(stream) = bin.stream else { return Vec::new() };
        let mut plain = self.heartbeats();
        plain.extend(self.edges(site));
        for date in self.dates.clone() {
            // Staff come after each default window.
            for minute in [9 * 60 + 40, 18 * 60 + 50] {
                let time = at(date, minute + self.rng.i64(0..25));
                // Whoever has not closed it yet is still to come: nothing goes on where a history ends.
                if time + 90_000 >= self.now {
                    continue;
                }
                plain.push(staff_door(time, true));
                // The weight is filled in when the day is played through.
                plain.push(occurrence(time + 20_000, Body::Emptied { stream, grams: 0 }));
                plain.push(staff_door(time + 90_000, false));
            }
        }
        plain.extend(self.faults(bin));
        story.extend(plain.into_iter().map(|occurrence| Drafted { occurrence, well_sorted: None }));
        story.retain(|drafted| drafted.occurrence.time.0 < self.now);
        story.sort_by_key(|drafted| drafted.occurrence.time);
        play(story, stream)
    }

    /// Where the lid opens and closes by its hours. Windows may lie within one another, or follow without a gap.
    fn edges(&self, site: &Room) -> Vec<Occurrence> {
        let windows =
            self.dates.iter().flat_map(|date| site.timetable.windows(*date).iter().map(|window| (*date, window)));
        let mut spans: Vec<(i64, i64)> = windows
            .map(|(date, Window { open, close, .. })| (at(date, open.get().into()), at(date, close.get().into())))
            .collect();
        spans.sort_unstable();
        spans.dedup_by(|next, span| {
            let joins = next.0 <= span.1;
            if joins {
                span.1 = span.1.max(next.1);
            }
            joins
        });
        let door = |time, open| occurrence(time, Body::Door { open, by: DoorBy::Schedule });
        spans.into_iter().flat_map(|(open, close)| [door(open, true), door(close, false)]).collect()
    }

    /// A fault here and there, and one that is still there.
    fn faults(&mut self, bin: &Equipment) -> Vec<Occurrence> {
        let mut faults = Vec::new();
        let alarm = |time, alarm, active| occurrence(time, Body::Alarm { alarm, active });
        if let Some(date) = self.rng.choice(&self.dates).copied().filter(|_| self.rng.f64() < 0.4) {
            let begins = at(date, self.rng.i64(6 * 60..20 * 60));
            faults.push(alarm(begins, AlarmKind::Jam, true));
            faults.push(alarm(begins + self.rng.i64(10..180) * MINUTE, AlarmKind::Jam, false));
        }
        if bin.id == "yangpu-gate-residual" && self.dates.len() > 1 {
            faults.push(alarm(self.now - 20 * 60 * MINUTE, AlarmKind::LowBattery, true));
        }
        faults
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

    fn heartbeats(&mut self) -> Vec<Occurrence> {
        let (Some(first), phase) = (self.dates.first(), self.rng.i64(0..HEARTBEAT_EVERY)) else { return Vec::new() };
        let times = (at(*first, 0) + phase..self.now).step_by(HEARTBEAT_EVERY as usize);
        times.map(|time| occurrence(time, heartbeat(&mut self.rng))).collect()
    }
}

/// Fills the bin deposit by deposit, and empties it when staff come.
fn play(story: Vec<Drafted>, stream: Stream) -> Vec<Drafted> {
    let mut played = Vec::with_capacity(story.len());
    let (mut load, mut since_told, mut full) = (0_u32, 0, false);
    for mut drafted in story {
        let time = drafted.occurrence.time.0;
        let mut after = Vec::new();
        match &mut drafted.occurrence.what {
            What::Deposit { grams, .. } => {
                load = (load + *grams).min(MAX_GRAMS);
                since_told += 1;
                if since_told == DEPOSITS_A_FILL {
                    since_told = 0;
                    after.push(fill(time, stream, load));
                }
                if !full && load >= CAPACITY / 20 * 19 {
                    full = true;
                    after.push(occurrence(time, Body::Alarm { alarm: AlarmKind::Full, active: true }));
                }
            }
            What::Plain(Body::Emptied { grams, .. }) => {
                *grams = std::mem::take(&mut load);
                after.push(fill(time, stream, 0));
                if std::mem::take(&mut full) {
                    after.push(occurrence(time, Body::Alarm { alarm: AlarmKind::Full, active: false }));
                }
            }
            _ => {}
        }
        played.push(drafted);
        played.extend(after.into_iter().map(|occurrence| Drafted { occurrence, well_sorted: None }));
    }
    played
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

/// How full a bin is that holds so many grams.
pub(super) fn fill_body(stream: Stream, load: u32) -> Body<'static> {
    let percent = u8::try_from(u64::from(load) * 100 / u64::from(CAPACITY)).unwrap_or(100).min(100);
    Body::Fill { stream, percent, celsius: None }
}

fn fill(time: i64, stream: Stream, load: u32) -> Occurrence {
    occurrence(time, fill_body(stream, load))
}

fn staff_door(time: i64, open: bool) -> Occurrence {
    occurrence(time, Body::Door { open, by: DoorBy::Staff })
}

fn occurrence(time: i64, body: Body<'static>) -> Occurrence {
    Occurrence { time: UnixMillis(time), what: What::Plain(body) }
}

/// Unix milliseconds of a minute of a local day.
fn at(date: NaiveDate, minute: i64) -> i64 {
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

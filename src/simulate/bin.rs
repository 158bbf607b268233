//! What happens at a bin: its deposits fill it, its lid keeps to the hours, staff empty it, and now and then it has a fault.

use fenlei_wire::event::Body;
use fenlei_wire::limits::MAX_GRAMS;
use fenlei_wire::schedule::Window;
use fenlei_wire::vocabulary::{AlarmKind, DoorBy, Stream};

use super::history::{MINUTE, Writer, at, occurrence};
use super::neighbourhood::{Equipment, Room};
use super::occurrence::{Occurrence, What};

/// What a bin holds, in grams.
const CAPACITY: u32 = 110_000;
/// A bin tells how full it is after so many deposits.
const DEPOSITS_A_FILL: u32 = 10;

/// A deposit that has no number yet, or whatever else happens at a bin.
pub(super) struct Drafted {
    pub(super) occurrence: Occurrence,
    /// What a camera would find of it; `None`: there is nothing to judge.
    pub(super) well_sorted: Option<bool>,
}

impl Writer<'_> {
    /// All that happens at a bin, in order of time.
    pub(super) fn bin(&mut self, site: &Room, bin: &Equipment, mut story: Vec<Drafted>) -> Vec<Drafted> {
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
